"""Following a path among obstacles: sampled arcs scored by progress, clearance and heading (Fox et al. 1997)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from colonnade.quadruped.gait import Command
from colonnade.quadruped.robot import Array


@dataclass(frozen=True)
class LocalPlanner:
    """Chooses a velocity towards a point ahead on the path.

    Attributes:
        speed, turn: largest forward speed m/s and yaw rate rad/s.
        horizon: s over which arcs are looked at; reach: how far ahead on the path the robot aims, m.
        radius: forbidden distance to obstacles, m; comfort: distance beyond which they do not matter, m.
    """

    speed: float = 0.8
    turn: float = 1.5
    horizon: float = 1.0
    reach: float = 0.7
    radius: float = 0.19
    comfort: float = 0.35

    def command(
        self, pose: Array, path: Array, clearance: Array, origin: tuple[float, float], cell: float
    ) -> Command | None:
        """The best command, or None when every arc meets an obstacle.

        Args:
            pose: x, y, yaw; path: (n, 2) corners still to pass, m; clearance: (rows, columns) m from obstacles.
            origin: x and y of the map's corner; cell: m.
        """
        target = carrot(pose[:2], path, self.reach)
        left = float(np.hypot(*(path[-1] - pose[:2])))
        top = min(self.speed, 0.15 + 1.2 * left)
        vx, rate, score = _best_arc(
            np.asarray(pose, float), target, clearance, origin[0], origin[1], cell, top, self.turn, self.horizon,
            self.radius, self.comfort,
        )  # fmt: skip
        return None if not math.isfinite(score) else Command(float(vx), 0.0, float(rate))


def carrot(here: Array, path: Array, reach: float) -> Array:
    """The point `reach` ahead of the path's point nearest to `here`."""
    if len(path) == 1:
        return np.asarray(path[0], float)
    starts, steps = path[:-1], np.diff(path, axis=0)
    lengths = np.maximum(np.hypot(steps[:, 0], steps[:, 1]), 1e-9)
    share = np.clip(((here - starts) * steps).sum(axis=1) / lengths**2, 0, 1)
    near = starts + share[:, None] * steps
    k = int(np.argmin(np.hypot(*(near - here).T)))
    at = share[k] * lengths[k] + reach
    while k < len(lengths) - 1 and at > lengths[k]:
        at -= lengths[k]
        k += 1
    point: Array = starts[k] + steps[k] * min(at / lengths[k], 1.0)
    return point


@njit(cache=True)
def _best_arc(  # type: ignore[no-untyped-def]
    pose, target, clearance, x0, y0, cell, top, turn, horizon, radius, comfort
):
    best, best_vx, best_rate = np.inf, 0.0, 0.0
    rows, columns = clearance.shape
    row = min(max(int((pose[1] - y0) / cell), 0), rows - 1)
    column = min(max(int((pose[0] - x0) / cell), 0), columns - 1)
    here = clearance[row, column]
    bearing = np.arctan2(target[1] - pose[1], target[0] - pose[0]) - pose[2]
    bearing = (bearing + np.pi) % (2 * np.pi) - np.pi
    for i in range(6):
        vx = top * i / 5
        for j in range(-8, 9):
            rate = turn * j / 8
            x, y, yaw = pose[0], pose[1], pose[2]
            least, ok = np.inf, True
            for _ in range(10):
                x += vx * np.cos(yaw) * horizon / 10
                y += vx * np.sin(yaw) * horizon / 10
                yaw += rate * horizon / 10
                row, column = int((y - y0) / cell), int((x - x0) / cell)
                if row < 0 or column < 0 or row >= rows or column >= columns:
                    ok = False
                    break
                room = clearance[row, column]
                least = min(least, room)
                if room < radius and room < here - 0.01:  # already too near: only moving away is allowed
                    ok = False
                    break
            if not ok:
                continue
            error = np.arctan2(target[1] - y, target[0] - x) - yaw
            error = abs((error + np.pi) % (2 * np.pi) - np.pi)
            gap = np.hypot(target[0] - x, target[1] - y)
            # Turn first when the target is far off the heading: the robot's length needs the room it walks into.
            slip = vx * max(abs(bearing) - 0.6, 0.0)
            score = gap + 0.25 * error + 0.8 * max(comfort - least, 0.0) + 1.0 * slip + 0.02 * abs(rate)
            if score < best:
                best, best_vx, best_rate = score, vx, rate
    return best_vx, best_rate, best
