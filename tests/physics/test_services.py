"""The physics services through the contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import colonnade.physics.services  # noqa: F401  (registers them)
from colonnade.errors import BadInput
from colonnade.runner import execute, prepare, run
from colonnade.service import get


def test_generate_is_repeatable(tmp_path: Path) -> None:
    service = get("physics.generate")
    inputs = service.parse({"dataset": "airshower", "n": 250})
    found = []
    for attempt in ("one", "two"):
        prepare(service, inputs, tmp_path / attempt)
        assert execute(tmp_path / attempt) == "succeeded"
        shard = tmp_path / attempt / "files" / "part-00000.parquet"
        found.append(((tmp_path / attempt / "result.json").read_bytes(), shard.read_bytes()))
    assert found[0] == found[1]


def test_tagging_the_carried_jets_finds_the_top_quarks(tmp_path: Path) -> None:
    done = run("physics.tag", {"jets": "example:physics.tag/jets.csv"}, tmp_path / "run")
    table = {path: value for path, _, value in done.results}["scores"]
    score, mass = np.array(table.data[1]), np.array(table.data[3])
    assert len(score) == 60
    heavy = (mass > 140) & (mass < 210)
    assert score[heavy].mean() > 0.6
    assert score[~heavy].mean() < 0.4


def test_decay_trees(tmp_path: Path) -> None:
    done = run("physics.decay_tree", {"n": 500}, tmp_path / "run")
    assert (done.files / "trees.npz").exists()


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("physics.generate", {"dataset": "tops"}, "dataset must be one of"),
        ("physics.generate", {"n": 0}, "n must be from 1 to 100000"),
        ("physics.generate", {"pt_min": 700}, "pt_min must be below pt_max"),
        ("physics.train", {"dataset": "eos", "model": "pfn"}, "model must be one of"),
        ("physics.train", {"budget": "soon"}, "budget must be a time"),
        ("physics.benchmark", {"datasets": "top,cms"}, "holds 'cms'"),
        ("physics.tag", {}, "jets is required"),
    ],
)
def test_a_mistake_gets_one_sentence(name: str, values: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        get(name).parse(values)


def test_a_file_in_another_order_is_refused(tmp_path: Path) -> None:
    rows = ["jet,px,py,pz,E"] + [f"0,{e},{0.6 * e},{0.5 * e},{0.4 * e}" for e in (50.0, 30.0, 20.0)]
    (tmp_path / "jets.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(BadInput, match=r"ordered px, py, pz, E|at least its momentum"):
        get("physics.tag").parse({"jets": str(tmp_path / "jets.csv")})
