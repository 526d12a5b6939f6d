"""`structure.interaction_space` through the contract: the carried example, and mistakes refused beforehand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gemmi
import pytest

from colonnade.errors import BadInput
from colonnade.runner import Run, run
from colonnade.service import get
from colonnade.structure import example, parse_restraints, read_structure

Write = Callable[..., Path]
SERVICE = get("structure.interaction_space")
ANGLE = 62.8


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(SERVICE, dict(SERVICE.example("coarse")) | {"angle": ANGLE}, tmp_path_factory.mktemp("space") / "run")


def test_results(done: Run) -> None:
    results = {path: value for path, _, value in done.results}
    level = int(results["consistent"].value)
    counts = results["counts_table"].rows
    assert [row[0] for row in counts] == list(range(8)) and counts[level][2] == results["complexes"].value > 0
    assert len(results["restraints"].rows) == 7
    held = sum(k * exactly for k, exactly, *_ in counts[1:]) / counts[1][2]
    assert sum(results["violation_table"].rows[0][1:]) == pytest.approx(7 - held, abs=1e-3)
    for figure in ("scores", "counts", "violations", "subsets", "interactions", "interaction_matrix"):
        assert results[figure].spec["data"], figure


def test_files_to_go_on_with(done: Run) -> None:
    results = {path: value for path, _, value in done.results}
    suspects = [row for row in results["restraints"].rows if row[5]]
    assert len(parse_restraints((done.files / "kept.tbl").read_text())) == 7 - len(suspects)
    assert len(parse_restraints((done.files / "restraints.dat").read_text())) == 7
    space = gemmi.read_ccp4_map(str(done.files / "accessible_interaction_space.mrc"))
    assert space.grid.array.max() == results["consistent"].value
    assert len((done.files / "z-score.out").read_text().splitlines()) == 8


def test_the_view_names_chains_apart_and_shows_the_space(done: Run) -> None:
    view = {path: value for path, _, value in done.results}["complex"]
    shown = read_structure(done.files / view.file)
    assert shown.chains == ("A", "B")  # both inputs call theirs A
    labels = {selection.label for selection in view.selections}
    assert {"fixed", "scanning", "where the centre may be"} <= labels
    held = [s for s in view.selections if s.label == "restraint holds"]
    assert {s.chain for s in held} == {"A", "B"}


def given(**changes: object) -> dict:
    return dict(SERVICE.example("coarse")) | changes


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"restraint_lines": "A 900 CA A 18 CA 0 23"}, "restraints", "A 900 CA in PRE5"),
        ({"restraints": None, "restraint_lines": "A 900 CA A 18 CA 0 23"}, "restraint_lines", "not there: A 900 CA"),
        ({"restraints": None, "restraint_lines": "A 27 CA A 18 CA 30 23"}, "restraint_lines", "above the upper bound"),
        ({"restraints": None, "restraint_lines": "A 27 CA A"}, "restraint_lines", "line 1: expected chain"),
        ({"restraints": None}, "restraints", "give a restraint file, or type some in"),
        ({"fixed_chains": "Z"}, "fixed", "has no chain Z; its chains are A"),
        ({"scanning_model": 2}, "scanning", "model: 2 is outside"),
        ({"spacing": 0.1}, "spacing", "from 0.5 to 4"),
        ({"angle": 5.27, "spacing": 0.5}, "angle", "times the longest search taken here"),
        ({"prior": 1.0}, "prior", "less than 1"),
        ({"device": "cuda"}, "device", "cuda is not available"),
        ({"restraint_lines": "\n".join(["A 27 CA A 18 CA 0 23"] * 60)}, "restraints", "67 are more than the 62"),
    ],
)
def test_a_mistake_gets_one_sentence(values: dict, field: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        SERVICE.parse(given(**values))
    assert [problem.field for problem in refused.value.problems] == [field]
    assert words in str(refused.value)


def test_bodies_of_ca_atoms_only_are_refused(write: Write) -> None:
    lines = [line for line in example("PRE5").read_text().splitlines() if line[12:16].strip() == "CA"]
    with pytest.raises(BadInput, match="only CA atoms; the search needs all heavy atoms"):
        SERVICE.parse(given(fixed=str(write(lines, "trace.pdb"))))


def test_tight_ambiguous_restraints_are_warned_of_and_can_be_widened(write: Write) -> None:
    air = "assign (resid 27 and segid A or resid 28 and segid A) (resid 18 and segid A) 2.0 2.0 0.0\n"
    values = given(restraints=str(write(air, "air.tbl")), ambiguous_upper=12.0)
    assert [r.upper for r in SERVICE.parse(values).all_restraints()] == [12.0]
