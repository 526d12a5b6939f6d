"""The services of this column on the contract, and what importing it loads."""

import json
import subprocess
import sys

import numpy as np
import pytest

import colonnade.quadruped.services as edge
from colonnade.errors import BadInput
from colonnade.quadruped.film import film
from colonnade.quadruped.robot import MINI_CHEETAH
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
        assert callable(value) or value is MINI_CHEETAH, name


def test_examples_are_valid():
    assert set(NAMES) == {name.split(".")[1] for name in _REGISTRY if name.startswith("quadruped.")}
    for name in NAMES:
        for values in found(name).examples.values():
            found(name).parse(values)
        assert found(name).unavailable() is None
    assert edge.PAPER == "arXiv:2107.00773"


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


def test_no_graphics_means_no_film_but_no_crash(tmp_path):
    qpos = np.tile(np.concatenate([[0, 0, 0.3, 1, 0, 0, 0], np.zeros(12)]), (5, 1))
    made = film(MINI_CHEETAH, (), np.linspace(0, 0.5, 5), qpos, tmp_path / "run", backends=("none",))
    assert made.path is None and made.reason.startswith("No film: ")
    empty = film(MINI_CHEETAH, (), np.zeros(0), np.zeros((0, 19)), tmp_path / "run")
    assert empty.path is None


@pytest.mark.slow
def test_film_is_made_or_the_reason_said(tmp_path):
    qpos = np.tile(np.concatenate([[0, 0, 0.3, 1, 0, 0, 0], np.tile([0, -0.8, 1.6], 4)]), (30, 1))
    made = film(MINI_CHEETAH, (), np.linspace(0, 1, 30), qpos, tmp_path / "run")
    assert (made.path is not None and made.path.stat().st_size > 1000) or made.reason.startswith("No film: ")


@pytest.mark.slow
def test_jump_map(tmp_path):
    inputs = {"sills": 2, "lengths": 2, "highest": 0.15, "shortest": 0.8, "longest": 0.9}
    _, values = outputs("jump_map", inputs, tmp_path / "run")
    assert len(values["table"].rows) == 4
    assert values["share"].value > 0


@pytest.mark.slow
def test_navigate(tmp_path):
    _, values = outputs("navigate", {"kind": "window", "film": False}, tmp_path / "run", seed=7)
    assert values["success"] is True, values["outcome"]
    assert isinstance(values["run"], Figure) and isinstance(values["map"], Figure)
