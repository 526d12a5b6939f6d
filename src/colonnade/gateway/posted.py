"""What a browser posts for a form, back to values that `Service.parse` takes.

Names are dotted paths (`regions.0.chain`). Beside them stand marks with a colon, which no field name can hold:
`regions:row` lists the rows of a list, `noise:on` says that an optional group is used, `complex:kept` names a file
that was uploaded before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from colonnade.gateway.forms import MAX_ROWS, Field

MAX_JSON = 100_000  # characters in a free JSON field


class Posted(Protocol):
    """The part of a multi-dict that is read here."""

    def get(self, key: str, default: str = "") -> Any: ...

    def getlist(self, key: str) -> list[Any]: ...


def typed(fields: Sequence[Field], form: Posted, uploads: Mapping[str, list[Any]], prefix: str = "") -> dict[str, Any]:
    """What was typed, nested as the model is; scalars stay text so that the form can show them again as they were.

    Args:
        fields: from `forms.describe`.
        form: the posted names and texts.
        uploads: references of the files that came with this post, by path.
    """
    found: dict[str, Any] = {}
    for item in fields:
        path = f"{prefix}{item.name}"
        if item.kind == "group":
            used = not item.optional or form.get(f"{path}:on") == "on"
            found[item.name] = typed(item.children, form, uploads, f"{path}.") if used else None
        elif item.kind == "rows":
            rows = [row for row in form.getlist(f"{path}:row") if str(row).isdecimal()][:MAX_ROWS]
            found[item.name] = [typed(item.children, form, uploads, f"{path}.{row}.") for row in rows]
        elif item.kind in ("file", "files"):
            found[item.name] = _files(item, path, form, uploads)
        elif item.kind == "boolean":
            found[item.name] = form.get(path) == "on"
        elif item.kind == "choices":
            found[item.name] = form.getlist(path)
        else:
            found[item.name] = str(form.get(path) or "").replace("\r\n", "\n")
    return found


def _files(item: Field, path: str, form: Posted, uploads: Mapping[str, list[Any]]) -> Any:
    kept = [reference for text in form.getlist(f"{path}:kept") if (reference := _reference(text)) is not None]
    new = uploads.get(path, [])
    if item.kind == "files":
        return kept + list(new)
    return (list(new) or kept or [None])[0]


def _reference(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def values(fields: Sequence[Field], typed: Mapping[str, Any]) -> dict[str, Any]:
    """Texts to numbers, lists and options; what is left empty is left out, so that its default or 'required' applies.

    A text that does not read as what the field holds stays as it is: validation then says so, showing it.
    """
    found: dict[str, Any] = {}
    for item in fields:
        if item.name not in typed:
            continue
        raw = typed[item.name]
        if item.kind == "group":
            found[item.name] = None if raw is None else values(item.children, raw)
        elif item.kind == "rows":
            found[item.name] = [values(item.children, row) for row in raw]
        elif item.kind in ("boolean", "files", "choices"):
            found[item.name] = _plain(item, raw)
        elif raw not in ("", None):
            found[item.name] = _plain(item, raw)
        else:
            _leave_empty(item, found)
    return found


def _leave_empty(item: Field, found: dict[str, Any]) -> None:
    if item.optional:
        found[item.name] = None
    elif item.kind in ("numbers", "integers", "lines") and not item.required:
        found[item.name] = []
    elif item.kind in ("text", "multiline") and not item.required:
        found[item.name] = ""


def _plain(item: Field, raw: Any) -> Any:
    if not isinstance(raw, str):
        return [_option(item, text) for text in raw] if item.kind == "choices" else raw
    if item.kind == "choice":
        return _option(item, raw)
    if item.kind in ("number", "integer"):
        return _number(item.kind, raw)
    if item.kind in ("numbers", "integers"):
        return [_number(item.kind, part) for part in re.split(r"[\s,;]+", raw.strip()) if part]
    if item.kind == "lines":
        return [line for line in raw.split("\n") if line.strip()]
    if item.kind == "json" and len(raw) <= MAX_JSON:
        parsed = _reference(raw)
        return raw if parsed is None else parsed
    return raw


def _option(item: Field, text: str) -> Any:
    return next((choice.value for choice in item.choices if choice.text == text), text)


def _number(kind: str, text: str) -> Any:
    try:
        return int(text) if kind.startswith("integer") else float(text)
    except ValueError:
        return text
