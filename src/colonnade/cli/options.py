"""A service's input model as command-line options, and what was typed as raw inputs.

cyclopts makes the parser, the help and the shell completion from a signature; the model itself judges the values, so
that a wrong one gets the same sentence everywhere.
"""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from cyclopts import Group, Parameter
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from colonnade.errors import BadInput, Problem, describe_range
from colonnade.inputs import LEVELS, Accept, InputFile, Level, human_size
from colonnade.render import number as shown
from colonnade.runner import MAX_SEED, check_seed

RESERVED = ("inputs", "example", "output", "seed", "json", "again", "wait", "help", "url")
_GROUPS = {level: Group(f"Inputs: {level}", sort_key=index) for index, level in enumerate(LEVELS)}


@dataclass(frozen=True)
class Option:
    """One input field as an option.

    Attributes:
        path: dotted path in the inputs.
        name: the option, with its dashes.
        annotation: the field's type.
        info: the field.
        level: who needs it: the higher of its own level and that of the group it is in.
    """

    path: str
    name: str
    annotation: Any
    info: FieldInfo
    level: Level

    @property
    def parameter(self) -> str:
        """The keyword argument that cyclopts fills."""
        return "field_" + self.path.replace(".", "__")


def options(model: type[BaseModel], prefix: str = "", least: Level = "basic") -> Iterator[Option]:
    """Every field of a model as an option; those of a nested model as `--group.field`."""
    for name, info in model.model_fields.items():
        path = f"{prefix}{name}"
        level = max(least, _level(info), key=LEVELS.index)
        nested = bare(info.annotation)
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from options(nested, f"{path}.", level)
            continue
        spelled = path.replace("_", "-")
        spelled = f"--input.{spelled}" if path in RESERVED else f"--{spelled}"
        yield Option(path, spelled, _annotation(info), info, level)


def _annotation(info: FieldInfo) -> Any:
    # pydantic moves what stands in an outer Annotated into the metadata.
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def bare(annotation: Any) -> Any:
    """The type without Annotated and without "or None"."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return bare(inner[0]) if len(inner) == 1 else annotation
    return annotation


def signature(model: type[BaseModel], common: list[inspect.Parameter], *, choices: bool) -> inspect.Signature:
    """The signature that cyclopts makes the parser of: an option per field, after the command's own.

    Args:
        model: a service's inputs.
        common: the command's own options.
        choices: tell cyclopts what a field with few values allows. For help and completion; when inputs are read,
            the model judges them, in its own words.
    """
    made = list(common)
    for option in options(model):
        kind = bare(option.annotation)
        typed: Any = str
        if kind is bool:
            typed = bool
        elif _is_list(kind):
            typed = list[str]
        annotation = Annotated[
            typed | None,
            Parameter(
                name=option.name,
                help=describe(option, choices=False),
                group=_GROUPS[option.level],
                metavar=_metavar(kind),
                show_default=False,
                negative_iterable=(),
                allow_leading_hyphen=not _is_numbers(kind),
                choices=(_choices(kind) or None) if choices else None,
                n_tokens=1 if typed is list[str] and not _is_numbers(kind) else None,
                consume_multiple=_is_numbers(kind),
            ),
        ]
        made.append(
            inspect.Parameter(option.parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        )
    return inspect.Signature(made)


def _level(info: FieldInfo) -> Level:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    level: Any = extra.get("level")
    return level if level in LEVELS else "basic"


def _is_list(kind: Any) -> bool:
    return get_origin(kind) in (list, tuple, set, frozenset) or kind in (list, tuple, set, frozenset)


def _is_numbers(kind: Any) -> bool:
    """A list of numbers, which may also be typed as several words: `--shape 8 8`."""
    inner = bare(get_args(kind)[0]) if _is_list(kind) and get_args(kind) else None
    return inner in (int, float)


def _choices(kind: Any) -> list[str]:
    """What a field with few allowed values allows."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [str(member.value) for member in kind]
    return []


def _metavar(kind: Any) -> str:
    """What stands for the value in the help."""
    if _is_list(kind):
        inner = _metavar(bare(get_args(kind)[0])) if get_args(kind) else "TEXT"
        return f"{inner},..."
    known = {int: "INTEGER", float: "NUMBER", InputFile: "FILE", str: "TEXT", dict: "YAML"}
    return known.get(kind) or ("CHOICE" if _choices(kind) else "VALUE")


def describe(option: Option, *, choices: bool = True) -> str:
    """Title, help, unit, range, accepted files and default of a field, in a few words.

    Args:
        option: the field.
        choices: name the allowed values of a field that has few.
    """
    info = option.info
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    said = [f"{info.title}." if info.title and info.title.lower() != option.path.replace("_", " ") else ""]
    said.append((info.description or "").strip())
    facts = []
    span = describe_range(info)
    allowed = _choices(bare(option.annotation))
    if span:
        facts.append(span)
    elif extra.get("unit"):
        facts.append(f"in {extra['unit']}")
    if choices and allowed:
        facts.append(f"one of {', '.join(allowed)}")
    for accept in accepts(option.annotation):
        facts.append(
            f"a file {' or '.join(accept.extensions)} of at most {human_size(accept.limit)}".replace("  ", " ")
        )
    facts.append(_default(info))
    known = "; ".join(fact for fact in facts if fact)
    return " ".join(part for part in (*said, f"({known})" if known else "") if part)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or value in ("", [], ()):
        return ""
    return f"default: {shown(value)}"


def accepts(annotation: Any) -> Iterator[Accept]:
    """What files an annotation takes, also inside a list."""
    for part in get_args(annotation):
        if isinstance(part, Accept):
            yield part
        else:
            yield from accepts(part)


def takes_files(annotation: Any) -> bool:
    """Whether a field is a file, or a list of files."""
    kind = bare(annotation)
    return kind is InputFile or any(takes_files(part) for part in get_args(kind) if part is not annotation)


def given(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Raw inputs from the keyword arguments that cyclopts filled; fields that were not typed are left out.

    Raises:
        BadInput: a value that should hold several things in YAML is not YAML.
    """
    raw: dict[str, Any] = {}
    for option in options(model):
        typed = values.get(option.parameter)
        if typed is not None:
            put(raw, option.path, _value(option, typed))
    return raw


def seed(text: str | None) -> int | None:
    """What was typed as the seed.

    Raises:
        BadInput: it is no whole number, or out of range.
    """
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        sentence = f"seed must be a whole number from 0 to {MAX_SEED}, but is {text!r}."
        raise BadInput([Problem("seed", sentence, text)]) from None
    check_seed(number)
    return number


def put(raw: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path in nested dictionaries."""
    *groups, last = path.split(".")
    for group in groups:
        inner = raw.get(group)
        raw[group] = raw = dict(inner) if isinstance(inner, Mapping) else {}
    raw[last] = value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, nested groups field by field."""
    merged = dict(base)
    for name, value in over.items():
        known = merged.get(name)
        nested = isinstance(value, Mapping) and isinstance(known, Mapping)
        merged[name] = merge(known, value) if nested else value  # type: ignore[arg-type]
    return merged


def _value(option: Option, typed: Any) -> Any:
    kind = bare(option.annotation)
    if not _is_list(kind):
        return typed if isinstance(typed, bool) else _scalar(option, kind, typed)
    inner = get_args(kind)[0] if get_args(kind) else str
    return [_scalar(option, bare(inner), part) for text in typed for part in _parts(option, inner, text)]


def _parts(option: Option, inner: Any, text: str) -> list[Any]:
    """The items of one occurrence of a list option: separated by commas, or a list in brackets."""
    if text.startswith("["):
        loaded = _yaml(option, text)
        return loaded if isinstance(loaded, list) else [loaded]
    nested = isinstance(bare(inner), type) and issubclass(bare(inner), BaseModel)
    if nested or (takes_files(inner) and Path(text).exists()):
        return [text]
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _scalar(option: Option, kind: Any, text: Any) -> Any:
    """What was typed as the kind of value the field holds, so that a message shows it as it was meant."""
    if not isinstance(text, str) or kind in (str, InputFile):
        return text
    if type(None) in get_args(option.info.annotation) and text.lower() in ("none", "null"):
        return None
    if get_origin(kind) is Literal:
        return next((value for value in get_args(kind) if str(value) == text), text)
    if kind is dict or get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return _yaml(option, text)
    parts = set(get_args(kind)) if get_origin(kind) in (Union, types.UnionType) else {kind}
    return text if str in parts else _number(parts, text)


def _number(parts: set[Any], text: str) -> Any:
    for cast in (int, float):
        if parts & {cast, float}:
            try:
                return cast(text)
            except ValueError:
                continue
    return text


def _yaml(option: Option, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        sentence = f"{option.path} must be written as YAML or JSON, but is {text!r}."
        raise BadInput([Problem(option.path, sentence, text)]) from None
