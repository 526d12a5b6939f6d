"""Nearly uniform sets of rotations, as cosets of the rotations of the cube.

Karney's coverings (J. Mol. Graph. Model. 25:595, 2007) are invariant under the 24 rotations that map a cubic
grid onto itself. So a set is 24 x n rotations, g R for g in the cube group and n representatives R, and
whatever depends on R only, such as the transform of a rotated grid, is needed n times and not 24 n times.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_DATA = Path(__file__).parent / "data" / "rotations.npz"


@dataclass(frozen=True)
class RotationSet:
    """A weighted covering of the rotations.

    Attributes:
        angle: covering radius in degrees: no rotation is further than this from one of the set.
        matrices: (n, 3, 3) one representative R of each coset; the set is g R for g in `cube_rotations()`.
        weights: (n,) weight of each rotation of the coset; the mean over the set is 1.
    """

    angle: float
    matrices: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of rotations of the whole set."""
        return 24 * len(self.matrices)

    def all(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(24 n, 3, 3) all rotations, and their (24 n,) weights, coset after coset."""
        full = np.einsum("gij,njk->ngik", cube_rotations(), self.matrices)
        return full.reshape(-1, 3, 3), np.repeat(self.weights, 24)


@cache
def angles() -> tuple[float, ...]:
    """Covering radii of the sets that there are, in degrees, the coarsest first.

    >>> angles()
    (62.8, 36.47, 20.83, 16.29, 12.29, 9.72, 8.17, 7.4, 5.27)
    """
    with np.load(_DATA) as data:
        return tuple(sorted((float(name) for name in data), reverse=True))


def rotation_set(angle: float) -> RotationSet:
    """The set whose covering radius is nearest to `angle` (degrees).

    >>> len(rotation_set(20.0)), rotation_set(20.0).angle
    (648, 20.83)
    """
    nearest = min(angles(), key=lambda a: abs(a - angle))
    with np.load(_DATA) as data:
        rows = data[f"{nearest:g}"]
    return RotationSet(nearest, _matrices(rows[:, :4]), rows[:, 4])


@cache
def cube_rotations() -> NDArray[np.float64]:
    """(24, 3, 3) the rotations of the cube, signed permutation matrices, the identity first."""
    group = []
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), axes] = signs
            if np.linalg.det(matrix) > 0:
                group.append(matrix)
    return np.array(group)


def _matrices(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices of (w, x, y, z), which need not be of unit length.

    Rounded to eight decimals, the precision of the tables: entries such as 0.5 are then exact, and rotated
    grid points fall on the same side of a voxel's border on every machine.
    """
    from scipy.spatial.transform import Rotation

    matrices: NDArray[np.float64] = Rotation.from_quat(quaternions[:, [1, 2, 3, 0]]).as_matrix()
    return np.round(matrices, 8)
