"""Dynamics: the energy falls, restraints pull, the thermostat holds, mistakes are refused."""

from __future__ import annotations

import numpy as np
import pytest

from colonnade.structure import read_structure
from colonnade.structure.dynamics import Dynamics, Settings, check_residues, simulate
from colonnade.structure.examples import example
from colonnade.structure.restraints import AtomId, Restraint, RestraintError
from colonnade.structure.structures import Structure, StructureError

pytest.importorskip("openmm")
pytest.importorskip("pdbfixer")

LENGTH = 23  # residues 929 to 951


@pytest.fixture(scope="module")
def domain() -> Structure:
    """The first residues of the UBA domain of Cbl-b, and its waters."""
    whole = read_structure(example("2OOB")).in_chains(["A"])
    return whole.select((whole.resid <= 951) | (whole.kind == "water"))


def pair(first: str, second: str, lower: float, upper: float, a: int = 932, b: int = 945) -> Restraint:
    return Restraint((AtomId("A", a, first),), (AtomId("A", b, second),), lower, upper)


def apart(domain: Structure) -> float:
    """Distance of the restrained CA atoms as given, Å."""
    first, second = (domain.xyz[(domain.resid == n) & (domain.atom == "CA")][0] for n in (932, 945))
    return float(np.linalg.norm(first - second))


@pytest.fixture(scope="module")
def moved(domain: Structure) -> Dynamics:
    near = pair("CA", "CA", 0.0, apart(domain) - 2.0)
    averaged = pair("HB#", "HN", 0.0, 5.0, 938, 948)
    return simulate(domain, Settings(time=0.4, relaxation=0.4, frames=4, seed=5), [near, averaged])


def test_the_energy_falls_and_the_thermostat_warms(moved: Dynamics) -> None:
    assert moved.potential[0] < moved.start_potential - 100
    assert moved.rmsd[0] < 2.5  # a fragment that a restraint pulls together
    assert moved.temperature[1] > 50
    assert len(moved.frames) == 6 and moved.time.tolist() == pytest.approx([0, 0, 0.1, 0.2, 0.3, 0.4])
    assert moved.frames.shape[1] == len(moved.names)
    assert len(moved.rmsf) == len(moved.residues) == LENGTH
    assert (moved.rmsf > 0).all()


def test_restraints_pull(moved: Dynamics, domain: Structure) -> None:
    at = {(r, a): k for k, (_, r, _, a) in enumerate(moved.names)}
    distance = np.linalg.norm(moved.frames[:, at[932, "CA"]] - moved.frames[:, at[945, "CA"]], axis=1)
    bound = apart(domain) - 2.0
    assert distance[-1] < bound + 1.0
    assert moved.violations.shape == (6, 2)
    assert moved.violations[-1].max() < 2.0
    expected = np.maximum(distance - bound, 0.0)
    assert moved.violations[:, 0] == pytest.approx(expected, abs=1e-6)


def test_the_same_seed_gives_the_same_trajectory(domain: Structure) -> None:
    short = Settings(time=0.02, relaxation=0.02, frames=2, seed=3)
    a, b = simulate(domain, short), simulate(domain, short)
    assert np.array_equal(a.frames, b.frames)


def test_minimisation_alone(domain: Structure) -> None:
    found = simulate(domain, Settings(time=0.0, relaxation=0.0, solvent="vacuum"))
    assert len(found.frames) == 1
    assert found.rmsf.tolist() == [0.0] * LENGTH


def test_mistakes_are_one_sentence(domain: Structure) -> None:
    with pytest.raises(StructureError, match=r"temperature: 900 is outside 1 to 600 K\."):
        Settings(temperature=900.0)
    with pytest.raises(StructureError, match="CA-only model"):
        simulate(domain.select(domain.atom == "CA"))
    with pytest.raises(StructureError, match="has no protein"):
        simulate(domain.select(domain.kind == "water"))
    with pytest.raises(RestraintError, match="has no atoms for"):
        simulate(domain, Settings(time=0), [pair("XX", "CA", 0.0, 5.0)])
    with pytest.raises(RestraintError, match="has no residue A 1"):
        check_residues([pair("CA", "CA", 0.0, 5.0, 1)], domain)
