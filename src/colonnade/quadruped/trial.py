"""One jump in the full simulation, disturbed or not, and the success rate of many with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from colonnade.quadruped.balance import BodyGains, BodyTarget, spread, stand_inertia, wanted_wrench
from colonnade.quadruped.jump_spec import Array, JumpPlan, Window
from colonnade.quadruped.legs import State, forces_to_torques, from_rpy
from colonnade.quadruped.mjcf import Box
from colonnade.quadruped.robot import GRAVITY, Robot
from colonnade.quadruped.simulation import Diverged, Simulation
from colonnade.quadruped.track import JumpTracker, TrackGains
from colonnade.quadruped.world import Wall

SETTLE = 0.3  # s in the crouch before the jump
REST = 1.0  # s after the planned end at which the robot must stand still
AT_REST = 0.1  # m/s
UPRIGHT = 0.2  # rad


@dataclass(frozen=True)
class Disturbance:
    """What the plan does not know: mass factor, friction, offset of the start (m) and its heading (rad)."""

    mass: float = 1.0
    friction: float = 0.7
    dx: float = 0.0
    dy: float = 0.0
    yaw: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Disturbance:
        """Mass ±5 %, friction 0.5-0.9, start ±1 cm and ±1°, uniform."""
        mass, friction = rng.uniform(0.95, 1.05), rng.uniform(0.5, 0.9)
        dx, dy, yaw = rng.uniform(-0.01, 0.01), rng.uniform(-0.01, 0.01), math.radians(rng.uniform(-1, 1))
        return cls(float(mass), float(friction), float(dx), float(dy), float(yaw))


@dataclass(frozen=True)
class Trial:
    """How one simulated jump went.

    Attributes:
        success: upright and at rest `REST` seconds after the plan's end, nothing but feet touched anything.
        cause: of failure, or "".
        obstacle_contacts: time steps in which the robot touched the window.
        liftoff_error: x, z, pitch at planned lift-off against the plan, m and rad.
        t, qpos, torque, rate: the recorded run; (T,), (T, 19), (T, 12), (T, 12).
    """

    success: bool
    cause: str
    obstacle_contacts: int
    parts: tuple[str, ...]
    speed: float
    tilt: float
    liftoff_error: tuple[float, float, float]
    t: Array
    qpos: Array
    torque: Array
    rate: Array


def window_boxes(window: Window, near: float, width: float = 0.5) -> list[Box]:
    """The wall of a window at `near` metres ahead of the origin, with posts on both sides of its opening."""
    wall = Wall(near + window.depth / 2, 0.0, 0.0, 3.0, window.depth, 0.0, width, window.sill, window.lintel)
    return wall.boxes("window")


def hold(robot: Robot, inertia: Array, state: State, height: float, yaw: float) -> Array:
    """(4, 3) torques that hold the trunk level over the middle of the feet at `height`."""
    centre, rest = state.feet.mean(axis=0), np.zeros(3)
    target = BodyTarget(np.array([centre[0], centre[1], height]), rest, rest, from_rpy(0.0, 0.0, yaw), rest, rest)
    wrench = wanted_wrench(robot.mass, inertia, state, target, BodyGains())
    forces = spread(wrench, state.feet - state.position, np.ones(4, bool), friction=0.5, press=2 * robot.mass * GRAVITY)
    torque: Array = forces_to_torques(state.jacobian, forces) - 0.2 * state.rates
    return torque


def simulate_jump(
    plan: JumpPlan,
    disturbance: Disturbance | None = None,
    *,
    window: Window | None = None,
    width: float = 0.5,
    gains: TrackGains | None = None,
    record_every: int = 5,
    correction: Array | None = None,
) -> Trial:
    """Crouch, jump, land and stand in MuJoCo, motors behind their envelope.

    Args:
        window: the real one, if other than the planned; width: of its opening between the posts, m.
        record_every: ms; correction: what `learn` found.
    """
    case = disturbance or Disturbance()
    robot, spec = plan.spec.robot, plan.spec
    real = window or spec.window
    sim = Simulation(
        robot, window_boxes(real, spec.near, width) if real else (), friction=case.friction, mass_factor=case.mass,
        position=(case.dx, case.dy), yaw=case.yaw, height=spec.start_height,
    )  # fmt: skip
    tracker, inertia = JumpTracker(plan, (0.0, 0.0, 0.0), gains, correction), stand_inertia(robot)
    frames: list[tuple[float, Array, Array, Array]] = []
    cause, error = "", (0.0, 0.0, 0.0)
    try:
        for _ in range(int(SETTLE * 1000)):
            sim.step(hold(robot, inertia, sim.state, spec.start_height, case.yaw))
        for index in range(int((plan.t[-1] + REST) * 1000)):
            state = sim.state
            if index == round(plan.ends[2] * 1000):
                error = _error(state, tracker, index)
            sim.step(tracker.torque(state, sim.contact, index * 1e-3))
            if index % record_every == 0:
                data = sim.data
                frames.append((index * 1e-3, data.qpos.copy(), data.ctrl.copy(), data.qvel[6:].copy()))
            if sim.fallen:
                cause = f"fell at {index * 1e-3:.2f} s"
                break
    except Diverged as problem:
        cause = str(problem)
    return _verdict(sim, cause, error, frames)


def _error(state: State, tracker: JumpTracker, index: int) -> tuple[float, float, float]:
    wanted = tracker.reference.q[min(index, len(tracker.reference.q) - 1)]
    return (
        float(state.position[0] - wanted[0]),
        float(state.position[2] - wanted[1]),
        float(-state.rpy[1] - wanted[2]),
    )


def _verdict(
    sim: Simulation, cause: str, error: tuple[float, float, float], frames: list[tuple[float, Array, Array, Array]]
) -> Trial:
    state = sim.state
    speed, tilt = float(np.linalg.norm(state.velocity)), float(np.hypot(state.rpy[0], state.rpy[1]))
    checks = (
        (sim.touch.obstacle > 0, f"touched the window ({', '.join(sorted(sim.touch.parts))})"),
        (sim.touch.ground > 0, f"touched the ground with {', '.join(sorted(sim.touch.grounded))}"),
        (speed > AT_REST, f"still moving at {speed:.2f} m/s"),
        (tilt > UPRIGHT, f"leaning by {tilt:.2f} rad"),
    )
    for holds, text in checks:
        if not cause and holds:
            cause = text
    t, qpos, torque, rate = (
        (np.array(column) for column in zip(*frames, strict=True)) if frames else ([np.zeros(0)] * 4)
    )
    return Trial(
        not cause, cause, sim.touch.obstacle, tuple(sorted(sim.touch.parts)), speed, tilt, error, t, qpos, torque, rate
    )  # fmt: skip


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a success rate (95 % by default)."""
    if trials == 0:
        return 0.0, 1.0
    rate, square = successes / trials, z * z / trials
    middle = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials))
    return max(middle - half, 0.0), min(middle + half, 1.0)
