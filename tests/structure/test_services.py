"""`structure.affinity` through the contract: the carried complexes, and mistakes refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from colonnade.errors import BadInput
from colonnade.inputs import InputFile
from colonnade.results import walk
from colonnade.runner import execute, load, prepare, run
from colonnade.service import get

from .conftest import dimer

AFFINITY = get("structure.affinity")
PUBLISHED = {"3BZD": -9.373, "2OOB": -6.230}  # kcal/mol, by PRODIGY's own examples and README


def example(name: str) -> dict:
    title = next(title for title in AFFINITY.examples if name in title)
    return dict(AFFINITY.example(title))


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("engine", ["prodigy", "fast"])
def test_published_affinity(name: str, engine: str, tmp_path: Path) -> None:
    done = run(AFFINITY, example(name) | {"engine": engine}, tmp_path / "run")
    results = {path: value for path, _, value in done.results}
    assert results["delta_g"].value == pytest.approx(PUBLISHED[name], abs=0.01)
    assert results["delta_g"].error == 1.9
    shown = done.files / results["complex"].file
    assert shown.stat().st_size > 10_000
    contacts = sum(value for value in results["model_terms"].data[1][:6])
    assert contacts == len(results["contacts"].rows)
    assert {row[1] for row in results["interface"].rows} == {"A", "B"}


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    inputs = AFFINITY.parse(example("2OOB"))
    results = []
    for attempt in ("first", "second"):
        prepare(AFFINITY, inputs, tmp_path / attempt)
        assert execute(tmp_path / attempt) == "succeeded"
        results.append((tmp_path / attempt / "result.json").read_bytes())
    assert results[0] == results[1]


def test_waters_are_left_out_and_said(tmp_path: Path) -> None:
    done = run(AFFINITY, example("2OOB"), tmp_path / "run")
    assert any("waters are left out" in note for note in done.outputs["notes"])


def test_residues_of_the_view_are_those_of_the_interface(tmp_path: Path) -> None:
    done = run(AFFINITY, example("3BZD"), tmp_path / "run")
    results = {path: value for path, _, value in done.results}
    sticks = {(s.chain, r) for s in results["complex"].selections if s.style != "cartoon" for r in s.residues}
    listed = {(row[1], int(row[2])) for row in results["interface"].rows if row[2].isdigit()}
    assert sticks == listed


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("partners", "A Z", "chain Z is not a protein chain of 3BZD; protein chains there: A, B"),
        ("partners", "A A", "named more than once"),
        ("partners", "A", "at least two partners"),
        ("temperature", 500, "from -20 to 80 °C, but is 500"),
        ("temperature", float("nan"), "but is nan"),
        ("model", 7, "model: 7 is outside the range"),
        ("engine", "haddock", "one of 'prodigy' or 'fast'"),
        ("structure", "/no/such/file.pdb", "there is no file"),
        ("temprature", 25, "did you mean temperature"),
    ],
)
def test_a_mistake_gets_one_sentence(field: str, value: object, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        AFFINITY.parse(example("3BZD") | {field: value})
    assert [problem.field for problem in refused.value.problems] == [field]
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.pdb", b""),
        ("picture.pdb", b"\x89PNG\r\n\x1a\n" + bytes(200)),
        ("words.cif", b"data_x\n# nothing here\n"),
        ("script.pdb", b"<script>alert(1)</script>\n"),
        ("complex.txt", b"ATOM\n"),
    ],
)
def test_a_bad_file_is_refused_before_it_runs(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as refused:
        AFFINITY.parse({"structure": InputFile(tmp_path / name, name)})
    assert [problem.field for problem in refused.value.problems] == ["structure"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([line for line in dimer() if " CA " in line], "CA-only model"),
        (dimer(gap=60.0), "no contacts found between A and B"),
    ],
)
def test_a_complex_that_cannot_be_used_is_refused_before_it_runs(lines: list[str], words: str, tmp_path: Path) -> None:
    path = tmp_path / "complex.pdb"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput, match=words):
        AFFINITY.parse({"structure": str(path)})


def test_outputs_are_all_titled(tmp_path: Path) -> None:
    prepare(AFFINITY, AFFINITY.parse(example("3BZD")), tmp_path / "run")
    execute(tmp_path / "run")
    outputs = AFFINITY.outputs.model_validate(load(tmp_path / "run").outputs)
    assert all(title for _, title, _ in walk(outputs))
