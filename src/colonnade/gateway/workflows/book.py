"""Workflows in the database: started, looked up, cancelled, deleted; and how far each step is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, CursorResult, delete, select, update
from sqlalchemy.orm import Session
from ulid import ULID

from colonnade.errors import ColonnadeError
from colonnade.gateway import queue
from colonnade.gateway.person import ALONE, Person
from colonnade.gateway.store import JobRow, Refused, UnknownJob, now
from colonnade.gateway.workflows.tables import ENDED, WorkflowItemRow, WorkflowRow
from colonnade.workflows import picture, plan
from colonnade.workflows.document import Workflow, of
from colonnade.workflows.references import BadReference, Scope
from colonnade.workflows.state import StepState

if TYPE_CHECKING:
    from colonnade.gateway.core import Gateway

MAX_PAGE = 200


class UnknownWorkflow(UnknownJob):
    """There is no workflow of that id."""


@dataclass(frozen=True)
class Shelf:
    """Some workflows, newest first, and the cursor that continues after the last of them."""

    rows: list[WorkflowRow]
    next: str | None


def scope(
    gateway: Gateway, person: Person, workflow: Workflow, files: Mapping[str, Any], ended: Mapping[str, Any]
) -> Scope:
    """What references of a workflow stand for on a gateway: files are references to uploads."""

    def file(name: str) -> Any:
        if name not in files:
            raise BadReference(f"There is no file {name[:120]!r}; send it along with the workflow.")
        return dict(files[name])

    def read(reference: Any) -> bytes:
        try:
            return gateway.files_for(person)(reference).read_bytes()
        except ValueError as error:
            raise BadReference(f"The table of rows: {error}.") from None

    return Scope(workflow.inputs, ended, file, read)


def check(gateway: Gateway, person: Person, workflow: Workflow, files: Mapping[str, Any]) -> None:
    """Refuse a workflow that a person cannot run; see `plan.check`.

    Raises:
        BadInput: with a sentence for each finding.
    """

    def also(service: Any, inputs: Any) -> None:
        if gateway.office is not None:
            from colonnade.gateway.accounts import levels

            levels.check(inputs, person.level)

    plan.check(workflow, scope(gateway, person, workflow, files, {}), gateway.files_for(person), also)


def start(
    gateway: Gateway,
    workflow: Workflow,
    files: Mapping[str, Any],
    *,
    title: str = "",
    person: Person = ALONE,
    group: str | None = None,
) -> WorkflowRow:
    """Enter a workflow; its first jobs are queued in a moment.

    Raises:
        BadInput: it cannot be run.
        ColonnadeError: the person may not run it.
    """
    if gateway.office is not None:
        gateway.office.check_person(person, group)
        gateway.office.count(person)
    check(gateway, person, workflow, files)
    row = WorkflowRow(
        id=str(ULID()),
        title=(title or workflow.name)[:200],
        state="running",
        document=workflow.model_dump(mode="json", exclude_defaults=True),
        files=dict(files),
        expanded={},
        outputs={},
        owner=person.id,
        group_id=group,
        created=now(),
    )
    with gateway.store.write() as session:
        session.info[queue.CHANGED] = True
        session.add(row)
    gateway.conductor.wake()
    return row


def get(gateway: Gateway, id: str) -> WorkflowRow:
    """One workflow.

    Raises:
        UnknownWorkflow: there is none of that id.
    """
    with gateway.store.read() as session:
        row = session.get(WorkflowRow, id)
    if row is None:
        raise UnknownWorkflow(f"There is no workflow {id[:40]!r}.")
    return row


def items(session: Session, id: str) -> list[WorkflowItemRow]:
    """The runs of a workflow's steps."""
    query = select(WorkflowItemRow).where(WorkflowItemRow.workflow == id)
    return list(session.scalars(query.order_by(WorkflowItemRow.step, WorkflowItemRow.index)))


def page(
    gateway: Gateway,
    *,
    after: str | None = None,
    limit: int = 50,
    owner: str | None = None,
    group: str | None = None,
) -> Shelf:
    """Workflows from the newest to the oldest."""
    limit = max(1, min(limit, MAX_PAGE))
    conditions: list[ColumnElement[bool]] = []
    if after is not None:
        conditions.append(WorkflowRow.id < after)
    if owner is not None:
        conditions.append(WorkflowRow.owner == owner)
    if group is not None:
        conditions.append(WorkflowRow.group_id == group)
    query = select(WorkflowRow).where(*conditions).order_by(WorkflowRow.id.desc()).limit(limit + 1)
    with gateway.store.read() as session:
        rows = list(session.scalars(query))
    return Shelf(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def cancel(gateway: Gateway, id: str) -> WorkflowRow:
    """End a workflow and its jobs; one that has ended stays as it is."""
    with gateway.store.write() as session:
        session.info[queue.CHANGED] = True
        change = update(WorkflowRow).where(WorkflowRow.id == id, WorkflowRow.state == "running")
        ended = change.values(state="cancelled", finished=now(), note="", error="The workflow was cancelled.")
        done: CursorResult[Any] = session.execute(ended)  # type: ignore[assignment]
        sent = [item.job for item in items(session, id) if item.state == "sent"] if done.rowcount else []
        if done.rowcount:
            mine = WorkflowItemRow.workflow == id
            unended = update(WorkflowItemRow).where(mine, WorkflowItemRow.state.in_(("waiting", "sent")))
            session.execute(unended.values(state="cancelled").execution_options(synchronize_session=False))
    for job in sent:
        try:
            gateway.cancel(job)
        except UnknownJob:
            continue
    gateway.dispatcher.announce()
    return get(gateway, id)


def rerun(gateway: Gateway, id: str, person: Person = ALONE) -> WorkflowRow:
    """Start the same workflow once more, as the person's own; what has succeeded is not computed again."""
    row = get(gateway, id)
    group = row.group_id if row.group_id in person.groups else None
    return start(gateway, of(row.document), row.files, title=row.title, person=person, group=group)


def remove(gateway: Gateway, id: str) -> None:
    """Delete a workflow that has ended, with its jobs and their bytes.

    Raises:
        Refused: it has not ended, or one of its jobs has not.
    """
    row = get(gateway, id)
    if not row.final:
        raise Refused("The workflow is running; cancel it before it is deleted.")
    with gateway.store.read() as session:
        jobs = [item.job for item in items(session, id)]
    for job in jobs:
        try:
            gateway.delete(job)
        except UnknownJob:
            continue
    with gateway.store.write() as session:
        session.execute(delete(WorkflowRow).where(WorkflowRow.id == id))


def expire(gateway: Gateway, days: float) -> None:
    """Delete the workflows that ended more than `days` ago; their jobs go by themselves."""
    old = now() - timedelta(days=days)
    with gateway.store.write() as session:
        session.execute(delete(WorkflowRow).where(WorkflowRow.state.in_(ENDED), WorkflowRow.finished < old))


def of_job(session: Session, job: str) -> WorkflowItemRow | None:
    """The step that a job is for."""
    return session.scalars(select(WorkflowItemRow).where(WorkflowItemRow.job == job).limit(1)).first()


def survey(row: WorkflowRow, items: Sequence[WorkflowItemRow]) -> list[StepState]:
    """How far each step is, each behind those that it needs."""
    workflow = of(row.document)
    try:
        steps = picture.states_of(workflow)
    except ColonnadeError:
        return []
    states: dict[str, StepState] = {}
    for step in steps:
        mine = [item for item in items if item.step == step.name]
        known = row.expanded.get(step.name)
        step.error = next((item.error for item in mine if item.error), "")
        if known is None:
            blocked = any(states[name].state in ("failed", "skipped", "cancelled") for name in step.needs)
            step.state = "skipped" if blocked else "cancelled" if row.state == "cancelled" else "waiting"
        elif isinstance(known, str):
            step.state, step.error = "failed", known
        else:
            _count(step, known, mine, workflow.steps[step.name].on_failure == "stop")
        states[step.name] = step
    return steps


def _count(step: StepState, total: int, items: Sequence[WorkflowItemRow], stops: bool) -> None:
    words = [item.state for item in items]
    step.total, step.done, step.failed = total, words.count("succeeded"), words.count("failed")
    step.running, step.reused = words.count("sent"), sum(item.reused for item in items)
    if "waiting" in words or "sent" in words:
        step.state = "running"
    elif "cancelled" in words:
        step.state = "cancelled"
    elif (stops and step.failed) or (total and not step.done):
        step.state = "failed"
    else:
        step.state = "succeeded"


def jobs_of(session: Session, items: Sequence[WorkflowItemRow]) -> dict[str, JobRow]:
    """The jobs that belong to these runs, by id; those that are not deleted."""
    found: dict[str, JobRow] = {}
    for first in range(0, len(items), 500):
        ids = [item.job for item in items[first : first + 500]]
        found |= {row.id: row for row in session.scalars(select(JobRow).where(JobRow.id.in_(ids)))}
    return found
