"""Equations of state of the quark-gluon plasma at zero baryon density: a cross-over and a first-order transition.

Parametrised, not fitted to lattice data: what matters to the data set is that one has a softest point of finite width
(EOSL) and the other a mixed phase of constant pressure (EOSQ, bag model against hadron gas, Maxwell construction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HADRON = 0.15  # dp/de of the hadron gas
PLASMA = 1 / 3
CRITICAL = 0.164  # GeV, temperature at which the hadron gas of EOSQ begins to melt
MELTING, MELTED = 0.45, 1.60  # GeV/fm³, energy densities at the two ends of the mixed phase of EOSQ
SOFTENING = 2.5  # GeV/fm³, where the sound of EOSL is half way between hadron gas and plasma
GRID = np.concatenate([[0.0], np.geomspace(1e-6, 500.0, 4000)])  # GeV/fm³


@dataclass(frozen=True)
class EquationOfState:
    """Tables over the energy density.

    Attributes:
        energy: (points,) GeV/fm³, rising from 0.
        pressure: (points,) GeV/fm³.
        temperature: (points,) GeV.
    """

    energy: Array
    pressure: Array
    temperature: Array

    def p(self, energy: Array | float) -> Array:
        """Pressure, GeV/fm³."""
        return np.asarray(np.interp(energy, self.energy, self.pressure))

    def t(self, energy: Array | float) -> Array:
        """Temperature, GeV."""
        return np.asarray(np.interp(energy, self.energy, self.temperature))

    def energy_at(self, temperature: float) -> float:
        """The energy density, GeV/fm³, of a temperature in GeV; the lowest one in a mixed phase."""
        return float(np.interp(temperature, *_strictly(self.temperature, self.energy)))


def _strictly(x: Array, y: Array) -> tuple[Array, Array]:
    rising = np.concatenate([[True], np.diff(x) > 1e-12])
    return x[rising], y[rising]


def ideal(sound: float = PLASMA) -> EquationOfState:
    """p = sound * e: a gas of constant speed of sound (1/3: conformal)."""
    return _integrated(np.full_like(GRID, sound))


def cross_over() -> EquationOfState:
    """EOSL: the square of the speed of sound rises slowly from the hadron gas to the plasma."""
    share = 1 / (1 + (SOFTENING / np.maximum(GRID, 1e-12)) ** 1.5)
    return _integrated(HADRON + (PLASMA - HADRON) * share)


def first_order() -> EquationOfState:
    """EOSQ: hadron gas, a mixed phase of constant pressure, plasma."""
    pressure = np.where(GRID < MELTING, HADRON * GRID, HADRON * MELTING + np.maximum(GRID - MELTED, 0) * PLASMA)
    return _thermal(pressure)


def _integrated(sound: Array) -> EquationOfState:
    middle = (sound[1:] + sound[:-1]) / 2
    return _thermal(np.concatenate([[0.0], np.cumsum(middle * np.diff(GRID))]))


def _thermal(pressure: Array) -> EquationOfState:
    """Temperatures by d ln T = dp / (e + p), normalised at the density where the hadron gas of EOSQ melts."""
    rise = np.diff(pressure[1:])
    enthalpy = GRID[1:] + pressure[1:]
    log_t = np.concatenate([[0.0], np.cumsum(rise / (enthalpy[1:] + enthalpy[:-1]) * 2)])
    log_t += np.log(CRITICAL) - np.interp(MELTING, GRID[1:], log_t)
    return EquationOfState(GRID, pressure, np.concatenate([[0.0], np.exp(log_t)]))
