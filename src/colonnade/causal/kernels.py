"""The worlds' laws of motion, compiled by numba (their drawing is in `painting`).

Every function works on the sub-environments `lo <= b < hi` of arrays whose first axis is the batch, releases the GIL,
and allocates nothing that outlives it. `kernels_numpy` has the same functions with the same results, bit for bit.
Random numbers come from splitmix64 (Steele, Lea & Flood 2014) on a key and a counter per sub-environment, so that
they depend neither on the batch nor on threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from colonnade.causal.events import HELD, INVALID, MOVED, NOTHING, PUSHED, WALL
from colonnade.causal.painting import draw

U64 = NDArray[np.uint64]
U8 = NDArray[np.uint8]
F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    return cast(F, numba.njit(cache=True, nogil=True)(function))


def inlined(function: F) -> F:
    """Compiled into its callers: a call that hands over the tables counts references to each, and takes 100 ns."""
    return cast(F, numba.njit(cache=True, nogil=True, forceinline=True)(function))


@inlined
def uniform(key: Any, counter: Any) -> float:
    """The `counter`-th number in [0, 1) of the stream `key` (both uint64)."""
    z = key + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0))


@jit
def _choose(key: Any, counter: Any, count: int, out: Any, b: int) -> None:
    """Different numbers below `count` into `out[b]` (Fisher-Yates); uses as many random numbers as it has places."""
    pool = np.empty(count, np.int64)
    for i in range(count):
        pool[i] = i
    for i in range(out.shape[1]):
        j = i + int(uniform(key, counter + np.uint64(i)) * (count - i))
        pool[i], pool[j] = pool[j], pool[i]
        out[b, i] = pool[i]


@jit
def _sort(values: Any, b: int) -> None:
    """Sort `values[b]`, largest first, in place (a dozen values; NumPy's sort would take seconds to compile)."""
    for i in range(1, values.shape[1]):
        for j in range(i, 0, -1):
            if values[b, j - 1] >= values[b, j]:
                break
            values[b, j - 1], values[b, j] = values[b, j], values[b, j - 1]


@jit
def _copy(source: Any, target: Any, b: int) -> None:
    for i in range(source.shape[1]):
        target[b, i] = source[b, i]


@inlined
def _push(cell: Any, weight: Any, b: int, action: int, neighbour: Any, n: int) -> int:
    """Apply one action to the cells of sub-environment `b`; returns what happened.

    Without branches: which of them is taken is random, and a wrong guess costs more than all the arithmetic.
    """
    a = np.uint32(action)  # unsigned: division and indexing then need no test for a sign
    actor, direction = a // np.uint32(5), a % np.uint32(5)
    outside = neighbour.shape[0] - 1
    target = neighbour[cell[b, actor], direction]
    behind = neighbour[target, direction]
    other, full = -1, False
    for j in range(n):
        other = j if cell[b, j] == target else other
        full |= cell[b, j] == behind
    inside, hit = target != outside, other >= 0
    met = np.uint32(other if hit else 0)
    heavier, room = weight[b, actor] > weight[b, met], behind != outside
    pushed = hit & heavier & room & (not full)
    cell[b, met] = behind if pushed else cell[b, met]
    cell[b, actor] = target if inside & (pushed | (not hit)) else cell[b, actor]
    blocked = WALL if not room else INVALID if full else PUSHED
    contact = blocked if heavier else HELD
    return NOTHING if not inside else contact if hit else MOVED


@jit
def _shades(b: int, key: Any, counter: Any, colour: U8, t: Any) -> None:
    """Colour numbers of the observed mode: object 0 is the darkest and heaviest."""
    n = colour.shape[1]
    for i in range(n):
        u = uniform(key, counter + np.uint64(i))
        x = i / max(n - 1, 1) + (2.0 * u - 1.0) * t.jitter
        shade = u if t.jitter < 0 else (-x if x < 0.0 else (2.0 - x if x > 1.0 else x))
        colour[b, n - 1 - i] = min(int(shade * 256.0), 255)
    if t.jitter < 0:
        _sort(colour, b)


@jit
def physics_reset(
    lo: int, hi: int, mask: Any, key: U64, counter: U64, cell: U8, weight: Any, colour: U8, shape: U8, goal: U8, t: Any
) -> None:
    """Start new episodes where `mask` is true: cells, colours, weights, shapes, and the goal's cells."""
    n = cell.shape[1]
    by_colour = t.weight_of_colour.shape[0] > 0
    for b in range(lo, hi):
        if not mask[b]:
            continue
        k, c = key[b], counter[b]
        _choose(k, c, t.neighbour.shape[0] - 1, cell, b)
        c += np.uint64(n)
        if by_colour or t.fixed_shapes:
            _choose(k, c, t.colours, colour, b)
        else:
            _shades(b, k, c, colour, t)
        if by_colour:
            _sort(colour, b)
        c += np.uint64(n)
        for i in range(n):
            weight[b, i] = t.weight_of_colour[colour[b, i]] if by_colour else 2 * (n - i)
            drawn = int(uniform(k, c + np.uint64(i)) * t.shapes)
            shape[b, i] = i % t.shapes if t.fixed_shapes else drawn
        c += np.uint64(n)
        _copy(cell, goal, b)
        for i in range(t.goal_steps):
            _push(goal, weight, b, int(uniform(k, c + np.uint64(i)) * (5 * n)), t.neighbour, n)
        counter[b] = c + np.uint64(t.goal_steps)


@jit
def physics_step(lo: int, hi: int, mask: Any, action: Any, cell: U8, weight: Any, event: U8, t: Any) -> None:
    """One action in each sub-environment where `mask` is true; `event` says what happened."""
    n = cell.shape[1]
    for b in range(lo, hi):
        if mask[b]:
            event[b] = _push(cell, weight, b, action[b], t.neighbour, n)


@jit
def physics_roll(lo: int, hi: int, action: Any, cell: U8, weight: Any, states: U8, event: U8, t: Any) -> None:
    """Many steps: `action` (steps, batch) -> `states` (steps + 1, batch, n), `event` (steps, batch)."""
    n = cell.shape[1]
    for b in range(lo, hi):
        for i in range(n):
            states[0, b, i] = cell[b, i]
    for s in range(action.shape[0]):
        for b in range(lo, hi):
            event[s, b] = _push(cell, weight, b, action[s, b], t.neighbour, n)
            for i in range(n):
                states[s + 1, b, i] = cell[b, i]


@jit
def physics_score(lo: int, hi: int, cell: U8, goal: U8, t: Any, reward: Any, success: Any) -> None:
    """Reward, minus the mean L1 distance of the objects to their goals in cells, and whether all are there."""
    for b in range(lo, hi):
        total = 0
        for i in range(cell.shape[1]):
            total += t.distance[cell[b, i], goal[b, i]]
        reward[b], success[b] = 0.0 - total / cell.shape[1], total == 0


@inlined
def _resample(b: int, key: Any, counter: Any, value: U8, past: U8, noise: Any, node: int, t: Any, start: bool) -> None:
    """Draw one variable from its law given its parents; at the start lagged parents count as they are now."""
    row = 0
    for e in range(t.first_edge[node], t.first_edge[node + 1]):
        p, lag = t.parent[e], t.lag[e]
        row += t.stride[e] * (value[b, p] if lag == 0 or start else past[b, lag - 1, p])
    u = uniform(key, counter + np.uint64(node))
    noise[b, node] = u
    base = t.offset[node] + row * t.colors
    k = 0
    for c in range(t.colors - 1):  # counted, not searched: a search ends where no processor expects it
        k += u >= t.cumulative[base + c]
    value[b, node] = k


@inlined
def _intervene(
    b: int, key: Any, counter: Any, action: int, value: U8, past: U8, touched: Any, noise: Any, t: Any
) -> None:
    """do(variable = colour), then redraw, in order, what the change reaches now: Ke et al., section 4.2."""
    chosen = np.uint32(action)
    target, colour = chosen // np.uint32(t.colors), chosen % np.uint32(t.colors)
    if past.shape[1] == 0:
        value[b, target] = colour
        for i in range(1, t.below[target, 0] + 1):
            _resample(b, key, counter, value, past, noise, t.below[target, i], t, False)
        return
    now = _touched(b, int(target), touched, t)
    for lag in range(past.shape[1] - 1, 0, -1):
        touched[b, lag] = touched[b, lag - 1]
        for i in range(past.shape[2]):
            past[b, lag, i] = past[b, lag - 1, i]
    touched[b, 0] = now
    for i in range(past.shape[2]):
        past[b, 0, i] = value[b, i]
    value[b, target] = colour
    for node in t.order:
        if node != target and (now >> node) & 1:
            _resample(b, key, counter, value, past, noise, node, t, False)


@inlined
def _touched(b: int, target: Any, touched: Any, t: Any) -> int:
    """Bits of the variables that an intervention, and what earlier ones touched, reach now by edges of any lag."""
    now: int = 1 << target
    for node in t.order:
        for e in range(t.first_edge[node], t.first_edge[node + 1]):
            source = now if t.lag[e] == 0 else touched[b, t.lag[e] - 1]
            now |= ((source >> t.parent[e]) & 1) << node
    return now


@jit
def chemistry_reset(
    lo: int, hi: int, mask: Any, key: U64, counter: U64, value: U8, past: U8, touched: Any, noise: Any, cell: U8,
    goal: U8, t: Any,
) -> None:  # fmt: skip
    """Start new episodes where `mask` is true: ancestral values, cells, and the goal after random interventions."""
    n = value.shape[1]
    kept, kept_noise = np.empty(n, np.uint8), np.empty(n)
    for b in range(lo, hi):
        if not mask[b]:
            continue
        k, c = key[b], counter[b]
        if t.cells[0] < 0:
            _choose(k, c, t.grid_cells, cell, b)
        else:
            for i in range(n):
                cell[b, i] = t.cells[i]
        c += np.uint64(n)
        for i in range(n):
            _resample(b, k, c, value, past, noise, t.order[i], t, True)
        c += np.uint64(n)
        _still(b, value, past, touched)
        for i in range(n):
            kept[i], kept_noise[i] = value[b, i], noise[b, i]
        for _ in range(t.goal_steps):
            action = int(uniform(k, c) * (n * t.colors))
            _intervene(b, k, c + np.uint64(1), action, value, past, touched, noise, t)
            c += np.uint64(n + 1)
        for i in range(n):
            goal[b, i] = value[b, i]
            value[b, i], noise[b, i] = kept[i], kept_noise[i]
        _still(b, value, past, touched)
        counter[b] = c


@jit
def _still(b: int, value: U8, past: U8, touched: Any) -> None:
    """A past in which nothing ever happened."""
    for lag in range(past.shape[1]):
        touched[b, lag] = 0
        for i in range(past.shape[2]):
            past[b, lag, i] = value[b, i]


@jit
def chemistry_step(
    lo: int, hi: int, mask: Any, action: Any, key: U64, counter: U64, value: U8, past: U8, touched: Any, noise: Any,
    t: Any,
) -> None:  # fmt: skip
    """One intervention in each sub-environment where `mask` is true; uses n random numbers there."""
    for b in range(lo, hi):
        if mask[b]:
            _intervene(b, key[b], counter[b], action[b], value, past, touched, noise, t)
            counter[b] += np.uint64(value.shape[1])


@jit
def chemistry_score(lo: int, hi: int, value: U8, goal: U8, t: Any, reward: Any, success: Any) -> None:
    """Reward, the share of objects that have their goal's colour, and whether all have."""
    for b in range(lo, hi):
        total = 0
        for i in range(value.shape[1]):
            total += value[b, i] == goal[b, i]
        reward[b], success[b] = total / value.shape[1], total == value.shape[1]


@jit
def count_nearer(distance: Any, low: Any, high: Any, weight: Any, nearer: Any, within: Any) -> None:
    """For each row: the weight of the columns below `low`, and how many columns lie from `low` to `high`."""
    for i in range(distance.shape[0]):
        sure, unsure = np.int32(0), np.int32(0)
        for j in range(distance.shape[1]):
            below = distance[i, j] < low[i]
            sure += weight[j] if below else np.int32(0)
            unsure += np.int32(distance[i, j] <= high[i]) - np.int32(below)
        nearer[i], within[i] = sure, unsure


__all__ = [
    "chemistry_reset", "chemistry_score", "chemistry_step", "count_nearer", "draw", "physics_reset", "physics_roll",
    "physics_score", "physics_step", "uniform",
]  # fmt: skip
