"""The sagittal model against MuJoCo's full model, and the laws that both must obey."""

import mujoco
import numpy as np
import pytest

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.mjcf import mjcf
from colonnade.quadruped.planar import planar_model
from colonnade.quadruped.robot import (
    MINI_CHEETAH,
    Link,
    Part,
    Robot,
    clamp_torque,
    foot_in_hip_frame,
    leg_joints,
    stand_pose,
    with_payload,
)
from colonnade.quadruped.robots import GO1, ROBOTS


def to_full(q, v, a):
    """A sagittal state as (qpos, qvel, qacc) of the 18-degree model."""
    half = -q[2] / 2  # nose-up is a negative turn about y
    legs = np.array([0, q[3], q[4]] * 2 + [0, q[5], q[6]] * 2)
    pos = np.concatenate([[q[0], 0, q[1], np.cos(half), 0, np.sin(half), 0], legs])

    def rates(w):
        return np.concatenate([[w[0], 0, w[1], 0, -w[2], 0], [0, w[3], w[4]] * 2 + [0, w[5], w[6]] * 2])

    return pos, rates(v), rates(a)


def test_total_mass_is_the_published_one():
    model = mujoco.MjModel.from_xml_string(mjcf(MINI_CHEETAH))
    assert MINI_CHEETAH.mass == pytest.approx(8.912, abs=1e-9)
    assert model.body_mass.sum() == pytest.approx(8.912, abs=1e-9)
    assert (model.nq, model.nv, model.nu) == (19, 18, 12)


@pytest.mark.parametrize("robot", [MINI_CHEETAH, with_payload(MINI_CHEETAH, 2.0), MINI_CHEETAH.scaled(1.5), GO1])
def test_planar_inverse_dynamics_equals_mujoco(robot):
    model = mujoco.MjModel.from_xml_string(mjcf(robot))
    model.dof_damping[:] = 0
    model.dof_frictionloss[:] = 0
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_LIMIT
    data = mujoco.MjData(model)
    planar = planar_model(robot)
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(50):
        q, v, a = rng.uniform(-1, 1, 7), rng.uniform(-5, 5, 7), rng.uniform(-50, 50, 7)
        data.qpos[:], data.qvel[:], data.qacc[:] = to_full(q, v, a)
        mujoco.mj_inverse(model, data)
        full = data.qfrc_inverse
        legs = full[6:].reshape(4, 3)
        expected = np.array([full[0], full[2], -full[4], *(legs[0] + legs[1])[1:], *(legs[2] + legs[3])[1:]])
        worst = max(worst, np.abs(np.array(planar.inverse_dynamics(q, v, a)).ravel() - expected).max())
    assert worst < 1e-9


def test_momentum_rate_is_the_external_force():
    planar = planar_model(MINI_CHEETAH)
    rng = np.random.default_rng(2)
    q, v, a = rng.uniform(-1, 1, 7), rng.uniform(-3, 3, 7), rng.uniform(-9, 9, 7)
    step = 1e-6
    before = np.array(planar.momentum(q - v * step + a * step**2 / 2, v - a * step)).ravel()
    after = np.array(planar.momentum(q + v * step + a * step**2 / 2, v + a * step)).ravel()
    rate = (after - before) / (2 * step)
    force = np.array(planar.inverse_dynamics(q, v, a)).ravel()
    assert rate[0] == pytest.approx(force[0], abs=1e-5)
    assert rate[1] == pytest.approx(force[1] - MINI_CHEETAH.mass * 9.81, abs=1e-5)


def test_feet_and_their_inverse():
    rng = np.random.default_rng(3)
    for _ in range(50):
        side = int(rng.choice([-1, 1]))
        joints = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-1.5, 0.2), rng.uniform(0.5, 2.4)])
        foot = foot_in_hip_frame(MINI_CHEETAH, joints, side)
        np.testing.assert_allclose(leg_joints(MINI_CHEETAH, foot, side), joints, atol=1e-9)


def test_planar_feet_equal_mujoco_sites():
    model = mujoco.MjModel.from_xml_string(mjcf(MINI_CHEETAH))
    data = mujoco.MjData(model)
    q = np.array([0.1, 0.3, 0.2, -0.8, 1.6, -0.9, 1.4])
    data.qpos[:], _, _ = to_full(q, np.zeros(7), np.zeros(7))
    mujoco.mj_kinematics(model, data)
    feet = np.array(planar_model(MINI_CHEETAH).feet(q)).ravel()
    front, rear = (data.geom(f"{name}_foot").xpos for name in ("FL", "RL"))
    np.testing.assert_allclose(feet, [front[0], front[2], rear[0], rear[2]], atol=1e-12)


def test_motor_envelope():
    robot = MINI_CHEETAH
    np.testing.assert_allclose(robot.torque_limit, [18, 18, 27.99])
    np.testing.assert_allclose(robot.speed_limit, [40, 40, 25.72], atol=0.01)
    np.testing.assert_allclose(clamp_torque(robot, [50, -50, 50], [0, 0, 0]), [18, -18, 27.99])
    np.testing.assert_allclose(clamp_torque(robot, [9, 9, 9], robot.speed_limit), 0, atol=1e-9)
    assert clamp_torque(robot, [-9, -9, -9], robot.speed_limit) == pytest.approx([-9, -9, -9])  # braking stays free


def test_links_merge_by_the_parallel_axis_theorem():
    ends = Link.of(Part(1, (1, 0, 0), (0, 0, 0)), Part(1, (-1, 0, 0), (0, 0, 0)))
    assert ends.mass == 2
    np.testing.assert_allclose(ends.inertia, np.diag([0, 2, 2]))


def test_stand_pose_keeps_the_feet_under_the_hips():
    pose = stand_pose(MINI_CHEETAH, 0.28).reshape(4, 3)
    foot = foot_in_hip_frame(MINI_CHEETAH, pose, [-1, 1, -1, 1])
    np.testing.assert_allclose(foot[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(foot[:, 2], -0.28 + MINI_CHEETAH.foot_radius, atol=1e-12)


def test_refusals_name_field_value_and_range():
    with pytest.raises(InputError, match=r"payload must be from 0 to 10 kg, but is -1\."):
        Robot(payload=-1.0)
    with pytest.raises(InputError, match="height"):
        stand_pose(MINI_CHEETAH, 0.7)
    with pytest.raises(InputError, match="payload"):
        Robot(payload=float("nan"))


def test_other_robots_are_as_published():
    assert GO1.mass == pytest.approx(12.74, abs=0.01)
    np.testing.assert_allclose(GO1.torque_limit, [23.7, 23.7, 35.55])
    np.testing.assert_allclose(GO1.speed_limit, [30.1, 30.1, 20.07], atol=0.01)
    assert mujoco.MjModel.from_xml_string(mjcf(GO1)).body_mass.sum() == pytest.approx(GO1.mass)
    assert list(ROBOTS) == ["Mini Cheetah", "Go1"]
