"""The page with a service's form: shown fresh, with an example or an earlier run's inputs, and submitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from colonnade.errors import BadInput, ColonnadeError, Problem
from colonnade.gateway import downloads, forms, handover, posted
from colonnade.gateway.api import Behind, the_job
from colonnade.gateway.core import MAX_TITLE, Gateway
from colonnade.gateway.files import TooLarge
from colonnade.gateway.limits import MAX_FORM_TEXT
from colonnade.gateway.me import Me
from colonnade.gateway.pages import page
from colonnade.gateway.person import Person, asking
from colonnade.gateway.problems import Trouble
from colonnade.gateway.store import JobRow
from colonnade.inputs import LEVELS, Level
from colonnade.service import Service, get

MAX_FILES = 200
MAX_FIELDS = 5000
_CHUNK = 1 << 20

router = APIRouter(include_in_schema=False)


@dataclass
class State:
    """What the form shows beside its fields' values."""

    values: Mapping[str, Any] | None = None
    problems: list[Problem] = field(default_factory=list)
    level: Level = "basic"
    title: str = ""
    seed: str = "0"
    example: str = ""
    group: str = ""


def _draw(gateway: Gateway, service: Service[Any, Any], state: State, status: int = 200) -> HTMLResponse:
    seed_error = next((problem.message for problem in state.problems if problem.field == "seed"), "")
    names = {item.name for item in forms.describe(service.inputs)}
    problems = [problem for problem in state.problems if problem.field != "seed" or "seed" in names]
    form = forms.bind(forms.describe(service.inputs), state.values, problems, state.level)
    first = next(iter(form.wrong), None)
    return page(
        "service.html",
        status,
        here="home",
        service=service,
        column=service.column.replace("_", " ").capitalize(),
        description=service.description,
        reason=service.unavailable(),
        examples=list(service.examples),
        example=state.example,
        form=form,
        first=first.path if first else "",
        seed=state.seed,
        seed_error=seed_error,
        title=state.title,
        limit=int(gateway.settings.upload_limit),
        group=state.group,
        groups=gateway.groups_of(asking()),
    )


@router.get("/services/{name}")
def show(
    gateway: Behind,
    me: Me,
    name: str,
    example: Annotated[str, Query(max_length=200)] = "",
    job: Annotated[str, Query(alias="from", max_length=64)] = "",
    level: str = "basic",
) -> HTMLResponse:
    """The form: fresh, with an example's values, or with those of an earlier job (`from`)."""
    service = get(name)
    state = State(level=_level(level))
    if example:
        if example not in service.examples:
            raise HTTPException(404, f"{service.title} has no example {example[:60]!r}.")
        values = service.example(example)
        state.values, state.example = _plain(values), example
        state.level = _needed(service, state.values, state.level)
    elif job:
        row = the_job(gateway, me, job)
        state.values, state.title, state.seed = row.inputs, row.title, str(row.seed)
        state.level = _needed(service, row.inputs, state.level)
        state.group = row.group_id or ""
    if state.values is not None and not me.alone:
        from colonnade.gateway.accounts.levels import findings

        state.problems = findings(service.inputs, state.values, me.level)
    return _draw(gateway, service, state)


@router.post("/services/{name}/from-result")
def take_over(
    gateway: Behind,
    me: Me,
    name: str,
    job: Annotated[str, Form(max_length=64)],
    file: Annotated[str, Form(max_length=400)],
    field: Annotated[str, Form(max_length=200)],
) -> HTMLResponse:
    """The form, filled with a file of a job's result at one field and with what both services ask for."""
    service, row = get(name), the_job(gateway, me, job)
    path = downloads.inside(downloads.finished(gateway, row).files, file)
    if path is None:
        raise HTTPException(404, "The job has no such file.")
    if field not in [taker.field.name for taker in handover.takers_of(file) if taker.service is service]:
        raise HTTPException(404, f"{service.title} does not take this file there.")
    with path.open("rb") as stream:
        stored = gateway.save_upload(iter(lambda: stream.read(_CHUNK), b""), path.name, me)
    taken = handover.values(service, field, stored.reference, row.inputs)
    return _draw(gateway, service, State(values=taken, level=_needed(service, taken, "basic")))


def _plain(values: Any) -> Mapping[str, Any]:
    return values.model_dump(mode="json") if hasattr(values, "model_dump") else dict(values)


def _level(text: str) -> Level:
    return next((level for level in LEVELS if level == text), "basic")


def _needed(service: Service[Any, Any], values: Mapping[str, Any], least: Level) -> Level:
    """The lowest level at which every field that differs from its default is to be seen."""
    used: list[Level] = [
        item.level
        for item in forms.describe(service.inputs)
        if item.name in values and not item.required and values[item.name] != item.default
    ]
    return max([least, *used], key=LEVELS.index)


@router.post("/services/{name}")
async def submit(request: Request, gateway: Behind, me: Me, name: str) -> Response:
    """Run the service with what the form holds, or show the form again with what is wrong; or add or remove a row."""
    service = get(name)
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FORM_TEXT) as data:
        return await run_in_threadpool(_answer, gateway, me, service, data)


def _answer(gateway: Gateway, me: Person, service: Service[Any, Any], data: FormData) -> Response:
    fields = forms.describe(service.inputs)
    uploads, refused = _keep_files(gateway, me, data)
    typed = posted.typed(fields, data, uploads)
    state = State(
        values=typed,
        problems=refused,
        level=_level(str(data.get("_level") or "")),
        title=str(data.get("_title") or "")[:MAX_TITLE],
        seed=str(data.get("_seed") or "0").strip(),
        group=str(data.get("_group") or "")[:26],
    )
    if "row:add" in data or "row:remove" in data:
        _change_rows(typed, str(data.get("row:add") or ""), str(data.get("row:remove") or ""))
        state.problems = []
        return _draw(gateway, service, state)
    if not refused:
        try:
            row = _submit(gateway, me, service, posted.values(fields, typed), state)
            return RedirectResponse(f"/jobs/{row.id}" + ("?earlier" if row.cached_from else ""), status_code=303)
        except BadInput as error:
            state.problems = error.problems
        except ColonnadeError as error:
            if Trouble(error).status >= 500:
                raise
            state.problems = [Problem("", str(error))]  # a limit: what was typed stays
    return _draw(gateway, service, state, 422)


def _submit(gateway: Gateway, me: Person, service: Service[Any, Any], values: dict[str, Any], state: State) -> JobRow:
    problems: list[Problem] = []
    if not me.alone:
        from colonnade.gateway.accounts.levels import without_locked

        values = without_locked(forms.describe(service.inputs), values, me.level)
    try:
        seed = int(state.seed)
    except ValueError:
        seed = -1
        problems = [Problem("seed", f"seed must be a whole number, but is {state.seed[:40]!r}.")]
    try:
        inputs = service.parse(values, gateway.files_for(me))
    except BadInput as error:
        raise BadInput([*error.problems, *problems]) from None
    if problems:
        raise BadInput(problems)
    return gateway.submit(service, inputs, seed=seed, title=state.title, person=me, group=state.group or None)


def _keep_files(gateway: Gateway, me: Person, data: FormData) -> tuple[dict[str, list[Any]], list[Problem]]:
    """Store the files that came with the form, so that nobody has to send them again when something else is wrong."""
    kept: dict[str, list[Any]] = {}
    problems = []
    for path, file in data.multi_items():
        if not isinstance(file, UploadFile) or not file.filename:
            continue
        try:
            kept.setdefault(path, []).append(gateway.save_upload(_chunks(file), file.filename, me).reference)
        except TooLarge as error:
            problems.append(Problem(path, f"{path}: {error}"))
        except ColonnadeError as error:
            if Trouble(error).status >= 500:
                raise
            problems.append(Problem(path, f"{path}: {error}"))
    return kept, problems


def _chunks(file: UploadFile) -> Iterator[bytes]:
    while chunk := file.file.read(_CHUNK):
        yield chunk


def _change_rows(typed: dict[str, Any], add: str, remove: str) -> None:
    """Add an empty row to the list at a path, or take one away; a path that leads nowhere changes nothing."""
    if add:
        rows = _follow(typed, add)
        if isinstance(rows, list) and len(rows) < forms.MAX_ROWS:
            rows.append({})
    elif remove:
        path, _, index = remove.rpartition(".")
        rows = _follow(typed, path)
        if isinstance(rows, list) and index.isdecimal() and int(index) < len(rows):
            del rows[int(index)]


def _follow(values: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(values, dict):
            values = values.get(step)
        elif isinstance(values, list) and step.isdecimal() and int(step) < len(values):
            values = values[int(step)]
        else:
            return None
    return values
