"""A pydantic model as a form: which control each field gets, and what the form shows for given values and findings.

`describe` reads a model once into a tree of `Field`s. `bind` joins that tree with values (an example, what was
typed, an earlier run) and the sentences of a `BadInput` into what the templates draw. The way back, from what a
browser posts to values, is in `posted`.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as at
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from colonnade.errors import Problem, describe_range
from colonnade.inputs import LEVELS, Accept, InputFile, Level

Kind = Literal[
    "number", "integer", "text", "multiline", "boolean", "choice", "choices", "numbers", "integers", "lines",
    "file", "files", "group", "rows", "json",
]  # fmt: skip
RADIO_LIMIT = 5  # more options than this become a drop-down list
MAX_ROWS = 200  # rows of a list of models that one form carries


@dataclass(frozen=True)
class Choice:
    """One option of an enumerated field; `text` is what the form posts for `value`."""

    value: Any
    text: str
    label: str


@dataclass(frozen=True)
class Field:
    """One control of a form: everything that does not depend on what was typed."""

    name: str
    kind: Kind
    label: str
    help: str = ""
    unit: str = ""
    level: Level = "basic"
    group: str = ""
    required: bool = False
    optional: bool = False
    default: Any = None
    range: str = ""
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    choices: tuple[Choice, ...] = ()
    accept: tuple[str, ...] = ()
    limit: int | None = None
    children: tuple[Field, ...] = ()

    @property
    def switched(self) -> bool:
        """Whether the form offers to leave the whole group out."""
        return self.kind == "group" and self.optional


@dataclass
class Bound:
    """A field with its place in the form, what it shows, and what is wrong with it.

    `level` is what a person must have chosen to see it: the higher of its own level and that of the group it is in.
    """

    field: Field
    path: str
    level: Level = "basic"
    value: Any = ""
    on: bool = True
    errors: list[str] = dataclasses.field(default_factory=list)
    children: list[Bound] = dataclasses.field(default_factory=list)
    rows: list[Bound] = dataclasses.field(default_factory=list)
    blank: Bound | None = None

    @property
    def id(self) -> str:
        return "field-" + self.path.replace(".", "-")

    def walk(self) -> Iterable[Bound]:
        """This one and all below it, in the order of the form."""
        yield self
        for child in (*self.children, *self.rows):
            yield from child.walk()


@dataclass
class Form:
    """What a template draws: groups of bound fields, the findings that belong to no field, the level shown."""

    groups: list[tuple[str, list[Bound]]]
    general: list[str]
    level: Level

    @property
    def wrong(self) -> list[Bound]:
        """The fields with findings, in the order of the form."""
        return [bound for _, fields in self.groups for top in fields for bound in top.walk() if bound.errors]

    @property
    def levels(self) -> list[Level]:
        """The levels that differ for this service; none when every field is basic."""
        used = {bound.level for _, fields in self.groups for top in fields for bound in top.walk()}
        return [level for level in LEVELS if level == "basic" or level in used] if used - {"basic"} else []


# --- from a model to fields ----------------------------------------------------------------------


def describe(model: type[BaseModel]) -> tuple[Field, ...]:
    """The form fields of a pydantic model, in its order."""
    return tuple(_describe(name, info) for name, info in model.model_fields.items())


def _describe(name: str, info: FieldInfo) -> Field:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    annotation, metadata, optional = _open(info.annotation, tuple(info.metadata))
    shape = _shape(annotation, metadata, bool(extra.get("multiline")))
    low = next((float(str(_bound_of(m))) for m in metadata if isinstance(m, at.Ge | at.Gt)), None)
    high = next((float(str(_bound_of(m))) for m in metadata if isinstance(m, at.Le | at.Lt)), None)
    longest = next((m.max_length for m in metadata if isinstance(m, at.MaxLen)), None)
    default = _default(info)
    return replace(
        shape,
        name=name,
        label=info.title or name.replace("_", " ").capitalize(),
        help=info.description or "",
        unit=str(extra.get("unit") or ""),
        level=_level(extra.get("level")),
        group=str(extra.get("group") or ""),
        required=info.is_required(),
        optional=optional,
        default=default,
        range=describe_range(info) if shape.kind in ("number", "integer") else "",
        minimum=low,
        maximum=high,
        max_length=longest if shape.kind in ("text", "multiline") else None,
    )


def _bound_of(mark: at.Ge | at.Gt | at.Le | at.Lt) -> Any:
    return next(getattr(mark, name) for name in ("ge", "gt", "le", "lt") if hasattr(mark, name))


def _level(value: object) -> Level:
    return next((level for level in LEVELS if level == value), "basic")


def _default(info: FieldInfo) -> Any:
    value = info.get_default(call_default_factory=True, validated_data={})
    return None if value is PydanticUndefined else to_jsonable_python(value, fallback=str)


def _open(annotation: Any, metadata: tuple[Any, ...] = ()) -> tuple[Any, tuple[Any, ...], bool]:
    """Take `Annotated` and `| None` off an annotation: (what is left, all its marks, whether None is allowed)."""
    optional = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *marks = get_args(annotation)
            metadata = (*metadata, *marks)
        elif get_origin(annotation) in (Union, types.UnionType):
            inner = [part for part in get_args(annotation) if part is not type(None)]
            optional = optional or len(inner) < len(get_args(annotation))
            if len(inner) != 1:
                return annotation, metadata, optional
            annotation = inner[0]
        else:
            return annotation, metadata, optional


_SCALARS: dict[Any, Kind] = {bool: "boolean", int: "integer", float: "number", str: "text"}
_LISTS: dict[Any, Kind] = {int: "integers", float: "numbers", str: "lines"}


def _shape(annotation: Any, metadata: Sequence[Any], multiline: bool) -> Field:
    """The kind of control, its options and children; everything else is filled in by `_describe`."""
    blank = Field(name="", kind="json", label="")
    choices = _choices(annotation)
    if choices:
        return replace(blank, kind="choice", choices=choices)
    if annotation in _SCALARS:
        return replace(blank, kind="multiline" if multiline and annotation is str else _SCALARS[annotation])
    if isinstance(annotation, type) and issubclass(annotation, InputFile):
        return _file_shape("file", metadata)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return replace(blank, kind="group", children=describe(annotation))
    if get_origin(annotation) in (list, set, frozenset, tuple):
        return _list_shape(annotation, blank)
    return blank


def _list_shape(annotation: Any, blank: Field) -> Field:
    arguments = {part for part in get_args(annotation) if part is not Ellipsis}
    if len(arguments) != 1:
        return blank
    inner, metadata, _ = _open(arguments.pop())
    choices = _choices(inner)
    if choices:
        return replace(blank, kind="choices", choices=choices)
    if inner in _LISTS:
        return replace(blank, kind=_LISTS[inner])
    if isinstance(inner, type) and issubclass(inner, InputFile):
        return _file_shape("files", metadata)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return replace(blank, kind="rows", children=describe(inner))
    return blank


def _file_shape(kind: Literal["file", "files"], metadata: Sequence[Any]) -> Field:
    accept = next((mark for mark in metadata if isinstance(mark, Accept)), None)
    if accept is None:
        return Field(name="", kind=kind, label="")
    return Field(name="", kind=kind, label="", accept=accept.extensions, limit=accept.limit)


def _choices(annotation: Any) -> tuple[Choice, ...]:
    if get_origin(annotation) is Literal:
        values = get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        values = tuple(member.value for member in annotation)
    else:
        return ()
    return tuple(Choice(value, str(value), str(value).replace("_", " ")) for value in values)


# --- from fields and values to what is drawn -----------------------------------------------------


def bind(
    fields: Sequence[Field],
    values: Mapping[str, Any] | None = None,
    problems: Iterable[Problem] = (),
    level: Level = "basic",
) -> Form:
    """The form for these values; with findings, each stands at its field and the level shows all of them.

    Args:
        fields: from `describe`.
        values: raw values, nested; fields without one show their default. None: a fresh form.
        problems: what `Service.parse` found wrong.
        level: what the person asked to see.
    """
    findings = {problem.field: problem.message for problem in problems}
    bound = [_bind(item, item.name, values, findings) for item in fields]
    groups: dict[str, list[Bound]] = {"": []}
    for top in bound:
        groups.setdefault(top.field.group, []).append(top)
    form = Form([(name, members) for name, members in groups.items() if members], list(findings.values()), level)
    return replace(form, level=max([level, *(bound.level for bound in form.wrong)], key=LEVELS.index))


def _bind(
    item: Field, path: str, values: Mapping[str, Any] | None, findings: dict[str, str], least: Level = "basic"
) -> Bound:
    """One field; takes the findings that are its own out of `findings`."""
    given = None if values is None else values.get(item.name)
    fresh = values is None or item.name not in values
    raw = item.default if fresh else given
    level = max(least, item.level, key=LEVELS.index)
    bound = Bound(item, path, level)
    if item.kind == "group":
        bound.on = not item.optional or raw is not None
        inner = raw if isinstance(raw, Mapping) else None
        bound.children = [_bind(child, f"{path}.{child.name}", inner, findings, level) for child in item.children]
    elif item.kind == "rows":
        rows = list(raw)[:MAX_ROWS] if isinstance(raw, list | tuple) else []
        bound.rows = [_row(item, f"{path}.{index}", row, findings, level) for index, row in enumerate(rows)]
        bound.blank = _row(item, f"{path}.__row__", None, {}, level)
    else:
        bound.value = _shown(item, raw)
        bound.errors = [_take(findings, name, item) for name in list(findings) if name.startswith(f"{path}.")]
    if path in findings:
        bound.errors.insert(0, _take(findings, path, item))
    return bound


def _take(findings: dict[str, str], path: str, item: Field) -> str:
    """A finding, out of those that still need a place; it begins with the field's label instead of its path."""
    message = findings.pop(path)
    return item.label + message.removeprefix(path) if message.startswith(path) else message


def _row(item: Field, path: str, values: Any, findings: dict[str, str], level: Level) -> Bound:
    row = Bound(replace(item, kind="group", optional=False, name=path.rpartition(".")[2]), path, level)
    inner = values if isinstance(values, Mapping) else None
    row.children = [_bind(child, f"{path}.{child.name}", inner, findings, level) for child in item.children]
    if path in findings:
        row.errors.append(_take(findings, path, item))
    return row


def _shown(item: Field, raw: Any) -> Any:
    """A raw value as its control shows it."""
    if item.kind == "boolean":
        return raw in (True, "on", "true", "1")
    if item.kind in ("file", "files"):
        given = raw if isinstance(raw, list | tuple) else [raw]
        return [Kept.of(reference) for reference in given if reference]
    if item.kind == "choices":
        return [str(value) for value in raw] if isinstance(raw, list | tuple | set | frozenset) else []
    return "" if raw is None else raw if isinstance(raw, str) else _written(item, raw)


def _written(item: Field, raw: Any) -> str:
    """A value as one would type it."""
    if item.kind in ("numbers", "integers", "lines") and isinstance(raw, list | tuple | set | frozenset):
        return ("\n" if item.kind == "lines" else ", ").join(str(value) for value in raw)
    return json.dumps(raw, indent=1, ensure_ascii=False) if item.kind == "json" else str(raw)


@dataclass(frozen=True)
class Kept:
    """A file that the form has already: an upload, or one that a service carries as an example."""

    name: str
    size: int | None
    token: str

    @classmethod
    def of(cls, reference: Any) -> Kept:
        """`token` is the reference as JSON, which the form posts back."""
        if isinstance(reference, Mapping):
            size = reference.get("size")
            return cls(str(reference.get("name", "")), size if isinstance(size, int) else None, _dumps(reference))
        return cls(str(reference).rpartition("/")[2], None, _dumps(str(reference)))


def _dumps(value: Any) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False)
