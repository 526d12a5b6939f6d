"""Compiled measurement of the elementary observables of a batch of chains."""

from __future__ import annotations

import numpy as np
from numba import njit

from colonnade.lattice._types import FloatArray, IntArray


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def elementary(
    phi: FloatArray,
    nbr: IntArray,
    slices: int,
    magnetisation: FloatArray,
    local: FloatArray,
    correlator: FloatArray,
) -> None:
    """Measure phi (components, sites, chains).

    magnetisation (components, chains): mean field. local (3, chains): mean of |phi|^2, |phi|^4 and of the link
    phi_x . phi_{x+mu}. correlator (slices//2 + 1, chains): C(t) = sum_{t0} S(t0) . S(t0 + t) / V with S the sum over
    a slice across axis 0.
    """
    components, sites, chains = phi.shape
    per = sites // slices
    d = nbr.shape[1] // 2
    total = np.zeros((components, slices, chains))
    square = np.empty(chains)
    local[:] = 0.0
    for s in range(sites):
        square[:] = 0.0
        t = s // per
        for c in range(components):
            for i in range(chains):
                total[c, t, i] += phi[c, s, i]
                square[i] += phi[c, s, i] * phi[c, s, i]
            for m in range(0, 2 * d, 2):
                other = nbr[s, m]
                for i in range(chains):
                    local[2, i] += phi[c, s, i] * phi[c, other, i]
        for i in range(chains):
            local[0, i] += square[i]
            local[1, i] += square[i] * square[i]
    for i in range(chains):
        local[0, i] /= sites
        local[1, i] /= sites
        local[2, i] /= sites * d
    magnetisation[:] = 0.0
    correlator[:] = 0.0
    for c in range(components):
        for t in range(slices):
            for i in range(chains):
                magnetisation[c, i] += total[c, t, i] / sites
            for u in range(correlator.shape[0]):
                other = (t + u) % slices
                for i in range(chains):
                    correlator[u, i] += total[c, t, i] * total[c, other, i] / sites
