"""Following a path among obstacles: sampled arcs scored by progress, clearance and heading (Fox et al. 1997)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from colonnade.quadruped.gait import Command
from colonnade.quadruped.robot import Array

OUTSIDE = -1.0  # m: beyond the map's edge is as forbidden as deep within an obstacle


@dataclass(frozen=True)
class LocalPlanner:
    """Chooses a velocity towards a point ahead on the path.

    Attributes:
        speed, turn: largest forward speed m/s and yaw rate rad/s.
        horizon: s over which arcs are looked at; reach: how far ahead on the path the robot aims, m.
        discs: the footprint: places along the robot's axis, ahead of the trunk's centre, and what distance from
            obstacles is forbidden there, m. The knees point backwards, so the rear one is larger.
        comfort: distance beyond the forbidden one from which on obstacles do not matter, m.
    """

    speed: float = 0.8
    turn: float = 1.5
    horizon: float = 1.0
    reach: float = 0.7
    discs: tuple[tuple[float, float], ...] = ((0.0, 0.19), (0.16, 0.18), (-0.23, 0.19))
    comfort: float = 0.16

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
            np.array(self.discs), self.comfort,
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
def _rooms(pose, clearance, x0, y0, cell, discs, out):  # type: ignore[no-untyped-def]
    """What each disc has left to the nearest obstacle, m; OUTSIDE beyond the map's edge."""
    rows, columns = clearance.shape
    c, s = np.cos(pose[2]), np.sin(pose[2])
    for k in range(len(discs)):
        row = int(np.floor((pose[1] + discs[k, 0] * s - y0) / cell))
        column = int(np.floor((pose[0] + discs[k, 0] * c - x0) / cell))
        inside = 0 <= row < rows and 0 <= column < columns
        out[k] = clearance[row, column] - discs[k, 1] if inside else OUTSIDE


@njit(cache=True)
def _best_arc(  # type: ignore[no-untyped-def]
    pose, target, clearance, x0, y0, cell, top, turn, horizon, discs, comfort
):
    best, best_vx, best_rate = np.inf, 0.0, 0.0
    here, room = np.empty(len(discs)), np.empty(len(discs))
    _rooms(pose, clearance, x0, y0, cell, discs, here)
    at = np.empty(3)
    bearing = np.arctan2(target[1] - pose[1], target[0] - pose[0]) - pose[2]
    bearing = (bearing + np.pi) % (2 * np.pi) - np.pi
    for i in range(-1, 6):
        vx = top * i / 5
        for j in range(-8, 9):
            rate = turn * j / 8
            at[:] = pose
            least, ok = np.inf, True
            for _ in range(10):
                at[0] += vx * np.cos(at[2]) * horizon / 10
                at[1] += vx * np.sin(at[2]) * horizon / 10
                at[2] += rate * horizon / 10
                _rooms(at, clearance, x0, y0, cell, discs, room)
                for k in range(len(discs)):
                    least = min(least, room[k])
                    # Where a disc is already too near, only moving away is allowed.
                    ok = ok and (room[k] >= 0.0 or room[k] >= here[k] - 0.01)
                if not ok:
                    break
            if not ok:
                continue
            error = np.arctan2(target[1] - at[1], target[0] - at[0]) - at[2]
            error = abs((error + np.pi) % (2 * np.pi) - np.pi)
            gap = np.hypot(target[0] - at[0], target[1] - at[1])
            # Turn first when the target is far off the heading: the robot's length needs the room it walks into.
            slip = abs(vx) * max(abs(bearing) - 0.6, 0.0)
            score = gap + 0.25 * error + 0.8 * max(comfort - least, 0.0) + 1.0 * slip + 0.02 * abs(rate)
            if vx < 0:  # backwards only where nothing else is left
                score += 1.0
            if score < best:
                best, best_vx, best_rate = score, vx, rate
    return best_vx, best_rate, best
