"""Workflows in a folder: the carried example runs, and what was run is not run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from colonnade import workflows
from colonnade.errors import BadInput, ColonnadeError
from colonnade.workflows import examples, picture, plan, references

pytest.importorskip("freesasa")


def test_the_example_over_a_table(tmp_path: Path) -> None:
    workflow = workflows.example("affinities")
    made = workflows.run(workflow, tmp_path / "out")
    assert made.state == "succeeded", made.steps
    found = made.outputs["affinities"]
    # PRODIGY's values: 3BZD -9.4, 2OOB -6.2, E2A-HPr (1GGR) -9.0 kcal/mol; ΔG does not depend on the temperature.
    assert found["delta_g"] == pytest.approx([-9.37, -9.37, -6.23, -9.02], abs=0.02)
    assert found["kd"][1] > found["kd"][0]
    assert json.loads((tmp_path / "out" / "outputs.json").read_text())["affinities"]["celsius"] == [25, 37, 25, 25]
    again = workflows.run(workflow, tmp_path / "out")
    assert (again.steps[0].reused, again.outputs) == (4, made.outputs)
    rows = workflow.inputs["complexes"]
    changed = [*rows[:3], rows[3] | {"celsius": 4}]
    third = workflows.run(workflow, tmp_path / "out", inputs={"complexes": changed})
    assert [item.reused for item in third.items["affinity"]] == [True, True, True, False]


@pytest.mark.slow
@pytest.mark.timeout(900)  # docking takes minutes of two cores
def test_crosslinks_to_affinity(tmp_path: Path) -> None:
    made = workflows.run(workflows.example("crosslinks_to_affinity"), tmp_path / "out")
    assert made.state == "succeeded", made.steps
    assert made.outputs["likeness"] > 0.5  # DockQ of the best model of the best cluster
    assert len(made.outputs["affinities"]["delta_g"]) >= 1


@pytest.mark.parametrize("name", examples.titles())
def test_examples_are_in_order(name: str) -> None:
    workflow = workflows.example(name)
    assert workflows.parse(workflows.dump(workflow)) == workflow
    drawn = picture.draw(picture.states_of(workflow), workflow.name)
    assert all(f'data-step="{step}"' in drawn for step in plan.order(workflow))


def test_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    with pytest.raises(ColonnadeError, match="holds no workflow"):
        workflows.run(workflows.example("affinities"), tmp_path)
    with pytest.raises(BadInput, match="no input 'x'"):
        workflows.example("affinities").given({"x": 1})


def test_tables_of_rows() -> None:
    assert references.from_csv(b"a,b\n1,x\n2.5,\n") == [{"a": 1, "b": "x"}, {"a": 2.5, "b": None}]
    with pytest.raises(references.BadReference, match="Line 2"):
        references.from_csv(b"a,b\n1\n")
