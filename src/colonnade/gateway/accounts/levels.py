"""Fields above a person's level: shown locked on the form, refused when they are changed over REST."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from colonnade.errors import BadInput, Problem
from colonnade.gateway import forms
from colonnade.gateway.templating import above
from colonnade.inputs import LEVELS, Level

HOW = "ask for that level on your account page"


def locked(
    fields: Sequence[forms.Field], values: Mapping[str, Any], allowed: Level, prefix: str = "", least: Level = "basic"
) -> Iterator[tuple[str, forms.Field, Level]]:
    """The fields above a level that differ from their default: path, field, level.

    A field without a default has to be given by everybody, so it is never locked.
    """
    for item in fields:
        if item.name not in values:
            continue
        value, level = values[item.name], max(least, item.level, key=LEVELS.index)
        path = f"{prefix}{item.name}"
        if above(level, allowed) and not item.required and value != item.default:
            yield path, item, level
        elif item.kind == "group" and isinstance(value, Mapping):
            yield from locked(item.children, value, allowed, f"{path}.", level)
        elif item.kind == "rows" and isinstance(value, list | tuple):
            for index, row in enumerate(value):
                if isinstance(row, Mapping):
                    yield from locked(item.children, row, allowed, f"{path}.{index}.", level)


def findings(model: type[BaseModel], values: Mapping[str, Any], allowed: Level) -> list[Problem]:
    """A sentence for each field that is above a person's level and differs from its default."""
    if allowed == LEVELS[-1]:
        return []
    return [
        Problem(path, f"{path} may be changed from level {level} on; {HOW}.", str(item.default))
        for path, item, level in locked(forms.describe(model), values, allowed)
    ]


def check(inputs: BaseModel, allowed: Level) -> None:
    """Refuse inputs that change what is above a person's level.

    Raises:
        BadInput: with a sentence for each such field.
    """
    found = findings(type(inputs), inputs.model_dump(mode="json"), allowed)
    if found:
        raise BadInput(found)


def without_locked(fields: Sequence[forms.Field], values: Mapping[str, Any], allowed: Level) -> dict[str, Any]:
    """The values of a form without its locked fields: a browser sends nothing for them, and so their defaults hold."""
    kept: dict[str, Any] = {}
    for item in fields:
        if item.name not in values or (above(item.level, allowed) and not item.required):
            continue
        value = values[item.name]
        if item.kind == "group" and isinstance(value, Mapping):
            value = without_locked(item.children, value, allowed)
        elif item.kind == "rows" and isinstance(value, list):
            value = [without_locked(item.children, row, allowed) for row in value]
        kept[item.name] = value
    return kept
