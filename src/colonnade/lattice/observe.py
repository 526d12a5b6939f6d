"""Observables derived from the elementary ones, with correlated errors propagated by pyerrors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from colonnade.lattice.ensemble import Ensemble


def standard(run: Ensemble) -> dict[str, Any]:
    """pyerrors.Obs of the observables that every run reports.

    phi2, phi4; link = (1/d) sum_mu <phi_x phi_{x+mu}>; energy, the Ising energy density of arXiv:1904.12072: the link
    minus <phi>^2, which the symmetry makes 0 without an external field; chi2 = V <M^2>; |M|; Binder
    U4 = 1 - <M^4>/(3 <M^2>^2); xi2 of the second moment; mass (see `pole_mass`) where the slices allow it.
    """
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
    result["energy"] = result["link"]
    if run.action.h:
        result["energy"] = result["link"] - sum(
            run.obs(run.magnetisation[:, c]) ** 2 for c in range(run.action.components)
        )
    mass = pole_mass(run)
    return result if mass is None else result | {"mass": mass}


def pole_mass(run: Ensemble) -> Any | None:
    """Plateau of the effective mass, averaged with inverse squared errors.

    It is the gap of the channel odd under the symmetry: the pole mass in the symmetric phase, the small splitting of
    the two lowest states in the broken one. The plateau starts where the next effective mass agrees with the mean of
    those behind it within 1.5 errors. None where none is known to within half of its value.
    """
    masses = []
    for mass in effective_mass(run):
        if mass is not None:
            mass.gamma_method()
            if mass.dvalue < 0.5 * mass.value:
                masses.append(mass)
    while len(masses) > 1:
        first, rest = masses[0], _weighted_mean(masses[1:])
        rest.gamma_method()
        if abs(first.value - rest.value) < 1.5 * math.hypot(first.dvalue, rest.dvalue):
            break
        masses = masses[1:]
    return _weighted_mean(masses) if masses else None


def _weighted_mean(masses: list[Any]) -> Any:
    weights = [1 / mass.dvalue**2 for mass in masses]
    return sum(w * mass for w, mass in zip(weights, masses, strict=True)) / sum(weights)


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
        with np.errstate(invalid="ignore"):  # a single replica may lie below 1
            result.append(np.arccosh(ratio) if ratio.value > 1 else None)
    return result


def crossing(
    coupling: Sequence[float], small: Sequence[tuple[float, float]], large: Sequence[tuple[float, float]]
) -> Iterator[tuple[float, float]]:
    """Where two curves of (value, error) cross, with the statistical error, by straight lines between the points.

    Of the Binder cumulants of two lattice sizes it estimates the critical coupling. Curves that agree within their
    errors cross nowhere in particular: places less certain than the distance of the points are left out.
    """
    gaps = [(b[0] - a[0], math.hypot(a[1], b[1])) for a, b in zip(small, large, strict=True)]
    for (x, (u, du)), (y, (v, dv)) in pairwise(zip(coupling, gaps, strict=True)):
        if u * v < 0 or u == 0:
            t = u / (u - v)
            error = math.hypot((1 - t) * du, t * dv) / abs(u - v)
            if error < 1:
                yield x + t * (y - x), error * (y - x)
