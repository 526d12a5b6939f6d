"""What the gateway knows of a person, told to the person; and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, inspect, select
from sqlalchemy.orm import Session

from colonnade.gateway.accounts import groups
from colonnade.gateway.accounts.office import Office
from colonnade.gateway.accounts.tables import (
    AccountRow,
    ConsentRow,
    FileOwner,
    IdentityRow,
    MemberRow,
    PersonalUsageRow,
    SessionRow,
    TokenRow,
)
from colonnade.gateway.store import FINAL, Base, FileRow, JobFile, JobRow, Refused
from colonnade.gateway.workflows.tables import WorkflowRow

if TYPE_CHECKING:
    from colonnade.gateway.core import Gateway

SECRET = {"digest", "password"}


def known_of(session: Session, account: str) -> dict[str, Any]:
    """Every row that is about a person, without secrets."""
    found: dict[str, Any] = {"account": _plain(session.get_one(AccountRow, account))}
    for table in (ConsentRow, SessionRow, TokenRow, IdentityRow, MemberRow, FileOwner, PersonalUsageRow):
        column = table.__table__.c.account
        found[table.__tablename__] = [_plain(row) for row in session.scalars(select(table).where(column == account))]
    found["jobs"] = [_plain(row) for row in session.scalars(select(JobRow).where(JobRow.owner == account))]
    found["workflows"] = [
        _plain(row) for row in session.scalars(select(WorkflowRow).where(WorkflowRow.owner == account))
    ]
    return found


def _plain(row: Base) -> dict[str, Any]:
    names = (column.key for column in inspect(type(row)).columns)
    return {name: getattr(row, name) for name in names if name not in SECRET}


def erase(gateway: Gateway, office: Office, account: str) -> None:
    """Delete a person's jobs with their bytes, uploads, groups without others, and the account.

    What the jobs used stays in the statistics, which name nobody.

    Raises:
        Refused: a job has not ended, or a group would be left without a manager.
    """
    with office.store.write() as session:
        active = select(func.count()).select_from(JobRow).where(JobRow.owner == account, JobRow.state.not_in(FINAL))
        running = select(func.count()).select_from(WorkflowRow)
        running = running.where(WorkflowRow.owner == account, WorkflowRow.state == "running")
        if session.scalar(active) or session.scalar(running):
            raise Refused("Cancel your jobs and workflows that have not ended first.")
        for group in session.scalars(select(MemberRow.group_id).where(MemberRow.account == account)).all():
            groups.leave(session, account, group)
    while True:
        with office.store.read() as session:
            ids = list(session.scalars(select(JobRow.id).where(JobRow.owner == account).limit(100)))
        if not ids:
            break
        for id in ids:
            gateway.delete(id)
    with office.store.write() as session:
        mine = list(session.scalars(select(FileOwner.sha256).where(FileOwner.account == account)))
        session.execute(delete(WorkflowRow).where(WorkflowRow.owner == account))
        session.execute(delete(AccountRow).where(AccountRow.id == account))
        others = select(FileOwner.sha256).where(FileOwner.sha256.in_(mine))
        used = select(JobFile.sha256).where(JobFile.sha256.in_(mine))
        kept = {*session.scalars(others), *session.scalars(used)}
        for sha256 in set(mine) - kept:
            session.execute(delete(FileRow).where(FileRow.sha256 == sha256))
            gateway.files.remove(sha256)
