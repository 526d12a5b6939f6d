"""What each person's jobs used, by month and service; and what each community's did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from colonnade.gateway.accounts.tables import AccountRow, CommunityUsageRow, FileOwner, PersonalUsageRow
from colonnade.gateway.queue import upsert
from colonnade.gateway.store import FileRow, JobRow

FEWEST_PEOPLE = 5  # of a community that is named in statistics
OTHER = "other"


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

    community = session.scalar(select(AccountRow.community).where(AccountRow.id == owner)) or ""
    theirs = upsert(session)(CommunityUsageRow).values(
        month=month_of(ended), community=community, jobs=1, cpu_seconds=cpu_seconds
    )
    session.execute(
        theirs.on_conflict_do_update(
            index_elements=[CommunityUsageRow.month, CommunityUsageRow.community],
            set_={"jobs": CommunityUsageRow.jobs + 1, "cpu_seconds": CommunityUsageRow.cpu_seconds + cpu_seconds},
        )
    )


@dataclass(frozen=True)
class CommunityLine:
    """The jobs of one community in one month."""

    month: str
    community: str
    jobs: int
    cpu_seconds: float


def communities(session: Session) -> list[CommunityLine]:
    """What may be published: communities of fewer than five people, and those who named none, are one, "other"."""
    people = select(AccountRow.community, func.count()).group_by(AccountRow.community)
    large = {name for name, number in session.execute(people) if name and number >= FEWEST_PEOPLE}
    found: dict[tuple[str, str], CommunityLine] = {}
    query = select(CommunityUsageRow).order_by(CommunityUsageRow.month.desc(), CommunityUsageRow.community)
    for row in session.scalars(query):
        key = (row.month, row.community if row.community in large else OTHER)
        before = found.get(key, CommunityLine(*key, 0, 0.0))
        found[key] = CommunityLine(*key, before.jobs + row.jobs, before.cpu_seconds + row.cpu_seconds)
    return list(found.values())


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
