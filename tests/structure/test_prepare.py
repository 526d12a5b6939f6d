"""Pipelines of pdb-tools operations: each operation, what they say, and what cannot be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from colonnade.errors import BadInput
from colonnade.runner import run
from colonnade.service import get
from colonnade.structure import OPERATIONS, PRESETS, StructureError, example, parse_pipeline, read_structure
from colonnade.structure.prepare import prepare

from .conftest import alanine, atom_line, dimer

Write = Callable[..., Path]
SERVICE = get("structure.prepare")

# An option for each operation that a small file can take.
TRIED = {
    "selmodel": "1", "selchain": "A", "delchain": "B", "selres": "1:5", "delres": "2", "selresname": "ALA",
    "delresname": "HOH", "selatom": "CA,CB", "selelem": "C", "delelem": "O", "chain": "Q", "rplchain": "A:Z",
    "rplresname": "ALA:GLY", "reres": "10", "shiftres": "100", "reatom": "5", "b": "20", "occ": "0.5", "seg": "SEGA",
    "selhetatm": "",
}  # fmt: skip


def with_water() -> list[str]:
    return [*dimer()[:-1], atom_line(900, "O", "HOH", "W", 1, (50, 50, 50), record="HETATM"), "END"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_runs_as_the_program_does(name: str, write: Write) -> None:
    path = write(dimer() if name == "chainbows" else with_water())
    done = prepare(path, parse_pipeline(f"{name} {TRIED.get(name, '')}"))
    (step,) = done.steps
    assert step.operation.name == name and step.atoms > 0
    assert sum(line.startswith(("ATOM", "HETATM")) for line in done.text.splitlines()) == step.atoms


def test_a_pipeline_step_by_step(write: Write) -> None:
    done = prepare(
        write(with_water()), parse_pipeline("pdb_delhetatm | pdb_selchain -B\nreres 100 # renumber\nrplchain B:X")
    )
    assert [step.atoms for step in done.steps] == [80, 40, 40, 40]
    assert [step.chains for step in done.steps] == [2, 1, 1, 1]
    assert [step.changed for step in done.steps] == [1, 40, 40, 40]
    out = read_structure(write(done.text, "out.pdb"))
    assert out.chains == ("X",) and out.resid[[0, -1]].tolist() == [100, 107]


def test_modified_residues_alternate_locations_and_insertion_codes(write: Write) -> None:
    lines = alanine("A", 1, (0, 0, 0)) + alanine("A", 1, (3.3, 0, 0), icode="A")
    lines[4] = atom_line(5, "CB", "ALA", "A", 1, (1.2, 1.8, 1.2), altloc="A", occupancy=0.3)
    lines.insert(5, atom_line(6, "CB", "ALA", "A", 1, (1.2, 1.7, 1.2), altloc="B", occupancy=0.7))
    lines += alanine("A", 2, (6.6, 0, 0), resname="MSE", record="HETATM")
    lines += [atom_line(99, "SE", "MSE", "A", 2, (8.0, 3.0, 2.0), record="HETATM", element="SE")]
    path = write([*lines, "END"])
    done = prepare(path, parse_pipeline("\n".join(PRESETS["docking"])))
    out = read_structure(write(done.text, "out.pdb"))
    assert [str(r) for r in out.residue_ids()] == ["A 1 ALA", "A 2 ALA", "A 3 MET"]
    assert "SD" in out.atom.tolist() and (out.kind == "protein").all()
    assert any("MSE A2 read as MET" in line for line in done.messages)
    first = out.xyz[(out.atom == "CB") & (out.resid == 1)]
    assert first.tolist() == [[1.2, 1.7, 1.2]]


def test_an_mmcif_file_becomes_pdb_with_the_numbers_of_its_author() -> None:
    done = prepare(example("2OOB"), parse_pipeline("delresname HOH"))
    text = [line for line in done.text.splitlines() if line.startswith("ATOM")]
    structure = read_structure(example("2OOB"))
    assert {line[21] for line in text} == set(structure.chains)
    assert int(text[0][22:26]) == structure.resid[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rm -rf", "'rm -rf': the operations are selmodel"),
        ("selchain", "'selchain': it takes chain names of one character"),
        ("selchain AB", "chain names of one character"),
        ("selchain A; ls", "chain names of one character"),
        ("reres x\nselres 5:1", "'reres x': it takes a whole number from -999 to 9999; 'selres 5:1': it takes residue"),
        ("b 1e9", "a number from -99 to 999"),
        ("tidy yes", "it takes no option"),
        ("rplchain A", "two chain names, as in A:B"),
        ("sort X", "it takes C"),
    ],
)
def test_what_is_no_pipeline_is_said_line_by_line(text: str, message: str) -> None:
    with pytest.raises(StructureError, match=message):
        parse_pipeline(text)


def test_a_step_that_leaves_nothing_is_refused(write: Write) -> None:
    with pytest.raises(StructureError, match=r"Step 2 \(selchain Q\) leaves no atoms; .* 80 atoms in chains A, B"):
        prepare(write(with_water()), parse_pipeline("delhetatm\nselchain Q"))


def test_long_chain_names_do_not_fit(tmp_path: Path) -> None:
    import gemmi

    document = gemmi.read_structure(str(example("2OOB")))
    document[0]["A"].name = "Long"
    path = tmp_path / "long.cif"
    path.write_text(document.make_mmcif_document().as_string())
    with pytest.raises(StructureError, match="chains with long names"):
        prepare(path, parse_pipeline("tidy"))


def test_the_portal(tmp_path: Path) -> None:
    done = run(SERVICE, dict(SERVICE.example("Ubiquitin")), tmp_path / "run")
    results = {path: value for path, _, value in done.results}
    out = read_structure(done.files / "prepared.pdb")
    assert out.chains == ("B",) and out.resid[0] == 1 and (out.kind == "protein").all()
    assert read_structure(done.files / "prepared.cif").n_residues == out.n_residues
    sequence = (done.files / "sequence.fasta").read_text().splitlines()
    assert sequence[0] == ">prepared|B" and "".join(sequence[1:]).startswith("MQIFVKTLTGK")
    assert results["steps"].rows[-1][1] == "tidy" and len(results["steps"].rows) == 11
    assert "pdb_selchain -B" in (done.files / "pipeline.txt").read_text()


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"operations": "selchain Z"}, "operations", "leaves no atoms"),
        ({"operations": "frobnicate"}, "operations", "the operations are"),
        ({"preset": "none", "operations": " "}, "operations", "give some, or choose a preset"),
        ({"preset": "wild"}, "preset", "one of 'none', 'clean' or 'docking'"),
    ],
)
def test_a_mistake_gets_one_sentence(values: dict, field: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        SERVICE.parse(dict(SERVICE.example("Ubiquitin")) | values)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert words in str(refused.value)
