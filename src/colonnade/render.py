"""Results as markup: what the report and the gateway's pages both show.

The markup is in `templates/results/macros.html`; `views` prepares what it needs. Where a file is found differs (a
folder beside the report, an address of the gateway), and so it is the caller who says it, by a `Locate`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from colonnade.formats import formats
from colonnade.inputs import human_size
from colonnade.results import Figure, Structure3D, Video

if TYPE_CHECKING:
    import jinja2

    from colonnade.runner import Run

Locate = Callable[[str], str]
MAX_ROWS = 200  # of a table on a page; the whole of it is in the download


@dataclass(frozen=True)
class Link:
    """A download: what it is called, where it is, how large."""

    name: str
    href: str
    media_type: str = ""
    size: str = ""


@dataclass(frozen=True)
class View:
    """One result as a page shows it.

    Attributes:
        kind: "estimate", "table", "figure", "artifact", "structure3d", "video", "model", or "value".
        anchor: its id on the page.
        links: its downloads.
        picture: inline SVG of a figure, shown until and unless the interactive one is; or empty.
        picture_href: where that SVG is, for a page that does not carry it inline.
        source: where the bytes of a video or structure are.
        embedded: a structure's file as gzip in base64, for a page that must carry it.
    """

    kind: str
    path: str
    title: str
    anchor: str
    result: Any
    links: list[Link] = field(default_factory=list)
    picture: str = ""
    picture_href: str = ""
    source: str = ""
    embedded: str = ""

    @property
    def caption(self) -> str:
        return getattr(self.result, "caption", "")

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows of a table that a page shows."""
        return [tuple(column[row] for column in self.result.data) for row in range(min(self.length, MAX_ROWS))]

    @property
    def length(self) -> int:
        data = self.result.data
        return len(data[0]) if data else 0

    @property
    def swatches(self) -> list[tuple[str, str]]:
        """Colour and meaning of what a structure's selections show."""
        seen: dict[str, str] = {}
        for selection in self.result.selections:
            seen.setdefault(selection.label or f"chain {selection.chain}", selection.color)
        return [(color, label) for label, color in seen.items()]


def kind_of(value: Any) -> str:
    """Which macro shows a value: a result's own kind, or "value"."""
    return str(getattr(value, "kind", "value"))


def views(run: Run, locate: Locate) -> list[View]:
    """Everything a run gave back, in the order the service declares it, ready for the templates.

    Args:
        run: a run read back by `runner.load`.
        locate: gives the address of a file of the run by its name below `files/`; it is asked for the files of the
            service and for those that `formats.download` makes.
    """
    taken = own_files(run)
    return [_view(run, result, locate, taken) for result in run.results]


def own_files(run: Run) -> list[str]:
    """Names of the files that the service wrote as results."""
    return [value.file for _, _, value in run.results if hasattr(value, "file")]


def _view(run: Run, named: tuple[str, str, Any], locate: Locate, taken: Sequence[str]) -> View:
    path, title, value = named
    links = [Link(name, locate(name), media_type) for name, media_type in formats(path, value, taken)]
    source = ""
    if hasattr(value, "file"):
        source = locate(value.file)
        links = [Link(value.file, source, getattr(value, "media_type", ""), _size(run, value.file))]
    return View(
        kind=kind_of(value),
        path=path,
        title=title,
        anchor=anchor(path),
        result=value,
        links=links,
        picture_href=links[-1].href if isinstance(value, Figure) else "",
        source=source if isinstance(value, Video | Structure3D) else "",
    )


def _size(run: Run, name: str) -> str:
    try:
        return human_size((run.files / name).stat().st_size)
    except OSError:
        return ""


def anchor(path: str) -> str:
    """A dotted path as an id of a page."""
    return "result-" + re.sub(r"[^A-Za-z0-9_-]+", "-", path)


def number(value: Any) -> str:
    """A value as a person reads it: six digits of a number, yes and no, a list in a row, a file by its name."""
    shown = {None: "–", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return shown[value]
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):  # sentences one below the other
        return ("\n" if any(str(item).endswith(".") for item in value) else ", ").join(number(item) for item in value)
    if isinstance(value, dict):
        named = str(value["name"]) if "sha256" in value and "name" in value else None
        return named or ", ".join(f"{key}: {number(item)}" for key, item in value.items())
    return str(value)


@cache
def environment() -> jinja2.Environment:
    """Templates with every text escaped; `{% import "results/macros.html" as results %}` in any page."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("colonnade"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.globals["max_rows"] = MAX_ROWS
    return made


def static_file(name: str) -> str:
    """The text of a style sheet or script of `static/`."""
    return (resources.files("colonnade") / "static" / name).read_text(encoding="utf-8")
