"""The services of this column on the contract, and what importing it loads."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import colonnade.quadruped.services  # noqa: F401 (registers them)
from colonnade.errors import BadInput
from colonnade.quadruped.world import random_world
from colonnade.results import Figure, Table
from colonnade.runner import run
from colonnade.service import _REGISTRY

NAMES = ("jump", "jump_map", "plan", "navigate", "walk_bench")


def found(name):
    return _REGISTRY[f"quadruped.{name}"]


def outputs(name, inputs, folder, seed=0):
    done = run(found(name), inputs, folder, seed=seed)
    return done, {path: value for path, _, value in done.results}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Services are found by entry points; a checkout that is not installed still has them through the import above."""
    from colonnade import runner

    monkeypatch.setattr(runner, "get", lambda name: _REGISTRY[name])


def test_importing_loads_no_engine():
    code = (
        "import sys, colonnade.quadruped, colonnade.quadruped.services;"
        "bad = [m for m in ('casadi', 'mujoco', 'numba', 'scipy', 'quadprog') if m in sys.modules]; print(bad)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves():
    import colonnade.quadruped as column

    for name in column.__all__:
        value = getattr(column, name)
        assert callable(value) or name in ("MINI_CHEETAH", "GO1", "ROBOTS"), name


def test_examples_are_valid():
    assert set(NAMES) == {name.split(".")[1] for name in _REGISTRY if name.startswith("quadruped.")}
    for name in NAMES:
        for values in found(name).examples.values():
            found(name).parse(values)
        assert found(name).unavailable() is None
        assert found(name).paper == "arXiv:2107.00773"


def test_jump_answers_with_a_certificate(tmp_path):
    done, values = outputs("jump", {"trials": 2}, tmp_path / "run")
    assert values["feasible"] is True and values["source"] == "library"
    rows = dict(values["certificate"].rows)
    assert rows["valid"] == 1.0 and rows["simulated run ended well"] == 1.0
    assert isinstance(values["strip"], Figure) and isinstance(values["success"], Table)
    assert (done.files / "jump.dat").stat().st_size % 88 == 0
    assert "2 of 2 succeeded" in values["success"].caption


def test_jump_refuses_with_the_limiting_number(tmp_path):
    _, values = outputs("jump", {"sill": 0.2, "lintel": 0.3}, tmp_path / "run")
    assert values["feasible"] is False and "0.190 m" in values["verdict"]
    with pytest.raises(BadInput, match="sill"):
        found("jump").parse({"sill": 2.0})
    with pytest.raises(BadInput, match="friction"):
        found("jump").parse({"friction": float("nan")})


def test_plan_and_its_world_file(tmp_path):
    world = random_world(np.random.default_rng(2), "window")
    path = tmp_path / "world.json"
    path.write_text(world.to_json())
    _, values = outputs("plan", {"world": str(path)}, tmp_path / "run")
    assert values["jumps"] == 1 and values["cost"].value > 5
    path.write_text(json.dumps({"bounds": [0, 0, 1]}))
    with pytest.raises(BadInput, match="bounds"):
        found("plan").parse({"world": str(path)})


def test_a_closed_world_fails_in_one_sentence(tmp_path):
    from colonnade.errors import JobFailed

    world = {
        "bounds": [0, -1, 4, 1],
        "start": [0.6, 0, 0],
        "goal": [3.4, 0],
        "walls": [{"x": 2, "y": 0, "yaw": 0, "span": 4}],
    }
    path = tmp_path / "world.json"
    path.write_text(json.dumps(world))
    with pytest.raises(JobFailed, match="cannot be reached"):
        run(found("plan"), {"world": str(path)}, tmp_path / "run")


def test_walk_bench(tmp_path):
    _, values = outputs("walk_bench", {"speeds": [0.5], "turns": [], "pushes": [], "seconds": 2.0}, tmp_path / "run")
    assert values["falls"] == 0
    assert values["table"].rows[0][3] == pytest.approx(0.5, rel=0.08)


def test_bad_commands_to_the_walk_are_refused():
    for values, words in (
        ({"speeds": [2.0]}, "speeds: every value must be from -1.5 to 1.5"),
        ({"turns": [float("nan")]}, "turns"),
        ({"speeds": [], "turns": [], "pushes": []}, "at least one"),
    ):
        with pytest.raises(BadInput, match=words):
            found("walk_bench").parse(values)


def test_crossed_limits_are_refused_before_the_job_runs():
    with pytest.raises(BadInput, match=r"lintel: must be above the sill at 0\.3 m, but is 0\.25 m"):
        found("jump").parse({"sill": 0.3, "lintel": 0.25})
    with pytest.raises(BadInput, match="longest"):
        found("jump_map").parse({"shortest": 1.0, "longest": 0.9})


def test_importing_the_module_does_not_depend_on_the_engines(monkeypatch):
    from colonnade.quadruped.services import common

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert common.missing() == (
        "The extra 'quadruped' is not installed (casadi, mujoco, quadprog, numba, scipy missing)."
    )


@pytest.mark.slow
def test_another_robot_jumps(tmp_path):
    inputs = {"sill": 0.1, "lintel": 1.2, "distance": 0.15, "robot": "Go1", "trials": 0}
    _, values = outputs("jump", inputs, tmp_path / "run")
    assert values["feasible"] is True and values["source"] in ("library start", "homotopy")
    assert dict(values["certificate"].rows)["smallest clearance between nodes and at them (m)"] > 0.04


@pytest.mark.slow
def test_jump_map(tmp_path):
    inputs = {"sills": 2, "lengths": 2, "highest": 0.15, "shortest": 0.8, "longest": 0.9}
    done, values = outputs("jump_map", inputs, tmp_path / "run")
    assert len(values["table"].rows) == 4
    assert values["share"].value == 1.0
    with zipfile.ZipFile(done.files / "plans.zip") as archive:
        assert len(archive.namelist()) == 4


def test_navigate_without_a_film(tmp_path):
    world = {"bounds": [0, -1, 3, 1], "start": [0.6, 0, 0], "goal": [2.0, 0.2], "obstacles": []}
    path = tmp_path / "world.json"
    path.write_text(json.dumps(world))
    done, values = outputs("navigate", {"world": str(path), "film": False}, tmp_path / "run")
    assert values["success"] is True, values["outcome"]
    assert "video" not in values and "animation" not in values
    assert isinstance(values["run"], Figure) and isinstance(values["map"], Figure)
    with np.load(done.files / "run.npz") as kept:
        assert kept["qpos"].shape == (len(kept["t"]), 19)
        assert np.hypot(*(kept["qpos"][-1, :2] - [2.0, 0.2])) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7])
def test_navigate_with_the_seed_of_the_documentation(tmp_path, seed):
    done, values = outputs("navigate", {}, tmp_path / "run", seed=seed)
    assert values["success"] is True, values["outcome"]
    assert dict(values["metrics"].rows)["jumps"] >= 1
    assert values["video"].media_type == "video/mp4" and (done.files / "run.mp4").stat().st_size > 50_000
