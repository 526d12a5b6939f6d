"""One recorded pose as points: where the trunk and the joints of the legs are."""

from __future__ import annotations

import numpy as np

from colonnade.quadruped.legs import ENDS, SIDES
from colonnade.quadruped.robot import Array, Robot, foot_in_hip_frame


def trunk_rotation(pose: Array) -> Array:
    """(3, 3) trunk to world, from a pose (19,): position, quaternion, joints."""
    w, x, y, z = pose[3:7]
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def leg_points(robot: Robot, pose: Array) -> Array:
    """(4, 4, 3) world positions of abduction axis, hip, knee and foot centre of each leg (FR FL RR RL), m."""
    joints = np.reshape(pose[7:19], (4, 3))
    roll, hip = joints[:, 0], joints[:, 1]
    zero = np.zeros(4)
    root = np.stack([ENDS * robot.hip_x, SIDES * robot.hip_y, zero], axis=1)
    out = robot.hip_out * SIDES
    along, down = robot.thigh_length * np.sin(hip), robot.thigh_length * np.cos(hip)
    c, s = np.cos(roll), np.sin(roll)
    to_hip = np.stack([zero, out * c, out * s], axis=1)
    to_knee = to_hip + np.stack([along, down * s, -down * c], axis=1)
    local = np.stack([root, root + to_hip, root + to_knee, root + foot_in_hip_frame(robot, joints, SIDES)], axis=1)
    placed: Array = local @ trunk_rotation(pose).T + pose[:3]
    return placed
