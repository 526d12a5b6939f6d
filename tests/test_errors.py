"""Whatever is wrong with an input, a person reads one sentence that names the field."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import samples
from colonnade.errors import BadInput, describe_range, explain, shorten

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = list(samples.EveryInput.model_fields)


def refuse(values: object) -> BadInput | None:
    try:
        samples.EveryInput.model_validate(values)
    except ValidationError as error:
        return explain(error, samples.EveryInput)
    return None


def is_sentence(text: str) -> bool:
    return text == text.strip() and "\n" not in text and text.endswith((".", "?")) and len(text) < 400


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=10), JUNK, max_size=4))
def test_every_refusal_is_a_sentence_that_names_its_field(values: dict[str, object]) -> None:
    found = refuse(values)
    if found is None:
        return
    assert found.problems
    for problem in found.problems:
        assert is_sentence(problem.message), problem
        assert "Input should" not in problem.message
        if problem.field != "inputs":
            assert problem.message.startswith(problem.field)
            named = problem.field.split(".")[0]
            assert named in FIELDS or named in values or any(problem.field == shorten(key) for key in values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"count": 0}, "count must be from 1 to 500, but is 0."),
        ({"count": "many"}, "count must be from 1 to 500, but is 'many'."),
        ({"temperature": 81}, "temperature must be from -20 to 80 °C, but is 81."),
        ({"temperature": float("nan")}, "temperature must be from -20 to 80 °C, but is nan."),
        ({"ratio": 1.0}, "ratio must be greater than 0 and less than 1, but is 1.0."),
        ({"method": "slow"}, "method must be one of 'fast' or 'exact', but is 'slow'."),
        ({"shape": "oval"}, "shape must be one of 'square' or 'round', but is 'oval'."),
        ({"careful": "perhaps"}, "careful must be true or false, but is 'perhaps'."),
        ({"cout": 3}, "cout is not a field of this service; did you mean count?"),
        ({"chains": "AB"}, "chains must be a list, but is 'AB'."),
        ({"chains": [1] * 9}, "chains must be a list of at most 8 values, but is [1, 1, 1, 1, 1, 1, 1, 1, 1]."),
        ({"label": "x" * 201}, f"label must be text of at most 200 characters, but is '{'x' * 58}…."),
        ({"window": {"start": 11}}, "window.start must be from 0 to 10 s, but is 11."),
        ({"window": {"points": [1, "b"]}}, "window.points.1 must be a whole number, but is 'b'."),
        ({"label": "bell \a"}, "label: it holds a control character, which no field takes."),
    ],
)  # fmt: skip
def test_the_sentence_names_field_value_and_range(values: dict[str, object], sentence: str) -> None:
    found = refuse(values)
    assert found is not None
    assert [problem.message for problem in found.problems] == [sentence]


def test_a_missing_field_is_required() -> None:
    with pytest.raises(ValidationError) as caught:
        samples.FileInput.model_validate({})
    assert str(explain(caught.value, samples.FileInput)) == "document is required."


def test_each_wrong_field_gets_its_own_sentence() -> None:
    found = refuse({"count": 0, "temperature": 99, "nothing": 1})
    assert found is not None
    assert {problem.field for problem in found.problems} == {"count", "temperature", "nothing"}


@given(st.text() | st.lists(st.integers()))
def test_a_shown_value_is_short_and_one_line(value: object) -> None:
    shown = shorten(value)
    assert len(shown) <= 60
    assert "\n" not in shown


def test_the_range_in_words() -> None:
    fields = samples.EveryInput.model_fields
    assert describe_range(fields["temperature"]) == "from -20 to 80 °C"
    assert describe_range(fields["ratio"]) == "greater than 0 and less than 1"
    assert describe_range(fields["label"]) == ""
