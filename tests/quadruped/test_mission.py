"""Jumps and missions in the full simulation."""

import numpy as np
import pytest

from colonnade.quadruped.errors import Cancelled
from colonnade.quadruped.jump_spec import Window
from colonnade.quadruped.learning import learn
from colonnade.quadruped.library import standard_library
from colonnade.quadruped.mission import Mission, MissionConfig, navigate
from colonnade.quadruped.robot import MINI_CHEETAH
from colonnade.quadruped.simulation import Diverged, Simulation
from colonnade.quadruped.track import sample
from colonnade.quadruped.trial import Disturbance, simulate_jump, wilson
from colonnade.quadruped.world import Wall, World, random_world

HEADLINE = Window(0.13, 0.75, 0.05)


def test_the_headline_jump_undisturbed(stored):
    trial = simulate_jump(stored, window=HEADLINE)
    assert trial.success, trial.cause
    assert trial.obstacle_contacts == 0 and trial.speed < 0.1
    assert trial.qpos[-1, 0] > stored.spec.far + 0.2  # it is on the other side
    robot = stored.spec.robot
    assert (np.abs(trial.torque.reshape(-1, 4, 3)) <= robot.torque_limit + 1e-9).all()


def test_the_headline_jump_disturbed(stored):
    rng = np.random.default_rng(11)
    trials = [simulate_jump(stored, Disturbance.draw(rng), window=HEADLINE) for _ in range(3)]
    assert all(trial.success for trial in trials), [trial.cause for trial in trials]


def test_a_wall_that_is_too_high_is_touched(stored):
    trial = simulate_jump(stored, window=Window(0.35, 1.2, 0.05))
    assert not trial.success and trial.obstacle_contacts > 0
    assert "window" in trial.cause or "fell" in trial.cause


def test_the_same_jump_twice_is_the_same(stored):
    one, two = (simulate_jump(stored, Disturbance(mass=1.03), window=HEADLINE).qpos for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_samples_pass_through_the_nodes(stored):
    reference = sample(stored)
    for k in (3, 20, 40):
        at = int(np.argmin(np.abs(reference.t - stored.t[k])))
        np.testing.assert_allclose(reference.q[at], stored.q[k], atol=0.05)
    assert (np.diff(reference.phase) >= 0).all()


def test_learning_brings_the_take_off_nearer_to_the_plan(stored):
    learned = learn(stored, 3)
    assert learned.errors[-1] < 0.7 * learned.errors[0]
    assert learned.correction.shape == (len(sample(stored).t), 3)
    assert (learned.correction[sample(stored).phase >= 2] == 0).all()  # nothing pushes in flight
    assert simulate_jump(stored, window=HEADLINE, correction=learned.correction).success
    assert learn(stored, 1).errors[0] == learned.errors[0]


def test_motor_envelope_is_enforced():
    sim = Simulation()
    sim.data.qvel[6:] = 39.0
    given = sim.clamp(np.full(12, 100.0)).reshape(4, 3)
    assert (given[:, 1] < 0.3 * sim.robot.torque_limit[1]).all()
    assert (given[:, 2] < 0).all()  # beyond the knee's no-load speed the motor can only brake


def test_divergence_is_reported_with_its_time():
    sim = Simulation()
    sim.data.qvel[:] = np.nan
    with pytest.raises(Diverged, match=r"diverged at 0\.0"):
        sim.step(np.zeros((4, 3)))


def test_wilson_interval():
    low, high = wilson(20, 20)
    assert (low, high) == pytest.approx((0.8389, 1.0), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(5, 10)[0] == pytest.approx(0.2366, abs=1e-3)


def test_a_short_mission_through_a_window():
    wall = Wall(2.0, 0.0, 0.0, 4.6, 0.05, 0.1, 0.7, 0.13, 0.8)
    world = World((0.0, -1.2, 4.2, 1.2), walls=(wall,), start=(0.7, 0.0, 0.0), goal=(3.5, 0.0))
    result = navigate(world)
    metrics = result.metrics
    assert metrics.success, (metrics.outcome, metrics.cause)
    assert metrics.jumps == 1 and metrics.contacts == 0 and metrics.error <= 0.1
    assert [name for _, name in result.states if name in ("align", "jump", "land")][:3] == ["align", "jump", "land"]
    assert len(result.t) == len(result.qpos) > 100


def test_no_way_is_said_and_not_tried():
    world = World((0.0, -1.0, 4.0, 1.0), walls=(Wall(2.0, 0.0, 0.0, 4.0),), start=(0.7, 0.0, 0.0), goal=(3.4, 0.0))
    result = navigate(world)
    assert result.metrics.outcome == "no path" and not result.metrics.success
    assert "cannot be reached" in result.metrics.cause
    assert result.metrics.contacts == 0


def interrupted(change, **config):
    """A mission in an open world in which `change(simulation)` happens after a second."""
    world = World((0.0, -1.0, 4.0, 1.0), start=(0.7, 0.0, 0.0), goal=(3.4, 0.0))
    missions = []

    def watch(time, state):
        if time > 1.0:
            change(missions[0].sim)
        return False

    missions.append(Mission(world, MINI_CHEETAH, MissionConfig(**config), standard_library(), None, watch))
    return missions[0].run().metrics


def test_ends_are_told_apart():
    fell = interrupted(lambda sim: sim.push((0.0, 60.0, 0.0)))
    assert fell.outcome == "fell" and "while in state 'walk'" in fell.cause and not fell.success

    def lose(sim):
        sim.data.qvel[0] = np.nan

    lost = interrupted(lose)
    assert lost.outcome == "diverged" and "diverged at 1." in lost.cause
    late = interrupted(lambda sim: None, longest=1.5)
    assert late.outcome == "too long" and not late.success
    tired = interrupted(lambda sim: None, replans=1)
    assert tired.outcome == "stuck" and "Gave up after 1 plans" in tired.cause


def test_no_progress_is_noticed():
    def hold(sim):
        sim.data.qvel[:2] = 0.0
        sim.data.qpos[0] = 1.0

    held = interrupted(hold, patience=1.0)
    assert held.outcome in ("stuck", "fell") and held.cause


def test_cancelling_ends_a_mission():
    world = random_world(np.random.default_rng(0), "clutter")
    with pytest.raises(Cancelled):
        navigate(world, watch=lambda time, state: time > 0.5)


@pytest.mark.slow
def test_missions_repeat_and_reach():
    world = random_world(np.random.default_rng(1), "clutter")
    one, two = (navigate(world, config=MissionConfig()) for _ in range(2))
    np.testing.assert_array_equal(one.qpos, two.qpos)
    assert one.metrics.success
