"""Observables derived from the elementary ones, with correlated errors propagated by pyerrors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from colonnade.lattice.ensemble import Ensemble


def standard(run: Ensemble) -> dict[str, Any]:
    """pyerrors.Obs of phi2, phi4, link, chi2 = V <M^2>, |M|, Binder U4 = 1 - <M^4>/(3 <M^2>^2) and xi2."""
    m2, m4 = run.obs(run.m2), run.obs(run.m2**2)
    result = {
        "phi2": run.obs(run.phi2),
        "phi4": run.obs(run.phi4),
        "link": run.obs(run.link),
        "chi2": m2 * run.volume,
        "abs_m": run.obs(np.sqrt(run.m2)),
        "binder": 1 - m4 / (3 * m2**2),
    }
    length = run.shape[0]
    if length > 2:
        result["xi2"] = _second_moment(run, m2 * run.volume)
    return result


def _second_moment(run: Ensemble, chi: Any) -> Any:
    """xi_2 = sqrt[(G(0)/G(k) - 1)] / (2 sin(k/2)) at the smallest momentum k along axis 0."""
    length = run.shape[0]
    k = 2 * math.pi / length
    t = np.arange(run.correlator.shape[1])
    copies = np.where((t == 0) | (2 * t == length), 1, 2)
    power = run.obs(np.tensordot(copies * np.cos(k * t), run.correlator, axes=(0, 1)))
    return np.sqrt(np.abs(chi / power - 1)) / (2 * math.sin(k / 2))


def connected(run: Ensemble) -> list[Any]:
    """G_c(t) = C(t) - (V / L_1) <|M|>^2 for t = 0 .. L_1/2."""
    m = run.obs(np.sqrt(run.m2))
    back = m**2 * (run.volume / run.shape[0])
    return [run.obs(run.correlator[:, t]) - back for t in range(run.correlator.shape[1])]


def effective_mass(run: Ensemble) -> list[Any]:
    """arcosh[(C(t-1) + C(t+1)) / (2 C(t))] for t = 1 .. L_1/2 - 1, None where the argument is below 1."""
    c = [run.obs(run.correlator[:, t]) for t in range(run.correlator.shape[1])]
    result = []
    for t in range(1, len(c) - 1):
        ratio = (c[t - 1] + c[t + 1]) / (2 * c[t])
        result.append(np.arccosh(ratio) if ratio.value > 1 else None)
    return result
