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
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.robot import Array

Cell = tuple[int, int]
MAX_CELLS = 10_000_000
TIE = 1e-11


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
    grid = _checked(cost, start, goal, jumps)
    _rows, columns = grid.shape
    usable = [edge for edge in jumps if np.isfinite(grid[edge.start]) and np.isfinite(grid[edge.end])]
    edges = sorted(usable, key=lambda edge: edge.start[0] * columns + edge.start[1])
    at = np.array([edge.start[0] * columns + edge.start[1] for edge in edges], np.int64)
    to = np.array([edge.end[0] * columns + edge.end[1] for edge in edges], np.int64)
    price = np.array([edge.cost for edge in edges], float)
    least = float(grid[np.isfinite(grid)].min())
    slope = _slope(edges, least)
    parent, distance, expanded = _search(
        grid, start[0] * columns + start[1], goal[0] * columns + goal[1], at, to, price, slope
    )
    if not math.isfinite(distance):
        raise NoPath(
            f"The goal at cell {goal} cannot be reached from {start}, neither walking nor by {len(jumps)} jumps."
        )
    return Path(_segments(parent, start, goal, columns, edges), distance, int(expanded))


def _checked(cost: ArrayLike, start: Cell, goal: Cell, jumps: Sequence[JumpEdge]) -> Array:
    grid = np.ascontiguousarray(cost, float)
    if grid.ndim != 2 or grid.size == 0:
        raise InputError(f"cost must be a grid of rows and columns, but has the shape {grid.shape}.")
    if grid.size > MAX_CELLS:
        raise InputError(f"cost must have at most {MAX_CELLS} cells, but has {grid.size}.")
    if np.isnan(grid).any() or (grid <= 0).any():
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
    return grid


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
    chain = [goal[0] * columns + goal[1]]
    first = start[0] * columns + start[1]
    while chain[-1] != first:
        chain.append(_before(int(parent[chain[-1]]), chain[-1], columns, edges))
    chain.reverse()
    cells = np.array([divmod(index, columns) for index in chain], np.int64).reshape(-1, 2)
    out: list[Segment] = []
    begin = 0
    for k in range(1, len(cells)):
        code = int(parent[chain[k]])
        if code >= 8:
            if k - begin > 0:
                out.append(Segment("walk", cells[begin:k]))
            out.append(Segment("jump", cells[k - 1 : k + 1], edges[code - 8]))
            begin = k
    out.append(Segment("walk", cells[begin:]))
    return tuple(out)


def _before(code: int, here: int, columns: int, edges: Sequence[JumpEdge]) -> int:
    if code >= 8:
        return edges[code - 8].start[0] * columns + edges[code - 8].start[1]
    return here - _ROW[code] * columns - _COLUMN[code]


_ROW = (0, 0, 1, -1, 1, 1, -1, -1)
_COLUMN = (1, -1, 0, 0, 1, -1, 1, -1)
_STEPS = np.array([_ROW, _COLUMN], np.int64)


@njit(cache=True)
def _search(grid, start, goal, at, to, price, slope):  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0915
    """A* with a binary heap; parents hold the step's number, or 8 + the jump's."""
    rows, columns = grid.shape
    cost = grid.ravel()
    distance = np.full(rows * columns, np.inf)
    parent = np.full(rows * columns, -1, np.int32)
    closed = np.zeros(rows * columns, np.bool_)
    keys, cells = np.empty(1024), np.empty(1024, np.int64)
    goal_row, goal_column = goal // columns, goal % columns
    root2 = np.sqrt(2.0)
    distance[start] = 0.0
    keys[0], cells[0], size, expanded = 0.0, start, 1, 0
    while size > 0:
        here = cells[0]
        size -= 1
        key, cell = keys[size], cells[size]
        k = 0  # sift down
        while True:
            child = 2 * k + 1
            if child >= size:
                break
            if child + 1 < size and keys[child + 1] < keys[child]:
                child += 1
            if keys[child] >= key:
                break
            keys[k], cells[k] = keys[child], cells[child]
            k = child
        keys[k], cells[k] = key, cell
        if closed[here]:
            continue
        closed[here] = True
        expanded += 1
        if here == goal:
            break
        row, column = here // columns, here % columns
        jump = np.searchsorted(at, here) if at.size else 0
        step = 0
        while True:
            if step < 8:
                r, c = row + _STEPS[0, step], column + _STEPS[1, step]
                code = step
                step += 1
                if r < 0 or c < 0 or r >= rows or c >= columns:
                    continue
                there = r * columns + c
                length = 1.0 if code < 4 else root2
                new = distance[here] + 0.5 * (cost[here] + cost[there]) * length
            else:
                if jump >= at.size or at[jump] != here:
                    break
                there = to[jump]
                r, c = there // columns, there % columns
                new = distance[here] + price[jump]
                code = 8 + jump
                jump += 1
            if closed[there] or new >= distance[there]:
                continue
            distance[there] = new
            parent[there] = code
            dr, dc = abs(r - goal_row), abs(c - goal_column)
            # Among equals the one nearest the goal first: a thousand million times less than a cell is no detour.
            key = new * (1 - TIE) + slope * (max(dr, dc) + (root2 - 1) * min(dr, dc))
            if size == keys.size:
                keys = np.concatenate((keys, np.empty(size)))
                cells = np.concatenate((cells, np.empty(size, np.int64)))
            k = size
            size += 1
            while k > 0:  # sift up
                up = (k - 1) // 2
                if keys[up] <= key:
                    break
                keys[k], cells[k] = keys[up], cells[up]
                k = up
            keys[k], cells[k] = key, there
    return parent, distance[goal], expanded


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
