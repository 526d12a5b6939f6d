"""The jump programme: laws of motion, monotone cost, symmetry and similarity, refusals, cancelling."""

import signal
from dataclasses import replace

import numpy as np
import pytest

from colonnade.quadruped.answer import find_jump, largest_sill
from colonnade.quadruped.errors import InfeasibleJump, InputError
from colonnade.quadruped.jump import approach, between, optimise_jump
from colonnade.quadruped.jump_spec import JumpSpec, Window, shared_out
from colonnade.quadruped.library import JumpLibrary
from colonnade.quadruped.planar import planar_model
from colonnade.quadruped.robot import MINI_CHEETAH, planar_leg_joints, stand_load, with_payload

COARSE = (10, 4, 10, 6)


def momentum(plan):
    planar = planar_model(plan.spec.robot)
    return np.array([np.array(planar.momentum(q, v)).ravel() for q, v in zip(plan.q, plan.v, strict=True)])


def test_plan_ends_where_asked(free):
    assert free.solved
    assert free.length == pytest.approx(0.5, abs=1e-6)
    assert free.q[-1, 1] == pytest.approx(free.spec.end_height, abs=1e-6)
    np.testing.assert_allclose(free.v[-1], 0, atol=1e-6)


def test_flight_obeys_free_fall_and_keeps_angular_momentum(stored):
    planar = planar_model(stored.spec.robot)
    first, last = np.flatnonzero(stored.phase == 2)[[0, -1]]
    nodes = np.arange(first, last + 2)
    com = np.array([np.array(planar.com(stored.q[k])).ravel() for k in nodes])
    t = stored.t[nodes] - stored.t[nodes[0]]
    curve = np.polyfit(t, com[:, 1], 2)
    assert 2 * curve[0] == pytest.approx(-9.81, rel=0.01)
    np.testing.assert_allclose(np.polyfit(t, com[:, 0], 2)[0], 0, atol=0.05)
    spin = momentum(stored)[nodes, 2]
    push = np.abs(momentum(stored)[:, 2]).max()
    assert np.ptp(spin) < 0.03 * max(push, 1.0)


def test_impulse_is_the_change_of_momentum(stored):
    change = momentum(stored)[-1, :2] - momentum(stored)[0, :2]
    h = np.diff(stored.t)[:, None]
    impulse = (h * (stored.f[:, :2] + stored.f[:, 2:])).sum(axis=0)
    impulse[1] -= MINI_CHEETAH.mass * 9.81 * stored.t[-1]
    np.testing.assert_allclose(change, impulse, atol=0.02 * MINI_CHEETAH.mass * 9.81 * stored.t[-1] * 0.1)


def test_constraints_hold_at_every_node(coarse):
    assert coarse.solved
    robot, share = coarse.spec.robot, 1 - coarse.spec.torque_reserve
    limit = np.tile(2 * robot.torque_limit[1:], 2)
    assert (np.abs(coarse.tau) <= share * limit + 1e-3).all()
    speed = coarse.v[:-1, 3:] / np.tile(robot.speed_limit[1:], 2)
    assert (coarse.tau <= share * np.tile(2 * robot.stall_torque[1:], 2) * (1 - speed) + 1e-3).all()
    for x, z in ((0, 1), (2, 3)):
        assert (np.abs(coarse.f[:, x]) <= coarse.spec.friction * coarse.f[:, z] + 1e-2).all()
    assert (coarse.f[coarse.phase == 2] == 0).all()


def test_cost_grows_with_the_sill(library):
    row = [plan for plan in library.plans if plan.spec.distance == 0.15]
    cost = [plan.cost for plan in row]
    assert len(cost) >= 9
    assert (np.diff(cost) > -1e-5).all()


def test_cost_falls_with_stronger_motors(free):
    weak = optimise_jump(replace(free.spec, torque_reserve=0.45), guess=free)
    strong = optimise_jump(replace(free.spec, torque_reserve=0.0), guess=free)
    assert weak.solved and strong.solved
    tolerance = 1e-4  # of the solver, in units of the cost
    assert strong.cost <= free.cost + tolerance <= weak.cost + 2 * tolerance


def test_similar_robots_move_similarly():
    s = 1.3
    robot = MINI_CHEETAH.scaled(s)
    # Torque x s^4, force x s^3, time x s^1/2 of the smaller robot's plan obey the larger one's equations of motion.
    planar, large = planar_model(MINI_CHEETAH), planar_model(robot)
    rng = np.random.default_rng(0)
    q, v, a = rng.uniform(-1, 1, 7), rng.uniform(-2, 2, 7), rng.uniform(-9, 9, 7)
    length = np.array([s, s, 1, 1, 1, 1, 1])
    small = np.array(planar.inverse_dynamics(q, v, a)).ravel()
    scaled = np.array(large.inverse_dynamics(q * length, v * length / s**0.5, a * length / s)).ravel()
    np.testing.assert_allclose(scaled, small * np.array([s**3, s**3, *[s**4] * 5]), rtol=1e-9)
    np.testing.assert_allclose(robot.speed_limit, MINI_CHEETAH.speed_limit / s**0.5)
    np.testing.assert_allclose(robot.torque_limit, MINI_CHEETAH.torque_limit * s**4)


def test_mirrored_motion_needs_mirrored_forces():
    """Front and rear exchanged and x reversed: the robot's two ends are alike but for the knees' side."""
    planar = planar_model(MINI_CHEETAH)
    rng = np.random.default_rng(1)

    def mirror(x):
        return np.array([-x[0], x[1], -x[2], -x[5], -x[6], -x[3], -x[4]])

    q, v, a = rng.uniform(-1, 1, 7), rng.uniform(-2, 2, 7), rng.uniform(-9, 9, 7)
    force = np.array(planar.inverse_dynamics(q, v, a)).ravel()
    mirrored = np.array(planar.inverse_dynamics(mirror(q), mirror(v), mirror(a))).ravel()
    np.testing.assert_allclose(mirrored, mirror(force), atol=1e-9)


def test_impossible_windows_name_the_limit():
    with pytest.raises(InfeasibleJump, match=r"needs at least 0\.160 m"):
        optimise_jump(JumpSpec(Window(0.2, 0.3)))
    with pytest.raises(InfeasibleJump, match=r"length must be at least"):
        optimise_jump(JumpSpec(Window(0.1, 0.8), length=0.3))
    answer = find_jump(JumpSpec(Window(0.2, 0.3)))
    assert not answer.feasible and answer.source == "geometry" and answer.verdict == "impossible"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"distance": -0.1}, "distance"),
        ({"friction": 0.0}, "friction"),
        ({"friction": float("nan")}, "friction"),
        ({"length": float("inf")}, "length"),
        ({"intervals": (1, 1, 1, 1)}, "intervals"),
    ],
)
def test_refusals_name_the_field(change, field):
    with pytest.raises(InputError, match=field):
        JumpSpec(Window(0.1), **change)
    with pytest.raises(InputError, match="lintel"):
        Window(sill=0.5, lintel=0.4)


def test_too_heavy_a_payload_is_infeasible_not_solved():
    spec = JumpSpec(length=0.5, robot=with_payload(MINI_CHEETAH, 10.0, 0.25), intervals=COARSE)
    assert not optimise_jump(spec, max_iterations=60).solved
    answer = find_jump(replace(spec, robot=with_payload(MINI_CHEETAH, 10.0, 0.1)))
    assert answer.verdict == "impossible" and "18.91 kg cannot stand at 0.25 m" in answer.sentence


def test_load_of_a_stand():
    """With the foot under the hip the knee bears the weight on its lever; moving feet and pushing can only help."""
    height = 0.25
    hip = planar_leg_joints(MINI_CHEETAH, 0.0, height - MINI_CHEETAH.foot_radius)[0]
    lever = abs(MINI_CHEETAH.thigh_length * np.sin(hip))
    plain = MINI_CHEETAH.mass * 9.81 / 4 * lever / MINI_CHEETAH.torque_limit[2]
    assert stand_load(MINI_CHEETAH, height, 0.0, 0.0) == pytest.approx(plain)
    assert stand_load(MINI_CHEETAH, height, 0.4, 0.06) < plain
    assert stand_load(with_payload(MINI_CHEETAH, 3.0), height, 0.0, 0.0) > plain


def test_limits_are_told_apart_from_success(free):
    spec = JumpSpec(Window(0.1, 1.2), 0.85, distance=0.15, intervals=COARSE)
    assert optimise_jump(replace(free.spec, torque_reserve=0.02), max_iterations=3).status == "iterations"
    slow = optimise_jump(spec, max_seconds=1e-3)
    assert slow.status == "timeout" and not slow.solved


def test_cancelling_stops_the_solver():
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 3

    plan = optimise_jump(JumpSpec(length=0.55, intervals=COARSE), cancelled=stop)
    assert plan.status == "cancelled" and plan.iterations <= 5


def test_an_interrupt_stops_the_solver():
    """Ctrl-C: CasADi would swallow the exception and go on."""
    asked = []

    def press():
        asked.append(1)
        if len(asked) == 3:
            signal.raise_signal(signal.SIGINT)
        return False

    with pytest.raises(KeyboardInterrupt):
        optimise_jump(JumpSpec(length=0.55, intervals=COARSE), cancelled=press)
    assert len(asked) <= 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_same_problem_same_plan(free):
    again = optimise_jump(free.spec)
    np.testing.assert_array_equal(again.q, free.q)


def test_a_false_infeasible_is_no_answer(coarse):
    """From a start astray the solver calls a feasible problem infeasible; `find_jump` then starts elsewhere."""
    spec = coarse.spec
    astray = replace(coarse, q=coarse.q + np.linspace(0, 2, len(coarse.q))[:, None], multipliers={}, status="failed")

    class Misleading(JumpLibrary):
        def covering(self, spec):
            return None

        def interpolated(self, spec):
            return astray

        def nearest(self, spec):
            return None

    assert not optimise_jump(spec, guess=astray, max_iterations=150).solved
    said = []
    answer = find_jump(spec, library=Misleading([coarse]), said=said.append)
    assert answer.feasible and answer.verdict == "feasible" and answer.source == "solver"
    assert said[0].startswith("library start: ") and "solved" not in said[0]


def test_homotopy_reaches_another_problem(coarse):
    spec = replace(coarse.spec, window=Window(0.08, 1.1), distance=0.17, margin=0.02, length=0.9)
    plan = approach(spec, coarse)
    assert plan.solved and plan.spec == spec
    assert plan.length == pytest.approx(0.9, abs=1e-6)
    middle = between(coarse, spec, 0.5)
    assert middle.window.sill == pytest.approx(0.07) and middle.distance == pytest.approx(0.16)
    late = approach(spec, coarse, max_seconds=0.0)
    assert late.status == "timeout" and late.spec == spec


def test_limits_lead_to_no_verdict(coarse):
    spec = replace(coarse.spec, window=Window(0.3, 1.1), length=None)
    answer = find_jump(spec, library=JumpLibrary([]), explain=False, max_seconds=0.05)
    assert answer.verdict == "undecided" and not answer.feasible
    assert answer.sentence.startswith("No verdict: ") and answer.binding
    stopped = find_jump(spec, library=JumpLibrary([]), explain=False, cancelled=lambda: True)
    assert stopped.verdict == "cancelled" and "Cancelled" in stopped.sentence


def test_intervals_are_shared_out():
    assert shared_out(49) == (16, 7, 16, 10)
    for total in range(20, 101):
        counts = shared_out(total)
        assert sum(counts) == total and min(counts) >= 3


@pytest.mark.slow
def test_too_high_a_sill_is_answered_with_the_largest():
    spec = JumpSpec(Window(0.75, 1.6), distance=0.15, intervals=COARSE)
    answer = find_jump(spec, max_seconds=15)
    assert not answer.feasible and answer.verdict in ("not found", "undecided")
    assert answer.largest_sill is not None and 0.2 < answer.largest_sill < 0.75
    assert "largest sill" in answer.sentence


@pytest.mark.slow
def test_largest_sill_is_itself_feasible():
    spec = JumpSpec(Window(0.1, 1.2), distance=0.15, intervals=COARSE)
    assert largest_sill(spec) == pytest.approx(0.1)
