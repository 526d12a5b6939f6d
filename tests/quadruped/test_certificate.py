"""The certificate: its integrator's order, its distances, and what it must refuse."""

from dataclasses import replace

import numpy as np
import pytest

from colonnade.quadruped.certificate import capsule_ends, certify, clearance, integrate, segment_box, torque_margin
from colonnade.quadruped.jump_spec import Window
from colonnade.quadruped.planar import planar_model
from colonnade.quadruped.robot import MINI_CHEETAH


def test_stored_plans_are_certified(library):
    for plan in library.plans[::6]:
        found = certify(plan)
        assert found.valid, found.reasons
        assert found.clearance > 0.03
        assert found.torque_margin > 0.15


@pytest.mark.parametrize(("method", "order"), [("rk4", 4), ("midpoint", 2)])
@pytest.mark.parametrize("feet", [(), (0, 1)])
def test_the_integrator_converges_at_its_order(method, order, feet, stored):
    q, v = stored.spec.stand(0.22), np.array([0.2, 0.3, 0.1, 3.0, -4.0, 3.0, -4.0])
    tau = np.array([3.0, 20.0, 2.0, 22.0]) if feet else np.array([0.5, 1.0, 0.5, 1.0])

    def at(steps):
        return np.concatenate(integrate(MINI_CHEETAH, feet, q, v, tau, 0.02, steps, method))

    exact = at(256)
    errors = [np.abs(at(steps) - exact).max() for steps in (16, 32)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.6)


def test_standing_feet_stay(stored):
    planar = planar_model(MINI_CHEETAH)
    q = stored.spec.stand(0.22)
    after, _ = integrate(MINI_CHEETAH, (0, 1), q, np.zeros(7), np.array([3.0, 20.0, 2.0, 22.0]), 0.04, 64)
    np.testing.assert_allclose(np.array(planar.feet(after)), np.array(planar.feet(q)), atol=1e-6)


def test_distance_to_a_box_against_brute_force():
    rng = np.random.default_rng(4)
    box = (-0.1, 0.15, -0.2, 0.1)
    for _ in range(200):
        ends = rng.uniform(-0.6, 0.6, (2, 2))
        line = ends[0] + np.linspace(0, 1, 4001)[:, None] * (ends[1] - ends[0])
        gap = np.maximum(np.maximum([box[0], box[2]] - line, line - [box[1], box[3]]), 0)
        assert segment_box(ends, box) == pytest.approx(np.hypot(*gap.T).min(), abs=3e-4)


def test_a_lintel_between_sampled_points_is_refused(stored):
    """A thin lintel between the ends of the trunk: points at the links' ends pass it, the capsule does not."""
    planar, robot = planar_model(MINI_CHEETAH), MINI_CHEETAH
    ends = capsule_ends(robot, stored.q)
    crossing = int(np.argmin(np.abs(stored.q[:, 0] - stored.spec.near)))
    low = float(ends[crossing, 0, :, 1].max()) + robot.trunk_half[2] - 0.02
    thin = Window(0.02, low, 0.005)
    points = ends.reshape(len(ends), -1, 2)
    inside = (points[..., 0] > stored.spec.near) & (points[..., 0] < stored.spec.near + thin.depth)
    assert not (inside & (points[..., 1] > low)).any()  # a check of points alone lets it pass
    assert clearance(stored, thin) < 0
    wrong = replace(stored, spec=replace(stored.spec, window=thin))
    assert not certify(wrong).valid
    assert planar.radii[0] == robot.trunk_half[2]


def test_a_scaled_plan_is_a_plan_of_the_scaled_robot(stored):
    """Lengths x s, times x s^1/2, torques x s^4, forces x s^3: dynamic similarity of the whole jump."""
    s = 1.3
    window = stored.spec.window
    spec = replace(
        stored.spec, window=Window(window.sill * s, window.lintel * s, window.depth * s),
        distance=stored.spec.distance * s, margin=stored.spec.margin * s, robot=MINI_CHEETAH.scaled(s),
        start_height=stored.spec.start_height * s, end_height=stored.spec.end_height * s,
    )  # fmt: skip
    length = np.array([s, s, 1, 1, 1, 1, 1])
    large = replace(
        stored, spec=spec, t=stored.t * s**0.5, q=stored.q * length, v=stored.v * length / s**0.5,
        tau=stored.tau * s**4, f=stored.f * s**3,
    )  # fmt: skip
    one, two = certify(stored), certify(large)
    assert two.valid, two.reasons
    assert two.clearance == pytest.approx(s * one.clearance, rel=1e-6)
    assert two.torque_margin == pytest.approx(one.torque_margin, abs=1e-6)
    assert two.friction_used == pytest.approx(one.friction_used, abs=1e-9)
    assert two.momentum == pytest.approx(one.momentum, abs=1e-6)


def test_tampered_plans_are_refused(stored):
    shifted = replace(
        stored, q=stored.q + np.linspace(0, 1, len(stored.q))[:, None] ** 2 * np.array([0.4, 0, 0, 0, 0, 0, 0])
    )
    assert certify(shifted).defect > certify(stored).defect
    assert not certify(shifted).valid
    assert not certify(replace(stored, tau=3 * stored.tau)).valid
    assert torque_margin(replace(stored, tau=3 * stored.tau)) < 0
    assert not certify(replace(stored, status="iterations")).valid
    higher = replace(stored, spec=replace(stored.spec, window=Window(0.4, 1.5, 0.05)))
    assert any("wall" in reason for reason in certify(higher).reasons)
    assert not certify(stored, simulate=lambda _: False).valid
