"""Compiled kinematics of the four legs, and the state of the trunk in the form that the controllers use."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from colonnade.quadruped.robot import Array, Robot

SIDES = np.array([-1.0, 1.0, -1.0, 1.0])  # FR FL RR RL
ENDS = np.array([1.0, 1.0, -1.0, -1.0])


def geometry(robot: Robot) -> Array:
    """(6,) what the compiled functions need to know: hip x, y, leg plane offset, thigh, shank, foot radius, m."""
    values = [robot.hip_x, robot.hip_y, robot.hip_out, robot.thigh_length, robot.shank_length, robot.foot_radius]
    return np.array(values)


class State(NamedTuple):
    """One instant of the robot.

    Attributes:
        position, velocity: (3,) of the trunk's centre, world axes.
        rotation: (3, 3) trunk to world.
        omega: (3,) angular velocity, world axes.
        joints, rates: (4, 3) rad, rad/s.
        feet: (4, 3) foot centres, world axes.
        jacobian: (4, 3, 3) foot velocity against the trunk, in world axes, by joint rates.
        foot_velocity: (4, 3) world axes.
        rpy: (3,) roll, pitch, yaw about x, y, z in the order z-y-x; pitch here is the usual nose-down-positive turn
            about +y, as the walking controller's model has it.
    """

    position: Array
    velocity: Array
    rotation: Array
    omega: Array
    joints: Array
    rates: Array
    feet: Array
    jacobian: Array
    foot_velocity: Array
    rpy: Array


@njit(cache=True)
def _rotation(quaternion: Array) -> Array:
    w, x, y, z = quaternion
    out = np.empty((3, 3))
    out[0, 0], out[0, 1], out[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    out[1, 0], out[1, 1], out[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    out[2, 0], out[2, 1], out[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    return out


@njit(cache=True)
def leg_kinematics(joints: Array, shape: Array) -> tuple[Array, Array]:
    """Feet (4, 3) from the trunk's centre in trunk axes, m, and their Jacobians (4, 3, 3)."""
    feet, jacobian = np.empty((4, 3)), np.zeros((4, 3, 3))
    for leg in range(4):
        side = -1.0 if leg % 2 == 0 else 1.0
        end = 1.0 if leg < 2 else -1.0
        roll, hip, both = joints[leg, 0], joints[leg, 1], joints[leg, 1] + joints[leg, 2]
        along = shape[3] * np.sin(hip) + shape[4] * np.sin(both)
        down = shape[3] * np.cos(hip) + shape[4] * np.cos(both)
        lower_along, lower_down = shape[4] * np.cos(both), -shape[4] * np.sin(both)
        hip_along, hip_down = shape[3] * np.cos(hip) + lower_along, -shape[3] * np.sin(hip) + lower_down
        c, s, out = np.cos(roll), np.sin(roll), shape[2] * side
        feet[leg, 0] = end * shape[0] + along
        feet[leg, 1] = side * shape[1] + out * c + down * s
        feet[leg, 2] = out * s - down * c
        jacobian[leg, 1, 0], jacobian[leg, 2, 0] = -out * s + down * c, out * c + down * s
        jacobian[leg, 0, 1], jacobian[leg, 1, 1], jacobian[leg, 2, 1] = hip_along, hip_down * s, -hip_down * c
        jacobian[leg, 0, 2], jacobian[leg, 1, 2], jacobian[leg, 2, 2] = lower_along, lower_down * s, -lower_down * c
    return feet, jacobian


@njit(cache=True)
def _state(
    qpos: Array, qvel: Array, shape: Array
) -> tuple[Array, Array, Array, Array, Array, Array, Array, Array, Array, Array]:
    position, velocity = qpos[:3].copy(), qvel[:3].copy()
    rotation = _rotation(qpos[3:7])
    omega = rotation @ np.ascontiguousarray(qvel[3:6])
    joints, rates = qpos[7:19].copy().reshape(4, 3), qvel[6:18].copy().reshape(4, 3)
    local, jacobian = leg_kinematics(joints, shape)
    feet, speed = np.empty((4, 3)), np.empty((4, 3))
    for leg in range(4):
        arm = rotation @ local[leg]
        jacobian[leg] = rotation @ jacobian[leg]
        feet[leg] = position + arm
        speed[leg] = velocity + np.cross(omega, arm) + jacobian[leg] @ rates[leg]
    rpy = np.empty(3)
    rpy[0] = np.arctan2(rotation[2, 1], rotation[2, 2])
    rpy[1] = np.arcsin(min(1.0, max(-1.0, -rotation[2, 0])))
    rpy[2] = np.arctan2(rotation[1, 0], rotation[0, 0])
    return position, velocity, rotation, omega, joints, rates, feet, jacobian, speed, rpy


def read_state(qpos: Array, qvel: Array, shape: Array) -> State:
    """The state from MuJoCo's positions (19) and velocities (18)."""
    return State(*_state(qpos, qvel, shape))


@njit(cache=True)
def rotation_error(rotation: Array, wanted: Array) -> Array:
    """The rotation vector (3,), world axes, that turns `rotation` into `wanted` (logarithm of wanted rotation^T)."""
    turn = wanted @ rotation.T
    cosine = min(1.0, max(-1.0, (turn[0, 0] + turn[1, 1] + turn[2, 2] - 1) / 2))
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    angle = np.arccos(cosine)
    angle = max(angle, 1e-6)
    vector: Array = axis * (angle / (2 * np.sin(min(angle, 3.14))))
    return vector


@njit(cache=True)
def from_rpy(roll: float, pitch: float, yaw: float) -> Array:
    """Rotation (3, 3) of z-y-x Euler angles."""
    cr, sr, cp, sp, cy, sy = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    out = np.empty((3, 3))
    out[0, 0], out[0, 1], out[0, 2] = cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr
    out[1, 0], out[1, 1], out[1, 2] = sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr
    out[2, 0], out[2, 1], out[2, 2] = -sp, cp * sr, cp * cr
    return out


@njit(cache=True)
def forces_to_torques(jacobian: Array, forces: Array) -> Array:
    """(4, 3) joint torques that press the feet on the ground so that it answers with `forces` (4, 3), world axes."""
    out = np.empty((4, 3))
    for leg in range(4):
        out[leg] = -(jacobian[leg].T @ forces[leg])
    return out


@njit(cache=True)
def legs_to(feet: Array, shape: Array) -> Array:
    """Joint angles (4, 3) that put the feet at `feet` (4, 3), trunk axes from its centre; out of reach: stretched."""
    out = np.empty((4, 3))
    for leg in range(4):
        side = -1.0 if leg % 2 == 0 else 1.0
        end = 1.0 if leg < 2 else -1.0
        x = feet[leg, 0] - end * shape[0]
        y, z = feet[leg, 1] - side * shape[1], feet[leg, 2]
        aside = shape[2] * side
        down = np.sqrt(max(y * y + z * z - aside * aside, 1e-8))
        reach = np.sqrt(x * x + down * down)
        reach = min(max(reach, 0.3 * (shape[3] + shape[4])), 0.995 * (shape[3] + shape[4]))
        cosine = (reach * reach - shape[3] ** 2 - shape[4] ** 2) / (2 * shape[3] * shape[4])
        knee = np.arccos(min(1.0, max(-1.0, cosine)))
        out[leg, 0] = np.arctan2(y * down + z * aside, y * aside - z * down)
        out[leg, 1] = np.arctan2(x, down) - np.arctan2(shape[4] * np.sin(knee), shape[3] + shape[4] * np.cos(knee))
        out[leg, 2] = knee
    return out
