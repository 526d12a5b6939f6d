"""What each person's jobs used, by month and service."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from colonnade.gateway.accounts.tables import FileOwner, PersonalUsageRow
from colonnade.gateway.queue import upsert
from colonnade.gateway.store import FileRow, JobRow


def month_of(time: datetime) -> str:
    return time.strftime("%Y-%m")


def count(session: Session, owner: str, service: str, cpu_seconds: float, ended: datetime) -> None:
    """Add one job to its owner's usage, in the transaction that ends the job."""
    row = upsert(session)(PersonalUsageRow).values(
        account=owner, month=month_of(ended), service=service, jobs=1, cpu_seconds=cpu_seconds
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=[PersonalUsageRow.account, PersonalUsageRow.month, PersonalUsageRow.service],
            set_={"jobs": PersonalUsageRow.jobs + 1, "cpu_seconds": PersonalUsageRow.cpu_seconds + cpu_seconds},
        )
    )


def cpu_hours(session: Session, owner: str, month: str, service: str | None = None) -> float:
    """CPU hours of a person's jobs that ended in a month ("2026-11")."""
    query = select(func.sum(PersonalUsageRow.cpu_seconds)).where(
        PersonalUsageRow.account == owner, PersonalUsageRow.month == month
    )
    if service is not None:
        query = query.where(PersonalUsageRow.service == service)
    return float(session.scalar(query) or 0.0) / 3600


def stored_bytes(session: Session, owner: str) -> int:
    """Bytes of a person's uploads and of the results of their jobs; one file uploaded twice counts once."""
    files = select(func.sum(FileRow.size)).join(FileOwner, FileOwner.sha256 == FileRow.sha256)
    results = select(func.sum(JobRow.stored)).where(JobRow.owner == owner, JobRow.cached_from.is_(None))
    return int(session.scalar(files.where(FileOwner.account == owner)) or 0) + int(session.scalar(results) or 0)


def active(session: Session, owner: str, state: str, service: str | None = None) -> int:
    """How many of a person's jobs are in a state."""
    query = select(func.count()).select_from(JobRow).where(JobRow.owner == owner, JobRow.state == state)
    return int(session.scalar(query if service is None else query.where(JobRow.service == service)) or 0)
