"""The physics services through the contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import colonnade.physics.services  # noqa: F401  (registers them)
from colonnade.errors import BadInput, ColonnadeError
from colonnade.physics import check_tree
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


@pytest.mark.slow  # reads the whole Belle II table
def test_decay_trees(tmp_path: Path) -> None:
    done = run("physics.decay_tree", {"n": 500}, tmp_path / "run")
    with np.load(done.files / "trees.npz") as trees:
        check_tree(trees["mother"].astype(int), trees["pdg"] != 0)
    table = {path: value for path, _, value in done.results}["branching"]
    assert len(table.data[0]) == 50


OWN_DECAYS = """Decay B0
0.6  D*- pi+  PHSP;
0.4  D-  pi+  PHSP;
Enddecay
CDecay anti-B0
Decay D*-
1.0  anti-D0 pi-  PHSP;
Enddecay
End
"""


def test_decay_trees_of_an_own_file(tmp_path: Path) -> None:
    (tmp_path / "own.dec").write_text(OWN_DECAYS)
    done = run("physics.decay_tree", {"n": 300, "table": str(tmp_path / "own.dec")}, tmp_path / "run")
    table = {path: value for path, _, value in done.results}["branching"]
    assert table.data[1] == [0.6, 0.4]
    assert abs(table.data[2][0] - 0.6) < 0.12
    (tmp_path / "bad.dec").write_text("Decay B0\n0.6 D*- pi+")
    with pytest.raises(ColonnadeError, match="no decay file in EvtGen's format"):
        run("physics.decay_tree", {"table": str(tmp_path / "bad.dec")}, tmp_path / "bad")


@pytest.mark.parametrize(("format", "ending"), [("npz", "npz"), ("hdf5", "h5"), ("root", "root")])
def test_generated_events_in_other_formats(format: str, ending: str, tmp_path: Path) -> None:
    done = run("physics.generate", {"dataset": "airshower", "n": 20, "also": format}, tmp_path / "run")
    assert (done.files / f"airshower.{ending}").stat().st_size > 1000
    assert "Cite:" in (done.files / "data-card.md").read_text()


def test_graphs_of_own_events(tmp_path: Path, small_npz: Path) -> None:
    values = {"dataset": "spinodal", "own": str(small_npz), "kind": "grid-4", "n": 50}
    done = run("physics.graphs", values, tmp_path / "run")
    with np.load(done.files / "graphs.npz") as graphs:
        assert graphs["edge_index"].shape == (2, 50 * 4 * 20 * 19)
        assert graphs["x"].shape == (50 * 400, 1)
    assert not list(small_npz.parent.glob("*.shards"))  # nothing is left beside the user's file


def test_training_on_own_events_and_tagging_refuses_its_model(tmp_path: Path, small_npz: Path) -> None:
    values = {"dataset": "spinodal", "own": str(small_npz), "model": "fcn", "budget": "1s"}
    done = run("physics.train", values, tmp_path / "run")
    results = {path: value for path, _, value in done.results}
    assert results["measures"].data[3][0] == "AUC"
    assert "tested on 30 events" in (done.files / "model-card.md").read_text()
    model = str(done.files / "model.safetensors")
    with pytest.raises(BadInput, match="trained on spinodal, not on top"):
        get("physics.tag").parse({"jets": "example:physics.tag/jets.csv", "model": model})


@pytest.mark.slow
def test_training_and_its_audit_through_the_contract(tmp_path: Path) -> None:
    values = {"dataset": "airshower", "n": 300, "model": "graphnet", "budget": "1s"}
    results = {path: value for path, _, value in run("physics.train", values, tmp_path / "run").results}
    assert set(results["audit"].data[0]) == {"lg(E/eV)", "mass number", "Xmax"}


@pytest.mark.slow
def test_the_benchmark_of_all_five_sets(tmp_path: Path) -> None:
    values = {"datasets": "top,airshower,belle,spinodal,eos", "models": "fcn,reference", "budget": "1s", "events": 200}
    done = run("physics.benchmark", values, tmp_path / "run")
    results = {path: value for path, _, value in done.results}
    assert list(dict.fromkeys(results["table"].data[0])) == ["top", "airshower", "belle", "spinodal", "eos"]
    intervals = [pair for pair in zip(*results["table"].data[5:7], strict=True) if None not in pair]  # infinite: None
    assert len(intervals) >= 8 and all(low <= high for low, high in intervals)
    assert "airshower & stations" in (done.files / "benchmark.tex").read_text()


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("physics.generate", {"dataset": "tops"}, "dataset must be one of"),
        ("physics.generate", {"n": 0}, "n must be from 1 to 100000"),
        ("physics.generate", {"pt_min": 700}, "pt_min must be below pt_max"),
        ("physics.train", {"dataset": "eos", "model": "pfn"}, "model must be one of"),
        ("physics.train", {"budget": "soon"}, "budget must be a time"),
        ("physics.benchmark", {"datasets": "top,cms"}, "holds 'cms'"),
        ("physics.benchmark", {"datasets": "top", "models": "cnn"}, "models must be among"),
        ("physics.benchmark", {"events": 50}, "events must be 0 or at least 200"),
        ("physics.graphs", {"dataset": "top", "kind": "tree"}, "kind must be one of default, knn"),
        ("physics.graphs", {"k": 30, "nodes": 30}, "k must be below nodes"),
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
