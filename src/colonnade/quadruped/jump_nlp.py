"""The jump as a nonlinear programme: direct collocation of the sagittal model with free phase durations.

Transcription: implicit midpoint. Between two nodes the acceleration is (v' - v) / h, the trapezoid of the rates moves
the coordinates, and the equations of motion hold at the midpoint with torques and forces constant over the interval.

Clearance: for each link and interval one separating line, with its angle a variable, has the wall on one side and both
ends of the link at both nodes on the other, at the link's radius plus margin. The convex hull of the swept capsule is
then clear of the wall, not only its sampled points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import casadi as ca
import numpy as np

from colonnade.quadruped.jump_spec import FEET_IN_PHASE, LANDING_ROOM, Array
from colonnade.quadruped.planar import Planar, planar_model
from colonnade.quadruped.robot import Robot

# Units in which the solver sees the variables.
SPEED, TORQUE, FORCE = 5.0, 20.0, 100.0
PARAMETERS = ("near", "far", "sill", "lintel", "margin", "friction", "share", "end_height", "foot_play")
# Links that can reach the wall in each phase (0 trunk, 1-2 front thigh and shank, 3-4 rear).
LINKS_IN_PHASE = ((0, 1, 2), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4), (0, 3, 4))
# (shortest, longest) durations of a small robot's phases, s. Longer on rear feet is balancing, not jumping.
DURATIONS = ((0.12, 0.6), (0.03, 0.16), (0.12, 0.7), (0.15, 0.6))
ROUNDING = 0.02  # smooths |sin| of the separating line's angle: at most this share of half the wall's depth


@dataclass(frozen=True)
class Layout:
    """Where things are in the solver's vectors (node-major)."""

    intervals: tuple[int, int, int, int]
    separated: bool

    @property
    def total(self) -> int:
        return sum(self.intervals)

    @property
    def phase(self) -> Array:
        return np.repeat(np.arange(4), self.intervals)

    @property
    def lines(self) -> list[tuple[int, int]]:
        """(interval, link) of every separating line."""
        if not self.separated:
            return []
        return [(k, link) for k, phase in enumerate(self.phase) for link in LINKS_IN_PHASE[phase]]

    @property
    def size(self) -> int:
        return 4 + 14 * (self.total + 1) + 8 * self.total + len(self.lines)

    def split(self, x: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
        """Durations (4), q (7, N+1), v (7, N+1), tau (4, N), f (4, N), angles, in physical units.

        `x` is ordered by interval so that the solver's matrices are banded.
        """
        n = self.total
        per = 22
        body = ca.reshape(x[4 : 4 + per * n], per, n)
        last = x[4 + per * n : 4 + per * n + 14]
        q = ca.horzcat(body[0:7, :], last[0:7])
        v = ca.horzcat(body[7:14, :], last[7:14]) * SPEED
        return x[0:4], q, v, body[14:18, :] * TORQUE, body[18:22, :] * FORCE, x[4 + per * n + 14 :]

    def join(self, durations: Array, q: Array, v: Array, tau: Array, f: Array, angles: Array) -> Array:
        """The inverse of `split`; arrays are (N+1, 7), (N, 4)."""
        body = np.hstack([q[:-1], v[:-1] / SPEED, tau / TORQUE, f / FORCE]).ravel()
        return np.concatenate([durations, body, q[-1], v[-1] / SPEED, angles])


@dataclass
class Rows:
    """Constraints low <= g <= high, with what each is, for the report of what binds."""

    g: list[Any]
    low: list[float]
    high: list[float]
    label: list[str]

    def add(self, expression: Any, low: float, high: float, label: str) -> None:
        count = expression.numel()
        self.g.append(ca.vec(expression))
        self.low += [low] * count
        self.high += [high] * count
        self.label += [label] * count


@dataclass(frozen=True)
class Programme:
    """The problem for one robot and layout; the specification enters as parameters and bounds."""

    layout: Layout
    planar: Planar
    x: Any
    p: Any
    cost: Any
    g: Any
    low: Array
    high: Array
    labels: tuple[str, ...]


@lru_cache(maxsize=16)
def programme(robot: Robot, intervals: tuple[int, int, int, int], separated: bool) -> Programme:
    """Build the programme symbolically; cached, since it depends on the specification through parameters only."""
    layout, planar = Layout(intervals, separated), planar_model(robot)
    x, p = ca.SX.sym("x", layout.size), ca.SX.sym("p", len(PARAMETERS))
    named = {name: p[index] for index, name in enumerate(PARAMETERS)}
    durations, q, v, tau, f, angles = layout.split(x)
    rows = Rows([], [], [], [])
    steps = [durations[int(phase)] / intervals[int(phase)] for phase in layout.phase]
    _dynamics(rows, planar, layout, steps, (q, v, tau, f))
    _contacts(rows, planar, layout, (q, v, f), named)
    _envelope(rows, robot, layout, (v, tau), named)
    _heights(rows, planar, layout, q, named)
    if separated:
        _separation(rows, planar, layout, q, angles, named)
    _landing(rows, planar, layout, q, named)
    # A line far from its link is free to turn: the small pull keeps the solver's matrix regular.
    cost = _cost(robot, layout, steps, durations, (q, v, tau, f)) + 1e-5 * ca.sumsqr(angles)
    return Programme(
        layout, planar, x, p, cost, ca.vertcat(*rows.g), np.array(rows.low), np.array(rows.high), tuple(rows.label)
    )


def _dynamics(rows: Rows, planar: Planar, layout: Layout, steps: list[Any], var: tuple[Any, Any, Any, Any]) -> None:
    q, v, tau, f = var
    weight = planar.robot.mass * 9.81
    for k in range(layout.total):
        h = steps[k]
        middle, rate = (q[:, k] + q[:, k + 1]) / 2, (v[:, k] + v[:, k + 1]) / 2
        rows.add(q[:, k + 1] - q[:, k] - h * rate, 0, 0, "motion")
        force = planar.inverse_dynamics(middle, rate, (v[:, k + 1] - v[:, k]) / h)
        jacobian = planar.feet_jacobian(middle)
        applied = jacobian.T @ f[:, k] + ca.vertcat(0, 0, 0, tau[:, k] - planar.friction(rate[3:7]))
        rows.add((force - applied) / weight, 0, 0, "dynamics")


def _contacts(rows: Rows, planar: Planar, layout: Layout, var: tuple[Any, Any, Any], named: dict[str, Any]) -> None:
    q, v, f = var
    phase, radius = layout.phase, planar.robot.foot_radius
    for k in range(layout.total):
        for foot in FEET_IN_PHASE[int(phase[k])]:
            fx, fz = f[2 * foot, k] / FORCE, f[2 * foot + 1, k] / FORCE
            rows.add(ca.vertcat(named["friction"] * fz - fx, named["friction"] * fz + fx), 0, np.inf, "friction")
    start = 0
    for index, count in enumerate(layout.intervals):
        feet = FEET_IN_PHASE[index]
        for k in range(start, start + count + 1):
            for foot in feet:
                # The first node of the first phase is fixed; later phases that go on standing share their node.
                if k == 0 or (index == 1 and k == start):
                    continue
                pick = slice(2 * foot, 2 * foot + 2)
                rows.add((planar.feet_jacobian(q[:, k]) @ v[:, k])[pick] / SPEED, 0, 0, "feet stand")
                if index == 3 and k == start:
                    rows.add(planar.feet(q[:, k])[2 * foot + 1], radius, radius, "feet on the ground")
        start += count


def _envelope(rows: Rows, robot: Robot, layout: Layout, var: tuple[Any, Any], named: dict[str, Any]) -> None:
    v, tau = var
    stall, limit = 2 * robot.stall_torque / TORQUE, 2 * robot.torque_limit / TORQUE
    for k in range(layout.total):
        for joint in range(4):
            kind = 1 + joint % 2
            asked = tau[joint, k] / TORQUE
            rows.add(named["share"] * limit[kind] - asked, 0, np.inf, "torque limit")
            rows.add(named["share"] * limit[kind] + asked, 0, np.inf, "torque limit")
            for node in (k, k + 1):
                ratio = v[3 + joint, node] / robot.speed_limit[kind]
                rows.add(named["share"] * stall[kind] * (1 - ratio) - asked, 0, np.inf, "torque-speed envelope")
                rows.add(named["share"] * stall[kind] * (1 + ratio) + asked, 0, np.inf, "torque-speed envelope")


def _heights(rows: Rows, planar: Planar, layout: Layout, q: Any, named: dict[str, Any]) -> None:
    """Knees, trunk and swinging feet stay above the ground, everything in flight below the lintel."""
    robot, phase = planar.robot, layout.phase
    ground = 0.4 * robot.foot_radius
    for k in range(1, layout.total + 1):
        ends = ca.reshape(planar.capsules(q[:, k]), 2, 10)[1, :]
        trunk, knees, feet = ends[0:2], ends[[3, 7]], ends[[5, 9]]
        rows.add(trunk, robot.trunk_half[2] + ground, np.inf, "trunk above ground")
        rows.add(knees, robot.thigh_radius + ground, np.inf, "knees above ground")
        inner = k < layout.total and phase[k - 1] == phase[k]
        for foot in (0, 1):
            if inner and foot not in FEET_IN_PHASE[int(phase[k])]:
                rows.add(feet[foot], robot.foot_radius, np.inf, "feet above ground")
        if k < layout.total and phase[k] in (1, 2):
            radii = ca.DM([robot.trunk_half[2]] * 2 + [robot.thigh_radius] * 2)
            tops = ca.vertcat(trunk.T, knees.T) + radii
            rows.add(named["lintel"] - named["margin"] - tops, 0, np.inf, "lintel")


def _separation(rows: Rows, planar: Planar, layout: Layout, q: Any, angles: Any, named: dict[str, Any]) -> None:
    centre, half = (named["near"] + named["far"]) / 2, (named["far"] - named["near"]) / 2
    ends = [ca.reshape(planar.capsules(q[:, k]), 2, 10) for k in range(layout.total + 1)]
    for index, (k, link) in enumerate(layout.lines):
        s, c = ca.sin(angles[index]), ca.cos(angles[index])
        # Support of the wall, which goes down without end, in the direction (s, c).
        wall = s * centre + ca.sqrt(s**2 + ROUNDING**2) * half + c * named["sill"]
        late = k >= layout.total - layout.intervals[3] - 3
        reach = wall + planar.radii[link] + named["margin"] * (LANDING_ROOM if late else 1.0)
        points = ca.horzcat(*(ends[node][:, 2 * link : 2 * link + 2] for node in (k, k + 1)))
        rows.add(s * points[0, :] + c * points[1, :] - reach, 0, np.inf, "sill")


def _landing(rows: Rows, planar: Planar, layout: Layout, q: Any, named: dict[str, Any]) -> None:
    robot, final = planar.robot, q[:, layout.total]
    feet = planar.feet(final)
    rows.add(final[1] - named["end_height"], 0, 0, "end height")
    for index, hip in ((0, robot.hip_x), (2, -robot.hip_x)):
        offset = feet[index] - final[0] - hip
        rows.add(named["foot_play"] - offset, 0, np.inf, "foot placement")
        rows.add(named["foot_play"] + offset, 0, np.inf, "foot placement")
    rows.add(
        feet[2] - robot.foot_radius - named["far"] - LANDING_ROOM * named["margin"],
        0,
        np.inf,
        "rear feet beyond the wall",
    )


def _cost(robot: Robot, layout: Layout, steps: list[Any], durations: Any, var: tuple[Any, Any, Any, Any]) -> Any:
    """Mean squared torque and joint speed in units of their limits, their changes, force changes, and time."""
    q, v, tau, f = var
    limit = np.tile(2 * robot.torque_limit[1:], 2)
    speed = np.tile(robot.speed_limit[1:], 2)
    weight = robot.mass * 9.81
    cost = 0.2 * ca.sum1(durations)
    for k in range(layout.total):
        cost += steps[k] * (5.0 * ca.sumsqr(tau[:, k] / limit) + 2.0 * ca.sumsqr(v[3:7, k] / speed))
        cost += steps[k] * 0.3 * q[2, k] ** 2
        if k and layout.phase[k] == layout.phase[k - 1]:
            cost += 0.5 * ca.sumsqr((tau[:, k] - tau[:, k - 1]) / limit)
            cost += 0.02 * ca.sumsqr((f[:, k] - f[:, k - 1]) / weight)
    return cost
