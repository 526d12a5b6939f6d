"""`${...}`: what a text in a workflow stands for.

    ${inputs.NAME}          an input of the workflow; ${inputs.NAME.KEY} goes into it
    ${row}, ${row.COLUMN}   the row that a mapped step is run for, or one of its cells; ${index} counts from 0
    ${STEP.OUTPUT}          what an earlier step gave: a number for an estimate, a file for a file or structure, a list
                            of rows for a table; ${STEP.TABLE.COLUMN} its cells, ${STEP.LIST.0} one of several
    ${STEP.files.NAME}      any file that the step wrote
    ${STEP.row.COLUMN}      the row that a mapped step was run for
    file:NAME               a file beside the document, or sent along with it
    $${                     the characters themselves

Of a mapped step there is one value for each row: a list, but within a step that is mapped over the same rows (with the
same `for_each`) it is the value of the same row; ${STEP.2.OUTPUT} is that of the third row. A text that is nothing but
one reference stands for the value as it is; within a longer text it is written out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from colonnade.errors import ColonnadeError
from colonnade.workflows.document import MAX_ROWS

FILE = "file:"
MAX_CSV = 5_000_000  # bytes
REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_ESCAPED = "$${"


class BadReference(ColonnadeError):
    """A reference leads nowhere; the text says why."""


class LeftOut(Exception):
    """The row has no value: it failed in an earlier step that leaves such rows out."""


@dataclass(frozen=True)
class Given:
    """What one run of a step gave.

    Attributes:
        outputs: as `result.json` holds them.
        row: the row that it was run for.
        file: what stands, in the inputs of a later step, for a file that it wrote.
    """

    outputs: Mapping[str, Any]
    row: Any
    file: Callable[[str], Any]


@dataclass(frozen=True)
class Ended:
    """A step that has ended: one item, or as many as it has rows; None for a row that was left out."""

    rows_key: str | None
    items: Sequence[Given | None]


@dataclass(frozen=True)
class Scope:
    """What references may name.

    Attributes:
        inputs: of the workflow.
        steps: those that have ended, by name.
        file: what stands for `file:NAME`.
        read: the bytes behind what `file` gave, for tables.
        rows_key: of the step that is being filled in; None when it is not mapped.
        row: the row it is filled in for.
        index: which row that is.
    """

    inputs: Mapping[str, Any]
    steps: Mapping[str, Ended]
    file: Callable[[str], Any]
    read: Callable[[Any], bytes]
    rows_key: str | None = None
    row: Any = None
    index: int | None = None


@dataclass(frozen=True)
class Reference:
    """A reference, split at its dots."""

    text: str
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(part.strip() for part in self.text.split(".")))

    @property
    def head(self) -> str:
        return self.parts[0]

    def __str__(self) -> str:
        return "${" + self.text + "}"


def found_in(value: Any) -> Iterator[Reference]:
    """Every reference inside a value."""
    if isinstance(value, str):
        for match in REFERENCE.finditer(value.replace(_ESCAPED, "")):
            yield Reference(match[1])
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from found_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from found_in(item)


def fill(value: Any, scope: Scope) -> Any:
    """A value with what its references stand for.

    Raises:
        BadReference: one leads nowhere.
        LeftOut: the row has no value.
    """
    if isinstance(value, Mapping):
        return {name: fill(item, scope) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, scope) for item in value]
    if not isinstance(value, str):
        return value
    whole = REFERENCE.fullmatch(value)
    if whole:
        # A value may itself stand for a file or hold references: inputs and rows are part of the document.
        reference = Reference(whole[1])
        found = look_up(reference, scope)
        return _named_files(found, scope) if reference.head in ("inputs", "row") else found
    if value.startswith(FILE):
        return scope.file(value.removeprefix(FILE))
    pieces = [REFERENCE.sub(lambda match: _text(Reference(match[1]), scope), part) for part in value.split(_ESCAPED)]
    return "${".join(pieces)


def files_named(value: Any) -> set[str]:
    """The names behind `file:` in what a document holds."""
    if isinstance(value, str):
        return {value.removeprefix(FILE)} if value.startswith(FILE) else set()
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {name for part in parts for name in files_named(part)}


def _named_files(value: Any, scope: Scope) -> Any:
    if isinstance(value, str) and value.startswith(FILE):
        return scope.file(value.removeprefix(FILE))
    if isinstance(value, Mapping):
        return {name: _named_files(item, scope) for name, item in value.items()}
    return [_named_files(item, scope) for item in value] if isinstance(value, list) else value


def _text(reference: Reference, scope: Scope) -> str:
    value = look_up(reference, scope)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadReference(f"{reference} is neither a text nor a number, and so cannot stand within a text.")
    return str(value)


def look_up(reference: Reference, scope: Scope) -> Any:
    """What a reference stands for."""
    head, rest = reference.head, reference.parts[1:]
    if head == "inputs":
        return _within(scope.inputs, rest, reference)
    if head in ("row", "index"):
        if scope.index is None:
            raise BadReference(f"{reference} has a meaning only in a step with for_each.")
        return scope.index if head == "index" else _within(scope.row, rest, reference)
    step = scope.steps.get(head)
    if step is None:
        raise BadReference(f"{reference} names no step that has ended.")
    if step.rows_key is None:
        return _of_item(step.items[0], rest, reference)
    if rest and rest[0].isdecimal():
        if int(rest[0]) >= len(step.items):
            raise BadReference(f"{reference}: there are only {len(step.items)} rows, counted from 0.")
        return _of_item(step.items[int(rest[0])], rest[1:], reference)
    if step.rows_key == scope.rows_key and scope.index is not None:
        return _of_item(step.items[scope.index], rest, reference)
    return [_of_item(item, rest, reference) for item in step.items if item is not None]


def _of_item(item: Given | None, rest: tuple[str, ...], reference: Reference) -> Any:
    if item is None:
        raise LeftOut
    if not rest:
        raise BadReference(f"{reference} names a step; name one of its outputs behind it.")
    if rest[0] == "row":
        return _within(item.row, rest[1:], reference)
    if rest[0] == "files" and len(rest) > 1:
        return item.file(".".join(rest[1:]))
    return _plain(_within(item.outputs, rest, reference), item, reference)


def _within(value: Any, rest: Sequence[str], reference: Reference) -> Any:
    if not rest:
        return value
    if isinstance(value, Mapping):
        if value.get("kind") == "table":
            names = [column["name"] for column in value["columns"]]
            if (name := ".".join(rest)) in names:
                return value["data"][names.index(name)]
        for length in range(len(rest), 0, -1):  # a key may itself hold dots
            key = ".".join(rest[:length])
            if key in value:
                return _within(value[key], rest[length:], reference)
    if isinstance(value, list) and rest[0].isdecimal() and int(rest[0]) < len(value):
        return _within(value[int(rest[0])], rest[1:], reference)
    if isinstance(value, list) and rest[0].isdecimal():
        raise BadReference(f"{reference}: there are only {len(value)}, counted from 0.")
    there = list(value) if isinstance(value, Mapping) else []
    more = f"; there is {', '.join(map(str, there[:12]))}" if there else ""
    raise BadReference(f"{reference}: there is no {rest[0][:60]!r}{more}.")


def _plain(value: Any, item: Given, reference: Reference) -> Any:
    """A result as a later step takes it."""
    if isinstance(value, list):
        return [_plain(one, item, reference) for one in value]
    if not isinstance(value, Mapping):
        return value
    kind = value.get("kind")
    if kind == "estimate":
        return value["value"]
    if kind == "table":
        names = [column["name"] for column in value["columns"]]
        return [dict(zip(names, cells, strict=True)) for cells in zip(*value["data"], strict=True)]
    if kind == "figure":
        raise BadReference(f"{reference} is a figure, which no service takes.")
    if isinstance(value.get("file"), str):
        return item.file(value["file"])
    return {name: _plain(one, item, reference) for name, one in value.items()}


def rows(for_each: Any, scope: Scope) -> list[Any]:
    """The rows that a step is mapped over.

    Raises:
        BadReference: it is no table and no list, or too long.
    """
    is_table = isinstance(for_each, str) and for_each.startswith(FILE)
    found = fill(for_each, scope)
    named = None
    if isinstance(for_each, str) and (match := REFERENCE.fullmatch(for_each)):
        named = look_up(Reference(match[1]), scope)
        is_table = isinstance(named, str) and named.startswith(FILE)
    if is_table or (named is not None and _is_file(named)):
        found = from_csv(scope.read(found))
    if not isinstance(found, list):
        raise BadReference("for_each must be a list of rows, a table, or file:NAME.csv.")
    if len(found) > MAX_ROWS:
        raise BadReference(f"for_each has {len(found)} rows; at most {MAX_ROWS} are taken.")
    return found


def _is_file(value: Any) -> bool:
    return isinstance(value, Mapping) and "sha256" in value and "name" in value


def from_csv(content: bytes) -> list[dict[str, Any]]:
    """The rows of a table with a header line; what reads as a number is one, an empty cell is None."""
    if len(content) > MAX_CSV:
        raise BadReference(f"A table of rows may have {MAX_CSV // 1_000_000} MB.")
    try:
        text = content.decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadReference(f"The table of rows is no CSV ({error}).") from None
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    if not lines:
        raise BadReference("The table of rows is empty.")
    names = [name.strip() for name in lines[0]]
    if len(set(names)) != len(names) or not all(names):
        raise BadReference("The first line of the table of rows must name every column once.")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(names):
            raise BadReference(f"Line {number} of the table of rows has {len(line)} cells in place of {len(names)}.")
    return [{name: _cell(cell.strip()) for name, cell in zip(names, line, strict=True)} for line in lines[1:]]


def _cell(text: str) -> Any:
    if not text:
        return None
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if abs(number) < float("inf") else text
    return text
