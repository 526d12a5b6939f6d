"""Iterative learning: what the trunk's feedback had to add in one rollout is fed forward in the next.

The simulator repeats itself exactly, so errors that the plan's simpler model makes (soft contacts, legs in pairs, held
controls) come back at the same moments; after a few rollouts they are answered before they arise (feedback-error
learning, Kawato et al. 1987; here for accelerations of the trunk along x, z and in pitch while feet push).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from colonnade.quadruped.errors import check_range
from colonnade.quadruped.jump_spec import Array, JumpPlan, Window
from colonnade.quadruped.track import DT, TrackGains, sample
from colonnade.quadruped.trial import Disturbance, Trial, simulate_jump

SMOOTH = 15  # ms over which corrections are averaged: contacts chatter, and chatter is not to be learned
# Errors at take-off that count as one: position m, pitch rad, velocity m/s, pitch rate rad/s.
UNITS = np.array([0.01, 0.01, 0.05, 0.1, 0.1, 0.5])


@dataclass(frozen=True)
class Learned:
    """What was learned.

    Attributes:
        correction: (T, 3) accelerations to feed forward, x, z (m/s²) and pitch (rad/s²), every millisecond of the plan.
        errors: of each rollout at take-off, root mean square in `UNITS`; the correction is that of the least.
    """

    correction: Array
    errors: tuple[float, ...]


def learn(
    plan: JumpPlan, rollouts: int = 5, *, rate: float = 0.7, disturbance: Disturbance | None = None,
    window: Window | None = None, gains: TrackGains | None = None,
) -> Learned:  # fmt: skip
    """Repeat a jump in simulation, each time feeding forward more of what feedback had to add.

    Args:
        rollouts: jumps simulated; the first is without correction.
        rate: share of the feedback's effort that is taken over each time, 0 to 1.
        disturbance: of the world in which it learns (as `simulate_jump`).
    """
    check_range("rollouts", rollouts, 1, 100)
    check_range("rate", rate, 0.0, 1.0)
    gains = gains or TrackGains()
    push = round(plan.ends[2] / DT)
    correction = np.zeros((len(sample(plan).t), 3))
    best, errors = correction, []
    for _ in range(rollouts):
        trial = simulate_jump(plan, disturbance, window=window, gains=gains, record_every=1, correction=correction)
        if len(trial.t) <= push:  # it fell before it left the ground: nothing to learn from
            errors.append(float("inf"))
            break
        off, slip = deviation(plan, trial, push)
        errors.append(float(np.sqrt(np.mean((np.concatenate([off[-1], slip[-1]]) / UNITS) ** 2))))
        if errors[-1] == min(errors):
            best = correction
        kp = np.array([gains.body.position[0], gains.body.position[2], gains.body.turn[1]])
        kd = np.array([gains.body.velocity[0], gains.body.velocity[2], gains.body.spin[1]])
        correction = correction.copy()
        correction[:push] += rate * _averaged(kp * off + kd * slip)
    return Learned(best, tuple(errors))


def deviation(plan: JumpPlan, trial: Trial, samples: int) -> tuple[Array, Array]:
    """Plan minus run while feet push: x, z, pitch (samples, 3) and their rates, from a trial recorded every ms."""
    reference, qpos = sample(plan), trial.qpos[:samples]
    w, x, y, z = qpos[:, 3:7].T
    run = np.stack([qpos[:, 0], qpos[:, 2], -np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))], axis=1)
    rate = _averaged(np.gradient(run, DT, axis=0), 5)
    return reference.q[:samples, :3] - run, reference.v[:samples, :3] - rate


def _averaged(values: Array, width: int = SMOOTH) -> Array:
    padded = np.pad(values, ((width // 2, width - 1 - width // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, np.ones(width) / width, mode="valid") for column in padded.T], axis=1)
