"""Clumping of expanding nuclear matter inside its spinodal region, against the same matter with a Maxwell construction.

A surrogate of the public Spinodal set (Steinheimer et al., arXiv:1906.06562, from UrQMD with hydrodynamics): a
two-dimensional isothermal fluid with van der Waals' pressure in reduced units and a gradient term after Steinheimer &
Randrup (Phys. Rev. Lett. 109 (2012) 212301), in coordinates that expand with the matter. In those, with the scale
R(t) = 1 + t / T, density n = rho R² and peculiar velocity w:

    dn/dt + div(n w) / R = 0
    d(n w)/dt + div(n w w) / R = - n w R'/R - R grad p(rho) + n a² grad(lap rho) / R³

Numbers of the two sets must not be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import optimize

from colonnade.physics.errors import PhysicsError, between

Array = NDArray[np.float64]

CELLS, CELL = 48, 0.4  # comoving grid; lengths in units of fm
BINS = 20
LARGEST = 2.6  # reduced density up to which the pressure is tabulated; the pole is at 3
POINTS = 5201


class Pressure(NamedTuple):
    """Van der Waals' isotherm in reduced units (critical point at 1).

    Attributes:
        table: (points,) pressure at equal steps of the density from 0 to 2.6.
        gas, liquid: densities that coexist.
        inner, outer: spinodal densities, between which compression lowers the pressure.
    """

    table: Array
    gas: float
    liquid: float
    inner: float
    outer: float

    def at(self, density: Array | float) -> Array:
        return np.asarray(np.interp(density, np.linspace(0, LARGEST, POINTS), self.table))

    def slope(self, density: float) -> float:
        """dp/drho: the square of the speed of sound at unit mass."""
        return float((self.at(density + 1e-3) - self.at(density - 1e-3)) / 2e-3)


@dataclass(frozen=True)
class SpinodalSettings:
    """Physics of the expanding fluid.

    Args:
        temperature: in units of the critical one.
        density_min, density_max: initial density in the middle, in units of the critical one, flat.
        expansion: time T in which the scale doubles.
        duration: time from start to freeze-out, in units of T.
        gradient: coefficient a of the gradient term, in units of length.
        fluctuation: relative standard deviation of the initial density.
        pions_min, pions_max: mean number of pions, flat.
        smear: thermal momentum, GeV.
    """

    temperature: float = 0.8
    density_min: float = 1.6
    density_max: float = 2.0
    expansion: float = 8.0
    duration: float = 0.8
    gradient: float = 0.25
    fluctuation: float = 0.05
    pions_min: float = 50.0
    pions_max: float = 200.0
    smear: float = 0.16

    def __post_init__(self) -> None:
        between("temperature", self.temperature, 0.6, 0.98)
        between("density_min", self.density_min, 0.1, 2.2)
        between("density_max", self.density_max, 0.1, 2.2)
        if self.density_min > self.density_max:
            raise PhysicsError(
                f"density_min must not be above density_max, but is {self.density_min:g} against {self.density_max:g}."
            )
        between("expansion", self.expansion, 1, 1e3)
        between("duration", self.duration, 0.05, 3)
        between("gradient", self.gradient, 0.1, 2)
        between("fluctuation", self.fluctuation, 0, 0.3)
        between("pions_min", self.pions_min, 1, 1e6)
        between("pions_max", self.pions_max, self.pions_min, 1e6)
        between("smear", self.smear, 0, 1, "GeV")


@lru_cache(maxsize=64)
def pressure(temperature: float, maxwell: bool) -> Pressure:
    """The isotherm of a temperature below the critical one, with or without its unstable part.

    Args:
        temperature: in units of the critical one.
        maxwell: replace the loop between the coexisting densities by their common pressure.
    """
    density = np.linspace(0, LARGEST, POINTS)
    loop = _van_der_waals(density, temperature)
    slope = np.gradient(loop, density)
    inner = float(density[np.argmax(slope < 0)])
    outer = float(density[len(density) - 1 - np.argmax(slope[::-1] < 0)])
    gas, liquid = _coexistence(temperature, inner, outer)
    if maxwell:
        flat = float(_van_der_waals(np.array(gas), temperature))
        loop = np.where((density > gas) & (density < liquid), flat, loop)
    return Pressure(loop, gas, liquid, inner, outer)


def _van_der_waals(density: Array, temperature: float) -> Array:
    return np.asarray(8 * temperature * density / (3 - density) - 3 * density**2)


def _chemical(density: float, temperature: float) -> float:
    """Chemical potential of van der Waals' gas, up to a constant of the temperature."""
    bound = density / (3 - density)
    return float(8 * temperature / 3 * (np.log(bound) + 3 / (3 - density)) - 6 * density)


def _coexistence(temperature: float, inner: float, outer: float) -> tuple[float, float]:
    """Densities of equal pressure and chemical potential."""

    def differences(pair: Array) -> list[float]:
        gas, liquid = np.clip(pair, 1e-4, 2.999)
        equal = _van_der_waals(np.array(gas), temperature) - _van_der_waals(np.array(liquid), temperature)
        return [float(equal), _chemical(gas, temperature) - _chemical(liquid, temperature)]

    found = optimize.root(differences, [inner * 0.5, outer + 0.4 * (LARGEST - outer)])
    if not found.success or found.x[0] >= inner or found.x[1] <= outer:
        raise PhysicsError(f"temperature must allow two phases, but {temperature:g} gave none.")
    return float(found.x[0]), float(found.x[1])


def spinodal_events(n: int, rng: np.random.Generator, settings: SpinodalSettings | None = None) -> dict[str, Any]:
    """`n` events, half with the Maxwell construction and half without, in random order.

    Returns:
        `image` (n, 20, 20) pions in bins of px, py (-1 to 1 GeV); `label` (n,) 0 Maxwell, 1 spinodal.
    """
    settings = settings or SpinodalSettings()
    label = rng.permutation(np.arange(n) % 2).astype(np.int8)
    image = np.zeros((n, BINS, BINS), np.float32)
    for event, which in enumerate(label):
        image[event] = _event(bool(which == 0), rng, settings)
    return {"image": image, "label": label}


def _event(maxwell: bool, rng: np.random.Generator, settings: SpinodalSettings) -> Array:
    start = initial_density(rng.uniform(settings.density_min, settings.density_max), settings.fluctuation, rng)
    final, flow = expand(
        start,
        pressure(settings.temperature, maxwell),
        duration=settings.duration * settings.expansion,
        expansion=settings.expansion,
        gradient=settings.gradient,
    )
    return pions(final, flow, rng, settings)


def initial_density(middle: float, fluctuation: float, rng: np.random.Generator) -> Array:
    """(48, 48) a round drop with a soft edge and Gaussian fluctuations that are smooth over some cells."""
    axis = (np.arange(CELLS) - (CELLS - 1) / 2) * CELL
    radius = np.hypot(axis[:, None], axis[None])
    drop = middle / (1 + np.exp((radius - 6.5) / 0.6)) + 0.02
    wave = np.hypot(np.fft.fftfreq(CELLS, CELL)[:, None], np.fft.rfftfreq(CELLS, CELL)[None]) * 2 * np.pi
    noise = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal((CELLS, CELLS))) * np.exp(-((0.5 * wave) ** 2)), (CELLS,) * 2
    )
    return np.asarray(drop * np.clip(1 + fluctuation * noise / noise.std(), 0.2, 1.8))


def expand(
    density: Array,
    law: Pressure,
    *,
    duration: float,
    expansion: float,
    gradient: float,
    cell: float = CELL,
    momentum: Array | None = None,
) -> tuple[Array, Array]:
    """Let a fluid flow in a periodic comoving box.

    Args:
        density: (nx, ny) at the start, in units of the critical one.
        law: its pressure.
        duration: of the flow.
        expansion: time in which the scale doubles; infinite for a box at rest.
        gradient: coefficient of the gradient term.
        cell: size.
        momentum: (2, nx, ny) at the start (default: at rest in the comoving frame).

    Returns:
        The comoving density n (its sum is conserved) and the peculiar velocity (2, nx, ny) at the end.
    """
    q = np.zeros((3, *density.shape))
    q[0] = density
    if momentum is not None:
        q[1:] = momentum
    # Sound at most 3 in these units; the gradient term's waves limit the step like cell² / a.
    step = min(0.1 * cell, 0.25 * cell**2 / (gradient * 4))
    steps = int(np.ceil(duration / step))
    rate = 0.0 if np.isinf(expansion) else 1 / expansion
    _flow(q, law.table, duration / steps, steps, cell, rate, gradient**2)
    return q[0], q[1:] / np.maximum(q[0], 1e-9)


@njit(cache=True)
def _pressure(density, table):  # type: ignore[no-untyped-def]
    place = min(max(density, 0.0), LARGEST - 1e-9) * (len(table) - 1) / LARGEST
    index = int(place)
    return table[index] + (place - index) * (table[index + 1] - table[index])


@njit(cache=True)
def _rates(q, table, cell, scale, rate, square, work, out):  # type: ignore[no-untyped-def]
    """Time derivative of n, n w_x, n w_y: Rusanov's flux for the flow, centred differences for the forces."""
    nx, ny = q.shape[1:]
    for i in range(nx):
        for j in range(ny):
            work[0, i, j] = _pressure(q[0, i, j] / scale**2, table)
            near = q[0, (i + 1) % nx, j] + q[0, i - 1, j] + q[0, i, (j + 1) % ny] + q[0, i, j - 1]
            work[1, i, j] = (near - 4 * q[0, i, j]) / (cell * cell * scale**2)
    for k in range(3):
        for i in range(nx):
            for j in range(ny):
                out[k, i, j] = -rate / scale * q[k, i, j] if k > 0 else 0.0
    for i in range(nx):
        for j in range(ny):
            n = q[0, i, j]
            for along in range(2):
                a, b = ((i + 1) % nx, j) if along == 0 else (i, (j + 1) % ny)
                c, d = (i - 1, j) if along == 0 else (i, j - 1)
                push = -scale * (work[0, a, b] - work[0, c, d])
                push += n * square / scale**3 * (work[1, a, b] - work[1, c, d])
                out[1 + along, i, j] += push / (2 * cell)
                here, there = q[1 + along, i, j] / max(n, 1e-9), q[1 + along, a, b] / max(q[0, a, b], 1e-9)
                fastest = max(abs(here), abs(there))
                for k in range(3):
                    flux = 0.5 * (q[k, i, j] * here + q[k, a, b] * there) - 0.5 * fastest * (q[k, a, b] - q[k, i, j])
                    out[k, i, j] -= flux / (cell * scale)
                    out[k, a, b] += flux / (cell * scale)


@njit(cache=True)
def _flow(q, table, step, steps, cell, rate, square):  # type: ignore[no-untyped-def]
    """Third-order strong-stability-preserving Runge-Kutta steps (Shu & Osher)."""
    work, slope = np.zeros((2, q.shape[1], q.shape[2])), np.zeros_like(q)
    time = 0.0
    for _ in range(steps):
        _rates(q, table, cell, 1 + rate * time, rate, square, work, slope)
        one = q + step * slope
        _rates(one, table, cell, 1 + rate * (time + step), rate, square, work, slope)
        two = 0.75 * q + 0.25 * (one + step * slope)
        _rates(two, table, cell, 1 + rate * (time + step / 2), rate, square, work, slope)
        q[:] = (q + 2 * (two + step * slope)) / 3
        time += step
        for i in range(q.shape[1]):
            for j in range(q.shape[2]):
                if q[0, i, j] < 1e-3:  # the near-vacuum carries no flow of its own
                    q[1, i, j] = 0.0
                    q[2, i, j] = 0.0


def pions(density: Array, flow: Array, rng: np.random.Generator, settings: SpinodalSettings) -> Array:
    """(20, 20) pions by px, py: as many as matter, moving with it, smeared by heat."""
    axis = (np.arange(CELLS) - (CELLS - 1) / 2) * CELL
    weight = np.maximum(density, 0).ravel()
    mean = rng.uniform(settings.pions_min, settings.pions_max)
    cell = np.repeat(np.arange(weight.size), rng.poisson(mean * weight / weight.sum()))
    place = np.stack([axis[cell // CELLS], axis[cell % CELLS]]) + CELL * (rng.random((2, len(cell))) - 0.5)
    velocity = place / 9.0 + 0.1 * flow.reshape(2, -1)[:, cell]  # the drop's edge moves at 0.8 GeV a pion
    momentum = velocity + settings.smear * rng.standard_normal(velocity.shape)
    counts, _, _ = np.histogram2d(momentum[0], momentum[1], bins=BINS, range=((-1, 1), (-1, 1)))
    return np.asarray(counts)
