"""Own rigid docking: the search is exact, refinement goes downhill, and bound complexes are recovered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from colonnade.structure import _dock_fields as energy
from colonnade.structure import read_structure
from colonnade.structure.docking import Docking, clustered, dock, without_hydrogens
from colonnade.structure.examples import example
from colonnade.structure.restraints import AtomId, Restraint, RestraintError, interface_restraints
from colonnade.structure.rotations import rotation_set
from colonnade.structure.structures import Structure, StructureError

Benchmark = dict[str, tuple[Structure, dict[str, Any]]]
INTERFACE = (
    [f"A {n}" for n in (38, 40, 45, 46, 69, 71, 78, 80, 94, 96, 141)],
    [f"B {n}" for n in (15, 16, 17, 20, 48, 51, 52, 54, 56)],
)


@pytest.fixture(scope="module")
def bodies() -> tuple[Structure, Structure]:
    """Ubiquitin and the domain bound to it, the smaller one turned away from where it was."""
    complex = read_structure(example("2OOB")).protein.heavy
    first, second = (complex.in_chains([chain]) for chain in ("B", "A"))
    if len(second) > len(first):
        first, second = second, first
    centre = second.xyz.mean(axis=0)
    turn = Rotation.random(random_state=11).as_matrix()
    return first, second.moved(turn, -turn @ centre)


def test_the_score_of_the_search_is_the_sum_of_fields_at_the_atoms(bodies: tuple[Structure, Structure]) -> None:
    """FFT over 24 turned spectra = direct interpolation, for placements of every orientation of the cube."""
    from colonnade.structure.docking import _allowing, _Run

    first, second = bodies
    run = _Run(energy.default_model(), first, second, _allowing([], first, second), 2.0, 1.0, "cpu")
    found = run.search(200).run(rotation_set(62.8))
    grids = energy.fields(run.model, first, run.origin, 2.0, (run.size,) * 3, soft=True)
    for k in range(0, len(found.scores), 7):
        atoms = run.points / 2.0 @ found.rotations[k].T + found.centres[k]
        direct = sum(
            float((w * map_coordinates(grid, atoms[:, ::-1].T, order=1, mode="grid-wrap")).sum())
            for grid, w in zip(grids, run.weights, strict=True)
        )
        assert found.scores[k] == pytest.approx(direct, abs=2e-3 * (1 + abs(direct)))


def test_fields_and_pair_sums_are_one_energy(bodies: tuple[Structure, Structure]) -> None:
    """With all eigenvectors and a fine grid, the fields give the sum over pairs of atoms."""
    model = replace(energy.default_model(), rank=14, share=1.0)
    complex = read_structure(example("2OOB")).protein.heavy
    first, second = complex.in_chains(["A"]), complex.in_chains(["B"])
    low = first.xyz.min(axis=0) - 24.0
    shape = tuple(int(n) + 1 for n in np.ceil((first.xyz.max(axis=0) + 24.0 - low) / 0.5)[::-1])
    grids = energy.fields(model, first, low, 0.5, shape, soft=False)  # type: ignore[arg-type]
    at = ((second.xyz - low) / 0.5)[:, ::-1].T
    felt = [float((w * map_coordinates(g, at, order=1, cval=0.0)).sum())
            for g, w in zip(grids, energy.weights(model, second), strict=True)]  # fmt: skip
    direct = energy.terms(model, first, second)
    assert sum(felt[2:]) == pytest.approx(direct["contact"], rel=0.02)
    assert felt[1] == pytest.approx(direct["electrostatic"], abs=0.4)  # of terms that nearly cancel


def test_the_energy_that_is_refined_is_the_sum_over_pairs(bodies: tuple[Structure, Structure]) -> None:
    """Its terms are those of `terms`, and its gradient is their slope."""
    from colonnade.structure.docking import _allowing, _Run

    complex = read_structure(example("2OOB")).protein.heavy
    first, second = complex.in_chains(["A"]), complex.in_chains(["B"])
    known = [Restraint((AtomId("A", 940, "CA"),), (AtomId("B", 44, "CA"),), 0.0, 3.0)]
    run = _Run(energy.default_model(), first, second, _allowing(known, first, second), 2.0, 1.0, "cpu")
    still = run.refinement()
    still.steps = 0

    def found(move: np.ndarray, turn: np.ndarray) -> np.ndarray:
        return still.run(Rotation.from_rotvec(turn).as_matrix()[None], (run.centre + move)[None]).terms[0]

    here, zero = found(np.zeros(3), np.zeros(3)), np.zeros(3)
    direct = run.pose(np.eye(3), run.centre).terms
    assert here[[0, 1, 3]] == pytest.approx([direct[name] for name in ("vdw", "contact", "restraints")], rel=1e-6)
    assert here[2] == pytest.approx(direct["electrostatic"], abs=0.3)  # between the points of a grid
    slope = still.gradient(np.eye(3), run.centre)
    step = 1e-4
    for axis in range(3):
        d = step * np.eye(3)[axis]
        assert slope[axis] == pytest.approx((found(d, zero) - found(-d, zero)).sum() / (2 * step), abs=0.05)
        assert slope[3 + axis] == pytest.approx((found(zero, d) - found(zero, -d)).sum() / (2 * step), abs=0.5)


def test_refinement_lowers_the_energy_and_keeps_bodies_rigid(bodies: tuple[Structure, Structure]) -> None:
    rough = dock(*bodies, angle=62.8, spacing=2.0, keep=40, models=20, refine=False)
    fine = dock(*bodies, angle=62.8, spacing=2.0, keep=40, models=20)
    assert fine.poses[0].score < rough.poses[0].score
    assert fine.poses[0].terms["vdw"] < 0
    for k in (0, len(fine.poses) - 1):
        rotation = fine.poses[k].rotation
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-5)
        assert np.linalg.det(rotation) == pytest.approx(1.0, abs=1e-5)
    scores = [pose.score for pose in fine.poses]
    assert scores == sorted(scores)
    members = [k for group in fine.clusters for k in group.members]
    assert sorted(members) == list(range(len(fine.poses)))
    assert all(fine.poses[k].cluster == group.number for group in fine.clusters for k in group.members)


def test_where_the_bodies_stand_does_not_matter(bodies: tuple[Structure, Structure]) -> None:
    """A shift by whole voxels of both bodies gives the same models."""
    first, second = bodies
    shift = np.array([8.0, -4.0, 2.0])
    a = dock(first, second, angle=62.8, spacing=2.0, keep=20, models=10, refine=False)
    b = dock(first.moved(np.eye(3), shift), second.moved(np.eye(3), 3 * shift), angle=62.8, spacing=2.0, keep=20,
             models=10, refine=False)  # fmt: skip
    assert [p.score for p in b.poses] == pytest.approx([p.score for p in a.poses], abs=1e-3)


def test_unbound_bodies_with_interface_residues_give_the_complex() -> None:
    """E2A and HPr, free in solution, with residues from chemical shifts: the best cluster is the complex."""
    first, second, known = (read_structure(example(name)) for name in ("E2A", "HPr", "E2A-HPr"))
    restraints = interface_restraints(INTERFACE[0], [], INTERFACE[1], [])
    found = dock(first, second, restraints, angle=20.83, spacing=1.8, keep=500, models=100)
    measures = found.compared(known)
    assert max(measures[k].dockq for k in found.best[:3]) >= 0.49, [m.dockq for m in measures]
    assert measures[0].dockq >= 0.23


def recovered(complex: Structure, angle: float, spacing: float, keep: int) -> list[float]:
    """DockQ of the best model of each cluster, the first cluster first, when the complex is docked from its parts."""
    chains = sorted(complex.chains, key=lambda c: -int((complex.chain == c).sum()))
    first, second = (complex.in_chains([chain]) for chain in chains[:2])
    turned = second.moved(Rotation.random(random_state=11).as_matrix(), np.zeros(3))
    found = dock(first, turned, angle=angle, spacing=spacing, keep=keep, state="bound")
    measures = found.compared(complex)
    return [round(measures[k].dockq, 2) for k in found.best]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_bound_complex_is_recovered_without_restraints() -> None:
    """One of the first ten clusters is the complex, though its interface is small."""
    quality = recovered(read_structure(example("2OOB")).protein.heavy, 12.29, 1.5, 1000)
    assert max(quality[:10]) >= 0.49, quality


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_most_enzymes_with_inhibitors_are_recovered_as_the_first_cluster(benchmark81: Benchmark) -> None:
    """6 of 7 were, with the effort 'quick'; benchmarks/bound_docking.py has the rates over more kinds of complexes."""
    names = ("1PPE", "2TGP", "1ACB", "1CBW", "1R0R", "4CPA", "1JTG")
    quality = {name: recovered(benchmark81[name][0], 20.83, 1.8, 500)[0] for name in names}
    assert sum(first >= 0.49 for first in quality.values()) >= 5, quality


def test_a_false_restraint_costs_no_more_than_its_cap(bodies: tuple[Structure, Structure]) -> None:
    first, second = bodies
    a, b = first.residue_id(0), second.residue_id(0)
    impossible = Restraint((AtomId(a.chain, a.number, "CA"),), (AtomId(b.chain, b.number, "CA"),), 150.0, 190.0)
    found = dock(first, second, [impossible], angle=62.8, spacing=2.5, keep=20, models=10)
    assert all(pose.terms["restraints"] == pytest.approx(10.0) for pose in found.poses)
    assert all(pose.violations[0] > 50 for pose in found.poses)


def test_hydrogens_of_restraints_stand_for_what_is_there() -> None:
    mixed = Restraint((AtomId("A", 5, "H3"), AtomId("A", 5, "O2")), (AtomId("B", 7, "HN"),), 0.0, 2.0)
    (plain,) = without_hydrogens([mixed])
    assert plain.first == (AtomId("A", 5, "O2"),)
    assert plain.second == (AtomId("B", 7, ""),)


def test_bad_input_is_refused_in_one_sentence(bodies: tuple[Structure, Structure]) -> None:
    first, second = bodies
    with pytest.raises(StructureError, match=r"angle: 90 is outside the range of 5 to 65 °\."):
        dock(first, second, angle=90.0)
    with pytest.raises(StructureError, match="both bodies have a chain"):
        dock(first, first)
    with pytest.raises(StructureError, match="CA-only model"):
        dock(first.select(first.atom == "CA"), second)
    with pytest.raises(RestraintError, match="Z 1 CA in"):
        dock(first, second, [Restraint((AtomId("Z", 1, "CA"),), (AtomId("Y", 1, "CA"),), 0.0, 5.0)])


def test_no_pose_gives_no_cluster(bodies: tuple[Structure, Structure]) -> None:
    assert clustered(Docking(*bodies, restraints=(), poses=())).clusters == ()
    with pytest.raises(StructureError, match="index: 0 is outside"):
        Docking(*bodies, restraints=(), poses=()).model(0)
