"""Typed results: how they read, what they refuse, and that they come back from a file as they went in."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from colonnade.results import Artifact, Estimate, Figure, Outputs, Table, plain, walk
from colonnade.runner import results_of


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-9.4321, 1.87, "-9.4 ± 1.9"),
        (0.012341, 0.00012, "0.01234 ± 0.00012"),
        (123456.0, 789.0, "123456 ± 789"),
        (1.5, None, "1.5"),
        (1.5, 0.0, "1.5"),
        (1.3e-7, None, "1.3e-07"),
        (6.02e23, 1e20, "6.02e+23 ± 1e+20"),
    ],
)
def test_an_estimate_reads_as_in_a_paper(value: float, error: float | None, text: str) -> None:
    assert Estimate(value=value, error=error).text == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(min_value=1e-300, max_value=1e300))
def test_an_estimate_always_has_a_text(value: float, error: float) -> None:
    estimate = Estimate(value=value, error=error, unit="m")
    assert "±" in estimate.text and str(estimate).endswith(" m")


def test_a_negative_error_is_refused() -> None:
    with pytest.raises(ValidationError):
        Estimate(value=1, error=-1)


CELLS = st.one_of(
    st.lists(st.integers(-(2**53), 2**53), min_size=3, max_size=3),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
)


@given(st.dictionaries(st.text("abcdef", min_size=1), CELLS, min_size=1, max_size=4))
def test_a_table_survives_json_and_csv(data: dict[str, list[Any]]) -> None:
    table = Table.of(data)
    assert Table.model_validate_json(table.model_dump_json()) == table
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows[0] == list(data)
    assert rows[1:] == [[str(cell) for cell in row] for row in table.rows]


def test_columns_have_the_type_of_their_cells() -> None:
    table = Table.of(
        {"n": [1, 2], "x": np.array([1.0, 2.5]), "mixed": [1, .5], "hole": [1.0, None], "s": ["", ""], "b": [True] * 2},
        units={"x": "Å"},
    )  # fmt: skip
    types = {column.name: column.type for column in table.columns}
    assert types == {"n": "integer", "x": "number", "mixed": "number", "hole": "number", "s": "text", "b": "boolean"}
    assert table.to_csv().splitlines()[0] == "n,x (Å),mixed,hole,s,b"


def test_a_ragged_table_is_refused() -> None:
    with pytest.raises(ValidationError, match="one length"):
        Table.of({"a": [1], "b": [1, 2]})
    with pytest.raises(ValidationError, match="at most"):
        Table.of({"a": list(range(200_001))})


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "", "a\\b"])
def test_a_result_file_stays_inside(name: str) -> None:
    with pytest.raises(ValidationError, match="relative path inside"):
        Artifact(file=name)


class Inner(Outputs):
    energy: Estimate


class Everything(Outputs):
    energy: Estimate
    inner: Inner
    by_name: dict[str, Estimate]
    several: list[Table]
    plain: dict[str, float]
    nothing: float | None = None
    words: str = "x"


@given(st.dictionaries(st.text(min_size=1, max_size=6), st.integers(-9, 9), min_size=1, max_size=4))
def test_every_result_is_found_again_by_its_path(named: dict[str, int]) -> None:
    outputs = Everything(
        energy=Estimate(value=1),
        inner=Inner(energy=Estimate(value=2)),
        by_name={key: Estimate(value=value) for key, value in named.items()},
        several=[Table.of({"a": [1]}), Table.of({"a": [2]})],
        plain={"a.b": 1.0},
    )
    walked = list(walk(outputs))
    titles = {path: title for path, title, _ in walked}
    result = {"outputs": plain(outputs), "titles": titles}
    read = results_of(json.loads(json.dumps(result)))
    assert [(path, value) for path, _, value in read] == [(path, value) for path, _, value in walked]


def test_what_is_absent_is_no_result() -> None:
    outputs = Everything(
        energy=Estimate(value=1), inner=Inner(energy=Estimate(value=2)), by_name={}, several=[], plain={}
    )
    assert "nothing" not in [path for path, _, _ in walk(outputs)]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_results_that_are_no_numbers_are_valid_json_and_come_back(value: float) -> None:
    outputs = Inner(energy=Estimate(value=value))
    text = json.dumps(plain(outputs), allow_nan=False)
    back = Inner.model_validate_json(text).energy.value
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_holes_in_a_table_come_back_as_numbers() -> None:
    table = Table.of({"x": np.array([1.0, np.nan, np.inf])})
    text = json.dumps(plain(table), allow_nan=False)
    back = Table.model_validate_json(text)
    assert all(isinstance(cell, float) for cell in back.data[0])
    assert math.isnan(back.data[0][1]) and back.data[0][2] == math.inf


def test_a_figure_takes_plotly_objects_without_their_theme() -> None:
    import plotly.graph_objects as go

    figure = Figure.of(go.Figure(go.Scatter(x=np.array([1.0, 2.0]), y=[np.nan, 1.0])))
    assert "template" not in figure.spec["layout"]
    json.dumps(plain(figure), allow_nan=False)


def test_a_figure_of_a_plain_dict_leaves_the_dict_alone() -> None:
    given_spec = {"data": [], "layout": {"template": {"a": 1}, "title": "t"}}
    Figure.of(given_spec)
    assert given_spec["layout"] == {"template": {"a": 1}, "title": "t"}


def test_a_figure_with_numbers_that_are_none_is_valid_json() -> None:
    figure = Figure.of({"data": [{"y": [1.0, float("nan")]}], "layout": {}})
    json.dumps(plain(figure), allow_nan=False)
