"""CAPRI measures against the DockQ program, and clusters by common contacts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from colonnade.structure import read_structure
from colonnade.structure.capri import Reference, capri, dockq, superposition
from colonnade.structure.clusters import cluster, common_contacts
from colonnade.structure.examples import example
from colonnade.structure.structures import Structure, StructureError

# What DockQ 2.1.3 prints (DockQ, iRMSD, LRMSD, fnat) for E2A and HPr fitted onto 1GGR, HPr then turned about (0.6, 0,
# 0.8) by an angle and shifted along (0, 0.6, 0.8).
DOCKQ_PROGRAM = {
    (0, 0): (0.828, 0.868, 1.096, 0.750),
    (5, 1): (0.833, 0.979, 1.655, 0.833),
    (15, 2): (0.695, 1.637, 3.157, 0.750),
    (40, 5): (0.366, 3.885, 7.643, 0.417),
    (120, 4): (0.137, 8.719, 14.969, 0.139),
}


@pytest.fixture(scope="module")
def trio() -> tuple[Structure, Structure, Structure]:
    """The complex, and the unbound bodies fitted onto it."""
    known, first, second = (read_structure(example(name)) for name in ("E2A-HPr", "E2A", "HPr"))
    match = Reference(known, ["A", "B"]).match(first, second)
    fitted = [
        body.moved(*superposition(body.xyz[match.atoms[k]], match.known[k])) for k, body in enumerate((first, second))
    ]
    return known, fitted[0], fitted[1]


@pytest.mark.parametrize("move", DOCKQ_PROGRAM)
def test_the_measures_are_those_of_the_dockq_program(trio: tuple[Structure, ...], move: tuple[float, float]) -> None:
    known, first, second = trio
    turn = Rotation.from_rotvec(np.deg2rad(move[0]) * np.array([0.6, 0.0, 0.8])).as_matrix()
    centre = second.xyz.mean(axis=0)
    placed = second.moved(turn, centre - turn @ centre + move[1] * np.array([0.0, 0.6, 0.8]))
    found = Reference(known, ["A", "B"]).compare(first, placed)
    assert (found.dockq, found.irmsd, found.lrmsd, found.fnat) == pytest.approx(DOCKQ_PROGRAM[move], abs=6e-4)


def test_a_complex_is_like_itself_wherever_it_stands_and_however_it_is_numbered(trio: tuple[Structure, ...]) -> None:
    known = trio[0]
    moved = known.moved(Rotation.random(random_state=1).as_matrix(), np.array([5.0, 6.0, 7.0]))
    other = replace(moved, resid=moved.resid + 1000, chain=np.where(moved.chain == "A", "X", "Y"))
    for model, names in ((moved, ["A", "B"]), (other, ["X", "Y"])):
        found = capri(model, known, ["A", "B"], in_model=names)
        assert (found.fnat, found.dockq, found.quality) == (1.0, pytest.approx(1.0), "high")
        assert found.irmsd == pytest.approx(0.0, abs=1e-9)


def test_dockq_falls_with_each_measure() -> None:
    best = dockq(1.0, 0.0, 0.0)
    assert best == 1.0
    assert dockq(0.5, 0.0, 0.0) < best and dockq(1.0, 2.0, 0.0) < best and dockq(1.0, 0.0, 9.0) < best


def test_what_cannot_be_compared_is_refused(trio: tuple[Structure, ...]) -> None:
    known, first, second = trio
    with pytest.raises(StructureError, match="chain Z is not in"):
        Reference(known, ["A", "Z"])
    far = known.select(known.chain == "A"), second.moved(np.eye(3), np.full(3, 500.0))
    with pytest.raises(StructureError, match="not in contact"):
        Reference(
            replace(known, xyz=known.xyz + np.where(known.chain == "B", 500.0, 0.0)[:, None]), ["A", "B"]
        ).compare(*far)
    with pytest.raises(StructureError, match="too few residues"):
        Reference(known, ["A", "B"]).compare(first.select(first.residue < 1), second.select(second.residue < 1))


def contacts(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def test_common_contacts_are_shares_of_the_first() -> None:
    a, b, none = contacts((1, 1), (1, 2), (2, 2), (3, 3)), contacts((1, 1), (1, 2)), contacts()
    assert common_contacts([a, b, none]).tolist() == [[1.0, 0.5, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert common_contacts([none, none]).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_clusters_hold_each_model_once_the_largest_first() -> None:
    fractions = np.array(
        [[1.0, 0.9, 0.8, 0.1, 0.0], [0.9, 1.0, 0.3, 0.1, 0.0], [0.8, 0.3, 1.0, 0.1, 0.0],
         [0.1, 0.1, 0.1, 1.0, 0.7], [0.0, 0.0, 0.0, 0.5, 1.0]]
    )  # fmt: skip
    assert cluster(fractions) == [[0, 1, 2], [3, 4]]
    assert cluster(fractions, strictness=1.0) == [[0, 1, 2], [3], [4]], "0.5 of the other way is below 0.6"
    assert cluster(fractions, least=3) == [[0, 1, 2]]
    assert cluster(fractions, cutoff=0.85) == [[0, 1], [2], [3], [4]]
