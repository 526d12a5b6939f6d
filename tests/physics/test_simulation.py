"""The simulators against exact laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from colonnade.physics import PhysicsError, check_tree, detector, fourvectors, jets, showers, table_trees
from colonnade.physics.decays import DecaySettings, PythiaDecays, count_decays, initial_pair
from colonnade.physics.jets import JetSettings, make_jets


def test_slant_depth_and_height_are_inverse() -> None:
    height = np.linspace(1000, 60_000, 200)
    assert np.abs(showers.height_at(showers.slant_depth(height, 0.7), 0.7) - height).max() < 1e-6


def test_trace_has_the_law_of_particle_by_particle_sampling(rng) -> None:
    mean = showers.trace_means(np.array([[900.0]]), np.array([[500.0]]), np.array([19.5]), np.array([14.0]))[0, 0]
    counts = sum(showers.oracle_trace(900.0, 500.0, 19.5, 14.0, rng) for _ in range(40))
    used = mean > 1
    pull = (counts - 40 * mean)[used] / np.sqrt(40 * mean[used])
    assert abs(pull.mean()) < 5 / np.sqrt(used.sum())
    assert 0.6 < pull.std() < 1.4


def test_shower_sample_is_like_the_published_one() -> None:
    made = showers.air_showers(1500, np.random.default_rng(1))
    assert 755 < made["xmax"].mean() < 790  # 773 g/cm² by the published code with equal shares of p, He, N, Fe
    assert made["signal"].max() < 3e6
    silent = made["time"][..., 0] == -1
    assert (made["signal"][silent] == -1).all() and (made["signal"][~silent] >= 0).all()


@pytest.fixture(scope="module")
def trees():
    return table_trees(6000, np.random.default_rng(2), DecaySettings())


def _sums(made):
    n, nodes = made.pdg.shape
    total = np.zeros((n, nodes + 1, 4))
    above = np.where(made.mother >= 0, made.mother, nodes)
    np.add.at(total, (np.arange(n)[:, None], above), made.values[:, :, [1, 5, 6, 7]])
    parent = np.zeros((n, nodes + 1), bool)
    np.put_along_axis(parent, above, True, axis=1)
    return np.abs(total[:, :nodes] - made.values[:, :, [1, 5, 6, 7]])[parent[:, :nodes]]


def test_four_momentum_is_conserved_at_every_decay(trees) -> None:
    assert _sums(trees).max() < 1e-6
    pythia = PythiaDecays(7, np.random.default_rng(3), DecaySettings(generator="pythia"))(100)
    assert _sums(pythia).max() < 1e-6
    check_tree(trees.mother, trees.pdg != 0)
    check_tree(pythia.mother, pythia.pdg != 0)


def test_lifetime_and_branching_fractions_of_the_b(trees) -> None:
    event, node = np.nonzero(trees.mother == 1)
    decayed = np.zeros(len(trees.pdg))
    decayed[event] = trees.values[event, node, 0]
    proper = decayed * 5.27972 / trees.values[:, 1, 1] * 1000  # ps
    assert proper.mean() == pytest.approx(1.517, rel=0.05)  # 6000 decays: 1.3 %
    rows = count_decays(trees, 511)
    n = len(trees.pdg)
    often = [(expected * n, found * n) for _, expected, found in rows if expected * n > 20]
    rest = n - sum(e for e, _ in often), n - sum(f for _, f in often)
    expected, found = np.array([*often, rest]).T
    assert chisquare(found, expected * found.sum() / expected.sum()).pvalue > 0.001


def test_the_pair_is_that_of_the_upsilon(rng) -> None:
    p4 = initial_pair(20_000, rng, DecaySettings())
    assert np.abs(p4[:, 1] + p4[:, 2] - p4[:, 0]).max() < 1e-9
    assert np.allclose(fourvectors.mass(p4[:, 0]), 10.5794)
    rest = fourvectors.boost(p4[:, 1], np.array([0, 0, -0.28 / np.sqrt(1 + 0.28**2)]))
    cosine = rest[:, 3] / np.linalg.norm(rest[:, 1:], axis=1)
    assert (cosine**2).mean() == pytest.approx(0.2, abs=0.01)  # of 3/4 (1 - cos²)


@pytest.mark.parametrize(
    ("mother", "words"),
    [
        ([[-1, 2, 1]], "before its child"),
        ([[-1, 1, 0]], "its own"),
        ([[-1, 0, 7]], "from -1 to 2"),
        ([[0, 0, 0]], "its own"),
    ],
)
def test_what_is_no_tree_is_refused(mother, words: str) -> None:
    with pytest.raises(PhysicsError, match=words):
        check_tree(np.array(mother))


def test_jets_of_the_window(top) -> None:
    made = top.arrays()
    pt, eta = (f(made["jet"].astype(float)) for f in (fourvectors.pt, fourvectors.eta))
    assert pt.min() >= 550 - 1e-3 and pt.max() <= 650 + 1e-3 and np.abs(eta).max() < 2
    assert made["label"].mean() == 0.5
    assert np.abs(made["p4"].astype(float).sum(axis=1) - made["jet"]).max() < 0.2
    assert (np.diff(fourvectors.pt(made["p4"]), axis=1) <= 1e-3).all()
    energy = made["p4"][..., 0].astype(float)  # constituents of the public set have no mass
    assert np.abs(energy - np.linalg.norm(made["p4"][..., 1:].astype(float), axis=-1)).max() < 1e-4


@pytest.mark.slow
def test_masses_of_top_and_qcd_jets(rng) -> None:
    found = {kind: fourvectors.mass(make_jets(kind, 300, rng).jet.astype(float)) for kind in ("top", "qcd")}
    assert ((found["top"] > 140) & (found["top"] < 210)).mean() > 0.85
    assert 150 < np.median(found["top"]) < 185
    assert 55 < np.median(found["qcd"]) < 95


def test_impossible_cuts_stop_with_the_measured_acceptance(rng, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jets, "PATIENCE", 250)
    with pytest.raises(PhysicsError, match=r"The cuts let \d+ of \d+ top collisions pass \(acceptance"):
        make_jets("top", 10, rng, JetSettings(pt_min=1990, pt_max=1991, eta_max=0.1, radius=0.2, matching=0.05))


def test_energy_flow_of_single_particles(rng) -> None:
    n = 4000
    event = np.arange(n)

    def shoot(pdg: int, charge: int, pt: float) -> detector.Particles:
        eta, phi = rng.uniform(-1, 1, n), rng.uniform(-np.pi, np.pi, n)
        p4 = pt * np.stack([np.cosh(eta), np.cos(phi), np.sin(phi), np.sinh(eta)], axis=1)
        beam = detector.Particles(p4, np.full(n, pdg), event)
        return detector.energy_flow(beam, np.full(n, charge), rng)

    assert len(shoot(12, 0, 50.0).pdg) == 0  # neutrinos
    photons = shoot(22, 0, 50.0)
    measured = np.bincount(photons.event, photons.p4[:, 0] / 50, n)
    assert np.median(fourvectors.pt(photons.p4)) == pytest.approx(50, rel=0.02)
    assert (measured > 0).mean() > 0.99
    muons = shoot(13, -1, 50.0)
    assert len(muons.pdg) / n == pytest.approx(0.99, abs=0.01)  # efficiency of the central tracker
    assert fourvectors.pt(muons.p4).std() / 50 == pytest.approx(0.0145, abs=0.003)
