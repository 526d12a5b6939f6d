"""Tensors from files of couplings and shifts: the true ones come back, and mistakes are said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colonnade.errors import BadInput
from colonnade.runner import run
from colonnade.service import get
from colonnade.structure import Tensor, TensorError, example, fit_tensor, parse_data, read_structure
from colonnade.structure.restraints import AtomId
from colonnade.structure.tensor_data import _position

from .data.make_tensor_examples import CHI, SAUPE

Write = Callable[..., Path]
SERVICE = get("structure.tensor_fit")


def true(matrix: np.ndarray) -> Tensor:
    c = np.array([matrix[0, 0], matrix[1, 1], matrix[0, 1], matrix[0, 2], matrix[1, 2]])
    return Tensor(c, np.eye(5), np.ones(2), np.ones(2))


@pytest.mark.parametrize(("kind", "matrix", "scale"), [("rdc", SAUPE, 1e4), ("pcs", CHI, 1.0)])
def test_the_portal_finds_the_tensor_that_made_the_data(
    kind: str, matrix: np.ndarray, scale: float, tmp_path: Path
) -> None:
    title = next(t for t in SERVICE.examples if ("couplings" in t) == (kind == "rdc"))
    done = run(SERVICE, dict(SERVICE.example(title)) | {"resamples": 200}, tmp_path / "run")
    results = {path: value for path, _, value in done.results}
    for name in ("axial", "rhombic"):
        found, wanted = results[name], getattr(true(matrix), name) * scale
        low, high = found.interval
        slack = 0.5 * (high - low)
        assert low - slack <= wanted <= high + slack
        assert high - low < 0.25 * abs(true(matrix).axial * scale)
    assert results["q_factor"].value < 0.1 and results["correlation"].value > 0.99
    rows = {row[0]: row for row in results["tensor"].rows}
    pulls = [
        (rows[f"{label} (molecular frame)"][1] - matrix[i, j] * scale) / rows[f"{label} (molecular frame)"][2]
        for label, i, j in (("xx", 0, 0), ("yy", 1, 1), ("xy", 0, 1), ("xz", 0, 2), ("yz", 1, 2))
    ]
    assert np.sqrt(np.mean(np.square(pulls))) < (2.5 if kind == "rdc" else 8.0)  # PCS errors hold for a known metal
    if kind == "pcs":
        assert [rows[f"metal {a}"][1] for a in "xyz"] == pytest.approx([26.872, 5.477, 21.819], abs=0.3)
    view = results["structure"]
    assert [s.label for s in view.selections[-3:]] == [f"principal axis {a}" for a in "xyz"]


def test_hydrogens_that_are_missing_are_put_where_they_belong() -> None:
    ubiquitin = read_structure(example("2OOB")).in_chains(["B"])
    h, n, ca, c = (
        _position(ubiquitin, AtomId("B", number, name)) for number, name in ((10, "H"), (10, "N"), (10, "CA"), (9, "C"))
    )
    assert h is not None and n is not None and ca is not None and c is not None
    assert np.linalg.norm(h - n) == pytest.approx(1.02)
    angles = [np.degrees(np.arccos((h - n) @ (x - n) / (1.02 * np.linalg.norm(x - n)))) for x in (ca, c)]
    assert angles[0] == pytest.approx(angles[1]) and 110 < angles[0] < 125
    assert abs(np.dot(np.cross(ca - n, c - n), h - n)) < 1e-9
    assert _position(ubiquitin, AtomId("B", 1, "H")) is None


def test_formats() -> None:
    with_chain, without = parse_data("B 12 N B 12 H -8.3 0.5", "rdc"), parse_data("12,N,12,H,-8.3", "rdc")
    assert [a.chain for a in with_chain[0].atoms] == ["B", "B"] and with_chain[0].error == 0.5
    assert [a.number for a in without[0].atoms] == [12, 12] and without[0].error is None
    assert parse_data("A 52A HN 1.5e-1", "pcs")[0].atoms[0] == AtomId("A", 52, "HN", "A")


def test_data_without_errors_and_with_an_outlier() -> None:
    structure = read_structure(example("2OOB")).in_chains(["B"])
    data = parse_data(example("2OOB").with_name("ubiquitin-rdc.dat").read_text(), "rdc")
    bare = [replace(d, error=None) for d in data]
    fit = fit_tensor(structure, bare, "rdc", resamples=20)
    assert "no errors" in " ".join(fit.notes)
    assert fit.tensor.axial == pytest.approx(fit_tensor(structure, data, "rdc", resamples=20).tensor.axial)
    with pytest.raises(TensorError, match="1 values have no error"):
        fit_tensor(structure, [bare[0], *data[1:]], "rdc")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", "rdc", "holds no data"),
        ("A 1 N A 1 H", "rdc", "line 1: expected a value"),
        ("A 1 N 5.0 0.1", "rdc", "line 1: expected two atoms"),
        ("A 1 H 5.0 0\nA x H 5.0", "pcs", "line 1: the error 0 must be above zero; line 2: expected an atom"),
        ("A 1 H nan", "pcs", "expected a value"),
    ],
)
def test_what_is_no_data_is_said_line_by_line(text: str, kind: str, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        parse_data(text, kind)


@pytest.mark.parametrize(
    ("values", "text", "field", "words"),
    [
        ({}, "B 900 N B 900 H 1.0 0.5", "data", "B 900 N, B 900 H"),
        ({}, "2 N 2 H 1.0 0.5", "data", "name the chain"),
        ({}, "B 2 N B 2 H 1.0 0.5", "data", "too few; at least 5"),
        ({}, "B 2 N B 2 OXT 1.0", "data", "not there"),
        ({}, "B 2 N B 2 O 1.0", "data", "couplings are of H, C, N, not of O"),
        ({"kind": "pcs", "metal": "here"}, "B 2 H 1.0", "metal", "give x, y, z"),
        ({"kind": "pcs", "metal": "B 900 CA"}, "B 2 H 1.0", "metal", "there is no atom"),
        ({"chains": "Q"}, "B 2 N B 2 H 1.0", "structure", "has no chain Q; its chains are"),
        ({"bond": 0.1}, "B 2 N B 2 H 1.0", "bond", "from 0.8 to 3"),
    ],
)
def test_a_mistake_gets_one_sentence(values: dict, text: str, field: str, words: str, write: Write) -> None:
    given = dict(SERVICE.example("couplings")) | {"data": str(write(text + "\n", "data.dat"))} | values
    with pytest.raises(BadInput) as refused:
        SERVICE.parse(given)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert words in str(refused.value)
