"""REST v1 of workflows."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import StreamingResponse

from colonnade.errors import BadInput, Problem
from colonnade.gateway import downloads
from colonnade.gateway.api import PING, PREFIX, Behind, scope_of_list
from colonnade.gateway.core import Gateway
from colonnade.gateway.me import Me
from colonnade.gateway.problems import responses
from colonnade.gateway.store import Forbidden
from colonnade.gateway.workflows import book, crate
from colonnade.gateway.workflows.tables import WorkflowRow
from colonnade.workflows import document, picture
from colonnade.workflows.state import StepState, WorkflowWord

_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
LOOK = 2.0  # seconds between two looks when nothing was announced
PAUSE = 0.25

router = APIRouter(prefix=PREFIX, tags=["workflows"])


class Upload(BaseModel, extra="forbid"):
    """A stored file: the answer of an upload."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    name: str = Field(min_length=1, max_length=200)
    size: int = Field(0, ge=0, le=2**53)


class Start(BaseModel, extra="forbid"):
    """A workflow to run."""

    document: str | dict[str, Any] = Field(description="The workflow, as YAML or as plain values.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="Values in place of the workflow's own inputs.")
    files: dict[str, Upload] = Field(
        default_factory=dict, max_length=200, description="Uploads by the names that `file:NAME` has in the document."
    )
    title: str = Field("", max_length=200)
    group: str | None = Field(None, max_length=26)


class Item(BaseModel):
    """One run of a step."""

    step: str
    index: int
    job: str = Field(description="Id of its job; there is none before it was queued.")
    state: str
    reused: bool = Field(description="Whether an earlier result answered it.")
    error: str


class Workflow(BaseModel):
    """A workflow and how far it is."""

    id: str
    title: str
    state: WorkflowWord
    created: datetime
    finished: datetime | None
    error: str = Field(description="Why it failed, in one sentence; empty otherwise.")
    note: str = Field(description="Why it waits, when it waits for more than its jobs.")
    steps: list[StepState]
    outputs: dict[str, Any] = Field(description="Values by name; a table as lists of cells by column.")


class WorkflowDetail(Workflow):
    """A workflow, its document, and the runs of its steps."""

    document: dict[str, Any]
    files: dict[str, Any]
    items: list[Item]


class WorkflowPage(BaseModel):
    """Workflows from the newest to the oldest."""

    workflows: list[Workflow]
    next: str | None = Field(description="Give it as `after` to get those that follow; null: there are no more.")


def the_workflow(
    gateway: Behind,
    me: Me,
    id: Annotated[str, Path(description="The workflow's id.", examples=["01KB2Z7M3Q4R5S6T7V8W9X0Y1Z"])],
) -> WorkflowRow:
    """The workflow named in the path, which the person may see.

    Raises:
        UnknownWorkflow: there is none of that id, or it is somebody else's: the answer does not tell which.
    """
    row = book.get(gateway, id) if _ID.fullmatch(id) else None
    if row is None or not me.may_see(row):
        raise book.UnknownWorkflow(f"There is no workflow {id[:40]!r}.")
    return row


TheWorkflow = Annotated[WorkflowRow, Depends(the_workflow)]


def my_workflow(me: Me, row: TheWorkflow) -> WorkflowRow:
    """The workflow named in the path, which the person may change.

    Raises:
        Forbidden: the person may only see it.
    """
    if not me.may_change(row):
        raise Forbidden("Only the workflow's owner may do that.")
    return row


MyWorkflow = Annotated[WorkflowRow, Depends(my_workflow)]


def detail(gateway: Gateway, row: WorkflowRow) -> WorkflowDetail:
    """All there is to know of a workflow."""
    with gateway.store.read() as session:
        items = book.items(session, row.id)
    listed = [Item.model_validate(item, from_attributes=True) for item in items]
    return WorkflowDetail(
        **_values(row), steps=book.survey(row, items), document=row.document, files=row.files, items=listed
    )


def _values(row: WorkflowRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Workflow.model_fields if name != "steps"}


@router.get("/workflows", operation_id="list_workflows", responses=responses(422))
def list_workflows(
    gateway: Behind,
    me: Me,
    after: Annotated[str | None, Query(description="`next` of the page before.", max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    group: Annotated[str | None, Query(max_length=26, description="Those of a group instead of one's own.")] = None,
    everybody: Annotated[bool, Query(description="Those of everybody; for operators.")] = False,
) -> WorkflowPage:
    """A page of workflows, newest first: one's own, or those of a group."""
    shelf = book.page(gateway, after=after, limit=limit, **scope_of_list(me, group or "", everybody))
    found = []
    for row in shelf.rows:
        with gateway.store.read() as session:
            found.append(Workflow(**_values(row), steps=book.survey(row, book.items(session, row.id))))
    return WorkflowPage(workflows=found, next=shelf.next)


@router.post("/workflows", status_code=201, operation_id="start_workflow", responses=responses(400, 409, 422, 507))
def start_workflow(gateway: Behind, me: Me, body: Start, response: Response) -> WorkflowDetail:
    """Run a workflow; a step that was run before, with the same inputs, is answered by its earlier result."""
    found = document.parse(body.document) if isinstance(body.document, str) else document.of(body.document)
    files = {name: upload.model_dump() for name, upload in body.files.items()}
    _check_files(gateway, me, files)
    row = book.start(gateway, found.given(body.inputs), files, title=body.title, person=me, group=body.group)
    response.headers["location"] = f"{PREFIX}/workflows/{row.id}"
    return detail(gateway, row)


def _check_files(gateway: Gateway, me: Me, files: dict[str, Any]) -> None:
    source = gateway.files_for(me)
    problems = []
    for name, reference in files.items():
        try:
            source(reference)
        except ValueError as error:
            problems.append(Problem(f"files.{name}", f"files: {name[:80]}: {error}."))
    if problems:
        raise BadInput(problems)


@router.get("/workflows/{id}", operation_id="get_workflow", responses=responses(404))
def get_workflow(gateway: Behind, row: TheWorkflow) -> WorkflowDetail:
    """A workflow and how far it is."""
    return detail(gateway, row)


@router.delete("/workflows/{id}", status_code=204, operation_id="delete_workflow", responses=responses(404, 409))
def delete_workflow(gateway: Behind, row: MyWorkflow) -> None:
    """Remove a workflow that has ended, with its jobs and their results."""
    book.remove(gateway, row.id)


@router.post("/workflows/{id}/cancel", operation_id="cancel_workflow", responses=responses(404))
def cancel_workflow(gateway: Behind, row: MyWorkflow) -> WorkflowDetail:
    """End a workflow and its jobs; one that has ended already stays as it is."""
    return detail(gateway, book.cancel(gateway, row.id))


@router.post(
    "/workflows/{id}/rerun",
    status_code=201,
    operation_id="rerun_workflow",
    responses=responses(400, 404, 409, 422, 507),
)
def rerun_workflow(gateway: Behind, me: Me, row: TheWorkflow, response: Response) -> WorkflowDetail:
    """Run the same workflow once more; what has succeeded is answered by the earlier results."""
    again = book.rerun(gateway, row.id, me)
    response.headers["location"] = f"{PREFIX}/workflows/{again.id}"
    return detail(gateway, again)


@router.get(
    "/workflows/{id}/picture.svg",
    operation_id="get_workflow_picture",
    response_class=Response,
    responses=responses(404) | {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}},
)
def get_picture(gateway: Behind, row: TheWorkflow) -> Response:
    """The workflow as a drawing, as it now is."""
    headers = {"content-security-policy": downloads.FILE_POLICY, "cache-control": "no-store"}
    return Response(picture.draw(steps_of(gateway, row), row.title), media_type="image/svg+xml", headers=headers)


@router.get(
    "/workflows/{id}/crate",
    operation_id="get_workflow_crate",
    response_class=StreamingResponse,
    responses=responses(404, 409)
    | {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_crate(gateway: Behind, row: TheWorkflow) -> StreamingResponse:
    """A workflow that has ended, with all its runs, as a Workflow Run RO-Crate (zip)."""
    return crate.send(gateway, row)


@router.get(
    "/workflows/{id}/events",
    operation_id="watch_workflow",
    response_class=EventSourceResponse,
    responses=responses(404)
    | {200: {"description": "Server-sent events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def watch_workflow(gateway: Behind, row: TheWorkflow) -> EventSourceResponse:
    """The workflow at each change: `state` events that hold its steps and its picture; ends with it."""
    return EventSourceResponse(_events(gateway, row.id), ping=PING, headers={"cache-control": "no-store"})


async def _events(gateway: Gateway, id: str) -> AsyncIterator[ServerSentEvent]:
    shown, number = "", 0
    while True:
        seen, looked = gateway.dispatcher.changes, time.monotonic()
        try:
            state, text = await asyncio.to_thread(_now, gateway, id)
        except book.UnknownWorkflow:
            return
        if text != shown:
            shown, number = text, number + 1
            yield ServerSentEvent(text, event="state", id=str(number))
        if state != "running":
            return
        await asyncio.sleep(PAUSE)
        while gateway.dispatcher.changes == seen and time.monotonic() - looked < LOOK:
            await asyncio.sleep(PAUSE)


def _now(gateway: Gateway, id: str) -> tuple[str, str]:
    row = book.get(gateway, id)
    steps = steps_of(gateway, row)
    values = {
        "state": row.state,
        "note": row.note,
        "steps": [step.model_dump() | {"says": step.says} for step in steps],
        "picture": picture.draw(steps, row.title),
    }
    return row.state, json.dumps(values, ensure_ascii=False)


def steps_of(gateway: Gateway, row: WorkflowRow) -> list[StepState]:
    """How far each step is now."""
    with gateway.store.read() as session:
        return book.survey(row, book.items(session, row.id))
