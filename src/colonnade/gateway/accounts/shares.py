"""Secret links that open one job, or one workflow with its jobs, until they are revoked."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import Session
from ulid import ULID

from colonnade.gateway.accounts.tables import ShareRow, digest, new_secret
from colonnade.gateway.store import Refused, now
from colonnade.gateway.workflows.tables import WorkflowItemRow, WorkflowShareRow

MOST = 20  # links of one job, and links that one browser remembers


def make(session: Session, job: str) -> tuple[ShareRow, str]:
    """A new link to a job: the row, and the secret that stands in the address.

    Raises:
        Refused: the job has too many.
    """
    secret = _room(len(listed(session, job)), "job")
    row = ShareRow(id=str(ULID()), digest=digest(secret), job=job, created=now())
    session.add(row)
    return row, secret


def make_for_workflow(session: Session, workflow: str) -> tuple[WorkflowShareRow, str]:
    """A new link to a workflow; see `make`."""
    secret = _room(len(listed_of_workflow(session, workflow)), "workflow")
    row = WorkflowShareRow(id=str(ULID()), digest=digest(secret), workflow=workflow, created=now())
    session.add(row)
    return row, secret


def _room(there: int, what: str) -> str:
    if there >= MOST:
        raise Refused(f"The {what} has {MOST} links; revoke one first.")
    return new_secret()


def listed(session: Session, job: str) -> list[ShareRow]:
    """The links of a job that are not revoked."""
    return list(session.scalars(select(ShareRow).where(ShareRow.job == job).order_by(ShareRow.id)))


def listed_of_workflow(session: Session, workflow: str) -> list[WorkflowShareRow]:
    """The links of a workflow that are not revoked."""
    query = select(WorkflowShareRow).where(WorkflowShareRow.workflow == workflow)
    return list(session.scalars(query.order_by(WorkflowShareRow.id)))


def revoke(session: Session, job: str, id: str) -> bool:
    """Close a link of a job or workflow; False when it has none of that id."""
    closed = 0
    for table, of in ((ShareRow, ShareRow.job), (WorkflowShareRow, WorkflowShareRow.workflow)):
        done: CursorResult[tuple[()]] = session.execute(  # type: ignore[assignment]
            delete(table).where(table.id == id, of == job)
        )
        closed += done.rowcount
    return closed == 1


def target(session: Session, secret: str) -> str | None:
    """The page that a link opens; None when it was revoked."""
    job = session.scalar(select(ShareRow.job).where(ShareRow.digest == digest(secret)))
    if job is not None:
        return f"/jobs/{job}"
    workflow = session.scalar(select(WorkflowShareRow.workflow).where(WorkflowShareRow.digest == digest(secret)))
    return None if workflow is None else f"/workflows/{workflow}"


def opened(session: Session, secrets: Iterable[str]) -> frozenset[str]:
    """The jobs and workflows that these secrets open."""
    digests = [digest(secret) for secret in secrets][:MOST]
    if not digests:
        return frozenset()
    jobs = session.scalars(select(ShareRow.job).where(ShareRow.digest.in_(digests)))
    workflows = session.scalars(select(WorkflowShareRow.workflow).where(WorkflowShareRow.digest.in_(digests))).all()
    theirs = session.scalars(select(WorkflowItemRow.job).where(WorkflowItemRow.workflow.in_(workflows)))
    return frozenset([*jobs, *workflows, *theirs])
