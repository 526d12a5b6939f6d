"""The search kernel of `plan`: A* over eight neighbours and jumps, its queue made of buckets of equal keys.

Buckets (Dial 1969) instead of a heap: a key is the cost so far plus the octile distance to the goal, and all keys in
one bucket differ by less than a small share of a step. Within a bucket, first come is first served; a cell
reached more cheaply later is opened again, and the search ends when no bucket below the goal's cost is left: costs are
exact. (Last come first served would open cells exponentially often where costs span many decades.)
The grid carries a border that nothing enters, so that no step asks where the grid ends.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from colonnade.quadruped.robot import Array

ROW = (0, 0, 1, -1, 1, 1, -1, -1)  # of the eight steps
COLUMN = (1, -1, 0, 0, 1, -1, 1, -1)
FIRST_JUMP = 8  # parents below are steps, from here on jumps
MOST_JUMPS = 30_000
BUCKETS = 1 << 16
SHARE = 0.05  # of the cheapest step: the width of a bucket
_STEPS = np.array([ROW, COLUMN], np.int64)


@njit(cache=True)
def prepare(cost: Array) -> tuple[Array, float, float, bool]:
    """Half of every cell's cost, flat, with a border of infinity; least and greatest finite cost; whether all are
    positive (infinity included, not-a-number excluded)."""
    rows, columns = cost.shape
    width = columns + 2
    half = np.empty((rows + 2) * width)
    half[:width] = np.inf
    half[(rows + 1) * width :] = np.inf
    least, most, good = np.inf, 0.0, True
    for row in range(rows):
        at = (row + 1) * width
        half[at] = half[at + columns + 1] = np.inf
        for column in range(columns):
            value = cost[row, column]
            if not value > 0:
                good = False
            least = min(least, value)
            if value < np.inf:
                most = max(most, value)
            half[at + 1 + column] = 0.5 * value
    return half, least, most, good


def search(
    half: Array, columns: int, ends: tuple[int, int], jumps: tuple[NDArray[np.int64], NDArray[np.int64], Array],
    slope: float, least: float, most: float,
) -> tuple[NDArray[np.int16], float, int]:  # fmt: skip
    """Parents of all cells reached, cost of the goal (inf: out of reach), and how many cells were opened.

    Args:
        half: as `prepare` made it; columns: of the bordered grid.
        ends: start and goal, flat in the bordered grid.
        jumps: from, to (flat) and cost, sorted by from.
        slope: cost per cell of octile distance that no path undercuts.
    """
    at, to, price = jumps
    # A child's key is never further above its parent's than `rise`, so that no two laps of the buckets mix.
    octile = math.sqrt(2) * (columns + half.size // columns)
    rise = 2 * (most + slope) + (float(price.max()) + slope * octile if at.size else 0.0)
    width = max(SHARE * least, rise / (BUCKETS - 2))
    found: tuple[NDArray[np.int16], float, int] = _search(half, columns, *ends, at, to, price, slope, width)
    return found


@njit(cache=True)
def _search(half, columns, start, goal, at, to, price, slope, width):  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0915
    distance = np.full(half.size, np.inf)
    parent = np.empty(half.size, np.int16)
    root2 = np.sqrt(2.0)
    goal_row, goal_column = goal // columns, goal % columns
    # Entries of the buckets: linked lists in one pool, whose used-up places are linked into `free`.
    head, tail = np.full(BUCKETS, -1, np.int32), np.zeros(BUCKETS, np.int32)
    after, cells, costs = np.empty(1 << 14, np.int32), np.empty(1 << 14, np.int32), np.empty(1 << 14)
    free, used, waiting, bucket, expanded = -1, 1, 1, 0, 0
    rows_off, columns_off = abs(start // columns - goal_row), abs(start % columns - goal_column)
    first = slope * (max(rows_off, columns_off) + (root2 - 1) * min(rows_off, columns_off))
    distance[start] = 0.0
    after[0], cells[0], costs[0], head[0] = -1, start, 0.0, 0
    while waiting > 0 and distance[goal] - first >= bucket * width:
        entry = head[bucket % BUCKETS]
        if entry < 0:
            bucket += 1
            continue
        here, cost = cells[entry], costs[entry]
        head[bucket % BUCKETS] = after[entry]
        after[entry] = free
        free = entry
        waiting -= 1
        if cost > distance[here]:  # reached more cheaply since
            continue
        expanded += 1
        row, column, own = here // columns, here % columns, half[here]
        jump = np.searchsorted(at, here) if at.size else 0
        code = 0
        while True:
            if code < 8:
                r, c = row + _STEPS[0, code], column + _STEPS[1, code]
                there = r * columns + c
                new = cost + (own + half[there]) * (1.0 if code < 4 else root2)
                step = code
                code += 1
            else:
                if jump >= at.size or at[jump] != here:
                    break
                there = to[jump]
                r, c = there // columns, there % columns
                new = cost + price[jump]
                step = 8 + jump
                jump += 1
            if new >= distance[there]:
                continue
            distance[there] = new
            parent[there] = step
            rows_off, columns_off = abs(r - goal_row), abs(c - goal_column)
            key = new + slope * (max(rows_off, columns_off) + (root2 - 1) * min(rows_off, columns_off))
            place = max(int((key - first) / width), bucket) % BUCKETS
            if free >= 0:
                entry = free
                free = after[entry]
            else:
                if used == after.size:
                    after = np.concatenate((after, np.empty(used, np.int32)))
                    cells = np.concatenate((cells, np.empty(used, np.int32)))
                    costs = np.concatenate((costs, np.empty(used)))
                entry = used
                used += 1
            after[entry], cells[entry], costs[entry] = -1, there, new
            if head[place] < 0:
                head[place] = entry
            else:
                after[tail[place]] = entry
            tail[place] = entry
            waiting += 1
    return parent, distance[goal], expanded
