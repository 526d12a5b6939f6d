"""The sites a flow lives on: the whole lattice or one colour of its checkerboard, with their symmetries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np

from colonnade.lattice._types import FloatArray, IntArray
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.geometry import Shape, checked_shape, k_hat_squared, parity


@dataclass(frozen=True)
class Support:
    """A translation-invariant set of lattice sites.

    Parameters
    ----------
    shape : even sides L_1, ..., L_d
    decimated : keep only the sites of odd colour (the others can be integrated out exactly)
    """

    shape: Shape
    decimated: bool = False

    @cached_property
    def sites(self) -> IntArray:
        """Row-major indices of the kept sites, shape (S,)."""
        colour = parity(self.shape)
        return np.nonzero(colour == 1)[0] if self.decimated else np.arange(math.prod(self.shape))

    @cached_property
    def coordinates(self) -> IntArray:
        return np.stack(np.unravel_index(self.sites, self.shape), axis=1)

    @property
    def size(self) -> int:
        return len(self.sites)

    @cached_property
    def colours(self) -> IntArray:
        """Two classes (0, 1) that a coupling freezes and moves in turn, shape (S,)."""
        c = self.coordinates
        return np.asarray(c[:, 0] % 2 if self.decimated else c.sum(1) % 2, dtype=np.int64)

    @cached_property
    def fourier(self) -> tuple[FloatArray, FloatArray, IntArray]:
        """Real orthonormal Fourier basis Q (S, modes), k_hat^2 of every shell, and the shell of every mode.

        On a decimated lattice k and k + (pi, ..., pi) are the same wave; the shell carries the smaller k_hat^2.
        Mode 0 is the constant one.
        """
        return _fourier(self.shape, self.decimated)

    def stencil(self, colour: int, reach: int) -> tuple[IntArray, IntArray]:
        """Active positions (A,) of `colour` and, for each offset, the frozen positions around them (K, A).

        Offsets reach at most `reach` along every axis and end on the other colour; those that coincide around the
        torus count once.
        """
        active = np.nonzero(self.colours == colour)[0]
        position = np.full(math.prod(self.shape), -1)
        position[self.sites] = np.arange(self.size)
        sides = np.array(self.shape)
        seen: set[tuple[int, ...]] = set()
        rows = []
        for offset in product(range(-reach, reach + 1), repeat=len(sides)):
            wrapped = tuple(int(v) for v in np.array(offset) % sides)
            target = (self.coordinates[active] + np.array(offset)) % sides
            where = position[np.ravel_multi_index(tuple(target.T), self.shape)]
            if wrapped in seen or (where < 0).any() or (self.colours[where] == colour).any():
                continue
            seen.add(wrapped)
            rows.append(where)
        return active, np.stack(rows)


@lru_cache(maxsize=32)
def _fourier(shape: Shape, decimated: bool) -> tuple[FloatArray, FloatArray, IntArray]:
    support = Support(shape, decimated)
    sides = np.array(shape)
    k2 = np.round(k_hat_squared(shape), 9)
    if decimated:  # fold k and k + (pi, ..., pi)
        k2 = np.minimum(k2, np.roll(k2, [n // 2 for n in shape], axis=tuple(range(len(shape)))))
    columns: list[FloatArray] = []
    values: list[float] = []
    done: set[tuple[int, ...]] = set()
    for k in product(*(range(n) for n in shape)):
        if k in done:
            continue
        wave_vector = np.array(k)
        same = [wave_vector, -wave_vector]
        if decimated:
            same += [v + sides // 2 for v in same]
        done |= {tuple(int(i) for i in v % sides) for v in same}
        phase = 2 * np.pi * (support.coordinates / sides) @ wave_vector
        for wave in (np.cos(phase), np.sin(phase)):
            norm = float((wave**2).sum())
            if norm > 1e-9:
                columns.append(wave / math.sqrt(norm))
                values.append(float(k2[k]))
    levels, shell = np.unique(np.array(values), return_inverse=True)
    order = np.argsort(shell, kind="stable")
    return np.stack(columns, axis=1)[:, order], levels, shell[order]


def support_for(shape: Sequence[int], *, decimated: bool) -> Support:
    """Support of a flow on `shape`, or `LatticeError` if the checkerboard does not close."""
    sides = checked_shape(shape, max_sites=4096)
    parity(sides)
    if min(sides) < 4:
        raise LatticeError(f"shape is {list(sides)}; flows need even sides of at least 4 (use torus or HMC below)")
    return Support(sides, decimated)
