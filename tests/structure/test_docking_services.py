"""The docking portals through the contract: a small integrative model end to end, and mistakes before queueing."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from colonnade import engines
from colonnade.errors import BadInput
from colonnade.gateway import forms
from colonnade.runner import Run, run
from colonnade.service import get
from colonnade.structure import haddock_install, read_structure
from colonnade.structure.examples import example

DOCKING, MODEL, DYNAMICS = (get(f"structure.{name}") for name in ("docking", "integrative_model", "dynamics"))
E2A, HPR = ({"fixed": str(example("E2A"))}, {"scanning": str(example("HPr"))})
PAIR = E2A | HPR


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The two chains of 2OOB as files, the smaller one moved away, and its complex."""
    folder = tmp_path_factory.mktemp("parts")
    whole = read_structure(example("2OOB")).protein.heavy
    files = {}
    for name, chain in (("fixed", "A"), ("scanning", "B")):
        body = whole.in_chains([chain])
        path = folder / f"{name}.pdb"
        path.write_text(body.to_pdb())
        files[name] = str(path)
    return files | {"reference": str(example("2OOB"))}


def crosslinks() -> str:
    """Distances that hold in 2OOB, and one that does not."""
    whole = read_structure(example("2OOB")).protein.heavy
    sites = whole.select(whole.atom == "CA")
    first, second = sites.in_chains(["A"]), sites.in_chains(["B"])
    gaps = ((first.xyz[:, None] - second.xyz[None]) ** 2).sum(axis=2) ** 0.5
    lines = []
    for i, j in ((20, 40), (25, 44), (10, 8), (30, 68), (5, 46)):
        lines.append(f"A {first.resid[i]} CA B {second.resid[j]} CA 0 {gaps[i, j] + 3:.1f}")
    i, j = divmod(int(gaps.argmax()), gaps.shape[1])
    return "\n".join([*lines, f"A {first.resid[i]} CA B {second.resid[j]} CA 0 8"])


@pytest.fixture(scope="module")
def modelled(parts: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    inputs = parts | {"restraint_lines": crosslinks(), "effort": "quick", "models": 20}
    return run(MODEL, inputs, tmp_path_factory.mktemp("run") / "run")


def test_one_job_screens_docks_clusters_and_predicts(modelled: Run) -> None:
    results: dict[str, Any] = {path: value for path, _, value in modelled.results}
    table = results["crosslinks"]
    columns = {column.name: cells for column, cells in zip(table.columns, table.data, strict=True)}
    assert columns["used"][-1] is False, "the planted false crosslink is left out"
    assert columns["z"][-1] == max(columns["z"]) and columns["z"][-1] >= 1
    assert sum(columns["used"]) >= 4
    assert results["likeness"].value >= 0.49
    assert results["delta_g"].value == pytest.approx(-6.23, abs=4.0) and results["delta_g"].error == 1.9
    assert any("was left out" in note for note in modelled.outputs["notes"])
    assert (modelled.files / "cluster_1_best.pdb").stat().st_size > 10_000
    with zipfile.ZipFile(modelled.files / "models.zip") as archive:
        assert len(archive.namelist()) == len(results["model_table"].rows)
    for name in ("scores", "boxes", "z_scores", "subsets"):
        assert json.dumps(results[name].spec["data"])


def test_the_model_goes_on_to_the_affinity_portal(modelled: Run, tmp_path: Path) -> None:
    best = str(modelled.files / "cluster_1_best.pdb")
    done = run(get("structure.affinity"), {"structure": best, "partners": "A B", "engine": "fast"}, tmp_path / "next")
    results = {path: value for path, _, value in done.results}
    first = {path: value for path, _, value in modelled.results}["delta_g"].value
    assert results["delta_g"].value == pytest.approx(first, abs=0.02)


REFUSED = [
    (E2A | {"scanning": str(example("E2A"))}, "scanning", "both structures have a chain A; rename it"),
    (PAIR | {"active_fixed": "A 38"}, "active_scanning", "needed on both structures"),
    (PAIR | {"active_fixed": "A 999", "active_scanning": "B 15"}, "active_fixed", "A 999 in E2A"),
    (PAIR | {"active_fixed": "$(id)", "active_scanning": "B 15"}, "active_fixed", "is not a residue such as"),
    (PAIR | {"restraint_lines": "A 38 CA B 15 CA 9 3"}, "restraint_lines", "lower bound 9 Å is above the upper"),
    (PAIR | {"restraint_lines": "A 38 CA C 15 CA 0 9\nA 1 XX B 15 CA 0 9"}, "restraint_lines", "C 15 CA"),
    (PAIR | {"fixed_chains": "Q"}, "fixed", "has no chain Q"),
    (PAIR | {"scanning_model": 7}, "scanning", "model: 7 is outside the range of 1 to 1"),
    (PAIR | {"reference": str(example("HPr"))}, "reference", "has no chain A, as the bodies have"),
    (PAIR | {"engine": "haddock3"}, "cns_licence", "has to be accepted to use haddock3"),
    (PAIR | {"engine": "gramm"}, "engine", "own"),
    (PAIR | {"models": 0}, "models", "must be from 1 to 1000"),
]


@pytest.mark.parametrize(("values", "field", "sentence"), REFUSED)
def test_mistakes_are_refused_before_queueing(values: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        DOCKING.parse(values)
    assert [problem.field for problem in error.value.problems] == [field]
    assert sentence in str(error.value)


def test_a_missing_engine_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(haddock_install.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="engine not installed: run `colonnade engines install haddock3`"):
        DOCKING.parse(PAIR | {"engine": "haddock3", "cns_licence": True})
    assert DOCKING.unavailable() is None, "the own engine is always there"


def test_haddock3_is_refused_without_restraints_and_bodies_of_ca_atoms_by_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = tmp_path / "python"
    engine.touch(mode=0o755)
    monkeypatch.setenv(haddock_install.VARIABLE, str(engine))
    with pytest.raises(BadInput, match="needs at least one restraint; without any the bodies float apart"):
        DOCKING.parse(PAIR | {"engine": "haddock3", "cns_licence": True})
    trace = tmp_path / "trace.pdb"
    atoms = read_structure(example("E2A"))
    trace.write_text(atoms.select(atoms.atom == "CA").to_pdb())
    for service in (DOCKING, MODEL):
        with pytest.raises(BadInput, match="trace is a CA-only model; docking needs all heavy atoms"):
            service.parse(PAIR | {"fixed": str(trace), "restraint_lines": "A 69 CA B 49 CA 0 25"})


def test_terms_are_accepted_before_anything_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    engine = engines.get("haddock3")
    with pytest.raises(engines.EngineError, match="have to be accepted"):
        engines.install(engine, accept_terms=False, say=lambda _: None)
    assert not engine.folder.exists()
    with pytest.raises(engines.EngineError, match="There is no engine 'x'; there is haddock3"):
        engines.get("x")


@pytest.mark.parametrize("service", [DOCKING, MODEL, DYNAMICS], ids=lambda s: s.name)
def test_levels_nest(service: Any) -> None:
    fields = forms.describe(service.inputs)
    shown = {level: {f.name for f in fields if ("basic", "expert", "guru").index(f.level) <= rank}
             for rank, level in enumerate(("basic", "expert", "guru"))}  # fmt: skip
    assert shown["basic"] < shown["expert"] < shown["guru"]


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"time": 5000}, "time", "must be from 0 to 1000 ps"),
        ({"restraint_lines": "B 999 CA B 5 CA 0 9"}, "restraint_lines", "no residue B 999"),
        ({"chains": "X"}, "structure", "has no chain X"),
        ({"time": 1000, "timestep": 0.5}, "time", "at most"),
    ],
)
def test_dynamics_refuses_before_queueing(values: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        DYNAMICS.parse({"structure": str(example("HPr"))} | values)
    assert [problem.field for problem in error.value.problems] == [field]
    assert sentence in str(error.value)


@pytest.mark.slow
def test_e2a_and_hpr_end_to_end(tmp_path: Path) -> None:
    """Both planted crosslinks are left out, and the best model of the best cluster is the complex."""
    done = run(MODEL, dict(MODEL.example()), tmp_path / "run")
    results: dict[str, Any] = {path: value for path, _, value in done.results}
    columns = {
        c.name: cells for c, cells in zip(results["crosslinks"].columns, results["crosslinks"].data, strict=True)
    }
    assert columns["used"] == [True] * 6 + [False] * 2
    assert results["likeness"].value >= 0.5


@pytest.mark.slow
@pytest.mark.skipif(haddock_install.locate() is None, reason="HADDOCK3 is not installed")
@pytest.mark.timeout(3000)
def test_e2a_and_hpr_with_haddock3(tmp_path: Path) -> None:
    inputs = dict(MODEL.example()) | {"engine": "haddock3", "cns_licence": True}
    done = run(MODEL, inputs, tmp_path / "run")
    results: dict[str, Any] = {path: value for path, _, value in done.results}
    table = results["model_table"]
    quality = table.data[[c.name for c in table.columns].index("DockQ")]
    assert max(quality) >= 0.5
