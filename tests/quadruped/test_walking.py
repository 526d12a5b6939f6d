"""The walking controller: its quadratic programme against other solvers, and the trot's envelope in simulation."""

import casadi as ca
import mujoco
import numpy as np
import pytest
import quadprog

from colonnade.quadruped.balance import spread
from colonnade.quadruped.bench import WalkCase, walk_trial
from colonnade.quadruped.errors import InputError
from colonnade.quadruped.gait import Command, Walker
from colonnade.quadruped.legs import from_rpy, geometry, leg_kinematics, legs_to, read_state, rotation_error
from colonnade.quadruped.mpc import ConvexMPC
from colonnade.quadruped.robot import MINI_CHEETAH
from colonnade.quadruped.robots import GO1
from colonnade.quadruped.simulation import Simulation


def problem(four=False, seed=0):
    rng = np.random.default_rng(seed)
    mpc = ConvexMPC(MINI_CHEETAH)
    n = mpc.horizon
    contact = np.ones((n, 4), bool)
    if not four:
        contact[::2] = [True, False, False, True]
        contact[1::2] = [False, True, True, False]
    feet = np.array([[0.19, -0.11, -0.28], [0.19, 0.11, -0.28], [-0.19, -0.11, -0.28], [-0.19, 0.11, -0.28]])
    arms = np.repeat((feet + rng.normal(0, 0.02, (4, 3)))[None], n, axis=0)
    reference, rate = np.zeros((n, 6)), np.zeros((n, 6))
    reference[:, 5], rate[:, 3] = 0.28, 0.6
    pose = np.array([0.05, -0.04, 0.3, 0.0, 0.0, 0.26]) + rng.normal(0, 0.01, 6)
    return mpc, (pose, rng.normal(0, 0.1, 6), reference, rate, arms, contact)


@pytest.mark.parametrize("four", [False, True])
def test_programme_against_two_solvers_and_kkt(four):
    mpc, arguments = problem(four)
    h, c, rows, bound, _ = mpc.programme(*arguments)
    u, value, _, _, multipliers, _ = quadprog.solve_qp(h, c, rows, bound)
    for solver, options in (
        ("osqp", {"osqp": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iter": 100000, "verbose": False, "polish": True}}),
        ("qpoases", {"printLevel": "none"}),
    ):
        other = ca.conic("qp", solver, {"h": ca.DM(h).sparsity(), "a": ca.Sparsity.dense(*rows.T.shape)}, options)
        answer = other(h=h, g=-c, a=rows.T, lba=bound, uba=np.inf)
        assert float(answer["cost"]) == pytest.approx(value, rel=1e-6, abs=1e-6)
    slack = rows.T @ u - bound
    assert slack.min() > -1e-8
    assert multipliers.min() > -1e-10
    assert np.abs(h @ u - c - rows @ multipliers).max() < 1e-6
    assert np.abs(multipliers * slack).max() < 1e-6
    forces = u.reshape(-1, 3)
    assert (np.abs(forces[:, :2]) <= mpc.friction * forces[:, 2:] + 1e-8).all()


def test_condensed_programme_against_a_simulated_horizon():
    """The cost of the closed form equals the cost of stepping the model, up to the constant."""
    mpc, (pose, rate, reference, rates, arms, contact) = problem(seed=3)
    h, c, _, _, places = mpc.programme(pose, rate, reference, rates, arms, contact)
    rng = np.random.default_rng(5)

    def stepped(u):
        heading = from_rpy(0.0, 0.0, pose[2])
        x, v, total = pose.copy(), rate.copy(), mpc.force_weight * float(u @ u)
        turn = np.concatenate([heading.T @ v[:3], v[3:]])
        for k in range(mpc.horizon):
            spin, push = np.zeros(3), np.array([0.0, 0.0, -9.81])
            yaw = from_rpy(0.0, 0.0, reference[k, 2])
            for (step, leg), force in zip(places, u.reshape(-1, 3), strict=True):
                if step == k:
                    spin += yaw @ np.linalg.inv(mpc.inertia) @ yaw.T @ np.cross(arms[k, leg], force)
                    push += force / mpc.mass
            rates_of_pose = np.concatenate([yaw.T @ spin, push])
            x = x + mpc.dt * turn + mpc.dt**2 / 2 * rates_of_pose
            turn = turn + mpc.dt * rates_of_pose
            v = v + mpc.dt * np.concatenate([spin, push])
            total += float(mpc.pose_weight @ (x - reference[k]) ** 2 + mpc.rate_weight @ (v - rates[k]) ** 2)
        return total / 2

    one, two = rng.normal(0, 20, (2, 3 * len(places)))

    def closed(u):
        return 0.5 * u @ h @ u - c @ u

    assert stepped(one) - stepped(two) == pytest.approx(closed(one) - closed(two), rel=1e-8)


def test_balance_spreads_the_weight_within_friction():
    arms = np.array([[0.2, -0.1, -0.3], [0.2, 0.1, -0.3], [-0.2, -0.1, -0.3], [-0.2, 0.1, -0.3]])
    weight = MINI_CHEETAH.mass * 9.81
    forces = spread(np.array([0, 0, weight, 0, 0, 0]), arms, np.ones(4, bool), friction=0.5, press=200.0)
    np.testing.assert_allclose(forces.sum(axis=0), [0, 0, weight], atol=0.3)
    sliding = spread(np.array([200.0, 0, weight, 0, 0, 0]), arms, np.ones(4, bool), friction=0.5, press=200.0)
    assert (np.abs(sliding[:, :2]) <= 0.5 * sliding[:, 2:] + 1e-8).all()
    none = spread(np.array([0, 0, weight, 0, 0, 0]), arms, np.zeros(4, bool), friction=0.5, press=200.0)
    assert (none == 0).all()


def test_kinematics_equal_mujoco():
    sim = Simulation()
    rng = np.random.default_rng(1)
    sim.data.qpos[:3], sim.data.qpos[7:] = rng.normal(0, 0.3, 3), sim.data.qpos[7:] + rng.normal(0, 0.2, 12)
    quaternion = rng.normal(0, 1, 4)
    sim.data.qpos[3:7] = quaternion / np.linalg.norm(quaternion)
    sim.data.qvel[:] = rng.normal(0, 1, 18)
    mujoco.mj_forward(sim.model, sim.data)
    state = sim.state
    for index, leg in enumerate(("FR", "FL", "RR", "RL")):
        np.testing.assert_allclose(state.feet[index], sim.data.geom(f"{leg}_foot").xpos, atol=1e-12)
        jacobian = np.zeros((3, 18))
        mujoco.mj_jacGeom(sim.model, sim.data, jacobian, None, sim.model.geom(f"{leg}_foot").id)
        columns = slice(6 + 3 * index, 9 + 3 * index)
        np.testing.assert_allclose(state.jacobian[index], jacobian[:, columns], atol=1e-12)
        np.testing.assert_allclose(state.foot_velocity[index], jacobian @ sim.data.qvel, atol=1e-10)


def test_leg_inverse_kinematics_round_trip():
    shape = geometry(MINI_CHEETAH)
    joints = np.array([[0.1, -0.8, 1.5], [-0.1, -0.7, 1.4], [0.05, -0.9, 1.6], [0.0, -1.2, 2.2]])
    feet, _ = leg_kinematics(joints, shape)
    np.testing.assert_allclose(legs_to(feet, shape), joints, atol=1e-9)


def test_rotation_error_is_the_turn_between():
    one, two = from_rpy(0.2, -0.1, 0.5), from_rpy(0.2, -0.1, 0.9)
    np.testing.assert_allclose(rotation_error(one, two), [0, 0, 0.4], atol=1e-9)
    np.testing.assert_allclose(rotation_error(one, one), 0, atol=1e-7)


def test_standing_still_bears_the_weight():
    sim = Simulation()
    walker = Walker(sim.robot)
    heights = []
    for _ in range(500):
        sim.step(walker.torque(sim.state), 2)
        heights.append(sim.state.position[2])
    assert np.ptp(heights[250:]) < 0.005
    assert walker.forces[:, 2].sum() == pytest.approx(MINI_CHEETAH.mass * 9.81, rel=0.02)
    assert walker.settled


@pytest.mark.parametrize("speed", [0.5, 1.0, -0.5])
def test_speed_within_five_percent(speed):
    trial = walk_trial(WalkCase(vx=speed), 3.0)
    assert not trial.fell
    assert trial.vx == pytest.approx(speed, rel=0.05)
    assert abs(trial.vy) < 0.05


def test_sideways_and_turning():
    side = walk_trial(WalkCase(vy=0.3), 3.0)
    assert not side.fell and side.vy == pytest.approx(0.3, rel=0.08)
    turn = walk_trial(WalkCase(vx=0.4, yaw_rate=1.0), 3.0)
    assert not turn.fell and turn.yaw_rate == pytest.approx(1.0, rel=0.05)


def test_another_robot_walks_by_its_figures():
    trial = walk_trial(WalkCase(vx=0.5), 2.5, robot=GO1)
    assert not trial.fell and trial.vx == pytest.approx(0.5, rel=0.1)


def test_pushes_are_survived():
    for push in (6.0, -6.0):
        assert not walk_trial(WalkCase(vx=0.4, push=push), 2.5).fell


def test_the_same_run_twice_is_the_same():
    one, two = walk_trial(WalkCase(vx=0.6), 1.0), walk_trial(WalkCase(vx=0.6), 1.0)
    assert one == two


def test_commands_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"vx must be from -1\.5 to 1\.5 m/s, but is 3\."):
        Command(vx=3.0)
    with pytest.raises(InputError, match="yaw_rate"):
        Command(yaw_rate=float("nan"))


@pytest.mark.slow
def test_several_turns_without_a_fall():
    trial = walk_trial(WalkCase(yaw_rate=1.5), 16.0)
    assert not trial.fell
    assert trial.turned > 3 * 2 * np.pi


def test_state_reads_what_was_written():
    sim = Simulation(position=(1.0, -0.5), yaw=0.7)
    state = read_state(sim.data.qpos, sim.data.qvel, sim.shape)
    assert state.rpy[2] == pytest.approx(0.7)
    np.testing.assert_allclose(state.position[:2], [1.0, -0.5])
