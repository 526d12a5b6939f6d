"""A tensor's principal axes as dummy atoms, for viewers that draw molecules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from colonnade.structure.structures import Structure
from colonnade.structure.tensor import Tensor

LONGEST = 25.0
"""Half the length of the longest axis, Å."""
STEP = 2.0
"""Distance of the dummy atoms, Å."""


def axes_as_atoms(tensor: Tensor, middle: NDArray[np.float64]) -> Structure:
    """Three chains X, Y, Z of dummy atoms along the principal axes, in proportion to the principal values.

    Arguments:
        tensor: the tensor.
        middle: (3,) where the axes cross when the tensor has no origin of its own, Å.
    """
    origin = middle if tensor.origin is None else tensor.origin
    longest = np.abs(tensor.principal).max()
    places, chains = [], []
    for value, axis, chain in zip(tensor.principal, tensor.axes.T, "XYZ", strict=True):
        reach = max(STEP, LONGEST * abs(value) / longest)
        steps = np.arange(-reach, reach + 1e-9, STEP)
        places.append(origin + steps[:, None] * axis)
        chains += [chain] * len(steps)
    return Structure.of_points("tensor", np.concatenate(places), chains, "AXI")
