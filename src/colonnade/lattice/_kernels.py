"""Compiled loops of the Monte-Carlo kernels: chains innermost, one block of chains at a time.

Fields are arrays phi[component, site, chain]. A block of chains is copied to a small contiguous buffer that stays in
the first cache levels, the whole trajectory runs there with SIMD over the chains, and the accepted ends are written
back. The cost per site therefore depends neither on the number of chains nor on their order in memory.
All functions are compiled once, at installation or first import, and loaded from numba's cache afterwards.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from colonnade.lattice._normals import fill_normals
from colonnade.lattice._types import FloatArray, IntArray

_BLOCK = 16  # chains a block where the caller does not choose
_FAST = {"contract", "reassoc", "nsz", "arcp"}


@njit(cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def _kick_span(x: FloatArray, p: FloatArray, at: int, n: int, around: tuple[int, int, int, int], c: FloatArray) -> None:
    """Kick n consecutive numbers from `at` on; `around` are where their four neighbours start."""
    c0, c1, c2, c3 = c[0], c[1], c[2], c[3]
    at_x, at_p = x[at : at + n], p[at : at + n]
    a, b = x[around[0] : around[0] + n], x[around[1] : around[1] + n]
    d, e = x[around[2] : around[2] + n], x[around[3] : around[3] + n]
    for i in range(n):
        v = at_x[i]
        at_p[i] += v * (c1 + c2 * v * v) + c0 * (a[i] + b[i] + d[i] + e[i]) + c3


@njit(cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def _drift_span(x: FloatArray, p: FloatArray, at: int, n: int, step: float) -> None:
    at_x, at_p = x[at : at + n], p[at : at + n]
    for i in range(n):
        at_x[i] += step * at_p[i]


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _drift_kick_plane(x: FloatArray, p: FloatArray, row: int, lanes: int, drift: float, c: FloatArray) -> None:
    """x += drift p, then p += F(x) step, of a real field in two dimensions: where nearly all time goes.

    x, p are flat; `row` is the length of a lattice row times `lanes`, the
    chains of the block; c are the couplings times the step. Inside a row
    the neighbours sit at fixed distances, so loops run over whole rows without an index table, and the drift of the
    next row is done just before the kick that first needs it, while the row is in the first cache level.
    """
    total, last = x.size, row - lanes
    _drift_span(x, p, 0, row, drift)
    if total > row:
        _drift_span(x, p, total - row, row, drift)
    for at in range(0, total, row):
        up = at + row if at + row < total else 0
        down = at - row if at > 0 else total - row
        if at + 2 * row < total:
            _drift_span(x, p, up, row, drift)
        _kick_span(x, p, at, lanes, (up, down, at + lanes % row, at + last), c)
        if row > 2 * lanes:
            inner = (up + lanes, down + lanes, at + 2 * lanes, at)
            _kick_span(x, p, at + lanes, row - 2 * lanes, inner, c)
        if row > lanes:
            _kick_span(x, p, at + last, lanes, (up + last, down + last, at, at + last - lanes), c)


@njit(cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def _energy_span(
    x: FloatArray, p: FloatArray, at: int, n: int, up: int, right: int, w: FloatArray, total: FloatArray
) -> None:
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
    at_x, at_p, at_up, at_right = x[at : at + n], p[at : at + n], x[up : up + n], x[right : right + n]
    for i in range(n):
        v = at_x[i]
        local = v * (v * (w1 + w2 * v * v) - w0 * (at_up[i] + at_right[i]) - w3)
        total[i] += local + 0.5 * at_p[i] * at_p[i]


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _hamiltonian_plane(x: FloatArray, p: FloatArray, row: int, lanes: int, w: FloatArray, out: FloatArray) -> None:
    """out[i] = S + p.p/2 of chain i of the block, for a real field in two dimensions; x, p flat."""
    column = np.zeros(row)
    last = row - lanes
    for at in range(0, x.size, row):
        up = at + row if at + row < x.size else 0
        if row > lanes:
            _energy_span(x, p, at, last, up, at + lanes, w, column)
        _energy_span(x, p, at + last, lanes, up + last, at, w, column[last:])
    out[:] = 0.0
    for s in range(0, row, lanes):
        for i in range(lanes):
            out[i] += column[s + i]


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _kick(x: FloatArray, p: FloatArray, nbr: IntArray, step: float, w: FloatArray) -> None:
    """p += step F(x) for any dimension and number of components; rows are component-major."""
    sites = nbr.shape[0]
    components = x.shape[0] // sites
    square = np.empty(x.shape[1])
    around = np.empty(x.shape[1])
    for s in range(sites):
        square[:] = 0.0
        for c in range(components):
            for i in range(x.shape[1]):
                square[i] += x[c * sites + s, i] * x[c * sites + s, i]
        for c in range(components):
            around[:] = w[3] if c == 0 else 0.0
            for m in range(nbr.shape[1]):
                row = c * sites + nbr[s, m]
                for i in range(x.shape[1]):
                    around[i] += w[0] * x[row, i]
            row = c * sites + s
            for i in range(x.shape[1]):
                p[row, i] += step * (around[i] - x[row, i] * (2.0 * w[1] + 4.0 * w[2] * square[i]))


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _action(x: FloatArray, nbr: IntArray, w: FloatArray, out: FloatArray) -> None:
    """out[i] = S of chain i of the block. Even columns of `nbr` are the forward neighbours."""
    sites = nbr.shape[0]
    components = x.shape[0] // sites
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
    square = np.empty(x.shape[1])
    ahead = np.empty(x.shape[1])
    out[:] = 0.0
    for s in range(sites):
        square[:] = 0.0
        for c in range(components):
            here = x[c * sites + s]
            ahead[:] = 0.0
            for m in range(0, nbr.shape[1], 2):
                other = x[c * sites + nbr[s, m]]
                for i in range(x.shape[1]):
                    ahead[i] += other[i]
            for i in range(x.shape[1]):
                square[i] += here[i] * here[i]
                out[i] -= w0 * here[i] * ahead[i]
        here = x[s]
        for i in range(x.shape[1]):
            out[i] += square[i] * (w1 + w2 * square[i]) - w3 * here[i]


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _kinetic(p: FloatArray, out: FloatArray) -> None:
    """out[i] += p.p/2 of chain i."""
    for row in range(p.shape[0]):
        for i in range(p.shape[1]):
            out[i] += 0.5 * p[row, i] * p[row, i]


@njit(cache=True)
def _row_length(nbr: IntArray) -> int:
    """Length of a lattice row when the lattice is two-dimensional, else 0."""
    if nbr.shape[1] != 4:
        return 0
    length = 1
    while length < nbr.shape[0] and nbr[length - 1, 2] == length:
        length += 1  # the forward neighbour in the last direction is the next site until the row ends
    return length


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _hamiltonian(x: FloatArray, p: FloatArray, nbr: IntArray, w: FloatArray, out: FloatArray) -> None:
    """out[i] = S + p.p/2 of chain i of the block."""
    length = _row_length(nbr) if x.shape[0] == nbr.shape[0] else 0
    if length:
        _hamiltonian_plane(x.reshape(-1), p.reshape(-1), length * x.shape[1], x.shape[1], w, out)
    else:
        _action(x, nbr, w, out)
        _kinetic(p, out)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _trajectory(
    x: FloatArray, p: FloatArray, nbr: IntArray, drift: FloatArray, kick: FloatArray, w: FloatArray
) -> None:
    """Integrate Hamilton's equations: drift[0], kick[0], drift[1], ..., kick[-1], drift[-1]."""
    length = _row_length(nbr) if x.shape[0] == nbr.shape[0] else 0
    flat_x, flat_p = x.reshape(-1), p.reshape(-1)
    c = np.empty(4)
    for k in range(kick.shape[0]):
        if length:
            c[0], c[1], c[2], c[3] = w[0] * kick[k], -2 * w[1] * kick[k], -4 * w[2] * kick[k], w[3] * kick[k]
            _drift_kick_plane(flat_x, flat_p, length * x.shape[1], x.shape[1], drift[k], c)
        else:
            _drift_span(flat_x, flat_p, 0, flat_x.size, drift[k])
            _kick(x, p, nbr, kick[k], w)
    _drift_span(flat_x, flat_p, 0, flat_x.size, drift[-1])


@njit(cache=True)
def _load(phi: FloatArray, start: int, x: FloatArray) -> int:
    """Copy the chains from `start` on into the block x; return how many there are (the rest is zero)."""
    width = min(x.shape[1], phi.shape[2] - start)
    for c in range(phi.shape[0]):
        for s in range(phi.shape[1]):
            row = c * phi.shape[1] + s
            for i in range(width):
                x[row, i] = phi[c, s, start + i]
            for i in range(width, x.shape[1]):
                x[row, i] = 0.0
    return int(width)


@njit(cache=True, nogil=True)
def hmc_trajectories(
    phi: FloatArray,
    nbr: IntArray,
    lanes: IntArray,
    width: int,
    uniform: FloatArray,
    drift: FloatArray,
    kick: FloatArray,
    w: FloatArray,
    delta: FloatArray,
    accepted: FloatArray,
) -> None:
    """HMC trajectories of every chain, in place.

    phi (components, sites, chains); nbr (sites, 2d); lanes: a generator state for each block of `width` chains;
    uniform (trajectories, chains) decides acceptance; w = (w0, w2, w4, h); delta (chains,) receives the last change
    of the Hamiltonian and accepted (chains,) the accepted fraction.
    """
    rows = phi.shape[0] * phi.shape[1]
    x = np.empty((rows, width))
    p = np.empty((rows, width))
    before = np.empty(width)
    after = np.empty(width)
    accepted[:] = 0.0
    for block in range(lanes.shape[0]):
        start = block * width
        for repeat in range(uniform.shape[0]):
            live = _load(phi, start, x)
            fill_normals(lanes[block], p.reshape(-1))
            _hamiltonian(x, p, nbr, w, before)
            _trajectory(x, p, nbr, drift, kick, w)
            _hamiltonian(x, p, nbr, w, after)
            for i in range(live):
                change = after[i] - before[i]
                delta[start + i] = change if np.isfinite(change) else np.inf
                after[i] = 1.0 if uniform[repeat, start + i] < np.exp(-delta[start + i]) else 0.0
                accepted[start + i] += after[i] / uniform.shape[0]
            for c in range(phi.shape[0]):
                for s in range(phi.shape[1]):
                    row = c * phi.shape[1] + s
                    for i in range(live):
                        phi[c, s, start + i] = x[row, i] if after[i] else phi[c, s, start + i]


@njit(cache=True, nogil=True)
def integrate(
    phi: FloatArray, momentum: FloatArray, nbr: IntArray, drift: FloatArray, kick: FloatArray, w: FloatArray
) -> None:
    """Integrate (phi, momentum), both (components, sites, chains), along one trajectory in place."""
    rows = phi.shape[0] * phi.shape[1]
    x = np.empty((rows, _BLOCK))
    p = np.empty((rows, _BLOCK))
    for start in range(0, phi.shape[2], _BLOCK):
        width = _load(phi, start, x)
        _load(momentum, start, p)
        _trajectory(x, p, nbr, drift, kick, w)
        for c in range(phi.shape[0]):
            for s in range(phi.shape[1]):
                for i in range(width):
                    phi[c, s, start + i] = x[c * phi.shape[1] + s, i]
                    momentum[c, s, start + i] = p[c * phi.shape[1] + s, i]


@njit(cache=True, nogil=True)
def action_of(phi: FloatArray, nbr: IntArray, w: FloatArray, out: FloatArray) -> None:
    """out[n] = S of chain n for phi (components, sites, chains)."""
    x = np.empty((phi.shape[0] * phi.shape[1], _BLOCK))
    block = np.empty(_BLOCK)
    for start in range(0, phi.shape[2], _BLOCK):
        width = _load(phi, start, x)
        _action(x, nbr, w, block)
        for i in range(width):
            out[start + i] = block[i]


@njit(cache=True, nogil=True)
def wolff_clusters(  # noqa: PLR0912
    phi: FloatArray,
    nbr: IntArray,
    direction: FloatArray,
    rng: np.random.Generator,
    w: FloatArray,
    clusters: int,
    size: FloatArray,
) -> None:
    """Flip `clusters` embedded Wolff clusters in every chain, in place.

    direction (components, clusters, chains) are unit vectors; bonds between sites with projections a, b of equal sign
    are active with probability 1 - exp(-2 w0 a b). An external field h enters as a Metropolis test of the whole
    cluster. size (chains,) receives the mean flipped fraction.
    """
    components, sites, chains = phi.shape
    stack = np.empty(sites, np.int64)
    inside = np.empty(sites, np.bool_)
    member = np.empty(sites, np.int64)
    a = np.empty(sites)
    for n in range(chains):
        flipped = 0
        for k in range(clusters):
            for s in range(sites):
                inside[s] = False
                a[s] = 0.0
                for c in range(components):
                    a[s] += direction[c, k, n] * phi[c, s, n]
            seed = int(rng.random() * sites)
            stack[0] = seed
            member[0] = seed
            inside[seed] = True
            top, count = 1, 1
            while top > 0:
                top -= 1
                s = stack[top]
                for m in range(nbr.shape[1]):
                    other = nbr[s, m]
                    if not inside[other]:
                        bond = 2.0 * w[0] * a[s] * a[other]
                        if bond > 0.0 and rng.random() < 1.0 - np.exp(-bond):
                            inside[other] = True
                            stack[top] = other
                            member[count] = other
                            top += 1
                            count += 1
            cost = 0.0
            if w[3] != 0.0:
                for j in range(count):
                    cost += 2.0 * w[3] * direction[0, k, n] * a[member[j]]
            if cost <= 0.0 or rng.random() < np.exp(-cost):
                flipped += count
                for j in range(count):
                    for c in range(components):
                        phi[c, member[j], n] -= 2.0 * a[member[j]] * direction[c, k, n]
        size[n] = flipped / (sites * max(clusters, 1))


@njit(cache=True, nogil=True, error_model="numpy")
def metropolis_sweep(
    phi: FloatArray,
    nbr: IntArray,
    lanes: IntArray,
    uniform: FloatArray,
    width: float,
    reflect: float,
    w: FloatArray,
    accepted: FloatArray,
) -> None:
    """One sweep of all sites of all chains, in place.

    With reflect = 0 the proposal is phi + width * normal; otherwise the overrelaxing reflection
    phi' = reflect * (sum of neighbours) - phi, an involution that does not depend on phi and so needs no correction.
    uniform (sites, chains) decides; accepted (chains,) receives the accepted fraction.
    """
    components, sites, chains = phi.shape
    noise = np.zeros((components, _BLOCK))
    around = np.empty((components, _BLOCK))
    accepted[:] = 0.0
    for block in range(lanes.shape[0]):
        start = block * _BLOCK
        live = min(_BLOCK, chains - start)
        for s in range(sites):
            if reflect == 0.0:
                fill_normals(lanes[block], noise.reshape(-1))
            for c in range(components):
                around[c, :] = 0.0
                for m in range(nbr.shape[1]):
                    for i in range(live):
                        around[c, i] += phi[c, nbr[s, m], start + i]
            for i in range(live):
                old, new, linear = 0.0, 0.0, 0.0
                for c in range(components):
                    v = phi[c, s, start + i]
                    moved = v + width * noise[c, i] if reflect == 0.0 else reflect * around[c, i] - v
                    noise[c, i] = moved
                    old += v * v
                    new += moved * moved
                    linear += (moved - v) * (w[0] * around[c, i] + (w[3] if c == 0 else 0.0))
                change = w[1] * (new - old) + w[2] * (new * new - old * old) - linear
                if change <= 0.0 or uniform[s, start + i] < np.exp(-change):
                    accepted[start + i] += 1.0 / sites
                    for c in range(components):
                        phi[c, s, start + i] = noise[c, i]


@njit(cache=True, nogil=True)
def kick_all(phi: FloatArray, momentum: FloatArray, nbr: IntArray, step: float, w: FloatArray) -> None:
    """momentum += step F(phi) for arrays (components, sites, chains), in place."""
    rows = phi.shape[0] * phi.shape[1]
    x = np.empty((rows, _BLOCK))
    p = np.empty((rows, _BLOCK))
    for start in range(0, phi.shape[2], _BLOCK):
        width = _load(phi, start, x)
        _load(momentum, start, p)
        _kick(x, p, nbr, step, w)
        for c in range(phi.shape[0]):
            for s in range(phi.shape[1]):
                for i in range(width):
                    momentum[c, s, start + i] = p[c * phi.shape[1] + s, i]
