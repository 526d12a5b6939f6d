"""A finished run directory as a terminal summary, a self-contained page, and a research object.

summary(run)          for the terminal, by rich
html(run)             one file: opens anywhere, loads nothing from outside
crate(run)            the run's provenance as Process Run Crate (RO-Crate)
complete(directory)   writes all of these, and the usual download formats, beside the result
download(...)         one result in its field's usual formats
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import colonnade
from colonnade import drawing
from colonnade.assets import Asset, asset
from colonnade.formats import Download, download
from colonnade.job import replace_file
from colonnade.render import View, environment, own_files, static_file, views
from colonnade.results import Figure, Structure3D, Video
from colonnade.runner import Run, load

if TYPE_CHECKING:
    from colonnade.service import Service

REPORT = "report.html"
CRATE = "ro-crate-metadata.json"
MAX_INLINE = 8_000_000  # bytes of a film or structure that the page carries; a larger one is linked
_SVG = "image/svg+xml"
MAX_INLINE_DOWNLOAD = 1_000_000
MAX_MESSAGES = 500

# Only what the page itself carries runs or loads: the one script is named by its hash, libraries come out of the page
# as blobs. Plotly and Mol* build functions from text for the graphics card, hence 'unsafe-eval'.
_POLICY = (
    "default-src 'none'; script-src 'sha256-{digest}' blob: 'unsafe-eval'; style-src 'unsafe-inline' blob:; "
    "img-src data: blob:; media-src data: blob: file: 'self'; connect-src data: blob:; worker-src blob:; "
    "font-src data: blob:; base-uri 'none'; form-action 'none'"
)


def complete(directory: Path, *, refresh: bool = False) -> Run:
    """Write `report.html`, `ro-crate-metadata.json` and the usual download formats of a run's results.

    What is newer than the result is kept, so a second call costs nothing. Files of the service are never touched.

    Args:
        directory: a run directory; a failed run gets a report too.
        refresh: make everything again.

    Raises:
        ColonnadeError: it is not a run directory.
    """
    run = load(directory)
    if not refresh and _fresh(directory):
        return run
    made = dict(_downloads(run))
    for name, content in made.items():
        if not (run.files / name).exists():  # a service may have written a file of that name without declaring it
            replace_file(run.files / name, content)
    replace_file(directory / REPORT, html(run, made).encode())
    described = crate(run)
    if described is not None:
        replace_file(directory / CRATE, json.dumps(described, indent=1, ensure_ascii=False).encode())
    return run


def _fresh(directory: Path) -> bool:
    try:
        made = (directory / REPORT).stat().st_mtime_ns
        return made >= (directory / "result.json").stat().st_mtime_ns and (
            (directory / CRATE).exists() or not _has_rocrate()
        )
    except OSError:
        return False


def _has_rocrate() -> bool:
    from importlib.util import find_spec

    return find_spec("rocrate") is not None


def crate(run: Run) -> dict[str, Any] | None:
    """`ro-crate-metadata.json` of a run (see `colonnade.crate`); None when rocrate is not installed."""
    if not _has_rocrate():
        return None
    from colonnade.crate import describe

    return describe(run)


def _downloads(run: Run) -> Iterator[tuple[str, bytes]]:
    taken = own_files(run)
    if run.status == "succeeded":
        run.files.mkdir(exist_ok=True)
    for path, title, value in run.results:
        for name, _, content in download(path, title, value, taken):
            yield name, content


def html(run: Run, made: dict[str, bytes] | None = None) -> str:
    """The whole report as one page: interactive plots and structures, and drawings where there is no JavaScript.

    Args:
        run: a run read back by `runner.load`; its service need not be installed.
        made: contents of the download formats by name, when they are known already.
    """
    made = dict(_downloads(run)) if made is None else made

    def locate(name: str) -> str:
        content = made.get(name)
        if content is not None and len(content) <= MAX_INLINE_DOWNLOAD:
            return _data(content, _media_type(name))
        return quote(f"files/{name}")

    shown = [_carried(run, view, made) for view in views(run, locate)]
    service = _service(run)
    script = static_file("results.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .get_template("report.html")
        .render(
            run=run,
            title=service.title if service else run.service,
            summary=service.summary if service else "",
            paper=service.paper if service else "",
            repeatable=service.repeatable if service else True,
            views=shown,
            inputs=list(_inputs(run.inputs, service.inputs if service else None)),
            messages=messages(run),
            assets=_assets(shown),
            styles=static_file("results.css") + static_file("report.css"),
            script=script,
            policy=_POLICY.format(digest=digest),
            version=colonnade.__version__,
        )
    )


def _media_type(name: str) -> str:
    from colonnade.formats import media_type_of

    return media_type_of(name)


def _data(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _carried(run: Run, view: View, made: dict[str, bytes]) -> View:
    """The view with what the page must hold itself: the drawing, the film, the structure's file."""
    # A format that could not be made here (a drawing, without matplotlib) is not offered.
    links = [link for link in view.links if link.name in made or (run.files / link.name).is_file()]
    view = replace(view, links=links, picture_href="")
    value = view.result
    if isinstance(value, Figure):
        drawn = next(
            (made[link.name].decode() for link in view.links if link.media_type == _SVG and link.name in made), ""
        )
        return replace(view, picture=drawing.inline(drawn, view.anchor) if drawn else "")
    if not isinstance(value, Video | Structure3D):
        return view
    path = run.files / value.file
    if not path.is_file() or path.stat().st_size > MAX_INLINE:
        return view
    content = path.read_bytes()
    if isinstance(value, Video):
        return replace(view, source=_data(content, value.media_type))
    trace = drawing.draw_molecule(value, path)
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return replace(view, embedded=packed, picture=drawing.inline(trace, view.anchor) if trace else "")


def _assets(shown: list[View]) -> list[Asset]:
    kinds = {view.kind for view in shown}
    wanted = ["plotly"] if "figure" in kinds else []
    wanted += ["molstar", "molstar-style"] if "structure3d" in kinds else []
    return [found for name in wanted if (found := asset(name)) is not None]


def _service(run: Run) -> Service[Any, Any] | None:
    from colonnade.service import services

    return services().get(run.service)


def _inputs(values: dict[str, Any], model: Any, prefix: str = "") -> Iterator[tuple[str, str, Any, str]]:
    """(name, title, value, unit) of every input, nested ones opened; titles when the service is installed."""
    fields = getattr(model, "model_fields", {})
    for name, value in values.items():
        info = fields.get(name)
        extra = info.json_schema_extra if info is not None and isinstance(info.json_schema_extra, dict) else {}
        if isinstance(value, dict) and "sha256" not in value:
            yield from _inputs(value, info.annotation if info is not None else None, f"{prefix}{name}.")
        else:
            title = info.title if info is not None and info.title else f"{prefix}{name}"
            yield f"{prefix}{name}", title, value, str(extra.get("unit") or "")


def messages(run: Run) -> list[str]:
    """What the service told its user, line by line; the last ones when there are many."""
    found = [event["message"] for event in events(run.directory) if event.get("kind") == "log"]
    return found[-MAX_MESSAGES:]


def events(directory: Path) -> Iterator[dict[str, Any]]:
    """The events of a run, oldest first; a line that was cut short by a crash is passed over."""
    try:
        stream = (directory / "events.jsonl").open("rb")
    except FileNotFoundError:
        return
    with stream:
        for line in stream:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def summary(run: Run, rows: int = 12) -> Any:
    """A run for the terminal, as a rich renderable: numbers, the head of each table, and the names of the files."""
    from colonnade.terminal import render

    return render(run, rows)


__all__ = ["Download", "complete", "crate", "download", "events", "html", "messages", "summary"]
