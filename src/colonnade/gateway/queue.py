"""Durable job states and the transitions allowed between them.

    (waiting ->) queued -> running -> succeeded | failed | cancelled
                   ^          |
                   +----------+   the worker or the gateway was lost

Each transition is one guarded UPDATE that names the state it leaves, and from `running` also the attempt it belongs
to: whoever comes second, or speaks for an attempt that was given up, changes nothing and is told so. All functions
take a session of `Store.write` (or `read`) and leave the commit to it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, CursorResult, Select, Update, func, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from colonnade.gateway.attempt import CANCELLED
from colonnade.gateway.store import CACHED, FINAL, JobFile, JobRow, UsageRow, now


@dataclass(frozen=True)
class Claim:
    """One attempt of one job, taken by this gateway. `(id, attempt)` is the fencing token of its end."""

    id: str
    attempt: int
    service: str
    run: str
    cores: int

    @property
    def key(self) -> str:
        return f"{self.id}-{self.attempt}"


class FairQueue(Protocol):
    """What the queue asks where jobs belong to persons (see `fairness`)."""

    def narrowed(self, session: Session, query: Select[Any]) -> Select[Any]:
        """The query without the jobs of persons who have as many running as they may."""

    def takes(self, owner: str | None, service: str, rank: float) -> bool:
        """Whether one more of the person's jobs may start; if so it is counted."""

    def advance(self, session: Session) -> None:
        """Set the clock to the last job that was taken."""


CHANGED = "colonnade_changed"  # marks a session of whose changes other gateways are to hear (see `notices`)
_CLAIM_LOCK = 0x636F6C6F  # any number that nothing else in the database locks


@dataclass(frozen=True)
class Page:
    """Some jobs, newest first, and the cursor that continues after the last of them (None: there are no more)."""

    rows: list[JobRow]
    next: str | None


def add(session: Session, row: JobRow, files: Sequence[str] = ()) -> None:
    """Enter a new job, in the state that `row` says, with the checksums of its input files."""
    session.info[CHANGED] = True
    session.add(row)
    session.flush()
    session.add_all(JobFile(job=row.id, sha256=sha256) for sha256 in sorted(set(files)))
    if row.state == "succeeded":
        _count(session, row.service, "cached", 0.0, row.finished or now())


def earlier_result(session: Session, fingerprint: str, owner: str | None = None) -> JobRow | None:
    """The newest succeeded job of the same person with the same service, version, inputs and seed."""
    query = select(JobRow).where(JobRow.fingerprint == fingerprint, JobRow.state == "succeeded", JobRow.owner == owner)
    return session.scalars(query.order_by(JobRow.id.desc()).limit(1)).first()


def claim(
    session: Session,
    gateway: str,
    cores: int,
    *,
    together: bool = False,
    fair: FairQueue | None = None,
    services: Collection[str] | None = None,
) -> list[Claim]:
    """Take queued jobs that fit into `cores`, strictly in the order of their ranks; equal ones as they came.

    The first that does not fit ends the search, so that a wide job is not overtaken for ever by narrow ones.

    Args:
        session: of `Store.write`.
        gateway: who takes them.
        cores: how many are free; with `together`, how many there are for all gateways.
        together: several gateways share one engine, whose cores hold the running jobs of all of them.
        fair: limits of running jobs by person, and the clock of the fair order; None where there are no persons.
        services: of which services only, where not all run in the same place.
    """
    if session.get_bind().dialect.name == "postgresql":
        # One gateway at a time looks at the head of the queue: both would else take what fits only once.
        session.execute(select(func.pg_advisory_xact_lock(_CLAIM_LOCK)))
    if together:
        cores -= int(session.scalar(select(func.sum(JobRow.cores)).where(JobRow.state == "running")) or 0)
    if cores < 1:
        return []
    query: Any = select(JobRow.id, JobRow.service, JobRow.run, JobRow.cores, JobRow.owner, JobRow.rank)
    query = query.where(JobRow.state == "queued").order_by(JobRow.rank, JobRow.id).limit(cores)
    if services is not None:
        query = query.where(JobRow.service.in_(services))
    taken: list[Claim] = []
    # Who reaches a limit with this very batch leaves places for others: look once more.
    while heads := session.execute(query if fair is None else fair.narrowed(session, query)).all():
        before = len(taken)
        for head in heads:
            if head.cores > cores:
                return taken
            if fair is not None and not fair.takes(head.owner, head.service, head.rank):
                continue
            change = _guarded(head.id, "queued").values(
                state="running", attempt=JobRow.attempt + 1, gateway=gateway, started=now(), cancel_requested=False
            )
            attempt = session.execute(change.returning(JobRow.attempt)).scalar()
            if attempt is not None:
                taken.append(Claim(head.id, attempt, head.service, head.run, head.cores))
                cores -= head.cores
        if fair is None or cores < 1 or len(taken) == before:
            break
    if fair is not None:
        fair.advance(session)
    return taken


def finish(
    session: Session,
    id: str,
    attempt: int,
    state: str,
    *,
    error: str = "",
    cpu_seconds: float = 0.0,
    max_rss: int = 0,
    stored: int = 0,
) -> bool:
    """`running -> succeeded | failed | cancelled`, with its usage; False when this attempt does not run any more.

    Raises:
        ValueError: `state` is not one in which a job ends.
    """
    if state not in FINAL:
        raise ValueError(f"a job does not end {state}")
    ended = now()
    session.info[CHANGED] = True
    change = _guarded(id, "running", attempt).values(
        state=state,
        finished=ended,
        error=error,
        cpu_seconds=JobRow.cpu_seconds + cpu_seconds,
        max_rss=max_rss,
        stored=stored,
        cancel_requested=False,
    )
    done = session.execute(change.returning(JobRow.service, JobRow.cpu_seconds, JobRow.owner)).first()
    if done is None:
        return False
    _count(session, done.service, state, done.cpu_seconds, ended)
    if done.owner is not None:
        from colonnade.gateway.accounts.usage import count

        count(session, done.owner, done.service, done.cpu_seconds, ended)
    return True


def give_back(
    session: Session, id: str, attempt: int, *, lost: bool, retries: int = 0, cpu_seconds: float = 0.0
) -> bool:
    """`running -> queued`, at its old place in the queue: the attempt ended through no fault of the job.

    A job that somebody had asked to cancel is cancelled instead.

    Args:
        session: of `Store.write`.
        id: the job.
        attempt: which of its attempts.
        lost: an accident, and not the orderly stop of a gateway.
        retries: after so many accidents the next one fails the job.
        cpu_seconds: what the attempt used.

    Returns:
        False when this attempt does not run any more.
    """
    row = session.execute(
        select(JobRow.lost, JobRow.cancel_requested).where(JobRow.id == id, JobRow.attempt == attempt)
    ).first()
    if row is None:
        return False
    if row.cancel_requested:
        return finish(session, id, attempt, "cancelled", error=CANCELLED, cpu_seconds=cpu_seconds)
    if lost and row.lost >= retries:
        times = "once" if row.lost == 0 else f"{row.lost + 1} times"
        error = f"The job was given up: the process that ran it was lost {times}."
        return finish(session, id, attempt, "failed", error=error, cpu_seconds=cpu_seconds)
    session.info[CHANGED] = True
    change = _guarded(id, "running", attempt).values(
        state="queued",
        gateway=None,
        started=None,
        lost=JobRow.lost + int(lost),
        cpu_seconds=JobRow.cpu_seconds + cpu_seconds,
    )
    return _changed(session, change)


def cancel_queued(session: Session, id: str) -> bool:
    """`waiting | queued -> cancelled`; False when it is in neither state."""
    session.info[CHANGED] = True
    ended = now()
    for state in ("queued", "waiting"):
        change = _guarded(id, state).values(state="cancelled", finished=ended, error=CANCELLED)
        service = session.execute(change.returning(JobRow.service)).scalar()
        if service is not None:
            _count(session, service, "cancelled", 0.0, ended)
            return True
    return False


def request_cancel(session: Session, id: str) -> bool:
    """Ask whoever runs the job to end it; False when it is not running."""
    session.info[CHANGED] = True
    return _changed(session, _guarded(id, "running").values(cancel_requested=True))


def cancels_for(session: Session, gateway: str) -> list[str]:
    """The running jobs of a gateway that somebody, perhaps at another gateway, asked to end."""
    query = select(JobRow.id).where(JobRow.state == "running", JobRow.gateway == gateway, JobRow.cancel_requested)
    return list(session.scalars(query))


def running_elsewhere(session: Session, gateway: str) -> list[JobRow]:
    """Running jobs that are not this gateway's."""
    return list(session.scalars(select(JobRow).where(JobRow.state == "running", JobRow.gateway != gateway)))


def running_here(session: Session, gateway: str) -> list[JobRow]:
    """Running jobs that are this gateway's."""
    return list(session.scalars(select(JobRow).where(JobRow.state == "running", JobRow.gateway == gateway)))


def page(
    session: Session,
    *,
    after: str | None = None,
    limit: int = 50,
    service: str | None = None,
    state: str | None = None,
    owner: str | None = None,
    group: str | None = None,
) -> Page:
    """Jobs from the newest to the oldest, those before `after`; an index serves every combination of filters."""
    query: Select[JobRow] = select(JobRow).order_by(JobRow.id.desc()).limit(limit + 1)
    conditions: list[ColumnElement[bool]] = []
    if after is not None:
        conditions.append(JobRow.id < after)
    if service is not None:
        conditions.append(JobRow.service == service)
    if state is not None:
        conditions.append(JobRow.state == state)
    if owner is not None:
        conditions.append(JobRow.owner == owner)
    if group is not None:
        conditions.append(JobRow.group_id == group)
    rows = list(session.scalars(query.where(*conditions)))
    more = len(rows) > limit
    return Page(rows[:limit], rows[limit - 1].id if more else None)


def active(session: Session) -> dict[str, int]:
    """How many jobs are queued and running, counted in the part of the index that holds just these."""
    return {
        "queued": session.scalar(select(func.count()).select_from(JobRow).where(JobRow.state == "queued")) or 0,
        "running": session.scalar(select(func.count()).select_from(JobRow).where(JobRow.state == "running")) or 0,
    }


def others_use(session: Session, run: str, id: str) -> bool:
    """Whether a job besides `id` shows the result in the run directory `run`."""
    served = select(JobRow.id).where(JobRow.run == run, CACHED, JobRow.id != id).limit(1)
    owner = select(JobRow.id).where(JobRow.id == run, JobRow.id != id)
    return session.scalar(served) is not None or session.scalar(owner) is not None


def _guarded(id: str, state: str, attempt: int | None = None) -> Update:
    change = update(JobRow).where(JobRow.id == id, JobRow.state == state)
    change = change if attempt is None else change.where(JobRow.attempt == attempt)
    return change.execution_options(synchronize_session=False)


def _changed(session: Session, change: Update) -> bool:
    result: CursorResult[Any] = session.execute(change)  # type: ignore[assignment]
    return result.rowcount == 1


def _count(session: Session, service: str, outcome: str, cpu_seconds: float, ended: datetime) -> None:
    """Add one job to the usage of its month, in the transaction that ends the job."""
    row = upsert(session)(UsageRow).values(
        month=ended.strftime("%Y-%m"), service=service, outcome=outcome, jobs=1, cpu_seconds=cpu_seconds
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=[UsageRow.month, UsageRow.service, UsageRow.outcome],
            set_={"jobs": UsageRow.jobs + 1, "cpu_seconds": UsageRow.cpu_seconds + cpu_seconds},
        )
    )


def upsert(session: Session) -> Any:
    """`INSERT ... ON CONFLICT` in the words of the database; PostgreSQL's take long to import."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    return sqlite.insert
