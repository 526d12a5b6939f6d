"""Ideal relativistic hydrodynamics in two transverse directions, compiled: boost-invariant, or in flat space.

Finite volumes with the central-upwind flux of Kurganov & Tadmor (J. Comput. Phys. 160 (2000) 241), linear
reconstruction with the minmod limiter and Heun's second-order time steps, as in MUSIC (arXiv:1004.1408). What is
stored are T^tt, T^tx, T^ty; the longitudinal expansion enters as a source -(T^tt + p)/tau, -T^ti/tau.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from colonnade.physics.equation_of_state import EquationOfState

Array = NDArray[np.float64]

FLOOR = 1e-7  # GeV/fm³, the vacuum
TABLE = 20_000  # points of the pressure table, even in the square root of the energy density
LARGEST = 400.0  # GeV/fm³


class Fluid(NamedTuple):
    """A state: energy density [GeV/fm³] and transverse velocity, each (nx, ny)."""

    energy: Array
    vx: Array
    vy: Array


def pressure_table(state: EquationOfState) -> Array:
    """p / e at equal steps of sqrt(e): what the compiled solver looks up."""
    energy = np.maximum(np.linspace(0, np.sqrt(LARGEST), TABLE) ** 2, 1e-9)
    return np.asarray(state.p(energy) / energy)


def evolve(
    start: Fluid,
    table: Array,
    *,
    step: float,
    cell: float,
    steps: int,
    tau: float = 1.0,
    expanding: bool = True,
    until: float = 0.0,
) -> tuple[Array, Array]:
    """Solve the equations of motion.

    Args:
        start: state at the initial time.
        table: of `pressure_table`.
        step, cell: in fm; `step` at most 0.4 of `cell`.
        steps: most time steps.
        tau: initial proper time, fm/c.
        expanding: boost-invariant longitudinal expansion; otherwise flat space, and `tau` is an ordinary time.
        until: stop when no cell has a higher energy density, GeV/fm³.

    Returns:
        (times,) and the history (times, 3, nx, ny) of energy density and velocity, the initial state included.
    """
    energy, vx, vy = (np.ascontiguousarray(part, float) for part in start)
    history = np.zeros((steps + 1, 3, *energy.shape))
    history[0] = energy, vx, vy
    done = _evolve(history, table, step, cell, tau if expanding else 1.0, 1.0 if expanding else 0.0, until)
    return tau + step * np.arange(done + 1), history[: done + 1]


@njit(cache=True)
def _p(energy, table):  # type: ignore[no-untyped-def]
    place = np.sqrt(max(energy, 0.0)) * (len(table) - 1) / np.sqrt(LARGEST)
    index = min(int(place), len(table) - 2)
    share = place - index
    return energy * (table[index] * (1 - share) + table[index + 1] * share)


@njit(cache=True)
def _primitive(total, mx, my, table):  # type: ignore[no-untyped-def]
    """Energy density and velocity from T^tt, T^tx, T^ty: e = T - M² / (T + p(e)), found by iteration."""
    square = mx * mx + my * my
    if total <= FLOOR:
        return FLOOR, 0.0, 0.0
    limit = 0.999999 * total
    if square > limit * limit:  # rounding at the edge of the vacuum
        scale = limit / np.sqrt(square)
        mx, my, square = mx * scale, my * scale, limit * limit
    energy = total - square / total
    for _ in range(50):
        last = energy
        energy = total - square / (total + _p(energy, table))
        if abs(energy - last) < 1e-10 * total:
            break
    energy = max(energy, FLOOR)
    enthalpy = total + _p(energy, table)
    return energy, mx / enthalpy, my / enthalpy


@njit(cache=True)
def _minmod(a, b, c):  # type: ignore[no-untyped-def]
    """Slope of the middle one of three cells."""
    theta = 1.1
    one, two, three = theta * (b - a), 0.5 * (c - a), theta * (c - b)
    if one > 0 and two > 0 and three > 0:
        return min(one, two, three)
    if one < 0 and two < 0 and three < 0:
        return max(one, two, three)
    return 0.0


@njit(cache=True)
def _side(energy, ux, uy, table, along):  # type: ignore[no-untyped-def]
    """Densities and flux at one side of a face, and the fastest signal there; u is velocity times gamma."""
    energy = max(energy, FLOOR)
    gamma = np.sqrt(1 + ux * ux + uy * uy)
    pressure = _p(energy, table)
    u = ux if along == 0 else uy
    small = 0.01 * energy + 1e-12
    sound = np.sqrt(min(max((_p(energy + small, table) - pressure) / small, 0.0), 1.0))
    speed = abs(u) / gamma
    fastest = (speed + sound) / (1 + speed * sound)
    enthalpy = energy + pressure
    total = enthalpy * gamma * gamma - pressure
    mx, my = enthalpy * gamma * ux, enthalpy * gamma * uy
    flux_t = mx if along == 0 else my
    flux_x = enthalpy * ux * u + (pressure if along == 0 else 0.0)
    flux_y = enthalpy * uy * u + (pressure if along == 1 else 0.0)
    return total, mx, my, flux_t, flux_x, flux_y, fastest


@njit(cache=True)
def _slope(q, w, table, cell, tau, expanding, out):  # type: ignore[no-untyped-def]
    """Time derivative of T^tt, T^tx, T^ty; the edges take the values of the cells beside them.

    `w` receives energy density and gamma times velocity, which are what is reconstructed at the faces.
    """
    nx, ny = q.shape[1:]
    for i in range(nx):
        for j in range(ny):
            energy, vx, vy = _primitive(q[0, i, j], q[1, i, j], q[2, i, j], table)
            gamma = 1 / np.sqrt(1 - vx * vx - vy * vy)
            w[0, i, j], w[1, i, j], w[2, i, j] = energy, gamma * vx, gamma * vy
            out[0, i, j] = -expanding * (q[0, i, j] + _p(energy, table)) / tau
            out[1, i, j] = -expanding * q[1, i, j] / tau
            out[2, i, j] = -expanding * q[2, i, j] / tau
    left, right, values = np.zeros(3), np.zeros(3), np.zeros(4)
    for along in range(2):
        long, wide = (nx, ny) if along == 0 else (ny, nx)
        for row in range(wide):
            for face in range(long + 1):
                for k in range(3):
                    for s in range(4):
                        at = min(max(face - 2 + s, 0), long - 1)
                        values[s] = w[k, at, row] if along == 0 else w[k, row, at]
                    left[k] = values[1] + 0.5 * _minmod(values[0], values[1], values[2])
                    right[k] = values[2] - 0.5 * _minmod(values[1], values[2], values[3])
                fl = _side(left[0], left[1], left[2], table, along)
                fr = _side(right[0], right[1], right[2], table, along)
                fastest = max(fl[6], fr[6])
                for k in range(3):
                    flux = 0.5 * (fl[k + 3] + fr[k + 3]) - 0.5 * fastest * (fr[k] - fl[k])
                    if face > 0:
                        i, j = (face - 1, row) if along == 0 else (row, face - 1)
                        out[k, i, j] -= flux / cell
                    if face < long:
                        i, j = (face, row) if along == 0 else (row, face)
                        out[k, i, j] += flux / cell


@njit(cache=True)
def _evolve(history, table, step, cell, tau, expanding, until):  # type: ignore[no-untyped-def]
    nx, ny = history.shape[2:]
    q = np.zeros((3, nx, ny))
    for i in range(nx):
        for j in range(ny):
            energy, vx, vy = history[0, 0, i, j], history[0, 1, i, j], history[0, 2, i, j]
            enthalpy = (energy + _p(energy, table)) / (1 - vx * vx - vy * vy)
            q[0, i, j] = enthalpy - _p(energy, table)
            q[1, i, j] = enthalpy * vx
            q[2, i, j] = enthalpy * vy
    first, second, w = np.zeros_like(q), np.zeros_like(q), np.zeros_like(q)
    for now in range(1, history.shape[0]):
        _slope(q, w, table, cell, tau, expanding, first)
        _slope(q + step * first, w, table, cell, tau + step, expanding, second)
        q += 0.5 * step * (first + second)
        tau += step
        hottest = 0.0
        for i in range(nx):
            for j in range(ny):
                energy, vx, vy = _primitive(q[0, i, j], q[1, i, j], q[2, i, j], table)
                history[now, 0, i, j] = energy
                history[now, 1, i, j] = vx
                history[now, 2, i, j] = vy
                hottest = max(hottest, energy)
        if hottest < until:
            return now
    return history.shape[0] - 1
