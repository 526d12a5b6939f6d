"""One family of errors, and the sentences a person reads when an input is wrong."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

import annotated_types as at
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

MAX_SHOWN = 60  # characters of a refused value that are shown back


class ColonnadeError(Exception):
    """Base of every error whose text is meant for the person who runs a service."""


class UnknownService(ColonnadeError):
    """No installed package offers a service of that name."""


class JobFailed(ColonnadeError):
    """A run ended without a result; the text says why."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one input field; `message` is a whole sentence."""

    field: str
    message: str
    value: str = ""


class BadInput(ColonnadeError):
    """Inputs that a service refuses, each with its reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in self.problems))


def explain(error: ValidationError, model: type[BaseModel]) -> BadInput:
    """Turn pydantic's findings about `model` into sentences that name field, value and allowed range."""
    seen: dict[str, Problem] = {}
    for item in error.errors():
        located = _locate(model, item["loc"])
        problem = _problem(item, located)
        seen.setdefault(problem.field, problem)
    return BadInput(seen.values())


@dataclass(frozen=True)
class _Located:
    path: str
    info: FieldInfo | None
    siblings: tuple[str, ...]


def _locate(model: type[BaseModel], loc: Sequence[int | str]) -> _Located:
    """Follow an error's location into the model; pydantic's own union tags in it are passed over."""
    annotation: Any = model
    info: FieldInfo | None = None
    siblings: tuple[str, ...] = tuple(model.model_fields)
    path: list[str] = []
    for step in loc:
        owner = _model_in(annotation)
        if owner is not None:
            siblings = tuple(owner.model_fields)
            if step in owner.model_fields:
                info = owner.model_fields[str(step)]
                annotation = info.annotation
                path.append(str(step))
                continue
            if _is_tag(step, owner):
                continue
            info = None
            path.append(str(step))
        elif isinstance(step, int):
            arguments = get_args(_unwrap(annotation))
            annotation = arguments[0] if arguments else None
            path.append(str(step))
    return _Located(".".join(path) or "inputs", info, siblings)


def _is_tag(step: object, owner: type[BaseModel]) -> bool:
    return step == owner.__name__ or (isinstance(step, str) and "[" in step)


def _unwrap(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _unwrap(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return _unwrap(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _model_in(annotation: Any) -> type[BaseModel] | None:
    inner = _unwrap(annotation)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return inner
    return None


def _problem(item: Any, located: _Located) -> Problem:
    field, kind = located.path, item["type"]
    shown = shorten(item.get("input"))
    context = item.get("ctx", {})
    if kind == "missing":
        sentence = f"{field} is required."
    elif kind == "extra_forbidden":
        near = difflib.get_close_matches(field.rsplit(".", 1)[-1], located.siblings, n=1)
        sentence = f"{field} is not a field of this service" + (f"; did you mean {near[0]}?" if near else ".")
    elif kind in ("value_error", "assertion_error"):
        text = str(context.get("error") or item["msg"]).rstrip(".")
        named = text.partition(":")[0]
        if located.info is None and named in located.siblings:  # a check of several fields that names the one at fault
            return Problem(field=named, message=f"{text}.")
        sentence = f"{field}: {text}." if located.info is not None else f"{text}."
    elif kind in ("literal_error", "enum"):
        sentence = f"{field} must be one of {context['expected']}, but is {shown}."
    else:
        sentence = f"{field} must be {_wanted(kind, context, located.info, item['msg'])}, but is {shown}."
    return Problem(field=field, message=sentence, value=shown)


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "dict": "a set of named values",
    "model": "a set of named values",
}


def _wanted(kind: str, context: dict[str, Any], info: FieldInfo | None, fallback: str) -> str:
    bounds = describe_range(info)
    if kind in ("too_short", "too_long") and context:
        least, most = context.get("min_length"), context.get("max_length")
        word = f"at least {least}" if kind == "too_short" else f"at most {most}"
        return f"a list of {word} values"
    if kind in ("string_too_short", "string_too_long"):
        limits = [f"at least {context['min_length']}"] if "min_length" in context else []
        limits += [f"at most {context['max_length']}"] if "max_length" in context else []
        return f"text of {' and '.join(limits)} characters"
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    name = _KINDS.get(kind.split("_", 1)[0])
    if kind.startswith(("greater_than", "less_than", "multiple_of")) or (name and bounds):
        return bounds or fallback.removeprefix("Input should be ")
    return name or fallback.removeprefix("Input should be ").rstrip(".")


def describe_range(info: FieldInfo | None) -> str:
    """The allowed range of a numeric field in words ("from -20 to 80 °C"), or an empty string."""
    if info is None:
        return ""
    low = next((m for m in info.metadata if isinstance(m, at.Ge | at.Gt)), None)
    high = next((m for m in info.metadata if isinstance(m, at.Le | at.Lt)), None)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    unit = f" {extra['unit']}" if extra.get("unit") else ""
    if isinstance(low, at.Ge) and isinstance(high, at.Le):
        return f"from {low.ge} to {high.le}{unit}"
    parts: list[str] = []
    if isinstance(low, at.Ge):
        parts.append(f"at least {low.ge}")
    elif isinstance(low, at.Gt):
        parts.append(f"greater than {low.gt}")
    if isinstance(high, at.Le):
        parts.append(f"at most {high.le}")
    elif isinstance(high, at.Lt):
        parts.append(f"less than {high.lt}")
    return " and ".join(parts) + unit if parts else ""


def shorten(value: object) -> str:
    """A refused value as it is shown back: quoted when text, one line, never longer than it helps."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
