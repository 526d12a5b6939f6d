"""The usual formats that each kind of result is downloaded in."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Sequence
from typing import Any

from colonnade.inputs import safe_name
from colonnade.results import Estimate, Figure, Table

Download = tuple[str, str, bytes]  # name, media type, content

_ENDINGS: dict[type[Any], tuple[tuple[str, str], ...]] = {
    Estimate: ((".json", "application/json"),),
    Table: ((".csv", "text/csv"),),
    Figure: ((".json", "application/json"), (".svg", "image/svg+xml")),
}


def formats(path: str, result: Any, taken: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Names and media types of what `download` would make, without making it.

    Args:
        path: dotted path of the result in the outputs; the names begin with it.
        result: an `Estimate`, `Table` or `Figure`; for every other kind there is nothing to make.
        taken: names of files that the service wrote itself; they are never used.
    """
    stem = safe_name(path)
    named = []
    for ending, media_type in _ENDINGS.get(type(result), ()):
        name = f"{stem}{ending}"
        while name in taken:
            name = f"_{name}"
        named.append((name, media_type))
    return named


def download(path: str, title: str, result: Any, taken: Sequence[str] = ()) -> list[Download]:
    """A result in its field's usual formats: an Estimate as JSON, a Table as CSV, a Figure as Plotly JSON and SVG.

    Args:
        path: dotted path of the result in the outputs.
        title: what the result is called; stands in the drawing of a figure without a title of its own.
        result: any result; one that is a file already, or a plain value, has no other format.
        taken: see `formats`.

    Returns:
        (name, media type, content) of each format; the drawing is left out when matplotlib is not installed.
    """
    made = []
    for name, media_type in formats(path, result, taken):
        content = _content(media_type, title, result)
        if content is not None:
            made.append((name, media_type, content))
    return made


def _content(media_type: str, title: str, result: Any) -> bytes | None:
    if isinstance(result, Table):
        return result.to_csv().encode()
    if isinstance(result, Estimate):
        return _json(result.model_dump(mode="json", exclude={"kind"}) | {"title": result.title or title})
    if media_type == "application/json":
        return _json(result.spec)
    from colonnade.drawing import draw_figure

    drawing = draw_figure(result.spec, title)
    return None if drawing is None else drawing.encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


_SCIENCE = {
    ".pdb": "chemical/x-pdb",
    ".cif": "chemical/x-mmcif",
    ".npz": "application/x-npz",
    ".safetensors": "application/octet-stream",
    ".jsonl": "application/jsonl",
    ".yaml": "application/yaml",
}


def media_type_of(name: str) -> str:
    """The media type of a file by its name; what nobody knows is a stream of bytes."""
    ending = "." + name.rpartition(".")[2].lower()
    return _SCIENCE.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
