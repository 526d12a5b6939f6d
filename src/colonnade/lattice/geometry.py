"""The periodic lattice: neighbours, shells of momentum, checkerboards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np

from colonnade.lattice._types import FloatArray, IntArray
from colonnade.lattice.errors import LatticeError

Shape = tuple[int, ...]


def checked_shape(shape: Sequence[int], *, max_sites: int = 1 << 24) -> Shape:
    """Return `shape` as a tuple, or raise `LatticeError` naming what is wrong with it.

    Sides of 1 and 2 are allowed: the sum over directions then counts a link twice (side 2) or links a site to itself
    (side 1), which is what a periodic lattice of that size means here.
    """
    sides = tuple(int(n) for n in shape)
    if not 1 <= len(sides) <= 4 or min(sides) < 1:
        raise LatticeError(f"shape is {list(shape)}; it must have 1 to 4 sides of at least 1")
    if prod(sides) > max_sites:
        raise LatticeError(f"shape {list(sides)} has {prod(sides)} sites; at most {max_sites} are allowed")
    return sides


@lru_cache(maxsize=64)
def neighbours(shape: Shape) -> IntArray:
    """Neighbour table, shape (sites, 2d): column 2 mu is the forward, 2 mu + 1 the backward neighbour."""
    index = np.arange(prod(shape)).reshape(shape)
    columns = [np.roll(index, shift, axis).ravel() for axis in range(len(shape)) for shift in (-1, 1)]
    table: IntArray = np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.int64)
    table.flags.writeable = False
    return table


def k_hat_squared(shape: Shape) -> FloatArray:
    """Lattice momentum squared, sum_mu 4 sin^2(k_mu / 2), on the grid of `shape` (order of numpy.fft.fftn)."""
    axes = [4 * np.sin(np.pi * np.fft.fftfreq(n)) ** 2 for n in shape]
    return np.asarray(sum(np.meshgrid(*axes, indexing="ij")), dtype=np.float64)


def shells(shape: Shape) -> tuple[FloatArray, IntArray]:
    """Distinct values of k_hat^2, ascending, and for every momentum (grid of `shape`) the index of its shell."""
    values, inverse = np.unique(np.round(k_hat_squared(shape), 9), return_inverse=True)
    return values, inverse.reshape(shape)


def parity(shape: Shape) -> IntArray:
    """Checkerboard colour of every site (0 or 1), shape (sites,).

    Raises
    ------
    LatticeError
        If a side is odd: a periodic checkerboard does not close.
    """
    if any(n % 2 for n in shape):
        raise LatticeError(
            f"shape {list(shape)} has an odd side: a periodic checkerboard needs even sides; "
            "use HMC, Wolff or Metropolis, or an even lattice"
        )
    return np.asarray(sum(np.indices(shape)) % 2, dtype=np.int64).ravel()
