"""Trials of the trot: commands, turns, pushes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from colonnade.quadruped.gait import CONTROL_STEPS, Command, Walker
from colonnade.quadruped.robot import MINI_CHEETAH, Robot
from colonnade.quadruped.simulation import Simulation


@dataclass(frozen=True)
class WalkCase:
    """A command, and a sideways push (N s) in the middle of the trial."""

    vx: float = 0.0
    vy: float = 0.0
    yaw_rate: float = 0.0
    push: float = 0.0


@dataclass(frozen=True)
class WalkTrial:
    """Means over the second half of a trial (robot's heading), turned angle of all of it (rad), and whether it fell."""

    vx: float
    vy: float
    yaw_rate: float
    turned: float
    height: float
    fell: bool


def walk_trial(
    case: WalkCase,
    seconds: float = 4.0,
    friction: float = 0.7,
    mass_factor: float = 1.0,
    robot: Robot = MINI_CHEETAH,
) -> WalkTrial:
    """Stand, then trot at the command for `seconds`."""
    sim = Simulation(robot, friction=friction, mass_factor=mass_factor)
    walker = Walker(sim.robot)
    command = Command(case.vx, case.vy, case.yaw_rate)
    steps = int(seconds * 1000 / CONTROL_STEPS)
    seen, turned, last = [], 0.0, 0.0
    for index in range(steps):
        if index == steps // 10:
            walker.command = command
        if case.push and index == steps // 2:
            sim.push((0.0, case.push, 0.0))
        state = sim.state
        sim.step(walker.torque(state), CONTROL_STEPS)
        yaw = float(state.rpy[2])
        turned += (yaw - last + math.pi) % (2 * math.pi) - math.pi
        last = yaw
        if index >= steps // 2:
            c, s = math.cos(yaw), math.sin(yaw)
            v = state.velocity
            seen.append([c * v[0] + s * v[1], -s * v[0] + c * v[1], state.omega[2], state.position[2]])
        if sim.fallen:
            break
    mean = np.mean(seen, axis=0) if seen else np.zeros(4)
    return WalkTrial(float(mean[0]), float(mean[1]), float(mean[2]), turned, float(mean[3]), sim.fallen)
