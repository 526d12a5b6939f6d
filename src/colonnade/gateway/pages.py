"""The pages: services, jobs, results, usage. The form of a service is in `form_pages`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from colonnade.drawing import draw_molecule
from colonnade.errors import ColonnadeError, UnknownService
from colonnade.gateway import downloads, handover, snippets
from colonnade.gateway.access import SIGN_IN, WRONG_TOKEN, Access, clean_path
from colonnade.gateway.api import Behind, TheJob, my_job, scope_of_list
from colonnade.gateway.core import Gateway
from colonnade.gateway.job_state import Progress, progress
from colonnade.gateway.me import Me
from colonnade.gateway.person import Person, asking
from colonnade.gateway.problems import Trouble
from colonnade.gateway.store import STATES, JobRow, UsageRow
from colonnade.gateway.templating import draw
from colonnade.gateway.views import queue_position
from colonnade.render import View, views
from colonnade.results import Structure3D
from colonnade.runner import Run
from colonnade.service import Service, broken_plugins, get, services

PAGE_LENGTH = 50
EVERYBODY = "everybody"
MAX_PRINTED = 20_000  # bytes of an engine's output on a page; the archive has it all
REMEMBERED = 10.0  # seconds that the first page shows what it found out about missing engines
REFRESH = 3  # seconds after which a page without JavaScript asks again how a job does

router = APIRouter(include_in_schema=False)


def page(template: str, answer_status: int = 200, /, **values: Any) -> HTMLResponse:
    """A drawn page; what it shows changes, and so no browser keeps it."""
    return HTMLResponse(draw(template, me=asking(), **values), answer_status, headers={"cache-control": "no-store"})


def error_page(error: Exception, *, signed_out: bool = False, next: str = "/") -> HTMLResponse:
    """What went wrong, on a page."""
    trouble = Trouble(error)
    values = {"status": trouble.status, "title": trouble.title, "sentence": trouble.sentence}
    answer = page("error.html", trouble.status, signed_out=signed_out, next=next, here="", **values)
    answer.headers.update(trouble.headers)
    return answer


# --- services ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A service on the first page, and why it cannot run here (None: it can)."""

    service: Service[Any, Any]
    reason: str | None


@dataclass(frozen=True)
class Column:
    """The services of one column of the colonnade."""

    name: str
    services: list[Card]

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


@router.get("/")
def home(q: Annotated[str, Query(max_length=100)] = "") -> HTMLResponse:
    """All services, grouped by column."""
    known = services()
    found = [service for service in known.values() if _matches(service, q)]
    return page(
        "home.html",
        here="home",
        columns=_columns(found),
        query=q,
        shown=len(found),
        total=len(known),
        broken=broken_plugins(),
    )


def _matches(service: Service[Any, Any], query: str) -> bool:
    text = f"{service.name} {service.title} {service.summary} {service.paper}".lower()
    return all(word in text for word in query.lower().split())


@lru_cache(maxsize=1)
def _reasons(_now: int) -> dict[str, str]:
    """Why services cannot run here. They look for modules and programs on the disk, too long for every visit."""
    found = {name: service.unavailable() for name, service in services().items()}
    return {name: reason for name, reason in found.items() if reason is not None}


def _columns(found: Iterable[Service[Any, Any]]) -> list[Column]:
    groups: dict[str, list[Card]] = defaultdict(list)
    reasons = _reasons(int(time.monotonic() / REMEMBERED))
    for service in found:
        groups[service.column].append(Card(service, reasons.get(service.name)))
    return [Column(name, cards) for name, cards in groups.items()]


# --- jobs ----------------------------------------------------------------------------------------


@router.get("/jobs")
def job_list(
    gateway: Behind,
    me: Me,
    after: Annotated[str | None, Query(max_length=64)] = None,
    service: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    of: Annotated[str, Query(max_length=26)] = "",
) -> HTMLResponse:
    """The jobs, newest first: one's own, those of a group (`of`), or an operator's view of everybody's."""
    whose = scope_of_list(me, "" if of == EVERYBODY else of, of == EVERYBODY)
    found = gateway.jobs(after=after, limit=PAGE_LENGTH, service=service or None, state=state or None, **whose)
    filters = {name: value for name, value in (("of", of), ("service", service), ("state", state)) if value}
    following = f"/jobs?{urlencode(filters | {'after': found.next})}" if found.next else None
    return page(
        "jobs.html",
        here="jobs",
        jobs=[JobLine(row, _title(row.service)) for row in found.rows],
        service=service,
        state=state,
        services=list(services().values()),
        states=STATES,
        of=of,
        groups=gateway.groups_of(me),
        everybody=EVERYBODY,
        first=f"/jobs?{urlencode(filters)}" if after else None,
        following=following,
    )


@dataclass(frozen=True)
class JobLine:
    """A job in the list."""

    row: JobRow
    service_title: str

    @property
    def seconds(self) -> float | None:
        return run_time(self.row)


def run_time(row: JobRow) -> float | None:
    """How long a job ran, when it has ended."""
    if row.started is None or row.finished is None:
        return None
    return (row.finished - row.started).total_seconds()


def _title(name: str) -> str:
    try:
        return get(name).title
    except UnknownService:
        return name


@router.get("/jobs/{id}")
def job_page(request: Request, gateway: Behind, me: Me, row: TheJob) -> HTMLResponse:
    """A job: how far it is, or what it gave back."""
    values: dict[str, Any] = {
        "mine": me.may_change(row),
        "groups": gateway.groups_of(me),
        "links": _links(gateway, me, row),
        "here": "jobs",
        "job": row,
        "service": _known(row.service),
        "service_title": _title(row.service),
        "seconds": run_time(row),
        "refresh": REFRESH,
        "earlier": "earlier" in request.query_params,
    }
    if not row.final:
        events = gateway.directory_of(row.run) / "events.jsonl"
        return page("job.html", position=queue_position(gateway, row), progress=progress(events), **values)
    try:
        run = downloads.finished(gateway, row)
    except ColonnadeError:  # cancelled before it began, or it ended without a word
        run = None
    return page("result.html", **values, **_result(request, row, run))


def _links(gateway: Gateway, me: Person, row: JobRow) -> list[Any]:
    """The secret links to a job, for who may revoke them."""
    if gateway.office is None or not me.may_change(row):
        return []
    from colonnade.gateway.accounts.shares import listed

    with gateway.store.read() as session:
        return list(listed(session, row.id))


def _known(name: str) -> Service[Any, Any] | None:
    try:
        return get(name)
    except UnknownService:
        return None


def _result(request: Request, row: JobRow, run: Run | None) -> dict[str, Any]:
    if run is None:
        empty: dict[str, Any] = {name: [] for name in ("numbers", "views", "files", "snippets", "offers")}
        return {"run": None, "log": Progress(), "printed": "", **empty}
    shown = [_pictured(row.id, view) for view in views(run, lambda name: downloads.address(row.id, name))]
    numbers = [view for view in shown if view.kind in ("estimate", "value")]
    return {
        "run": run,
        "log": progress(run.directory / "events.jsonl"),
        "printed": _printed(run),
        "numbers": numbers,
        "views": [view for view in shown if view.kind not in ("estimate", "value")],
        "files": downloads.listing(row.id, run),
        "offers": handover.offers(run),
        "snippets": snippets.same_run(run, _known(row.service), public_address(request)),
    }


def _printed(run: Run) -> str:
    """The last of what the engines printed."""
    try:
        with (run.directory / "log.txt").open("rb") as stream:
            stream.seek(max(stream.seek(0, 2) - MAX_PRINTED, 0))
            return stream.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _pictured(id: str, view: View) -> View:
    """A structure with the address of its drawing, for browsers without scripts or without WebGL."""
    if view.kind != "structure3d":
        return view
    return replace(view, picture_href=f"/jobs/{id}/pictures/{quote(view.path, safe='')}.svg")


@router.get("/jobs/{id}/pictures/{path}.svg")
def picture(gateway: Behind, row: TheJob, path: str) -> Response:
    """The drawing of a structure."""
    headers = {"content-security-policy": downloads.FILE_POLICY}
    run = downloads.finished(gateway, row)
    for name, _, value in run.results:
        if name == path and isinstance(value, Structure3D):
            drawn = draw_molecule(value, run.files / value.file)
            if drawn is not None:
                return Response(drawn, media_type="image/svg+xml", headers=headers)
    raise HTTPException(404, "There is no such drawing.")


@router.post("/jobs/{id}/{action}")
async def job_action(gateway: Behind, me: Me, row: TheJob, action: str) -> Response:
    """The buttons of a job: cancel, rerun, delete."""
    if action == "rerun":
        again = await run_in_threadpool(gateway.rerun, row.id, me)
        return _see(f"/jobs/{again.id}")
    if action in ("cancel", "delete"):
        my_job(me, row)
    if action == "cancel":
        await run_in_threadpool(gateway.cancel, row.id)
        return _see(f"/jobs/{row.id}")
    if action == "delete":
        await run_in_threadpool(gateway.delete, row.id)
        return _see("/jobs")
    return error_page(UnknownService(f"A job cannot {action[:40]!r}."))


def _see(location: str) -> Response:
    return RedirectResponse(location, status_code=303)


# --- usage, reference, sign-in -------------------------------------------------------------------


@dataclass
class UsageLine:
    """The jobs of one service in one month."""

    month: str
    service: str
    outcomes: dict[str, int]
    cpu_seconds: float

    @property
    def jobs(self) -> int:
        return sum(self.outcomes.values())


@router.get("/usage")
def usage(gateway: Behind) -> HTMLResponse:
    """Who ran how much."""
    lines = usage_lines(gateway.usage())
    values = {"peak": _peak(lines), "communities": gateway.communities(), "year": 365.25 * 86_400}
    return page("usage.html", here="usage", lines=lines, health=gateway.health(), **values)


def usage_lines(rows: Iterable[UsageRow]) -> list[UsageLine]:
    """One line for each month and service."""
    lines: dict[tuple[str, str], UsageLine] = {}
    for row in rows:
        line = lines.setdefault((row.month, row.service), UsageLine(row.month, row.service, {}, 0.0))
        line.outcomes[row.outcome] = line.outcomes.get(row.outcome, 0) + row.jobs
        line.cpu_seconds += row.cpu_seconds
    return list(lines.values())


def _peak(lines: list[UsageLine]) -> int:
    return max((line.jobs for line in lines), default=1)


@router.get("/reference")
def reference(request: Request) -> HTMLResponse:
    """The REST interface in short, drawn from its OpenAPI description."""
    paths = request.app.openapi()["paths"]
    routes = [
        (method.upper(), path, operation.get("summary", ""), (operation.get("tags") or ["other"])[0])
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for method, path, summary, tag in routes:
        groups[tag].append((method, path, summary))
    return page("reference.html", here="reference", groups=groups, address=public_address(request))


def public_address(request: Request) -> str:
    """The address by which programs reach the gateway."""
    gateway: Gateway = request.app.state.gateway
    return gateway.settings.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"


@router.post(SIGN_IN)
async def sign_in(
    request: Request,
    token: Annotated[str, Form(max_length=500)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Let in who gives the token."""
    access: Access = request.app.state.access
    if access.is_token(token.strip()):
        return access.sign_in(clean_path(next))
    return page(
        "error.html", 403, signed_out=True, next=next, here="", status=403, title="Forbidden", sentence=WRONG_TOKEN
    )


def is_api(path: str) -> bool:
    """Whether a path is answered with problems rather than with pages."""
    return path.startswith("/api/")


__all__ = ["Gateway", "error_page", "is_api", "page", "router"]
