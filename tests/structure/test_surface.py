"""The accessible surface against geometry and against FreeSASA."""

from __future__ import annotations

import freesasa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodigy_prot import NACCESS_CONFIG

from colonnade.structure import example, read_structure, residues
from colonnade.structure.surface import PROBE, atom_areas, residues_above


def test_an_isolated_sphere_has_its_whole_area() -> None:
    assert atom_areas(np.zeros((1, 3)), np.array([1.6]))[0] == pytest.approx(4 * np.pi * (1.6 + PROBE) ** 2)


@given(st.floats(0.5, 6.0))
@settings(max_examples=30, deadline=None)
def test_two_equal_spheres_cover_a_cap_of_each_other(distance: float) -> None:
    # Along z, the direction of the cuts, the cap of height h = R - d/2 has area 2πRh; the cuts resolve R/10.
    radius = 1.6 + PROBE
    expected = 4 * np.pi * radius**2 - 2 * np.pi * radius * max(radius - distance / 2, 0.0)
    areas = atom_areas(np.array([[0, 0, 0], [0, 0, distance]]), np.full(2, 1.6), slices=2000)
    assert areas == pytest.approx([expected, expected], rel=2e-3)


def test_a_buried_sphere_has_none() -> None:
    shell = np.array([[x, y, z] for x in (-2, 0, 2) for y in (-2, 0, 2) for z in (-2, 0, 2)], dtype=float)
    areas = atom_areas(shell, np.full(27, 1.8))
    assert areas[13] == 0.0 and (areas[[0, 2, 6, 26]] > 10).all()


def test_areas_and_radii_are_those_of_freesasa() -> None:
    structure = read_structure(example("3BZD"))
    radii = np.array([residues.radius(r, a) for r, a in zip(structure.resname, structure.atom, strict=True)])
    classifier = freesasa.Classifier(str(NACCESS_CONFIG))
    reference = [classifier.radius(r, a) for r, a in zip(structure.resname, structure.atom, strict=True)]
    assert np.array_equal(radii, reference)
    result = freesasa.calcCoord(structure.xyz.ravel().tolist(), radii.tolist())
    theirs = np.array([result.atomArea(i) for i in range(len(radii))])
    assert atom_areas(structure.xyz, radii) == pytest.approx(theirs, abs=1e-9)


@given(st.floats(0.0, 60.0))
@settings(max_examples=20, deadline=None)
def test_stopping_early_decides_as_the_sums_do(threshold: float) -> None:
    structure = read_structure(example("2OOB")).protein
    radii = np.array([residues.radius(r, a) for r, a in zip(structure.resname, structure.atom, strict=True)])
    sums = np.bincount(structure.residue, atom_areas(structure.xyz, radii))
    bound = np.full(structure.n_residues, threshold)
    assert np.array_equal(residues_above(structure.xyz, radii, structure.residue, bound), sums >= bound)


def test_rigid_motion_changes_areas_only_by_the_cuts() -> None:
    structure = read_structure(example("2OOB")).protein
    radii = np.array([residues.radius(r, a) for r, a in zip(structure.resname, structure.atom, strict=True)])
    turned = structure.moved(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.array([5.0, -3.0, 1.0]))
    before, after = atom_areas(structure.xyz, radii).sum(), atom_areas(turned.xyz, radii).sum()
    assert after == pytest.approx(before, rel=2e-3)
