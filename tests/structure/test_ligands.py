"""PRODIGY-LIG: stored predictions of its authors, both engines, and what cannot be predicted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from colonnade.errors import BadInput
from colonnade.runner import run
from colonnade.service import get
from colonnade.structure import StructureError, example, ligand_affinity, small_molecules
from colonnade.structure.ligands import CLASSES

from .conftest import atom_line, dimer

Write = Callable[..., Path]
DATA = Path(__file__).parent / "data" / "prodigy-lig"
SERVICE = get("structure.ligand_affinity")

# file, ligand, stored ΔG (kcal/mol), stored score: data/test_data.json of prodigy-lig
STORED = [
    (DATA / "elec-1PY2.pdb.gz", "B:FRH", -8.27, 119.68),
    (example("1RV1-haddock"), "B:IMZ", -8.80, 100.68),
    (DATA / "elec-1TTV.pdb.gz", "B:IMY", -8.73, 101.19),
    (DATA / "no-elec-1PY2.pdb.gz", "B:FRH", -8.96, None),
    (DATA / "no-elec-1RV1.pdb.gz", "B:IMZ", -9.58, None),
    (example("1T4E"), "B:DIZ", -9.56, None),
    (DATA / "no-elec-1TTV.pdb.gz", "B:IMY", -9.27, None),
]


@pytest.mark.parametrize(("path", "ligand", "delta_g", "score"), STORED, ids=lambda v: getattr(v, "name", str(v)))
def test_stored_predictions_by_both_engines(path: Path, ligand: str, delta_g: float, score: float | None) -> None:
    fast, program = (ligand_affinity(path, "A", ligand, engine=engine) for engine in ("fast", "prodigy-lig"))
    assert fast.contacts == program.contacts and tuple(fast.contacts) == CLASSES
    for found in (fast, program):
        predicted = found.delta_g if score is None else found.delta_g_elec
        assert f"{predicted:.2f}" == f"{delta_g:.2f}"
        assert found.score is None if score is None else f"{found.score:.2f}" == f"{score:.2f}"


@pytest.mark.parametrize("distance", [4.0, 7.3, 12.0])
def test_both_engines_at_other_distances(distance: float) -> None:
    fast, program = (
        ligand_affinity(example("1T4E"), "A", "B:DIZ", distance=distance, engine=engine)
        for engine in ("fast", "prodigy-lig")
    )
    assert fast.contacts == program.contacts


def test_mmcif_and_given_electrostatics(tmp_path: Path) -> None:
    path = tmp_path / "complex.cif"
    structure = gemmi.read_structure(str(example("1T4E")))
    structure.setup_entities()
    path.write_text(structure.make_mmcif_document().as_string())
    found, plain = ligand_affinity(path, "A", "B:DIZ", electrostatics=-50.0), ligand_affinity(example("1T4E"))
    assert found.contacts == plain.contacts and found.delta_g == plain.delta_g
    counts = found.contacts
    by_hand = 0.0115148 * -50 - 0.0014852 * counts["CC"] + 0.0057097 * counts["NN"] - 0.1301806 * counts["XX"]
    assert found.delta_g_elec == pytest.approx(by_hand - 5.1002233)


def test_residues_near_the_ligand_are_those_of_a_direct_search() -> None:
    found = ligand_affinity(example("1T4E"), distance=5.0)
    model = gemmi.read_structure(str(example("1T4E")))[0]
    small = [a.pos for r in model["B"] if r.name == "DIZ" for a in r if a.element.name in ("C", "N", "O", "Cl")]
    direct = {r.seqid.num: min(a.pos.dist(s) for a in r if a.element.name != "H" for s in small) for r in model["A"]}
    assert {row.residue.number: pytest.approx(row.closest, abs=2e-3) for row in found.near} == {
        number: length for number, length in direct.items() if length <= 5.0
    }
    assert sum(row.pairs for row in found.near) == sum(found.contacts.values())


def with_ligands(*names: tuple[str, int]) -> list[str]:
    """Two strands with rings of eight carbons between them."""
    lines = dimer()[:-1]
    for k, (name, number) in enumerate(names):
        for i in range(8):
            angle = 2 * np.pi * i / 8
            at = (8.0 + 6 * k + 1.4 * np.cos(angle), 3.5, 1.4 * np.sin(angle))
            lines.append(atom_line(900 + 10 * k + i, f"C{i + 1}", name, "L", number, at, record="HETATM"))
    return [*lines, "END"]


def test_the_only_ligand_need_not_be_named(write: Write) -> None:
    path = write(with_ligands(("LIG", 1)))
    assert [str(residue) for residue in small_molecules(path)] == ["L 1 LIG"]
    found = ligand_affinity(path)
    assert (
        found.contacts["CC"] > 0
        and found.delta_g == ligand_affinity(path, "A,B", "L:LIG", engine="prodigy-lig").delta_g
    )
    assert {row.residue.chain for row in found.near} == {"A", "B"}
    assert {row.residue.chain for row in ligand_affinity(path, "A").near} == {"A"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "ligand: name one, as in 'B:LIG'; the small molecules of the file are L:LIG:1, L:LIG:2"),
        ({"ligand": "L:LIG"}, "chain L holds 2 LIG; say which: L:LIG:1, L:LIG:2"),
        ({"ligand": "L:XYZ"}, "there is no XYZ in chain L"),
        ({"ligand": "LIG"}, "is not a chain and a residue name"),
        ({"ligand": "L:LIG:1", "chains": "Q"}, "there is no protein chain Q; there are A, B"),
        ({"ligand": "L:LIG:1", "distance": 50.0}, "distance: 50 Å is outside the range"),
        ({"ligand": "L:LIG:1", "distance": 1.0}, "No contacts found"),
        ({"ligand": "L:LIG:1", "model": 3}, "model: 3 is outside the range of 1 to 1"),
        ({"ligand": "L:LIG:1", "engine": "prodigy-lig"}, "the engine 'fast' takes any"),
    ],
)
def test_what_cannot_be_predicted_is_said(write: Write, arguments: dict, message: str) -> None:
    path = write(with_ligands(("LIG", 1), ("LIG", 2)))
    with pytest.raises(StructureError, match=message):
        ligand_affinity(path, **arguments)
    assert ligand_affinity(path, ligand="L:LIG:2").ligand.number == 2


def test_elements_that_the_file_does_not_name_are_said() -> None:
    found = ligand_affinity(DATA / "elec-1TTV.pdb.gz", "A", "B:IMY")
    assert "CL16 as C" in found.notes[0]
    assert not ligand_affinity(DATA / "no-elec-1TTV.pdb.gz", "A", "B:IMY").notes


def test_the_portal(tmp_path: Path) -> None:
    done = run(SERVICE, dict(SERVICE.example("1RV1")), tmp_path / "run")
    results = {path: value for path, _, value in done.results}
    assert results["delta_g_elec"].text.startswith("-8.80") and results["score"].value == pytest.approx(
        100.68, abs=0.01
    )
    ligand = results["complex"].selections[-1]
    assert (ligand.chain, ligand.residues, ligand.label) == ("B", [110], "IMZ")
    assert results["near"].rows[0][3] < 4.5


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("ligand", "B:XXX", "there is no XXX in chain B"),
        ("chains", "Z", "there is no protein chain Z"),
        ("model", 9, "model: 9 is outside the range"),
        ("distance", 100, "from 2 to 20"),
        ("electrostatics", float("inf"), "electrostatics"),
    ],
)
def test_a_mistake_gets_one_sentence(field: str, value: object, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        SERVICE.parse(dict(SERVICE.example("1T4E")) | {field: value})
    assert [problem.field for problem in refused.value.problems] == [field]
    assert words in str(refused.value)
