"""How small the transforms of a search may be: grids around the bodies as they are turned, not around the worst case.

A cyclic correlation on a grid of N voxels adds the overlap at translation t to those at t + N, t - N and so on. It
answers exactly as long as no two of these could together make a complex; where the bodies only graze each other
they cannot, because fewer voxels face each other than a complex needs. That bound, from the profiles of the bodies
along an axis, allows grids smaller than the two bodies side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Shape = tuple[int, int, int]

TRANSFORMS = 25
"""Transforms and products that each coset needs on its grid, in units of one transform."""
NEW_SHAPE = 16
"""What a grid of a new shape costs once, in the same units: six transforms of the receptor and their mirror images."""


def fast_length(n: int) -> int:
    """The smallest length of a fast FFT that is not below n: four times a product of 2, 3 and 5.

    Measured with the library behind torch, a multiple of four takes half the time per point of its odd neighbours
    (64 against 63 and 66).

    >>> [fast_length(n) for n in (7, 58, 61, 67, 121)]
    [8, 60, 64, 72, 128]
    """
    length = 4 * -(-n // 4)
    while not _is_smooth(length):
        length += 4
    return length


def _is_smooth(n: int) -> bool:
    for prime in (2, 3, 5):
        while n % prime == 0 and n > 1:
            n //= prime
    return n <= 1


def profiles(points: NDArray[Any]) -> list[Ints]:
    """Number of points in each layer along each of the three axes, for (M, 3) points of whole voxels."""
    low = points.min(axis=0)
    return [np.bincount(points[:, a] - low[a]) for a in range(3)]


def needed_length(first: Ints, second: Ints, least: float) -> int:
    """Shortest cyclic length on which overlaps of at least `least` voxels come out exactly.

    Arguments:
        first: (A,) voxels of one body by layer along an axis.
        second: (B,) the same of the other.
        least: smallest overlap that matters. With one of four as the limit for two translations that fall on
            each other along this axis, the up to eight that do so along three axes stay below it.

    >>> needed_length(np.array([9, 9, 9]), np.array([9, 9]), 1.0)
    4
    >>> needed_length(np.array([1, 9, 9, 1]), np.array([1, 9, 1]), 9.0)
    5
    """
    a, b = len(first), len(second)
    bound = np.array(
        [
            np.minimum(first[max(0, d - b + 1) : d + 1], second[max(0, b - 1 - d) : b - 1 - d + a]).sum()
            for d in range(a + b - 1)
        ]
    )  # at displacement d - b + 1 of the second body from the first
    length = max(a, b)
    while length < a + b - 1 and (bound[: a + b - 1 - length] + bound[length:]).max() >= least / 4:
        length += 1
    return length


def grid_shape(receptor: list[Ints], ligand: list[Ints], least: float) -> Shape:
    """Shape of a grid on which the ligand as it is turned meets the receptor in any of its 24 orientations."""
    lengths = [fast_length(max(needed_length(axis, own, least) for axis in receptor)) for own in ligand]
    return lengths[0], lengths[1], lengths[2]


def shared_shapes(shapes: Sequence[Shape]) -> list[Shape]:
    """For each of these shapes the one to use: itself, or a larger one when it is needed too seldom."""
    uses = Counter(shapes)
    kept: list[Shape] = []
    chosen: dict[Shape, Shape] = {}
    for shape in sorted(uses, key=lambda s: (-int(np.prod(s)), s)):
        own = int(np.prod(shape)) * (TRANSFORMS * uses[shape] + NEW_SHAPE)
        larger = [other for other in kept if all(o >= s for o, s in zip(other, shape, strict=True))]
        best = min(larger, key=lambda s: int(np.prod(s)), default=None)
        if best is not None and int(np.prod(best)) * TRANSFORMS * uses[shape] <= own:
            chosen[shape] = best
        else:
            chosen[shape] = shape
            kept.append(shape)
    return [chosen[shape] for shape in shapes]
