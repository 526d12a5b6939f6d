"""A fast detector with energy flow, vectorised over all particles of many collisions.

Efficiencies, resolutions and thresholds are those of the ATLAS card of Delphes 3 (arXiv:1307.6346,
`delphes_card_ATLAS.tcl`), the towers 0.1 x 10 degrees as in its earlier releases, without the magnetic field and the
forward calorimeter: charged particles enter the tower of their direction at the vertex, and nothing is seen beyond
|eta| = 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COVERAGE = 3.2  # largest |eta| seen
CELL = (0.1, np.pi / 18)  # size of a tower in eta and phi
ECAL_MIN, HCAL_MIN = 0.5, 1.0  # GeV
SIGNIFICANCE = 2.0  # an excess over the tracks below this many sigma is no neutral particle
INVISIBLE = (12, 14, 16)
LONG_LIVED = (310, 3122)  # K0S and Lambda leave 30 % in the electromagnetic calorimeter


@dataclass(frozen=True)
class Particles:
    """Particles of many events, flat: `event` is sorted and counts from 0.

    Args:
        p4: (n, 4) E, px, py, pz in GeV.
        pdg: (n,) PDG identifiers (0 for a calorimeter tower).
        event: (n,) index of the collision.
    """

    p4: Array
    pdg: NDArray[np.int64]
    event: NDArray[np.int64]

    def take(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Particles:
        return Particles(self.p4[keep], self.pdg[keep], self.event[keep])


def energy_flow(particles: Particles, charge: NDArray[np.int64], rng: np.random.Generator) -> Particles:
    """What an energy-flow reconstruction makes of stable particles.

    Charged particles become tracks with the tracker's efficiency and resolution; all but muons and neutrinos deposit
    energy in towers, whose smeared excess over the tracks that point to them becomes a massless neutral object at a
    random place in the tower.

    Args:
        particles: stable particles, sorted by event.
        charge: (n,) electric charge in units of e.
        rng: source of all smearing.

    Returns:
        The reconstructed objects, sorted by event.
    """
    pt = np.hypot(particles.p4[:, 1], particles.p4[:, 2])
    eta = np.arcsinh(particles.p4[:, 3] / np.maximum(pt, 1e-9))
    seen = (np.abs(eta) < COVERAGE) & ~np.isin(np.abs(particles.pdg), INVISIBLE)
    particles, charge, pt, eta = particles.take(seen), charge[seen], pt[seen], eta[seen]
    kind = np.abs(particles.pdg)
    tracked = (charge != 0) & (rng.random(len(pt)) < track_efficiency(pt, eta, kind))
    tracks = particles.take(tracked)
    factor = np.maximum(1 + track_resolution(pt, eta, kind)[tracked] * rng.standard_normal(len(tracks.pdg)), 0.01)
    tracks = Particles(_massless(tracks.p4 * factor[:, None]), tracks.pdg, tracks.event)
    phi = np.arctan2(particles.p4[:, 2], particles.p4[:, 1])
    share = np.select([np.isin(kind, (11, 22)), np.isin(kind, LONG_LIVED), kind == 13], [1.0, 0.3, 0.0], 0.0)
    deposit = np.where(kind == 13, 0.0, particles.p4[:, 0])
    place = (particles.event, eta, phi)
    track_energy = np.zeros(len(pt))
    track_energy[tracked] = tracks.p4[:, 0]
    # In the tower a track takes the place of its particle's own share of the energy.
    photons = _towers(place, deposit * share, track_energy * share, ecal_resolution, ECAL_MIN, rng)
    hadrons = _towers(place, deposit * (1 - share), track_energy * (1 - share), hcal_resolution, HCAL_MIN, rng)
    found = [tracks, photons, hadrons]
    merged = Particles(*(np.concatenate([getattr(p, name) for p in found]) for name in ("p4", "pdg", "event")))
    return merged.take(np.argsort(merged.event, kind="stable"))


def _massless(p4: Array) -> Array:
    """The same momenta with E = |p|: a tracker measures no mass, and the constituents of the public set have none."""
    return np.concatenate([np.linalg.norm(p4[:, 1:], axis=1, keepdims=True), p4[:, 1:]], axis=1)


def track_efficiency(pt: Array, eta: Array, kind: NDArray[np.int64]) -> Array:
    """Probability that a charged particle is found as a track; pt in GeV, kind = |PDG|."""
    central, soft = np.abs(eta) <= 1.5, pt <= 1.0
    hadron = np.where(central, np.where(soft, 0.70, 0.95), np.where(soft, 0.60, 0.85))
    muon = np.where(central, np.where(soft, 0.75, 0.99), np.where(soft, 0.70, 0.98))
    hard = pt > 100
    electron = np.where(
        central,
        np.where(soft, 0.73, np.where(hard, 0.99, 0.95)),
        np.where(soft, 0.50, np.where(hard, 0.90, 0.83)),
    )
    found = np.where(kind == 13, muon, np.where(kind == 11, electron, hadron))
    return np.asarray(np.where((pt > 0.1) & (np.abs(eta) <= 2.5), found, 0.0), float)


_TRACK_TERMS = {  # |eta| up to 0.5, 1.5, 2.5: constant term and slope in 1/GeV
    "hadron": (np.array([0.06, 0.10, 0.25]), np.array([1.3e-3, 1.7e-3, 3.1e-3])),
    "electron": (np.array([0.03, 0.05, 0.15]), np.array([1.3e-3, 1.7e-3, 3.1e-3])),
    "muon": (np.array([0.01, 0.015, 0.025]), np.array([1.0e-4, 1.5e-4, 3.5e-4])),
}


def track_resolution(pt: Array, eta: Array, kind: NDArray[np.int64]) -> Array:
    """Relative momentum resolution of tracks; pt in GeV, kind = |PDG|."""
    ring = np.minimum(np.searchsorted([0.5, 1.5], np.abs(eta)), 2)
    terms = {name: np.sqrt(a[ring] ** 2 + (pt * b[ring]) ** 2) for name, (a, b) in _TRACK_TERMS.items()}
    lepton = np.where(kind == 11, terms["electron"], terms["hadron"])
    return np.asarray(np.where(kind == 13, terms["muon"], lepton), float)


def ecal_resolution(energy: Array, eta: Array) -> Array:
    """Absolute resolution in GeV of an electromagnetic tower of `energy` GeV."""
    return np.sqrt((0.0017 * energy) ** 2 + energy * 0.101**2)


def hcal_resolution(energy: Array, eta: Array) -> Array:
    """Absolute resolution in GeV of a hadronic tower of `energy` GeV."""
    central = np.sqrt((0.0302 * energy) ** 2 + energy * 0.5205**2 + 1.59**2)
    endcap = np.sqrt((0.05 * energy) ** 2 + energy * 0.706**2)
    return np.where(np.abs(eta) <= 1.7, central, endcap)


def _towers(
    place: tuple[NDArray[np.int64], Array, Array],
    deposit: Array,
    tracked: Array,
    resolution: Callable[[Array, Array], Array],
    threshold: float,
    rng: np.random.Generator,
) -> Particles:
    """Neutral objects of one calorimeter: the smeared tower energy that its tracks do not account for."""
    filled = deposit > 0
    event, eta, phi = place[0][filled], place[1][filled], place[2][filled]
    rows, columns = int(np.ceil(2 * COVERAGE / CELL[0])) + 1, round(2 * np.pi / CELL[1])
    row = ((eta + COVERAGE) / CELL[0]).astype(np.int64)
    column = np.minimum(((phi + np.pi) / CELL[1]).astype(np.int64), columns - 1)
    key, inverse = np.unique((event * rows + row) * columns + column, return_inverse=True)
    energy = np.asarray(np.bincount(inverse, deposit[filled], len(key)), float)
    known = np.asarray(np.bincount(inverse, tracked[filled], len(key)), float)
    centre = (key // columns % rows + 0.5) * CELL[0] - COVERAGE
    measured = np.maximum(energy + resolution(energy, centre) * rng.standard_normal(len(key)), 0)
    excess = measured - known
    kept = (excess > threshold) & (excess > SIGNIFICANCE * resolution(np.maximum(measured, 1e-9), centre) * (known > 0))
    kept &= measured > SIGNIFICANCE * resolution(np.maximum(measured, 1e-9), centre)
    key, excess, centre = key[kept], excess[kept], centre[kept]
    spread = rng.random((2, len(key))) - 0.5
    at_eta = centre + spread[0] * CELL[0]
    at_phi = (key % columns + 0.5 + spread[1]) * CELL[1] - np.pi
    pt = excess / np.cosh(at_eta)
    p4 = np.stack([excess, pt * np.cos(at_phi), pt * np.sin(at_phi), pt * np.sinh(at_eta)], axis=1)
    return Particles(p4, np.zeros(len(key), np.int64), key // columns // rows)
