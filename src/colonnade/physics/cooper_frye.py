"""Particles from a fluid that freezes out at one energy density (Cooper & Frye, Phys. Rev. D 10 (1974) 186).

The surface is that of the cells of the space-time grid between frozen and unfrozen ones: its elements point along one
axis each, and together they close. Momenta are drawn element by element in the rest frame of the fluid and kept in
proportion to p.dSigma; momenta that point inwards are dropped, as is usual.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PION = 0.13957  # GeV
HBARC = 0.1973269804  # GeV fm


class Surface(NamedTuple):
    """Elements of a freeze-out surface per unit of space-time rapidity.

    Attributes:
        normal: (elements, 3) covariant dSigma_t, dSigma_x, dSigma_y, fm³.
        velocity: (elements, 2) of the fluid there.
        x: (elements, 2) place, fm.
    """

    normal: Array
    velocity: Array
    x: Array


def freeze_out(times: Array, history: Array, cell: float, energy: float) -> Surface:
    """The surface on which a fluid cools through `energy` (GeV/fm³).

    Args:
        times: (times,) proper times, fm/c.
        history: (times, 3, nx, ny) energy density and velocity at them.
        cell: size of a cell, fm.
        energy: energy density of freeze-out.
    """
    hot = history[:, 0] > energy
    step = float(times[1] - times[0])
    found = []
    between = (times[1:] + times[:-1]) / 2
    # From one time to the next: a cell that freezes is an element along t (dSigma_t = tau dx dy d eta).
    change = hot[:-1].astype(int) - hot[1:].astype(int)
    found.append(_elements(change, 0, between, cell * cell, history, (slice(None, -1), slice(1, None))))
    # Between neighbours at one time: an element along x or y, of which hot matter lies on the near side (+) or not.
    weight = np.full(len(times), step)
    for axis in (1, 2):
        near = hot.take(range(hot.shape[axis] - 1), axis)
        far = hot.take(range(1, hot.shape[axis]), axis)
        found.append(_faces(near.astype(int) - far.astype(int), axis, times, weight * cell, history))
    nx, ny = hot.shape[1:]
    normal, velocity, place = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Surface(normal, velocity, (place - np.array([nx - 1, ny - 1]) / 2) * cell)


def _elements(
    change: NDArray[np.int64], axis: int, tau: Array, area: float, history: Array, pair: tuple[slice, slice]
) -> tuple[Array, Array, Array]:
    t, i, j = np.nonzero(change)
    normal = np.zeros((len(t), 3))
    normal[:, axis] = change[t, i, j] * tau[t] * area
    flow = (history[pair[0], 1:] + history[pair[1], 1:]) / 2
    return normal, flow[t, :, i, j], np.stack([i, j], axis=1).astype(float)


def _faces(change: NDArray[np.int64], axis: int, tau: Array, area: Array, history: Array) -> tuple[Array, Array, Array]:
    t, i, j = np.nonzero(change)
    normal = np.zeros((len(t), 3))
    # dSigma_mu points outwards with dSigma_0 > 0 for cooling in time: along x the covariant sign is the outward one.
    normal[:, axis] = change[t, i, j] * tau[t] * area[t]
    beside = (i + 1, j) if axis == 1 else (i, j + 1)
    flow = (history[t, 1:, i, j] + history[t, 1:, beside[0], beside[1]]) / 2
    shift = np.array([0.5, 0.0]) if axis == 1 else np.array([0.0, 0.5])
    return normal, flow, np.stack([i, j], axis=1) + shift


@lru_cache(maxsize=64)
def _momenta(temperature: float, mass: float) -> tuple[Array, Array, float]:
    """Momenta, their distribution function, and the density (1/fm³) of one Bose gas."""
    p = np.linspace(0, 40 * temperature, 8001)
    energy = np.sqrt(p**2 + mass**2)
    weight = p**2 / np.expm1(energy / temperature)
    running = np.concatenate([[0.0], np.cumsum((weight[1:] + weight[:-1]) / 2 * np.diff(p))])
    return p, running / running[-1], float(running[-1] / (2 * np.pi**2 * HBARC**3))


def sample(
    surface: Surface,
    temperature: float,
    rng: np.random.Generator,
    *,
    mass: float = PION,
    degeneracy: float = 1.0,
    boost_invariant: bool = True,
) -> Array:
    """Momenta of the particles that leave a surface.

    Args:
        surface: per unit of space-time rapidity.
        temperature: of freeze-out, GeV.
        rng: source of all randomness.
        mass: GeV.
        degeneracy: number of kinds (3 for pions of all charges).
        boost_invariant: count particles of every rapidity from one unit of space-time rapidity, which is dN/dy.

    Returns:
        (particles, 3) px, py, pz in GeV, pz in the frame of the element.
    """
    p_grid, distribution, density = _momenta(round(temperature, 9), mass)
    gamma = 1 / np.sqrt(1 - (surface.velocity**2).sum(axis=1))
    u = np.stack([gamma, gamma * surface.velocity[:, 0], gamma * surface.velocity[:, 1]], axis=1)
    time_like = (u * surface.normal).sum(axis=1)  # u^mu dSigma_mu
    length = surface.normal[:, 0] ** 2 - (surface.normal[:, 1:] ** 2).sum(axis=1)
    bound = np.abs(time_like) + np.sqrt(np.maximum(time_like**2 - length, 0))
    owner = np.repeat(np.arange(len(u)), rng.poisson(degeneracy * density * bound))
    size = np.interp(rng.random(len(owner)), distribution, p_grid)
    cosine, angle = rng.uniform(-1, 1, len(owner)), rng.uniform(0, 2 * np.pi, len(owner))
    sine = np.sqrt(1 - cosine**2)
    rest = size[:, None] * np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine], axis=1)
    local = np.sqrt(size**2 + mass**2)
    mine = u[owner]
    along = rest[:, 0] * mine[:, 1] + rest[:, 1] * mine[:, 2]
    energy = mine[:, 0] * local + along
    step = (energy + local) / (mine[:, 0] + 1)
    momentum = rest.copy()
    momentum[:, :2] += step[:, None] * mine[:, 1:]
    flux = energy * surface.normal[owner, 0] + (momentum[:, :2] * surface.normal[owner, 1:]).sum(axis=1)
    kept = rng.random(len(owner)) * bound[owner] * local < flux
    return np.asarray(momentum[kept])
