"""Compiled parts of the walking controller: the gait's clock, the reference to follow, foot placement, torques.

They run every CONTROL_STEPS milliseconds, so that the walk's speed is theirs; `gait` holds what they remember.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from colonnade.quadruped.robot import GRAVITY, Array

OFFSETS = np.array([0.0, 0.5, 0.5, 0.0])  # of FR FL RR RL in a trot
LONGEST_SHIFT = 0.3  # m that a foot may land off its place under the hip
FARTHEST_TURN = 0.3  # rad that the reference's heading may lead the trunk's
DAMPING = 0.05  # N m s/rad on every joint


@njit(cache=True)
def velocity(command: Array, yaw: float) -> tuple[float, float]:
    """The wanted velocity in world axes, from a command (vx, vy, yaw rate) in the robot's."""
    c, s = np.cos(yaw), np.sin(yaw)
    return c * command[0] - s * command[1], s * command[0] + c * command[1]


@njit(cache=True)
def stance(phase: float, standing: bool, duty: float) -> NDArray[np.bool_]:
    """(4,) which feet the schedule has on the ground."""
    down = np.ones(4, np.bool_)
    if not standing:
        for leg in range(4):
            down[leg] = (phase + OFFSETS[leg]) % 1.0 < duty
    return down


@njit(cache=True)
def follow(
    dt: float, command: Array, standing: bool, farthest: float, down: NDArray[np.bool_], position: Array, yaw: float,
    feet: Array, wanted: Array, lifted: Array, swinging: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Note where feet leave the ground, and integrate the command into the pose to follow (x, y, yaw).

    The reference stays at most `farthest` metres from where the trunk is. Changes `wanted`, `lifted`, `swinging`.
    """
    for leg in range(4):
        if not down[leg] and not swinging[leg]:
            lifted[leg] = feet[leg]
        swinging[leg] = not down[leg]
    if not standing:
        vx, vy = velocity(command, yaw)
        wanted[0] += dt * vx
        wanted[1] += dt * vy
        wanted[2] += dt * command[2]
    for axis in range(2):
        wanted[axis] = min(max(wanted[axis], position[axis] - farthest), position[axis] + farthest)
    turn = (wanted[2] - yaw + np.pi) % (2 * np.pi) - np.pi
    wanted[2] = yaw + min(max(turn, -FARTHEST_TURN), FARTHEST_TURN)


@njit(cache=True)
def reference(
    wanted: Array, command: Array, standing: bool, yaw: float, height: float, dt: float, steps: int
) -> tuple[Array, Array]:
    """(steps, 6) poses and rates that the model-predictive controller is to follow."""
    pose, rate = np.zeros((steps, 6)), np.zeros((steps, 6))
    vx, vy, turn = 0.0, 0.0, 0.0
    if not standing:
        vx, vy = velocity(command, yaw)
        turn = command[2]
    for k in range(steps):
        time = dt * (k + 1)
        pose[k, 2] = wanted[2] + turn * time
        pose[k, 3], pose[k, 4], pose[k, 5] = wanted[0] + vx * time, wanted[1] + vy * time, height
        rate[k, 2], rate[k, 3], rate[k, 4] = turn, vx, vy
    return pose, rate


@njit(cache=True)
def placement(
    left: Array, position: Array, speed: Array, yaw: float, command: Array, stance_time: float, gain: float,
    height: float, shape: Array,
) -> Array:  # fmt: skip
    """(4, 3) where the feet should land, by Raibert's rule, seen from the pose at touch-down.

    Args:
        left: (4,) s until touch-down; speed: (3,) of the trunk; gain: s, on the velocity error.
        shape: hip x, foot y, foot radius, m.
    """
    out = np.empty((4, 3))
    wanted = velocity(command, yaw)
    for leg in range(4):
        x = shape[0] if leg < 2 else -shape[0]
        y = -shape[1] if leg % 2 == 0 else shape[1]
        angle = yaw + command[2] * (left[leg] + stance_time / 2)
        c, s = np.cos(angle), np.sin(angle)
        shift = np.empty(2)
        for axis in range(2):
            shift[axis] = 0.5 * stance_time * speed[axis] + gain * (speed[axis] - wanted[axis])
        # Turning: half of (h / g) v x yaw rate, what the linear inverted pendulum needs to follow the curve.
        shift[0] += 0.5 * height / GRAVITY * speed[1] * command[2]
        shift[1] -= 0.5 * height / GRAVITY * speed[0] * command[2]
        for axis in range(2):
            shift[axis] = min(LONGEST_SHIFT, max(-LONGEST_SHIFT, shift[axis]))
        out[leg, 0] = position[0] + left[leg] * speed[0] + c * x - s * y + shift[0]
        out[leg, 1] = position[1] + left[leg] * speed[1] + s * x + c * y + shift[1]
        out[leg, 2] = shape[2] - 0.003
    return out


@njit(cache=True)
def torques(
    phase: float, down: NDArray[np.bool_], forces: Array, lifted: Array, command: Array, position: Array, speed: Array,
    yaw: float, rates: Array, feet: Array, jacobian: Array, foot_velocity: Array, gait: Array, shape: Array,
) -> Array:  # fmt: skip
    """(4, 3) joint torques: the controller's forces under standing feet, a spring to a moving point for swinging ones.

    Args:
        gait: period, duty, lift, kp, kd, velocity gain, height, in the units of `gait.GaitConfig`.
    """
    period, duty, lift, kp, kd, gain, height = gait
    swing_time, share, left = (1 - duty) * period, np.empty(4), np.empty(4)
    for leg in range(4):
        share[leg] = ((phase + OFFSETS[leg]) % 1.0 - duty) / (1 - duty)
        left[leg] = (1 - share[leg]) * swing_time
    ends = placement(left, position, speed, yaw, command, duty * period, gain, height, shape)
    out = np.empty((4, 3))
    for leg in range(4):
        if down[leg]:
            force = -forces[leg]
        else:
            s = min(1.0, max(0.0, share[leg]))
            force = _swing(s, swing_time, lifted[leg], ends[leg], feet[leg], foot_velocity[leg], lift, kp, kd)
        for joint in range(3):
            out[leg, joint] = -DAMPING * rates[leg, joint]
            for axis in range(3):
                out[leg, joint] += jacobian[leg, axis, joint] * force[axis]
    return out


@njit(cache=True)
def _swing(
    s: float, time: float, start: Array, end: Array, foot: Array, foot_speed: Array, lift: float, kp: float, kd: float
) -> Array:
    """(3,) force on a foot a share `s` of its way from start to end, over the top between them."""
    force = np.empty(3)
    blend, rate = s * s * (3 - 2 * s), 6 * s * (1 - s) / time
    for axis in range(2):
        wanted = start[axis] + (end[axis] - start[axis]) * blend
        force[axis] = kp * (wanted - foot[axis]) + kd * ((end[axis] - start[axis]) * rate - foot_speed[axis])
    top = max(start[2], end[2]) + lift
    low, high = (start[2], top) if s < 0.5 else (top, end[2])
    half = 2 * s if s < 0.5 else 2 * s - 1
    height = low + (high - low) * half * half * (3 - 2 * half)
    climb = (high - low) * 6 * half * (1 - half) * 2 / time
    force[2] = kp * (height - foot[2]) + kd * (climb - foot_speed[2])
    return force
