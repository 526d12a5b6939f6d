"""A first guess of a jump: push, tuck and flight as a ballistic arc, legs by inverse kinematics, lines by search."""

from __future__ import annotations

import numpy as np

from colonnade.quadruped.jump_nlp import Layout
from colonnade.quadruped.jump_spec import FEET_IN_PHASE, Array, JumpSpec
from colonnade.quadruped.planar import planar_model
from colonnade.quadruped.robot import GRAVITY, Robot, planar_leg_joints

TUCK = ((-2.0, 2.5), (-1.0, 2.5))  # hip and knee of the folded front and rear leg at the apex


def first_guess(spec: JumpSpec, layout: Layout) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Durations, q (N+1, 7), v (N+1, 7), tau (N, 4), f (N, 4), angles: where the solver starts."""
    robot = spec.robot
    size = robot.hip_x / 0.19
    length = spec.length if spec.length is not None else guessed_length(spec)
    sill = spec.window.sill if spec.window else 0.0
    lift = np.array([0.2 * length, 0.3 * size])
    land = np.array([length - 0.08 * size, 0.27 * size])
    apex = max(lift[1] + 0.1 * size, sill + spec.margin + 0.17 * size)
    up, down = np.sqrt(2 * (apex - lift[1]) / GRAVITY), np.sqrt(2 * (apex - land[1]) / GRAVITY)
    durations = np.array([0.3, 0.1, up + down, 0.3]) * np.array([size**0.5, size**0.5, 1, size**0.5])
    t = _times(layout, durations)
    start, ends = spec.start_height, np.cumsum(durations)
    base: Array = np.zeros((len(t), 2))
    for k, time in enumerate(t):
        base[k] = _base(time, ends, start, spec.end_height, length, lift, land, GRAVITY * up)
    q = np.zeros((len(t), 7))
    q[:, :2] = base
    for foot in (0, 1):
        q[:, 3 + 2 * foot : 5 + 2 * foot] = _leg(robot, foot, t, ends, base, length)
    q[0], q[-1] = spec.stand(spec.start_height), spec.stand(spec.end_height, length)
    v: Array = np.asarray(np.gradient(q, t, axis=0))
    v[0] = v[-1] = 0
    f = np.zeros((layout.total, 4))
    for k, phase in enumerate(layout.phase):
        for foot in FEET_IN_PHASE[int(phase)]:
            f[k, 2 * foot + 1] = robot.mass * GRAVITY / len(FEET_IN_PHASE[int(phase)])
    return durations, q, v, np.zeros((layout.total, 4)), f, best_lines(spec, layout, q)


def guessed_length(spec: JumpSpec) -> float:
    """A length at which the feet land under the hips a little beyond the wall; without a wall, one trunk's length."""
    if spec.window is None:
        return 2 * spec.robot.hip_x
    return spec.shortest + spec.foot_play


def _times(layout: Layout, durations: Array) -> Array:
    steps = np.repeat(durations / np.array(layout.intervals), layout.intervals)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _base(
    time: float, ends: Array, start: float, end: float, length: float, lift: Array, land: Array, rise: float
) -> Array:
    """Trunk position: two smooth steps on the ground, a parabola between them."""
    if time <= ends[1]:
        s = (time / ends[1]) ** 2
        return np.array([lift[0] * s, start + (lift[1] - start) * s])
    if time <= ends[2]:
        since, span = time - ends[1], ends[2] - ends[1]
        x = lift[0] + (land[0] - lift[0]) * since / span
        return np.array([x, lift[1] + rise * since - GRAVITY * since**2 / 2])
    s = (time - ends[2]) / (ends[3] - ends[2])
    s = 1 - (1 - s) ** 2
    return np.array([land[0] + (length - land[0]) * s, land[1] + (end - land[1]) * s])


def _leg(robot: Robot, foot: int, t: Array, ends: Array, base: Array, length: float) -> Array:
    hip = robot.hip_x * (1 - 2 * foot)
    leave, touch = ends[0] if foot == 0 else ends[1], ends[2]
    out = np.zeros((len(t), 2))
    tuck = np.array(TUCK[foot])
    for k, time in enumerate(t):
        target = hip if time <= (leave + touch) / 2 else hip + length
        joints = planar_leg_joints(robot, target - base[k, 0] - hip, base[k, 1] - robot.foot_radius)
        folded = np.sin(np.pi * np.clip((time - leave) / (touch - leave), 0, 1))
        out[k] = (1 - folded) * joints + folded * tuck
    return out


def best_lines(spec: JumpSpec, layout: Layout, q: Array) -> Array:
    """For each interval and link the angle whose separating line leaves most room; (lines,) rad."""
    if not layout.lines or spec.window is None:
        return np.zeros(len(layout.lines))
    planar = planar_model(spec.robot)
    ends = np.array(planar.capsules.map(len(q))(q.T)).T.reshape(len(q), 5, 2, 2)
    angles = np.linspace(-1.5, 1.5, 61)
    s, c = np.sin(angles), np.cos(angles)
    wall = np.maximum(s * spec.near, s * spec.far) + c * spec.window.sill
    gap = np.min(s[:, None, None, None] * ends[..., 0] + c[:, None, None, None] * ends[..., 1], axis=-1)
    gap -= wall[:, None, None]
    swept = np.minimum(gap[:, :-1], gap[:, 1:])  # (angle, interval, link)
    return np.array([angles[int(np.argmax(swept[:, k, link]))] for k, link in layout.lines])
