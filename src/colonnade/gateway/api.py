"""REST v1: jobs, uploads, usage, health. The typed paths of the services are in `api_services`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import FileResponse, StreamingResponse

from colonnade.errors import BadInput, Problem
from colonnade.gateway import downloads, views
from colonnade.gateway.core import Gateway
from colonnade.gateway.me import Me
from colonnade.gateway.person import Person
from colonnade.gateway.problems import responses
from colonnade.gateway.store import Forbidden, JobRow, UnknownJob
from colonnade.inputs import safe_name

PREFIX = "/api/v1"
PING = 15  # seconds between two signs of life of an idle event stream
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_CHUNK = 1 << 20

router = APIRouter(prefix=PREFIX)


def the_gateway(request: Request) -> Gateway:
    """The gateway behind this application."""
    gateway: Gateway = request.app.state.gateway
    return gateway


Behind = Annotated[Gateway, Depends(the_gateway)]


def the_job(
    gateway: Behind,
    me: Me,
    id: Annotated[str, Path(description="The job's id.", examples=["01KB2Z7M3Q4R5S6T7V8W9X0Y1Z"])],
) -> JobRow:
    """The job named in the path, which the person may see.

    Raises:
        UnknownJob: there is none of that id, or it is somebody else's: the answer does not tell which.
    """
    row = gateway.job(id) if _ID.fullmatch(id) else None
    if row is None or not me.may_see(row):
        raise UnknownJob(f"There is no job {id[:40]!r}.")
    return row


TheJob = Annotated[JobRow, Depends(the_job)]


def my_job(me: Me, row: TheJob) -> JobRow:
    """The job named in the path, which the person may change.

    Raises:
        Forbidden: the person may only see it.
    """
    if not me.may_change(row):
        raise Forbidden("Only the job's owner may do that.")
    return row


MyJob = Annotated[JobRow, Depends(my_job)]


# --- uploads -------------------------------------------------------------------------------------


@router.put(
    "/uploads/{name}",
    status_code=201,
    tags=["files"],
    summary="Upload a file",
    operation_id="upload",
    response_model=views.Upload,
    responses=responses(413, 422, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(
    request: Request,
    gateway: Behind,
    me: Me,
    name: Annotated[str, Path(description="The file's own name.", min_length=1)],
) -> views.Upload:
    """Store the body under its checksum; the answer is what a service takes where it wants a file."""
    try:
        clean = safe_name(name)
    except ValueError as error:
        raise BadInput([Problem("name", f"name: {error}.")]) from None
    with await asyncio.to_thread(gateway.receive, me) as draft:
        waiting = bytearray()
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= _CHUNK:
                await asyncio.to_thread(draft.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(draft.write, bytes(waiting))
        stored = await asyncio.to_thread(gateway.keep_upload, draft, clean, me)
    return views.Upload(**stored.reference)


# --- jobs ----------------------------------------------------------------------------------------


@router.get("/jobs", tags=["jobs"], operation_id="list_jobs", responses=responses(422))
def list_jobs(
    gateway: Behind,
    me: Me,
    after: Annotated[str | None, Query(description="`next` of the page before.", max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    service: Annotated[str | None, Query(max_length=200)] = None,
    state: views.State | None = None,
    group: Annotated[str | None, Query(max_length=26, description="Jobs of a group instead of one's own.")] = None,
    everybody: Annotated[bool, Query(description="Jobs of everybody; for operators.")] = False,
) -> views.JobPage:
    """A page of jobs, newest first: one's own, or those of a group."""
    whose = scope_of_list(me, group or "", everybody)
    page = gateway.jobs(after=after, limit=limit, service=service, state=state, **whose)
    return views.job_page(page.rows, page.next)


def scope_of_list(me: Person, group: str, everybody: bool) -> dict[str, str | None]:
    """The filter of a list of jobs to what the person may see.

    Raises:
        Forbidden: the person is not in that group, or asks for everybody's without being an operator.
    """
    if me.alone:
        return {}
    if group:
        if group not in me.groups and not me.operator:
            raise Forbidden(f"You are in no group {group[:40]!r}.")
        return {"group": group}
    if everybody:
        if not me.operator:
            raise Forbidden("Only an operator may see everybody's jobs.")
        return {}
    return {"owner": str(me.id)}


@router.get("/jobs/{id}", tags=["jobs"], operation_id="get_job", responses=responses(404))
def get_job(gateway: Behind, row: TheJob) -> views.Job:
    """One job: its state, and while it waits its place in the queue."""
    return views.job_view(gateway, row)


@router.delete("/jobs/{id}", status_code=204, tags=["jobs"], operation_id="delete_job", responses=responses(404, 409))
def delete_job(gateway: Behind, row: MyJob) -> Response:
    """Remove a job that has ended, with its files."""
    gateway.delete(row.id)
    return Response(status_code=204)


@router.post("/jobs/{id}/cancel", tags=["jobs"], operation_id="cancel_job", responses=responses(404))
def cancel_job(gateway: Behind, row: MyJob) -> views.Job:
    """End a job; one that has ended already stays as it is."""
    return views.job_view(gateway, gateway.cancel(row.id))


@router.post(
    "/jobs/{id}/rerun",
    status_code=201,
    tags=["jobs"],
    operation_id="rerun_job",
    responses=responses(404, 409, 422, 507),
)
def rerun_job(gateway: Behind, me: Me, row: TheJob, response: Response) -> views.Job:
    """Queue the same request once more, to be run anew."""
    again = gateway.rerun(row.id, me)
    response.headers["location"] = f"{PREFIX}/jobs/{again.id}"
    return views.job_view(gateway, again)


_EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Give it as `Last-Event-ID` to go on behind this event."},
        "event": {"type": "string", "description": "`state`, `progress`, `log` or `preview`."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["data"],
}


@router.get(
    "/jobs/{id}/events",
    tags=["jobs"],
    operation_id="watch_job",
    response_class=EventSourceResponse,
    responses=responses(404, 422)
    | {200: {"description": "Server-sent events", "content": {"text/event-stream": {"schema": _EVENT}}}},
)
async def watch_job(
    gateway: Behind,
    row: TheJob,
    after: Annotated[int, Query(ge=0, le=2**53, description="Id of the last event seen.")] = 0,
    last_event_id: Annotated[str, Header(description="What a browser sends after a lost connection.")] = "",
) -> EventSourceResponse:
    """The job's events as they happen (`state`, `progress`, `log`, `preview`); ends when the job has ended."""
    digits = last_event_id.strip()
    start = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 17 else after
    return EventSourceResponse(_events(gateway, row.id, start), ping=PING, headers={"cache-control": "no-store"})


async def _events(gateway: Gateway, id: str, start: int) -> AsyncIterator[ServerSentEvent]:
    async for offset, event in gateway.events(id, start):
        yield ServerSentEvent(json.dumps(event, ensure_ascii=False), event=str(event.get("kind")), id=str(offset))


# --- results -------------------------------------------------------------------------------------


def _bytes(media_type: str = "application/octet-stream") -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "The file.", "content": {media_type: {"schema": {"format": "binary"}}}}}


@router.get(
    "/jobs/{id}/result",
    tags=["results"],
    operation_id="get_result",
    response_model=views.Outcome,
    responses=responses(404, 409),
)
def get_result(gateway: Behind, row: TheJob) -> Response:
    """What the job gave back: the outputs of its service, or why there are none."""
    run = downloads.finished(gateway, row)
    return Response((run.directory / "result.json").read_bytes(), media_type="application/json")


@router.get("/jobs/{id}/files", tags=["results"], operation_id="list_files", responses=responses(404, 409))
def list_files(gateway: Behind, row: TheJob) -> list[views.ResultFile]:
    """The files of a job, and the usual formats of its results (CSV of tables, SVG and JSON of plots)."""
    return downloads.listing(row.id, downloads.finished(gateway, row))


@router.get(
    "/jobs/{id}/files/{name:path}",
    tags=["results"],
    operation_id="get_file",
    response_class=FileResponse,
    responses=responses(404, 409, 507) | _bytes("*/*"),
)
def get_file(gateway: Behind, row: TheJob, name: str) -> Response:
    """One file of a job, as an attachment."""
    return downloads.send_file(downloads.finished(gateway, row), name)


@router.get(
    "/jobs/{id}/report",
    tags=["results"],
    operation_id="get_report",
    response_class=FileResponse,
    responses=responses(404, 409, 507) | _bytes(),
)
def get_report(gateway: Behind, row: TheJob) -> FileResponse:
    """The report of a job: one HTML file that needs nothing else."""
    return downloads.send_report(downloads.finished(gateway, row), f"{row.service}-{row.id}.html")


@router.get(
    "/jobs/{id}/archive",
    tags=["results"],
    operation_id="get_archive",
    response_class=StreamingResponse,
    responses=responses(404, 409, 507) | _bytes("application/zip"),
)
def get_archive(gateway: Behind, row: TheJob) -> StreamingResponse:
    """The complete run directory as a zip: inputs, events, results, files, report, RO-Crate."""
    return downloads.send_archive(downloads.finished(gateway, row), f"{row.service}-{row.id}")


# --- the gateway itself --------------------------------------------------------------------------


@router.get("/usage", tags=["gateway"], operation_id="get_usage", responses=responses())
def get_usage(gateway: Behind) -> list[views.Usage]:
    """Jobs and CPU seconds by month, service and outcome."""
    return [views.Usage.of(row) for row in gateway.usage()]


@router.get("/health", tags=["gateway"], operation_id="get_health", responses=responses())
def get_health(gateway: Behind) -> views.Health:
    """Whether the gateway can do its work."""
    return views.Health(**gateway.health())
