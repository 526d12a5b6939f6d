"""The fair order of the queue, and how many jobs of a person run at once.

Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996): a job starts in the order of its start tag

    S = max(v, F of the person's last unfinished job),    F = S + charge,

where the clock v is the start tag of the job that was started last, and the charge is what the job is expected to
use: cores times the mean CPU time of its service. A person's 10,000 jobs stand behind each other, one charge apart;
somebody who has none gets tag v and so comes before all of those that have not started: the wait is what the running
jobs still take. Every look-up is one of an index, whatever the length of the queue.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from colonnade.gateway.accounts.quotas import Quotas
from colonnade.gateway.accounts.tables import AccountRow, ClockRow
from colonnade.gateway.queue import upsert
from colonnade.gateway.store import JobRow, UsageRow

UNKNOWN = 60.0  # seconds that a job of a service of which none has ended is expected to take
LEAST = 1.0


def enqueue(session: Session, row: JobRow, month: str) -> None:
    """Give a job that is about to be entered its place in the fair order."""
    row.charge = max(row.cores, 1) * _expected(session, row.service, month)
    row.rank = max(_clock(session), _last_finish(session, str(row.owner)))


def _clock(session: Session) -> float:
    return float(session.scalar(select(ClockRow.time).where(ClockRow.id == 1)) or 0.0)


def _last_finish(session: Session, owner: str) -> float:
    """The finish tag of the last of a person's jobs that have not ended."""
    found = 0.0
    for state in ("queued", "running"):
        query = select(JobRow.rank + JobRow.charge).where(JobRow.owner == owner, JobRow.state == state)
        found = max(found, float(session.scalar(query.order_by(JobRow.rank.desc()).limit(1)) or 0.0))
    return found


def _expected(session: Session, service: str, month: str) -> float:
    """Mean CPU seconds of the jobs of a service that ended with a result this month."""
    row = session.get(UsageRow, (month, service, "succeeded"))
    return max(row.cpu_seconds / row.jobs, LEAST) if row is not None and row.jobs else UNKNOWN


class Fair:
    """The running jobs by person while one batch is taken from the queue, held against what each may have.

    Args:
        quotas: the limits in force.
    """

    _session: Session

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._running: Counter[tuple[str, str]] = Counter()
        self._most: dict[tuple[str, str], float] = {}
        self._last = 0.0
        self._counted = False

    def narrowed(self, session: Session, query: Select[Any]) -> Select[Any]:
        """The query without the jobs of those who have as many running as they may."""
        if not self._counted:
            self._count(session)
        full = [key for key, most in self._most.items() if self._running[key] >= most]
        for owner, service in full:
            of = JobRow.owner == owner if not service else and_(JobRow.owner == owner, JobRow.service == service)
            query = query.where(or_(JobRow.owner.is_(None), ~of))
        return query

    def _count(self, session: Session) -> None:
        """Count what runs; as many rows as there are cores at most."""
        self._counted = True
        rows = session.execute(
            select(JobRow.owner, JobRow.service, func.count())
            .where(JobRow.state == "running", JobRow.owner.is_not(None))
            .group_by(JobRow.owner, JobRow.service)
        ).all()
        for owner, service, number in rows:
            self._running[str(owner), service] += number
            self._running[str(owner), ""] += number
        self._quotas.refresh(session)
        self._session = session
        # Nobody who has fewer than the smallest limit can have reached one: no need to look up who they are.
        least = self._quotas.least("running")
        suspects = {(str(owner), service) for owner, service, _ in rows if self._running[str(owner), ""] >= least}
        for owner, service in suspects:
            self._limit(owner, service)

    def _limit(self, owner: str, service: str) -> None:
        if (owner, service) in self._most:
            return
        role = self._session.scalar(select(AccountRow.role).where(AccountRow.id == owner)) or "visitor"
        self._most[owner, ""] = self._quotas.limit("running", owner, role)
        self._most[owner, service] = self._quotas.limit("running", owner, role, service)

    def takes(self, owner: str | None, service: str, rank: float) -> bool:
        """Whether one more of a person's jobs may start; if so it is counted."""
        if owner is not None:
            self._limit(owner, service)
            keys = ((owner, ""), (owner, service))
            if any(self._running[key] >= self._most[key] for key in keys):
                return False
            for key in keys:
                self._running[key] += 1
        self._last = max(self._last, rank)
        return True

    def advance(self, session: Session) -> None:
        """Set the clock to the last job that was taken; it never goes back."""
        if self._last <= 0.0:
            return
        row = upsert(session)(ClockRow).values(id=1, time=self._last)
        later = {"time": self._last}
        session.execute(
            row.on_conflict_do_update(index_elements=[ClockRow.id], set_=later, where=ClockRow.time < self._last)
        )
