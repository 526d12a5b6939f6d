"""The kernels without numba: the same functions as `kernels`, bit for bit, over whole batches at once.

For machines without a compiler, and for mechanisms too large for a table (their law is evaluated row by row).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.events import HELD, INVALID, MOVED, NOTHING, PUSHED, WALL

Array = NDArray[Any]
Law = Callable[[int, Array], Array]  # (variable, parent values) -> probabilities


def uniform(key: Array, counter: Array) -> Array:
    """Numbers in [0, 1) of the streams `key` at `counter` (uint64 arrays that broadcast)."""
    with np.errstate(over="ignore"):
        z = key + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) * (1.0 / 9007199254740992.0))


def _draws(key: Array, counter: Array, count: int) -> Array:
    """(rows, count) next random numbers of each stream."""
    return uniform(key[:, None], counter[:, None] + np.arange(count, dtype=np.uint64))


def _choose(key: Array, counter: Array, count: int, size: int) -> Array:
    rows, draws = np.arange(len(key)), _draws(key, counter, size)
    pool = np.broadcast_to(np.arange(count), (len(key), count)).copy()
    for i in range(size):
        j = i + (draws[:, i] * (count - i)).astype(np.int64)
        first, second = pool[:, i].copy(), pool[rows, j]
        pool[rows, j] = first
        pool[:, i] = second
    return pool[:, :size]


def _push(cell: Array, weight: Array, action: Array, neighbour: Array) -> Array:
    """Apply actions (rows,) to cells (rows, n) in place; returns what happened."""
    rows, action, outside = np.arange(len(cell)), action.astype(np.int64), len(neighbour) - 1
    actor, direction = action // 5, action % 5
    target = neighbour[cell[rows, actor], direction]
    behind = neighbour[target, direction]
    occupied = cell == target[:, None]
    hit, inside = occupied.any(1), target != outside
    met = occupied.argmax(1)
    heavier, room = weight[rows, actor] > weight[rows, met], behind != outside
    full = (cell == behind[:, None]).any(1)
    blocked = np.where(~heavier, HELD, np.where(~room, WALL, np.where(full, INVALID, PUSHED)))
    event = np.where(~inside, NOTHING, np.where(hit, blocked, MOVED)).astype(np.uint8)
    pushed, moved = event == PUSHED, (event == MOVED) | (event == PUSHED)
    cell[rows[pushed], met[pushed]] = behind[pushed]
    cell[rows[moved], actor[moved]] = target[moved]
    return event


def physics_reset(
    lo: int, hi: int, mask: Array, key: Array, counter: Array, cell: Array, weight: Array, colour: Array,
    shape: Array, goal: Array, t: Any,
) -> None:  # fmt: skip
    at, n = lo + np.flatnonzero(mask[lo:hi]), cell.shape[1]
    k, c = key[at], counter[at].copy()
    cell[at] = _choose(k, c, len(t.neighbour) - 1, n)
    c += np.uint64(n)
    by_colour = len(t.weight_of_colour) > 0
    if by_colour or t.fixed_shapes:
        picked = _choose(k, c, t.colours, n)
        colour[at] = picked if t.fixed_shapes else np.sort(picked, 1)[:, ::-1]
    else:
        shade = _draws(k, c, n)
        if t.jitter < 0:
            shade = np.sort(shade, 1)
        else:
            shade = np.arange(n) / max(n - 1, 1) + (2.0 * shade - 1.0) * t.jitter
            shade = np.where(shade < 0, -shade, np.where(shade > 1, 2.0 - shade, shade))
        colour[at] = np.minimum((shade[:, ::-1] * 256.0).astype(np.int64), 255)
    c += np.uint64(n)
    weight[at] = t.weight_of_colour[colour[at]] if by_colour and not t.fixed_shapes else 2 * (n - np.arange(n))
    shape[at] = np.arange(n) % t.shapes if t.fixed_shapes else (_draws(k, c, n) * t.shapes).astype(np.int64)
    c += np.uint64(n)
    cells, actions = cell[at], _draws(k, c, t.goal_steps)
    for i in range(t.goal_steps):
        _push(cells, weight[at], (actions[:, i] * (5 * n)).astype(np.int64), t.neighbour)
    goal[at] = cells
    counter[at] = c + np.uint64(t.goal_steps)


def physics_step(
    lo: int, hi: int, mask: Array, action: Array, cell: Array, weight: Array, event: Array, t: Any
) -> None:
    at = lo + np.flatnonzero(mask[lo:hi])
    cells = cell[at]
    event[at] = _push(cells, weight[at], action[at], t.neighbour)
    cell[at] = cells


def physics_roll(
    lo: int, hi: int, action: Array, cell: Array, weight: Array, states: Array, event: Array, t: Any
) -> None:
    states[0, lo:hi] = cell[lo:hi]
    for s in range(len(action)):
        event[s, lo:hi] = _push(cell[lo:hi], weight[lo:hi], action[s, lo:hi], t.neighbour)
        states[s + 1, lo:hi] = cell[lo:hi]


def physics_score(lo: int, hi: int, cell: Array, goal: Array, t: Any, reward: Array, success: Array) -> None:
    total = t.distance[cell[lo:hi], goal[lo:hi]].sum(1, dtype=np.int64)
    reward[lo:hi], success[lo:hi] = 0.0 - total / cell.shape[1], total == 0


def _values(u: Array, cumulative: Array) -> Array:
    """Inverse of cumulative laws (rows, colors) at u (rows,)."""
    return np.asarray((u[:, None] >= cumulative[:, :-1]).sum(1))


def _law(node: int, parents: Array, t: Any, law: Law | None) -> Array:
    if law is not None:
        return np.cumsum(law(node, parents), 1)
    edges = slice(t.first_edge[node], t.first_edge[node + 1])
    base = t.offset[node] + (parents.astype(np.int64) @ t.stride[edges]) * t.colors
    return np.asarray(t.cumulative[base[:, None] + np.arange(t.colors)])


def _resample(
    rows: Array, u: Array, value: Array, past: Array, noise: Array, node: int, t: Any, law: Law | None, start: bool
) -> None:
    edges = range(t.first_edge[node], t.first_edge[node + 1])
    sources = [
        value[rows, t.parent[e]] if t.lag[e] == 0 or start else past[rows, t.lag[e] - 1, t.parent[e]] for e in edges
    ]
    parents = np.stack(sources, 1) if sources else np.zeros((len(rows), 0), np.int64)
    noise[rows, node] = u
    value[rows, node] = _values(u, _law(node, parents, t, law))


def _intervene(
    at: Array, u: Array, action: Array, value: Array, past: Array, touched: Array, noise: Array, t: Any,
    law: Law | None,
) -> None:  # fmt: skip
    """`u` (rows, n): the noise of every variable; `at` (rows,): which sub-environments."""
    n, depth = value.shape[1], past.shape[1]
    action = action.astype(np.int64)
    target, colour = action // t.colors, action % t.colors
    reached = np.arange(n) == target[:, None]
    for node in t.order:
        for e in range(t.first_edge[node], t.first_edge[node + 1]):
            lag, parent = t.lag[e], t.parent[e]
            source = reached[:, parent] if lag == 0 else (touched[at, lag - 1] >> parent) & 1 == 1
            reached[:, node] |= source
    if depth:
        past[at, 1:], touched[at, 1:] = past[at, :-1], touched[at, :-1]
        past[at, 0] = value[at]
        touched[at, 0] = reached @ (1 << np.arange(n, dtype=np.int64))
    value[at, target] = colour
    for node in t.order:
        rows = np.flatnonzero(reached[:, node] & (target != node))
        if len(rows):
            _resample(at[rows], u[rows, node], value, past, noise, node, t, law, False)


def chemistry_reset(
    lo: int, hi: int, mask: Array, key: Array, counter: Array, value: Array, past: Array, touched: Array,
    noise: Array, cell: Array, goal: Array, t: Any, law: Law | None = None,
) -> None:  # fmt: skip
    at, n = lo + np.flatnonzero(mask[lo:hi]), value.shape[1]
    k, c = key[at], counter[at].copy()
    cell[at] = _choose(k, c, t.grid_cells, n) if t.cells[0] < 0 else t.cells
    c += np.uint64(n)
    u = _draws(k, c, n)
    for node in t.order:
        _resample(at, u[:, node], value, past, noise, node, t, law, True)
    c += np.uint64(n)
    past[at], touched[at] = value[at][:, None], 0
    kept, kept_noise, kept_past = value[at], noise[at], past[at]
    for _ in range(t.goal_steps):
        action = (uniform(k, c) * (n * t.colors)).astype(np.int64)
        _intervene(at, _draws(k, c + np.uint64(1), n), action, value, past, touched, noise, t, law)
        c += np.uint64(n + 1)
    goal[at] = value[at]
    value[at], noise[at], past[at], touched[at] = kept, kept_noise, kept_past, 0
    counter[at] = c


def chemistry_step(
    lo: int, hi: int, mask: Array, action: Array, key: Array, counter: Array, value: Array, past: Array,
    touched: Array, noise: Array, t: Any, law: Law | None = None,
) -> None:  # fmt: skip
    at, n = lo + np.flatnonzero(mask[lo:hi]), value.shape[1]
    _intervene(at, _draws(key[at], counter[at], n), action[at], value, past, touched, noise, t, law)
    counter[at] += np.uint64(n)


def chemistry_score(lo: int, hi: int, value: Array, goal: Array, t: Any, reward: Array, success: Array) -> None:
    total = (value[lo:hi] == goal[lo:hi]).sum(1)
    reward[lo:hi], success[lo:hi] = total / value.shape[1], total == value.shape[1]


def count_nearer(distance: Array, low: Array, high: Array, weight: Array, nearer: Array, within: Array) -> None:
    below = distance < low[:, None]
    nearer[:] = below.astype(np.float32) @ weight.astype(np.float32)
    within[:] = np.count_nonzero(distance <= high[:, None], axis=1) - np.count_nonzero(below, axis=1)


def draw(
    lo: int, hi: int, cell: Array, colour: Array, shape: Array, ink: Array, canvas: Any, frame: Array, drawn: Array,
    tinted: Array, whole: Array,
) -> None:  # fmt: skip
    rows, frame = np.arange(lo, hi), frame.reshape(len(cell), -1)
    frame[lo:hi] = 0
    masks, inks = canvas.masks.reshape(-1, 11, 33) > 0, ink.reshape(-1, 33)
    row, byte = np.arange(11), np.arange(33)
    for i in range(cell.shape[1]):
        at = cell[lo:hi, i]
        covered = masks[shape[lo:hi, i]] & (row < canvas.rows[at, None])[:, :, None]
        covered[:, :, 30:] &= canvas.wide[at, None, None]
        b, r, c = np.nonzero(covered)
        frame[rows[b], canvas.corner[at[b]].astype(np.int64) + r * int(canvas.stride) + byte[c]] = inks[
            colour[rows[b], i], byte[c]
        ]
    drawn[lo:hi], tinted[lo:hi] = cell[lo:hi], colour[lo:hi]
