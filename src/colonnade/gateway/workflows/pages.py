"""The pages of workflows: the list, the one to compose one, and the one to watch it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from colonnade.errors import BadInput, ColonnadeError, Problem
from colonnade.gateway.api import Behind, scope_of_list
from colonnade.gateway.core import Gateway
from colonnade.gateway.limits import MAX_FORM_TEXT
from colonnade.gateway.me import Me
from colonnade.gateway.pages import EVERYBODY, PAGE_LENGTH, REFRESH, error_page, page
from colonnade.gateway.person import Person
from colonnade.gateway.problems import Trouble
from colonnade.gateway.workflows import book, crate
from colonnade.gateway.workflows.api import TheWorkflow, my_workflow, steps_of, the_workflow
from colonnade.service import services
from colonnade.workflows import document, examples, picture

MAX_FILES = 200
_CHUNK = 1 << 20

router = APIRouter(include_in_schema=False)


@router.get("/workflows")
def workflow_list(
    gateway: Behind,
    me: Me,
    after: Annotated[str | None, Query(max_length=64)] = None,
    of: Annotated[str, Query(max_length=26)] = "",
) -> HTMLResponse:
    """The workflows, newest first."""
    whose = scope_of_list(me, "" if of == EVERYBODY else of, of == EVERYBODY)
    shelf = book.page(gateway, after=after, limit=PAGE_LENGTH, **whose)
    lines = [(row, steps_of(gateway, row)) for row in shelf.rows]
    return page(
        "workflows/list.html",
        here="workflows",
        lines=lines,
        of=of,
        groups=gateway.groups_of(me),
        everybody=EVERYBODY,
        following=f"/workflows?of={of}&after={shelf.next}" if shelf.next else None,
    )


# --- composing -----------------------------------------------------------------------------------


@dataclass
class Draft:
    """What the page to compose a workflow shows."""

    text: str = ""
    title: str = ""
    group: str = ""
    files: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    checked: bool = False


def _compose(gateway: Gateway, me: Person, draft: Draft, status: int = 200) -> HTMLResponse:
    drawn = ""
    with suppress(ColonnadeError):
        drawn = picture.draw(picture.states_of(document.parse(draft.text)), "The workflow as it stands")
    return page(
        "workflows/compose.html",
        status,
        here="workflows",
        draft=draft,
        kept=[(name, json.dumps(reference)) for name, reference in draft.files.items()],
        picture=drawn,
        examples=examples.titles(),
        services=list(services().values()),
        groups=gateway.groups_of(me),
    )


@router.get("/workflows/new")
def new_workflow(
    gateway: Behind,
    me: Me,
    example: Annotated[str, Query(max_length=60)] = "",
    workflow: Annotated[str, Query(alias="from", max_length=64)] = "",
) -> HTMLResponse:
    """The page to compose a workflow: empty, with an example, or with an earlier workflow (`from`)."""
    draft = Draft(text=examples.text(example or next(iter(examples.titles()))))
    if workflow:
        row = the_workflow(gateway, me, workflow)
        draft = Draft(document.dump(document.of(row.document)), row.title, row.group_id or "", row.files)
    return _compose(gateway, me, draft)


@router.post("/workflows")
async def start_workflow(request: Request, gateway: Behind, me: Me) -> Response:
    """Run what the page holds, or check it, or show what is wrong with it."""
    async with request.form(max_files=MAX_FILES, max_part_size=MAX_FORM_TEXT) as data:
        return await run_in_threadpool(_start, gateway, me, data)


def _start(gateway: Gateway, me: Person, data: FormData) -> Response:
    draft = Draft(
        text=str(data.get("document") or "").replace("\r\n", "\n"),
        title=str(data.get("title") or "")[:200],
        group=str(data.get("group") or "")[:26],
    )
    try:
        draft.files = _kept(data) | _uploaded(gateway, me, data)
        found = document.parse(draft.text)
        if "add" in data:
            draft.text = with_step(draft.text, str(data.get("service") or ""))
            return _compose(gateway, me, draft)
        if "check" in data:
            book.check(gateway, me, found, draft.files)
            draft.checked = True
            return _compose(gateway, me, draft)
        row = book.start(gateway, found, draft.files, title=draft.title, person=me, group=draft.group or None)
        return RedirectResponse(f"/workflows/{row.id}", status_code=303)
    except BadInput as error:
        draft.problems = error.problems
    except ColonnadeError as error:
        if Trouble(error).status >= 500:
            raise
        draft.problems = [Problem("", str(error))]
    return _compose(gateway, me, draft, 422)


def with_step(text: str, service: str) -> str:
    """The document with one more step, whose fields are those that the service needs."""
    found = services().get(service)
    if found is None:
        return text
    workflow = document.parse(text)
    stem = service.rpartition(".")[2][:36]
    name = next(name for name in (stem, *(f"{stem}_{n}" for n in range(2, 200))) if name not in workflow.steps)
    needed = [field for field, info in found.inputs.model_fields.items() if info.is_required()]
    example = next(iter(found.examples.values()), {})
    inputs = {field: dict(example).get(field, "") for field in needed}
    step = document.Step(service=service, inputs=inputs)
    return document.dump(workflow.model_copy(update={"steps": {**workflow.steps, name: step}}))


def _kept(data: FormData) -> dict[str, Any]:
    """Files that were sent with an earlier version of the page."""
    found = {}
    for text in data.getlist("kept"):
        name, _, reference = str(text).partition("\n")
        try:
            loaded = json.loads(reference)
        except ValueError:
            continue
        if isinstance(loaded, dict) and isinstance(loaded.get("sha256"), str) and isinstance(loaded.get("name"), str):
            found[name[:200]] = {"sha256": loaded["sha256"], "name": loaded["name"], "size": loaded.get("size", 0)}
    return found


def _uploaded(gateway: Gateway, me: Person, data: FormData) -> dict[str, Any]:
    found = {}
    for file in data.getlist("files"):
        if isinstance(file, UploadFile) and file.filename:
            stored = gateway.save_upload(_chunks(file), file.filename, me)
            found[stored.name] = stored.reference
    return found


def _chunks(file: UploadFile) -> Iterator[bytes]:
    while chunk := file.file.read(_CHUNK):
        yield chunk


@router.post("/workflows/import")
async def import_crate(request: Request, gateway: Behind, me: Me) -> Response:
    """The page to compose, filled with the workflow of a Workflow Run RO-Crate and its files."""
    async with request.form(max_files=1, max_part_size=MAX_FORM_TEXT) as data:
        return await run_in_threadpool(_import, gateway, me, data.get("crate"))


def _import(gateway: Gateway, me: Person, file: Any) -> Response:
    if gateway.office is not None:
        gateway.office.check_person(me, None)
    if not isinstance(file, UploadFile) or not file.filename:
        raise HTTPException(422, "Choose the zip of a workflow.")
    text, files = crate.take_in(gateway, me, file.file)
    return _compose(gateway, me, Draft(text, files=files))


# --- watching ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """One of a workflow's outputs: a value, or a table of rows."""

    name: str
    columns: list[str]
    rows: list[list[Any]]
    value: Any = None


@router.get("/workflows/{id}")
def workflow_page(gateway: Behind, me: Me, row: TheWorkflow) -> HTMLResponse:
    """A workflow: its picture, its steps with their jobs, and what it gave."""
    with gateway.store.read() as session:
        items = book.items(session, row.id)
        links: list[Any] = []
        if gateway.office is not None and me.may_change(row):
            from colonnade.gateway.accounts.shares import listed_of_workflow

            links = listed_of_workflow(session, row.id)
    steps = book.survey(row, items)
    return page(
        "workflows/workflow.html",
        here="workflows",
        workflow=row,
        steps=steps,
        picture=picture.draw(steps, row.title),
        items={step.name: [item for item in items if item.step == step.name] for step in steps},
        shown=[_shown(name, value) for name, value in row.outputs.items()],
        text=document.dump(document.of(row.document)),
        description=str(row.document.get("description", "")),
        mine=me.may_change(row),
        groups=gateway.groups_of(me),
        links=links,
        refresh=REFRESH,
    )


def _shown(name: str, value: Any) -> Shown:
    if isinstance(value, dict) and value and all(isinstance(cells, list) for cells in value.values()):
        return Shown(name, list(value), [list(cells) for cells in zip(*value.values(), strict=True)])
    if isinstance(value, list) and value and all(isinstance(line, dict) and "job" not in line for line in value):
        columns = list(value[0])
        return Shown(name, columns, [[line.get(column) for column in columns] for line in value])
    if isinstance(value, list):
        return Shown(name, [name], [[cell] for cell in value])
    return Shown(name, [], [], value)


@router.post("/workflows/{id}/{action}")
async def workflow_action(gateway: Behind, me: Me, row: TheWorkflow, action: str) -> Response:
    """The buttons of a workflow: cancel, rerun, delete."""
    if action == "rerun":
        again = await run_in_threadpool(book.rerun, gateway, row.id, me)
        return RedirectResponse(f"/workflows/{again.id}", 303)
    if action in ("cancel", "delete"):
        my_workflow(me, row)
    if action == "cancel":
        await run_in_threadpool(book.cancel, gateway, row.id)
        return RedirectResponse(f"/workflows/{row.id}", 303)
    if action == "delete":
        await run_in_threadpool(book.remove, gateway, row.id)
        return RedirectResponse("/workflows", 303)
    return error_page(HTTPException(404, f"A workflow cannot {action[:40]!r}."))
