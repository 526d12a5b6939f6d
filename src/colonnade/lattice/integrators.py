"""Symplectic, reversible integrators as lists of drift and kick coefficients.

A step of size dt is drift[0], kick[0], drift[1], ... in units of dt; neighbouring drifts of consecutive steps merge.
The minimum-norm schemes are those of Omelyan, Mryglod and Folk, Comput. Phys. Commun. 151, 272 (2003).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from colonnade.lattice._types import FloatArray
from colonnade.lattice.errors import LatticeError

Scheme = Literal["leapfrog", "omf2", "omf4"]

_LAMBDA = 0.1931833275037836
_RHO, _THETA, _VARTHETA, _LAMBDA4 = (
    0.2750081212332419,
    -0.1347950099106792,
    -0.08442961950707149,
    0.3549000571574260,
)

_STEPS: dict[str, tuple[list[float], list[float]]] = {
    "leapfrog": ([0.5, 0.5], [1.0]),
    "omf2": ([_LAMBDA, 1 - 2 * _LAMBDA, _LAMBDA], [0.5, 0.5]),
    "omf4": (
        [_RHO, _THETA, 0.5 - _THETA - _RHO, 0.5 - _THETA - _RHO, _THETA, _RHO],
        [_VARTHETA, _LAMBDA4, 1 - 2 * (_LAMBDA4 + _VARTHETA), _LAMBDA4, _VARTHETA],
    ),
}


def coefficients(scheme: str, steps: int) -> tuple[FloatArray, FloatArray]:
    """Drift and kick coefficients of `steps` steps, in units of dt; there is one drift more than kicks.

    Raises
    ------
    LatticeError
        If `scheme` is not one of leapfrog, omf2, omf4.
    """
    if scheme not in _STEPS:
        raise LatticeError(f"scheme is {scheme!r}; it must be one of {', '.join(_STEPS)}")
    drift, kick = _STEPS[scheme]
    drifts = [drift[0]]
    for step in range(steps):
        drifts += drift[1:-1]
        drifts.append(drift[-1] if step == steps - 1 else drift[-1] + drift[0])
    return np.array(drifts), np.array(kick * steps)
