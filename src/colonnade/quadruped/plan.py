"""Shortest paths on a grid that knows jumps: A* over eight neighbours and directed jump edges.

The cost of a step is the mean of both cells' costs times its length, as in scikit-image's geometric paths; a jump edge
has its own cost, in the same unit, from its time and its risk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.grid_search import COLUMN, FIRST_JUMP, MOST_JUMPS, ROW, prepare, search
from colonnade.quadruped.robot import Array

Cell = tuple[int, int]
MAX_CELLS = 10_000_000


class NoPath(ValueError):
    """The goal cannot be reached; the text says so plainly."""


@dataclass(frozen=True)
class JumpEdge:
    """A directed jump from one cell to another at a cost (in units of cell cost times cells)."""

    start: Cell
    end: Cell
    cost: float
    name: int = 0


@dataclass(frozen=True)
class Segment:
    """A walk through cells (n, 2), or a jump from the first to the last of its two cells."""

    kind: Literal["walk", "jump"]
    cells: NDArray[np.int64]
    jump: JumpEdge | None = None


@dataclass(frozen=True)
class Path:
    """Segments from start to goal, their total cost, and how many cells were opened."""

    segments: tuple[Segment, ...]
    cost: float
    expanded: int

    @property
    def cells(self) -> NDArray[np.int64]:
        """(n, 2) all cells in order."""
        return np.concatenate([segment.cells for segment in self.segments])

    @property
    def jumps(self) -> list[JumpEdge]:
        return [segment.jump for segment in self.segments if segment.jump is not None]


def plan_path(cost: ArrayLike, start: Cell, goal: Cell, jumps: Sequence[JumpEdge] = ()) -> Path:
    """The cheapest path.

    Args:
        cost: (rows, columns) positive; inf where the robot may not be.
        start, goal: (row, column).
        jumps: extra directed edges.

    Raises:
        InputError: the grid, a cell or a cost cannot be used.
        NoPath: start or goal is blocked, or the goal cannot be reached.
    """
    grid, half, least, most = _checked(cost, start, goal, jumps)
    columns = grid.shape[1] + 2
    usable = [edge for edge in jumps if np.isfinite(grid[edge.start]) and np.isfinite(grid[edge.end])]
    edges = sorted(usable, key=lambda edge: _flat(edge.start, columns))
    at = np.array([_flat(edge.start, columns) for edge in edges], np.int64)
    to = np.array([_flat(edge.end, columns) for edge in edges], np.int64)
    price = np.array([edge.cost for edge in edges], float)
    ends = _flat(start, columns), _flat(goal, columns)
    parent, distance, expanded = search(half, columns, ends, (at, to, price), _slope(edges, least), least, most)
    if not math.isfinite(distance):
        raise NoPath(
            f"The goal at cell {goal} cannot be reached from {start}, neither walking nor by {len(jumps)} jumps."
        )
    return Path(_segments(parent, start, goal, columns, edges), distance, int(expanded))


def _flat(cell: Cell, columns: int) -> int:
    """Where a cell is in the grid that `prepare` has given a border."""
    return (cell[0] + 1) * columns + cell[1] + 1


def _checked(cost: ArrayLike, start: Cell, goal: Cell, jumps: Sequence[JumpEdge]) -> tuple[Array, Array, float, float]:
    """The grid, its bordered halves, its least and greatest finite cost."""
    grid = np.ascontiguousarray(cost, float)
    if grid.ndim != 2 or grid.size == 0:
        raise InputError(f"cost must be a grid of rows and columns, but has the shape {grid.shape}.")
    if grid.size > MAX_CELLS:
        raise InputError(f"cost must have at most {MAX_CELLS} cells, but has {grid.size}.")
    if len(jumps) > MOST_JUMPS:
        raise InputError(f"jumps must be at most {MOST_JUMPS}, but are {len(jumps)}.")
    half, least, most, good = prepare(grid)
    if not good:
        raise InputError("cost must be positive in every cell (inf where blocked).")
    ends = [("start", start), ("goal", goal)]
    ends += [("jump", cell) for edge in jumps for cell in (edge.start, edge.end)]
    for name, (row, column) in ends:
        if not (0 <= row < grid.shape[0] and 0 <= column < grid.shape[1]):
            raise InputError(
                f"{name} must lie on the grid of {grid.shape[0]} x {grid.shape[1]} cells, but is {(row, column)}."
            )
    for edge in jumps:
        if not (math.isfinite(edge.cost) and edge.cost > 0):
            raise InputError(f"A jump's cost must be positive and finite, but is {edge.cost}.")
    for name, cell in ends[:2]:
        if not np.isfinite(grid[cell]):
            raise NoPath(f"The {name} at cell {cell} is inside an obstacle or too near one.")
    return grid, half, least, most


def _slope(edges: Sequence[JumpEdge], least: float) -> float:
    """Cost per cell of octile distance that no path undercuts: the heuristic's scale, lowered for cheap jumps."""
    slope = least
    for edge in edges:
        rows, columns = abs(edge.start[0] - edge.end[0]), abs(edge.start[1] - edge.end[1])
        octile = max(rows, columns) + (math.sqrt(2) - 1) * min(rows, columns)
        if octile > 0:
            slope = min(slope, edge.cost / octile)
    return slope


def _segments(parent: Any, start: Cell, goal: Cell, columns: int, edges: Sequence[JumpEdge]) -> tuple[Segment, ...]:
    chain, codes, first = [goal], [0], start
    while chain[-1] != first:
        code = int(parent[_flat(chain[-1], columns)])
        codes.append(code)
        chain.append(_before(code, chain[-1], edges))
    chain.reverse()
    codes.reverse()
    cells = np.array(chain, np.int64).reshape(-1, 2)
    out: list[Segment] = []
    begin = 0
    for k in range(1, len(cells)):
        code = codes[k - 1]
        if code >= FIRST_JUMP:
            if k - begin > 0:
                out.append(Segment("walk", cells[begin:k]))
            out.append(Segment("jump", cells[k - 1 : k + 1], edges[code - FIRST_JUMP]))
            begin = k
    out.append(Segment("walk", cells[begin:]))
    return tuple(out)


def _before(code: int, here: Cell, edges: Sequence[JumpEdge]) -> Cell:
    if code >= FIRST_JUMP:
        return edges[code - FIRST_JUMP].start
    return here[0] - ROW[code], here[1] - COLUMN[code]


def travel_cost(
    blocked: NDArray[np.bool_], cell: float, *, radius: float = 0.24, comfort: float = 0.5, avoid: float = 4.0,
    unknown: NDArray[np.bool_] | None = None, unknown_factor: float = 1.3,
) -> tuple[Array, Array]:  # fmt: skip
    """What it costs to be in each cell, and the distance to the nearest blocked cell.

    Args:
        blocked: (rows, columns) cells with an obstacle.
        cell: edge of a cell, m.
        radius: the robot's half width with a margin: nearer than this is forbidden, m.
        comfort: beyond this distance an obstacle costs nothing, m; avoid: extra cost at `radius`.
        unknown: cells never seen, dearer by `unknown_factor`.

    Returns:
        cost (inf where forbidden) and clearance in m, both (rows, columns).
    """
    room = ndimage.distance_transform_edt(~blocked) * cell if blocked.any() else np.full(blocked.shape, 1e3)
    share = np.clip((comfort - room) / (comfort - radius), 0.0, 1.0)
    cost = 1.0 + avoid * share**2
    if unknown is not None:
        cost = np.where(unknown, cost * unknown_factor, cost)
    return np.where(room < radius, np.inf, cost), room


def straighten(cells: NDArray[np.int64], cost: Array) -> NDArray[np.int64]:
    """Corners of an any-angle walk: drop cells while the straight line between the kept ones costs no more."""
    if len(cells) < 3:
        return cells
    steps = np.hypot(*np.diff(cells, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps * 0.5 * (cost[tuple(cells[1:].T)] + cost[tuple(cells[:-1].T)]))])
    kept, here = [0], 0
    while here < len(cells) - 1:
        there = here + 1
        for far in range(min(len(cells) - 1, here + 60), here + 1, -1):
            if _line_cost(cost, cells[here], cells[far]) <= along[far] - along[here] + 1e-9:
                there = far
                break
        kept.append(there)
        here = there
    return cells[kept]


def _line_cost(cost: Array, first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    length = float(np.hypot(*(second - first)))
    count = max(int(2 * length), 2)
    line = np.rint(first + np.linspace(0, 1, count)[:, None] * (second - first)).astype(int)
    return float(cost[line[:, 0], line[:, 1]].mean() * length)
