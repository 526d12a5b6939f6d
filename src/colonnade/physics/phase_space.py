"""Decay trees grown by phase space along a decay table, compiled.

Masses of unstable daughters are their pole masses; N-body decays follow Lorentz-invariant phase space by the method of
Raubold and Lynch (F. James, CERN 68-15), accepted against its largest weight, which is found once for each mode: the
usual bound, the product of the largest momenta, is a thousand times too high for six bodies.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from colonnade.physics.decay_table import LIGHT, MOST_DAUGHTERS, DecayTable

Array = NDArray[np.float64]


def grow(
    table: DecayTable,
    kinds: NDArray[np.int64],
    p4: Array,
    mothers: NDArray[np.int64],
    rng: np.random.Generator,
    nodes: int = 100,
) -> tuple[Array, NDArray[np.int64], NDArray[np.int64], int]:
    """Let particles decay until only stable ones are left.

    Args:
        table: what decays into what.
        kinds: (starting,) particle numbers of the table every event starts with.
        p4: (n, starting, 4) their E, px, py, pz in GeV.
        mothers: (starting,) index of the mother among them; -1 for the root. A particle that has a child among them
            is not decayed again.
        rng: source of all randomness.
        nodes: most particles of an event; one whose daughters would not fit stays whole.

    Returns:
        (n, nodes, 8) production time [ns], E, x, y, z [cm], px, py, pz [GeV]; (n, nodes) PDG identifiers, 0 padded;
        (n, nodes) mother indices, -1 padded; how many particles stayed whole for want of room.
    """
    n, starting = p4.shape[:2]
    values = np.zeros((n, nodes, 8))
    values[:, :starting, 1] = p4[..., 0]
    values[:, :starting, 5:] = p4[..., 1:]
    kind = np.full((n, nodes), -1)
    kind[:, :starting] = kinds
    mother = np.full((n, nodes), -1)
    mother[:, :starting] = mothers
    has_child = np.isin(np.arange(starting), mothers)
    whole = _grow(
        values,
        kind,
        mother,
        has_child,
        table.mass,
        table.lifetime,
        table.first,
        table.cumulative,
        table.daughters,
        table.ceiling,
        rng,
    )
    pdg = np.where(kind >= 0, table.pdg[np.maximum(kind, 0)], 0)
    return values, pdg, mother, int(whole)


@njit(cache=True)
def _grow(values, kind, mother, has_child, mass, lifetime, first, cumulative, daughters, ceiling, rng):  # type: ignore[no-untyped-def]
    n, nodes = kind.shape
    starting = len(has_child)
    masses = np.zeros(MOST_DAUGHTERS)
    rest = np.zeros((MOST_DAUGHTERS, 4))
    work = np.zeros(MOST_DAUGHTERS + 1)
    whole = 0
    for event in range(n):
        count = starting
        at = 0
        while at < count:
            this = kind[event, at]
            low, high = first[this], first[this + 1]
            if low == high or (at < starting and has_child[at]):
                at += 1
                continue
            mode = low + np.searchsorted(cumulative[low:high], rng.random())
            mode = min(mode, high - 1)
            size = 0
            while size < MOST_DAUGHTERS and daughters[mode, size] >= 0:
                masses[size] = mass[daughters[mode, size]]
                size += 1
            if count + size > nodes:
                whole += 1
                at += 1
                continue
            _phase_space(mass[this], masses, size, ceiling[mode], rest, work, rng)
            age = lifetime[this] * rng.standard_exponential() if lifetime[this] > 0 else 0.0
            _place(values[event], at, count, size, rest, mass[this], age)
            for d in range(size):
                kind[event, count + d] = daughters[mode, d]
                mother[event, count + d] = at
            count += size
            at += 1
    return whole


@njit(cache=True)
def _place(values, at, count, size, rest, mass, age):  # type: ignore[no-untyped-def]
    """Write the daughters, boosted from the mother's rest frame, at the point where she decays after `age` ns."""
    energy = values[at, 1]
    momentum = values[at, 5:8]
    for d in range(size):
        along = rest[d, 1] * momentum[0] + rest[d, 2] * momentum[1] + rest[d, 3] * momentum[2]
        boosted = (energy * rest[d, 0] + along) / mass
        step = (boosted + rest[d, 0]) / (energy + mass)
        values[count + d, 0] = values[at, 0] + age * energy / mass
        values[count + d, 1] = boosted
        for k in range(3):
            values[count + d, 2 + k] = values[at, 2 + k] + age * LIGHT * momentum[k] / mass
            values[count + d, 5 + k] = rest[d, 1 + k] + step * momentum[k]


@njit(cache=True)
def _breakup(mother, one, other):  # type: ignore[no-untyped-def]
    """Momentum of a two-body decay; 0 when there is no energy for it."""
    square = (mother**2 - (one + other) ** 2) * (mother**2 - (one - other) ** 2)
    return np.sqrt(max(square, 0.0)) / (2 * mother)


@njit(cache=True)
def _phase_space(mother, masses, size, largest, out, pairs, rng):  # type: ignore[no-untyped-def]
    """Daughters' four-momenta in the mother's rest frame, uniform in phase space."""
    total = 0.0
    for d in range(size):
        total += masses[d]
    if size == 1:
        out[0, 0], out[0, 1], out[0, 2], out[0, 3] = mother, 0.0, 0.0, 0.0
        return
    free = mother - total
    while True:
        for d in range(1, size - 1):
            pairs[d] = rng.random()
        pairs[0], pairs[size - 1] = 0.0, 1.0
        pairs[1 : size - 1].sort()
        summed = 0.0
        for d in range(size):
            summed += masses[d]
            pairs[d] = pairs[d] * free + summed
        pairs[0] = masses[0]
        weight = 1.0
        for d in range(1, size):
            weight *= _breakup(pairs[d], pairs[d - 1], masses[d])
        if size == 2 or rng.random() * largest <= weight:
            break
    _fill(masses, size, out, pairs, rng)


@njit(cache=True)
def _fill(masses, size, out, pairs, rng):  # type: ignore[no-untyped-def]
    """Two-body decays down the chain of invariant masses: each recoil boosts all daughters placed before."""
    out[0, 0], out[0, 1], out[0, 2], out[0, 3] = masses[0], 0.0, 0.0, 0.0
    for d in range(1, size):
        p = _breakup(pairs[d], pairs[d - 1], masses[d])
        cosine = 2 * rng.random() - 1
        angle = 2 * np.pi * rng.random()
        sine = np.sqrt(1 - cosine * cosine)
        direction = (sine * np.cos(angle), sine * np.sin(angle), cosine)
        energy = np.sqrt(p * p + pairs[d - 1] ** 2)
        if d == 1:  # the first daughter may be massless: she is placed, not boosted
            out[0, 0] = energy
            for k in range(3):
                out[0, 1 + k] = p * direction[k]
        for j in range(d if d > 1 else 0):
            along = p * (out[j, 1] * direction[0] + out[j, 2] * direction[1] + out[j, 3] * direction[2])
            boosted = (energy * out[j, 0] + along) / pairs[d - 1]
            step = (boosted + out[j, 0]) / (energy + pairs[d - 1])
            for k in range(3):
                out[j, 1 + k] += step * p * direction[k]
            out[j, 0] = boosted
        out[d, 0] = np.sqrt(p * p + masses[d] ** 2)
        for k in range(3):
            out[d, 1 + k] = -p * direction[k]


def largest_weights(mother: Array, masses: Array, sizes: NDArray[np.int64]) -> Array:
    """The largest phase-space weight of each decay mode, a thousandth added.

    Args:
        mother: (modes,) mass of the mother, GeV.
        masses: (modes, 9) masses of the daughters.
        sizes: (modes,) how many there are.
    """
    return np.asarray(_largest(mother, masses, sizes) * 1.001)


@njit(cache=True)
def _largest(mother, masses, sizes):  # type: ignore[no-untyped-def]
    """Coordinate ascent in the intermediate masses; the weight has one maximum in each, and one in all."""
    found = np.ones(len(mother))
    for mode in range(len(mother)):
        size = sizes[mode]
        pairs = np.zeros(size + 1)
        free = mother[mode] - masses[mode, :size].sum()
        for d in range(size):
            pairs[d] = masses[mode, : d + 1].sum() + free * d / max(size - 1, 1)
        for _ in range(60 if size > 3 else 1):
            for d in range(1, size - 1):
                pairs[d] = _best(pairs[d - 1], pairs[d + 1], masses[mode, d], masses[mode, d + 1])
        weight = 1.0
        for d in range(1, size):
            weight *= _breakup(pairs[d], pairs[d - 1], masses[mode, d])
        found[mode] = weight
    return found


@njit(cache=True)
def _best(below, above, lighter, heavier):  # type: ignore[no-untyped-def]
    """Golden section for the mass between two others that makes both break-ups large."""
    ratio = (np.sqrt(5.0) - 1) / 2
    low, high = below + lighter, above - heavier
    for _ in range(40):
        one, other = high - ratio * (high - low), low + ratio * (high - low)
        first = _breakup(one, below, lighter) * _breakup(above, one, heavier)
        second = _breakup(other, below, lighter) * _breakup(above, other, heavier)
        if first < second:
            low = one
        else:
            high = other
    return (low + high) / 2
