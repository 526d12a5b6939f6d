"""A model as a form, and what was typed back as values."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.datastructures import FormData

from colonnade.errors import Problem
from colonnade.gateway import forms, posted
from colonnade.inputs import Accept, InputFile, Inputs, Param


class Mode(enum.IntEnum):
    ONE = 1
    TWO = 2


class Inner(BaseModel):
    size: float = Param(1.5, title="Size", unit="nm", ge=0, le=3)
    name: str = Param(title="Name")


class Every(Inputs):
    count: int = Param(title="Count", ge=1)
    ratio: float = Param(0.5, title="Ratio", gt=0, lt=1, unit="%", help="A share.")
    maybe: int | None = Param(None, title="Maybe")
    text: str = Param("abc", title="Text", max_length=9)
    notes: str = Param("", title="Notes", multiline=True)
    flag: bool = Param(True, title="Flag")
    mode: Mode = Param(Mode.ONE, title="Mode")
    kind: Literal["a", "b"] = Param("a", title="Kind", level="expert", group="More")
    kinds: list[Literal[1, 2, 3]] = Param(default_factory=lambda: [1], title="Kinds")
    numbers: list[float] = Param(default_factory=list, title="Numbers")
    whole: tuple[int, ...] = Param((1, 2), title="Whole")
    lines: list[str] = Param(default_factory=list, title="Lines")
    file: Annotated[InputFile, Accept(".pdb", limit="1 kB")] | None = Param(None, title="File")
    files: list[Annotated[InputFile, Accept(".txt", limit="2 kB")]] = Param(default_factory=list, title="Files")
    inner: Inner = Param(Inner(name="n"), title="Inner")
    extra: Inner | None = Param(None, title="Extra", level="guru")
    rows: list[Inner] = Param(default_factory=list, title="Rows")
    free: dict[str, int] = Param(default_factory=dict, title="Free")


FIELDS = {item.name: item for item in forms.describe(Every)}
KINDS = {
    "count": "integer",
    "ratio": "number",
    "maybe": "integer",
    "text": "text",
    "notes": "multiline",
    "flag": "boolean",
    "mode": "choice",
    "kind": "choice",
    "kinds": "choices",
    "numbers": "numbers",
    "whole": "integers",
    "lines": "lines",
    "file": "file",
    "files": "files",
    "inner": "group",
    "extra": "group",
    "rows": "rows",
    "free": "json",
}


def test_every_kind_of_field_gets_its_control() -> None:
    assert {name: item.kind for name, item in FIELDS.items()} == KINDS


def test_a_field_tells_its_bounds_unit_level_and_group() -> None:
    ratio = FIELDS["ratio"]
    assert (ratio.range, ratio.unit, ratio.help) == ("greater than 0 and less than 1 %", "%", "A share.")
    assert (ratio.minimum, ratio.maximum, ratio.required, ratio.default) == (0, 1, False, 0.5)
    assert FIELDS["count"].required
    assert (FIELDS["kind"].level, FIELDS["kind"].group) == ("expert", "More")
    assert (FIELDS["file"].accept, FIELDS["file"].limit, FIELDS["file"].optional) == ((".pdb",), 1000, True)
    assert (FIELDS["files"].accept, FIELDS["files"].limit) == ((".txt",), 2000)
    assert FIELDS["extra"].switched
    assert not FIELDS["inner"].switched
    assert [child.unit for child in FIELDS["inner"].children] == ["nm", ""]


def post(*items: tuple[str, str]) -> dict[str, Any]:
    """The values that a service would get for what was posted."""
    return posted.values(forms.describe(Every), posted.typed(forms.describe(Every), FormData(items), {}))


def test_what_is_typed_becomes_values() -> None:
    found = post(
        ("count", " 7 "),
        ("ratio", "1e-2"),
        ("text", "x"),
        ("notes", "two\r\nlines"),
        ("mode", "2"),
        ("kind", "b"),
        ("kinds", "1"),
        ("kinds", "3"),
        ("numbers", "1, 2.5;3\t4\n5"),
        ("whole", ""),
        ("lines", "a\r\n\r\nb c"),
        ("inner.size", "2"),
        ("inner.name", "m"),
        ("rows:row", "4"),
        ("rows.4.name", "first"),
        ("rows:row", "9"),
        ("rows.9.name", "second"),
        ("free", '{"a": 1}'),
    )
    assert found["count"] == 7
    assert found["ratio"] == 0.01
    assert found["notes"] == "two\nlines"
    assert found["mode"] == 2
    assert found["kinds"] == [1, 3]
    assert found["numbers"] == [1, 2.5, 3, 4, 5]
    assert found["whole"] == []
    assert found["lines"] == ["a", "b c"]
    assert found["flag"] is False
    assert found["extra"] is None
    assert [row["name"] for row in found["rows"]] == ["first", "second"]
    assert found["free"] == {"a": 1}
    assert Every.model_validate(found).inner.size == 2


def test_what_is_left_empty_is_left_out_or_none() -> None:
    found = post(("count", ""), ("ratio", ""), ("maybe", ""), ("text", ""))
    assert "count" not in found
    assert "ratio" not in found
    assert found["maybe"] is None
    assert found["text"] == ""


def test_what_does_not_read_stays_as_it_was_typed() -> None:
    found = post(("count", "seven"), ("ratio", "0,5"), ("numbers", "1 x"), ("mode", "9"), ("free", "{"))
    assert (found["count"], found["ratio"], found["mode"], found["free"]) == ("seven", "0,5", "9", "{")
    assert found["numbers"] == [1.0, "x"]


def test_a_group_that_is_switched_on_is_read() -> None:
    assert post(("extra:on", "on"), ("extra.name", "e"))["extra"]["name"] == "e"
    assert post(("extra.name", "e"))["extra"] is None


def test_files_are_the_new_ones_or_those_kept() -> None:
    fields = forms.describe(Every)
    kept = FormData([("file:kept", '{"name": "old.pdb"}'), ("files:kept", '"example:a.b/c"'), ("files:kept", "{")])
    assert posted.typed(fields, kept, {})["file"] == {"name": "old.pdb"}
    new = {"file": [{"name": "new.pdb"}], "files": [{"name": "d"}]}
    found = posted.typed(fields, kept, new)
    assert found["file"] == {"name": "new.pdb"}
    assert found["files"] == ["example:a.b/c", {"name": "d"}]


def test_findings_stand_at_their_fields_with_their_labels() -> None:
    problems = [
        Problem("ratio", "ratio must be greater than 0."),
        Problem("rows.1.size", "rows.1.size must be from 0 to 3 nm, but is 9."),
        Problem("numbers.2", "numbers.2 must be a number, but is 'x'."),
        Problem("extra.name", "extra.name is required."),
        Problem("inputs", "The chains are the same."),
    ]
    values = {"rows": [{"name": "a"}, {"name": "b", "size": "9"}], "numbers": "1 2 x", "extra": {}}
    form = forms.bind(forms.describe(Every), values, problems)
    found = {bound.path: bound.errors for bound in form.wrong}
    assert found == {
        "ratio": ["Ratio must be greater than 0."],
        "rows.1.size": ["Size must be from 0 to 3 nm, but is 9."],
        "numbers": ["Numbers must be a number, but is 'x'."],
        "extra.name": ["Name is required."],
    }
    assert form.general == ["The chains are the same."]
    assert form.levels == ["basic", "expert", "guru"]


def test_a_finding_inside_a_group_shows_the_groups_level() -> None:
    form = forms.bind(forms.describe(Every), {"extra": {}}, [Problem("extra.name", "extra.name is required.")])
    assert form.level == "guru"


@pytest.mark.parametrize(
    "values", [{"rows": [{}] * 500}, {"rows": "text"}, {"inner": 5}, {"kinds": "x"}, {"numbers": 5}]
)
def test_strange_values_are_shown_somehow(values: dict[str, Any]) -> None:
    form = forms.bind(forms.describe(Every), values)
    rows = next(bound for _, fields in form.groups for bound in fields if bound.path == "rows")
    assert len(rows.rows) <= forms.MAX_ROWS


@given(
    st.fixed_dictionaries(
        {
            "count": st.integers(1, 10**9),
            "ratio": st.floats(0.001, 0.999),
            "maybe": st.none() | st.integers(-(10**6), 10**6),
            "text": st.text("abc <>&\"'é", max_size=9),
            "flag": st.booleans(),
            "mode": st.sampled_from([1, 2]),
            "kinds": st.lists(st.sampled_from([1, 2, 3]), max_size=3),
            "numbers": st.lists(st.floats(-1e6, 1e6), max_size=5),
            "inner": st.fixed_dictionaries({"size": st.floats(0, 3), "name": st.text("xyz", min_size=1)}),
            "extra": st.none() | st.fixed_dictionaries({"size": st.floats(0, 3), "name": st.text("xyz", min_size=1)}),
            "rows": st.lists(st.fixed_dictionaries({"size": st.floats(0, 3), "name": st.just("r")}), max_size=3),
        }
    )
)
def test_a_form_that_is_sent_back_untouched_gives_the_same_inputs(values: dict[str, Any]) -> None:
    wanted = Every.model_validate(values)
    form = forms.bind(forms.describe(Every), wanted.model_dump(mode="json"))
    items = [item for _, fields in form.groups for bound in fields for item in _controls(bound)]
    assert Every.model_validate(post(*items)) == wanted


def _controls(bound: forms.Bound) -> list[tuple[str, str]]:
    """What a browser posts for a control that nobody touched."""
    kind = bound.field.kind
    if kind == "group":
        inner = [item for child in bound.children for item in _controls(child)]
        return [*([(f"{bound.path}:on", "on")] if bound.field.switched and bound.on else []), *inner]
    if kind == "rows":
        own = [(f"{bound.path}:row", row.field.name) for row in bound.rows]
        return own + [item for row in bound.rows for child in row.children for item in _controls(child)]
    if kind == "boolean":
        return [(bound.path, "on")] if bound.value else []
    if kind == "choices":
        return [(bound.path, text) for text in bound.value]
    return [] if kind in ("file", "files") else [(bound.path, str(bound.value))]
