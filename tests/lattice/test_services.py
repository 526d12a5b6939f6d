"""The lattice services through the contract: results with errors, mistakes refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

import colonnade.lattice.services  # noqa: F401  (registered also where the package is not installed)
from colonnade.errors import BadInput
from colonnade.runner import run
from colonnade.service import get

NAMES = ["ensemble", "train", "flow_sample", "exact", "scan", "free_energy", "advise"]


def results(name: str, inputs: dict, folder: Path, seed: int = 1) -> dict:
    done = run(get(f"lattice.{name}"), inputs, folder / name, seed=seed)
    return {path: value for path, _, value in done.results} | {"": done}


def column(table, name: str) -> list:  # type: ignore[no-untyped-def]
    return table.data[[c.name for c in table.columns].index(name)]


@pytest.mark.parametrize("name", NAMES)
def test_every_service_is_there(name: str) -> None:
    service = get(f"lattice.{name}")
    assert service.paper == "arXiv:2107.00734"
    assert service.examples


def test_ensemble_beside_its_exact_values(tmp_path: Path) -> None:
    inputs = {"m2": -4, "lam": 6.975, "shape": [4, 4], "n": 400, "keep": 100}
    got = results("ensemble", inputs, tmp_path)
    rows = dict(
        zip(column(got["observables"], "observable"), zip(*got["observables"].data[1:3], strict=True), strict=True)
    )
    value, error = rows["chi2"]
    assert value == pytest.approx(0.934972, abs=4 * error)
    assert dict(zip(*got["exact"].data[:2], strict=True))["chi2"] == pytest.approx(0.934972, abs=1e-5)
    assert (got[""].files / "configurations.npz").stat().st_size > 1000


def test_train_then_sample_then_free_energy(tmp_path: Path) -> None:
    action = {"m2": -4, "lam": 6.975, "shape": [4, 4]}
    got = results("train", action | {"steps": 120, "couplings": 2, "hidden": 6, "batch": 128}, tmp_path)
    exact = dict(zip(*got["exact"].data[:2], strict=True))["log Z"]
    assert got["log_z"].value == pytest.approx(exact, abs=4 * got["log_z"].error + 1e-3)
    weights = str(got[""].files / got["weights"].file)
    sampled = results("flow_sample", {"weights": weights, "n": 100}, tmp_path)
    assert "Flow: ok" in sampled["verdict"]
    free = results("free_energy", action | {"method": "flow", "weights": weights, "n": 4000}, tmp_path)
    assert abs(free["distance"].value) < 4 * free["distance"].error + 1e-3
    with pytest.raises(BadInput):
        results("free_energy", action | {"method": "flow"}, tmp_path)


def test_exact_scan_and_annealing(tmp_path: Path) -> None:
    got = results("exact", {"kappa": 0.25, "lam": 0.5, "shape": [4, 4], "bond": 8}, tmp_path)
    assert got["two_point"].rows[0][-1] == pytest.approx(dict(zip(*got["values"].data[:2], strict=True))["phi2"])
    scan = {"low": 3.0, "high": 6.975, "points": 2, "sides": [4, 8], "n": 150}
    scanned = results("scan", scan, tmp_path)
    assert column(scanned["table"], "chi2")[1] == pytest.approx(0.935, abs=0.1)
    assert 3.0 < column(scanned["crossings"], "lam")[0] < 6.975
    free = results("free_energy", {"m2": -4, "lam": 6.975, "shape": [4, 4], "n": 400, "stages": 20}, tmp_path)
    assert abs(free["distance"].value) < 4 * free["distance"].error


@pytest.mark.slow
def test_advise(tmp_path: Path) -> None:
    inputs = {"m2": -4, "lam": 4.0, "shape": [8, 8], "seconds": 1.0, "training_minutes": 0.3}
    got = results("advise", inputs, tmp_path)
    assert got["recommendation"].startswith("Use ")
    assert column(got["log_z"], "method") == ["annealing", "flow", "exact, hotrg"]
    assert {"HMC", "HMC + flip", "flow", "flow + HMC"} <= set(column(got["samplers"], "sampler"))


@pytest.mark.parametrize(
    ("name", "inputs", "words"),
    [
        ("ensemble", {"m2": -4, "lam": -1}, ["lam", "-1"]),
        ("ensemble", {"m2": -4, "lam": 0}, ["unbounded below"]),
        ("ensemble", {"m2": -4, "kappa": 0.3, "lam": 1}, ["m2", "kappa", "both"]),
        ("ensemble", {"lam": 1}, ["m2", "kappa"]),
        ("ensemble", {"m2": float("nan"), "lam": 1}, ["m2"]),
        ("ensemble", {"m2": -4, "lam": 4, "shape": [512, 8]}, ["512"]),
        ("ensemble", {"m2": -4, "lam": 4, "shape": [128, 128], "n": 1_000_000, "chains": 1024}, ["hours"]),
        ("train", {"m2": -4, "lam": 4, "shape": [7, 8]}, ["even", "lattice.ensemble"]),
        ("train", {"m2": -4, "lam": 4, "h": 0.1}, ["equivariant", "0.1"]),
        ("exact", {"m2": -4, "lam": 4, "shape": [6, 6]}, ["powers of two"]),
        ("flow_sample", {"zoo": "nothing"}, ["nothing"]),
        ("flow_sample", {}, ["exactly one"]),
        ("scan", {"low": 5.0, "high": 4.0}, ["low", "below"]),
        ("scan", {"vary": "kappa", "low": 0.2, "high": 0.3}, ["kappa", "lam"]),
        ("scan", {"lam": 3.0}, ["lam = 3.0", "left out"]),
        ("free_energy", {"m2": 1.0, "lam": 0.0}, ["above 0"]),
        ("advise", {"m2": -4, "lam": 4, "shape": [256, 256]}, ["16384"]),
    ],
)
def test_mistakes_are_refused_in_a_sentence(name: str, inputs: dict, words: list[str]) -> None:
    with pytest.raises(BadInput) as error:
        get(f"lattice.{name}").parse(inputs)
    assert all(word in str(error.value) for word in words), str(error.value)
