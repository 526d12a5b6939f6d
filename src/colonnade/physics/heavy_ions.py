"""Pion spectra of gold-gold collisions from two equations of state: a surrogate of the public EOSL/EOSQ set.

Monte Carlo Glauber initial states, boost-invariant ideal hydrodynamics in 2+1 dimensions, Cooper-Frye sampling of
pions at a fixed temperature. The public set (Pang et al.) comes from the viscous 3+1-dimensional code CLVisc with
resonance decays; numbers of the two must not be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.cooper_frye import freeze_out, sample
from colonnade.physics.equation_of_state import EquationOfState, cross_over, first_order
from colonnade.physics.errors import PhysicsError, between
from colonnade.physics.hydro import FLOOR, Fluid, evolve, pressure_table

Array = NDArray[np.float64]

CELLS, CELL = 48, 0.5  # grid, fm
STEP, STEPS = 0.18, 90  # fm/c
NUCLEONS, RADIUS, SKIN = 197, 6.38, 0.535  # gold: number, Woods-Saxon radius and thickness, fm
CROSS_SECTION = 4.2  # fm², inelastic nucleon-nucleon at 200 GeV
WIDTH = 0.7  # fm, of the energy that a participant leaves
BINS, PT_MAX = 24, 2.0
PIONS = 3.0  # charges


@dataclass(frozen=True)
class HeavyIonSettings:
    """Physics of the collisions; each quantity is drawn flat from its range in every event.

    Args:
        impact_max: largest impact parameter, fm.
        hottest_min, hottest_max: largest energy density of a central event at the start, GeV/fm³.
        start_min, start_max: proper time at which hydrodynamics begins, fm/c.
        freeze_min, freeze_max: temperature of freeze-out, GeV.
        runs: events of pions summed in one image (more: smoother images).
    """

    impact_max: float = 8.0
    hottest_min: float = 15.0
    hottest_max: float = 45.0
    start_min: float = 0.4
    start_max: float = 0.8
    freeze_min: float = 0.125
    freeze_max: float = 0.145
    runs: int = 4

    def __post_init__(self) -> None:
        between("impact_max", self.impact_max, 0, 12, "fm")
        between("runs", self.runs, 1, 1000)
        for name, low, high, unit in (
            ("hottest", 2, 200, "GeV/fm³"),
            ("start", 0.1, 2, "fm/c"),
            ("freeze", 0.08, 0.16, "GeV"),
        ):
            least, most = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            between(f"{name}_min", least, low, high, unit)
            between(f"{name}_max", most, low, high, unit)
            if least > most:
                raise PhysicsError(
                    f"{name}_min must not be above {name}_max, but is {least:g} against {most:g} {unit}."
                )


def heavy_ion_events(n: int, rng: np.random.Generator, settings: HeavyIonSettings | None = None) -> dict[str, Any]:
    """`n` events, half from each equation of state, in random order.

    Returns:
        `image` (n, 24, 24) pions in bins of pT (rows, 0 to 2 GeV) and azimuth (columns); `label` (n,) 0 cross-over,
        1 first order.
    """
    settings = settings or HeavyIonSettings()
    states = (cross_over(), first_order())
    tables = [pressure_table(state) for state in states]
    label = rng.permutation(np.arange(n) % 2).astype(np.int8)
    image = np.zeros((n, BINS, BINS), np.float32)
    for event, which in enumerate(label):
        image[event] = collision(states[which], tables[which], rng, settings)
    return {"image": image, "label": label}


def collision(state: EquationOfState, table: Array, rng: np.random.Generator, settings: HeavyIonSettings) -> Array:
    """The pion image of one collision."""
    impact = settings.impact_max * np.sqrt(rng.random())
    hottest = rng.uniform(settings.hottest_min, settings.hottest_max)
    start = rng.uniform(settings.start_min, settings.start_max)
    temperature = rng.uniform(settings.freeze_min, settings.freeze_max)
    energy = initial_energy(impact, hottest, rng)
    still = np.zeros_like(energy)
    frozen = state.energy_at(temperature)
    times, history = evolve(
        Fluid(energy, still, still), table, step=STEP, cell=CELL, steps=STEPS, tau=start, until=frozen
    )
    surface = freeze_out(times, history, CELL, frozen)
    pions = sample(surface, temperature, rng, degeneracy=PIONS * settings.runs)
    return histogram(pions)


def histogram(momenta: Array) -> Array:
    """(24, 24) counts in pT (0 to 2 GeV) and azimuth."""
    pt = np.hypot(momenta[:, 0], momenta[:, 1])
    angle = np.arctan2(momenta[:, 1], momenta[:, 0])
    counts, _, _ = np.histogram2d(pt, angle, bins=BINS, range=((0, PT_MAX), (-np.pi, np.pi)))
    return np.asarray(counts)


def initial_energy(impact: float, hottest: float, rng: np.random.Generator) -> Array:
    """Energy density, GeV/fm³, of participants at a random event plane.

    The scale is that of a central collision: a smooth one with b = 0 would have `hottest` in its middle.
    """
    sides = [_nucleus(rng) + np.array([sign * impact / 2, 0]) for sign in (-1, 1)]
    near = ((sides[0][:, None] - sides[1][None]) ** 2).sum(axis=-1) < CROSS_SECTION / np.pi
    hit = np.concatenate([sides[0][near.any(axis=1)], sides[1][near.any(axis=0)]])
    if not len(hit):
        hit = np.zeros((2, 2))
    angle = rng.uniform(0, 2 * np.pi)
    turned = hit @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    axis = (np.arange(CELLS) - (CELLS - 1) / 2) * CELL
    in_x = np.exp(-((axis[:, None] - turned[:, 0]) ** 2) / (2 * WIDTH**2))
    in_y = np.exp(-((axis[:, None] - turned[:, 1]) ** 2) / (2 * WIDTH**2))
    density = in_x @ in_y.T / (2 * np.pi * WIDTH**2)
    central = 2 * NUCLEONS / (np.pi * RADIUS**2) * 1.5  # participants per fm² in the middle of a central collision
    return np.asarray(np.maximum(hottest * density / central, FLOOR))


def _nucleus(rng: np.random.Generator) -> Array:
    """(197, 2) transverse places of the nucleons of a gold nucleus, by rejection from Woods and Saxon's density."""
    found: list[Array] = []
    while sum(map(len, found)) < NUCLEONS:
        radius = (RADIUS + 8 * SKIN) * rng.random(4 * NUCLEONS) ** (1 / 3)
        kept = radius[rng.random(len(radius)) < 1 / (1 + np.exp((radius - RADIUS) / SKIN))]
        cosine, angle = rng.uniform(-1, 1, len(kept)), rng.uniform(0, 2 * np.pi, len(kept))
        across = kept * np.sqrt(1 - cosine**2)
        found.append(np.stack([across * np.cos(angle), across * np.sin(angle)], axis=1))
    return np.concatenate(found)[:NUCLEONS]
