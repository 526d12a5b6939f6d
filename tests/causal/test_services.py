"""The services on the contract, run as a job runs them."""

import json
import subprocess
import sys

import pytest

import colonnade.causal.services as edge
from colonnade.causal import Transitions, WorldModel
from colonnade.errors import BadInput
from colonnade.runner import run
from colonnade.service import get

NAMES = ["causal.simulate", "causal.train", "causal.benchmark", "causal.discover", "causal.plan"]


def test_importing_loads_no_engine():
    code = (
        "import sys, colonnade.causal, colonnade.causal.services;"
        "print([m for m in ('torch', 'numba', 'numpy', 'gymnasium', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_valid(name):
    service = get(name)
    assert service.function.__module__.startswith(edge.__name__)
    for values in service.examples.values():
        service.parse(values)


def test_simulate(tmp_path):
    inputs = {"world": "chemistry", "graph": "0-[1]->1->2", "colors": 3, "episodes": 20, "steps": 10}
    done = run("causal.simulate", inputs, tmp_path / "run", seed=4)
    data = Transitions.load(done.files / "transitions.npz")
    assert data.states.shape == (20, 11, 3)
    assert (done.files / "episodes.gif").read_bytes()[:6] == b"GIF89a"
    assert (done.files / "episodes.mp4").read_bytes()[4:8] == b"ftyp"
    assert done.outputs["edges"]["data"][:3] == [[0, 1], [1, 2], [1, 0]]
    again = run("causal.simulate", inputs, tmp_path / "again", seed=4)
    assert (again.directory / "result.json").read_bytes() == (done.directory / "result.json").read_bytes()


def test_train_and_plan_with_the_weights(tmp_path):
    world = {"world": "physics", "objects": 3}
    done = run("causal.train", world | {"updates": 3, "episodes": 10, "hidden": 32, "dim": 4}, tmp_path / "train")
    model = WorldModel.load(done.files / "model.safetensors")
    assert done.outputs["weights"]["parameters"] == model.parameters_count
    table = done.outputs["scores"]
    names = table["data"][0]
    assert names == ["this model", "oracle", "no interaction", "identity", "marginal"]
    weights = str(done.files / "model.safetensors")
    planned = run("causal.plan", world | {"steps": 1, "episodes": 20, "model": weights}, tmp_path / "plan")
    assert (planned.files / "plans.mp4").exists()
    assert planned.outputs["results"]["data"][0] == ["oracle", "model", "replay", "random"]
    assert planned.outputs["results"]["data"][4][0] == 100


def test_benchmark_fans_out(tmp_path, monkeypatch):
    from colonnade.causal import bench

    cell = bench.Cell(objects=3, updates=2, episodes=5, hidden=32, dim=4, test_rows=50)
    monkeypatch.setattr(bench, "preset", lambda name, seeds: [cell.model_copy(update={"seed": s}) for s in seeds])
    monkeypatch.setattr(bench, "PLAN_EPISODES", 20)
    monkeypatch.setattr(bench, "REWARD_UPDATES", 5)
    service = get("causal.benchmark")
    object.__setattr__(service.resources, "cores", 1)  # in this process, where the preset is patched
    try:
        done = run("causal.benchmark", {"seeds": 2}, tmp_path / "run")
    finally:
        object.__setattr__(service.resources, "cores", 2)
    columns = [c["name"] for c in done.outputs["leaderboard"]["columns"]]
    rows = dict(zip(columns, done.outputs["leaderboard"]["data"], strict=True))
    assert rows["predictor"][0] == "gnn infonce balanced"
    assert set(rows["predictor"][1:]) == {"oracle", "no interaction", "identity", "marginal"}
    assert rows["seeds"] == [2] * 5
    assert rows["H@1 at 1 low"][0] <= rows["H@1 at 1"][0] <= rows["H@1 at 1 high"][0]
    page = (done.files / "leaderboard.html").read_text()
    assert "oracle" in page
    assert "True and inferred" in page


def test_discover_on_the_carried_table(tmp_path):
    inputs = dict(get("causal.discover").example()) | {"bootstrap": 3}
    done = run("causal.discover", inputs, tmp_path / "run")
    graph = json.loads((done.files / "causal.json").read_text())
    found = {(e["cause"], e["effect"]) for e in graph["edges"]}
    assert found == {
        ("light", "water"), ("water", "growth"), ("light", "pests"), ("growth", "harvest"), ("pests", "harvest"),
    }  # fmt: skip
    assert all(e["pvalue"] < 0.01 and e["stability"] > 0.5 for e in graph["edges"])
    assert "light" in (done.files / "causal.dot").read_text()
    assert "<graphml" in (done.files / "causal.graphml").read_text()


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("causal.simulate", {"world": "chemistry", "graph": "0->1->0"}, "closes a cycle"),
        ("causal.simulate", {"objects": 13}, "objects must be at most 12"),
        ("causal.simulate", {"episodes": 100_000, "steps": 1000}, "episodes x steps must be at most 20000000"),
        ("causal.simulate", {"colors": 12}, "colors must be from 2 to 9, but is 12"),
        ("causal.train", {"updates": 0}, "updates must be from 1 to 100000, but is 0"),
        ("causal.train", {"transition": "transformer"}, "transition must be one of"),
        ("causal.benchmark", {"preset": "fast"}, "preset must be one of"),
        ("causal.plan", {"steps": 21}, "steps must be from 1 to 20"),
        ("causal.plan", {"objects": 4, "pretrained": "physics5-gnn"}, "a model for this world must have 4 objects"),
        (
            "causal.plan",
            {"world": "chemistry", "pretrained": "physics5-gnn"},
            "must be trained on a chemistry world, but was on a phy",
        ),
        ("causal.discover", {"method": "pc"}, "table is required"),
        ("causal.discover", {"table": "example:causal.discover/interventions.csv"}, "target_column must name"),
        (
            "causal.discover",
            {"table": "example:causal.discover/interventions.csv", "method": "pc", "forbidden": "a=b"},
            "forbidden must hold edges like a->b",
        ),
    ],
)
def test_bad_input_is_refused_in_a_sentence(name, values, sentence):
    with pytest.raises(BadInput) as caught:
        get(name).parse(values)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_table_is_refused_before_the_job(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="at least 2 columns and 10 rows"):
        get("causal.discover").parse({"table": str(tmp_path / "t.csv"), "method": "pc"})


def test_plan_offers_the_whole_zoo():
    from typing import get_args

    from colonnade.causal.services.plan import Pretrained
    from colonnade.causal.zoo import RECIPES

    assert set(get_args(Pretrained)) == set(RECIPES)
