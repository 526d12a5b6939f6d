"""Groups of people who see each other's jobs in the group's space."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session
from ulid import ULID

from colonnade.errors import BadInput, Problem
from colonnade.gateway.accounts.tables import AccountRow, GroupRow, MemberRow
from colonnade.gateway.person import Person
from colonnade.gateway.store import Forbidden, JobRow, Refused, UnknownJob, now
from colonnade.gateway.workflows.tables import WorkflowRow

MOST = 50
LONGEST_NAME = 80


class UnknownGroup(UnknownJob):
    """There is no group of that id, or the person is not in it."""


@dataclass(frozen=True)
class Group:
    """A group as one of its members sees it."""

    row: GroupRow
    manager: bool
    members: list[tuple[AccountRow, bool]]


def make(session: Session, person: Person, name: str) -> GroupRow:
    """A new group whose manager and only member is its maker.

    Raises:
        BadInput: it has no name, or the person is in too many.
    """
    name = " ".join(name.split())[:LONGEST_NAME]
    if not name:
        raise BadInput([Problem("name", "name must not be empty.")])
    if len(person.groups) >= MOST:
        raise BadInput([Problem("name", f"name: you are in {MOST} groups, which is as many as you may be in.")])
    row = GroupRow(id=str(ULID()), name=name, created=now())
    session.add(row)
    session.flush()
    session.add(MemberRow(group_id=row.id, account=person.id, manager=True))
    return row


def named(session: Session, person: Person) -> dict[str, str]:
    """The names of a person's groups by their ids."""
    rows = session.scalars(select(GroupRow).where(GroupRow.id.in_(person.groups)).order_by(GroupRow.name))
    return {row.id: row.name for row in rows}


def get(session: Session, person: Person, id: str) -> Group:
    """A group that the person is in.

    Raises:
        UnknownGroup: there is none.
    """
    row = session.get(GroupRow, id) if id in person.groups or person.operator else None
    if row is None:
        raise UnknownGroup(f"You are in no group {id[:40]!r}.")
    pairs = session.execute(
        select(AccountRow, MemberRow.manager)
        .join(MemberRow, MemberRow.account == AccountRow.id)
        .where(MemberRow.group_id == id)
        .order_by(AccountRow.name)
    ).all()
    managed = person.operator or any(account.id == person.id and manager for account, manager in pairs)
    return Group(row, managed, [(account, manager) for account, manager in pairs])


def managed(session: Session, person: Person, id: str) -> Group:
    """A group that the person manages.

    Raises:
        UnknownGroup: the person is not in it.
        Forbidden: the person is, but does not manage it.
    """
    found = get(session, person, id)
    if not found.manager:
        raise Forbidden("Only a manager of the group may do that.")
    return found


def join(session: Session, account: str, id: str) -> None:
    """Make a person a member; one who is already stays as it is."""
    if session.get(GroupRow, id) is None:
        raise UnknownGroup("The group does not exist any more.")
    if session.get(MemberRow, (id, account)) is None:
        session.add(MemberRow(group_id=id, account=account, manager=False))


def leave(session: Session, account: str, id: str) -> None:
    """Take a person out of a group; the person's jobs there become private. The last one to leave ends the group.

    Raises:
        Refused: others would be left without a manager.
    """
    others = select(func.count()).select_from(MemberRow).where(MemberRow.group_id == id, MemberRow.account != account)
    managers = session.scalar(others.where(MemberRow.manager)) or 0
    if session.scalar(others) and not managers:
        raise Refused("Make another member the manager first.")
    _unshare(session, id, account)
    session.execute(delete(MemberRow).where(MemberRow.group_id == id, MemberRow.account == account))
    if not session.scalar(others):
        end(session, id)


def promote(session: Session, account: str, id: str) -> None:
    """Make a member a manager too."""
    session.execute(
        update(MemberRow).where(MemberRow.group_id == id, MemberRow.account == account).values(manager=True)
    )


def end(session: Session, id: str) -> None:
    """End a group; its jobs become their owners' alone."""
    _unshare(session, id)
    session.execute(delete(MemberRow).where(MemberRow.group_id == id))
    session.execute(delete(GroupRow).where(GroupRow.id == id))


def _unshare(session: Session, id: str, account: str | None = None) -> None:
    for table in (JobRow, WorkflowRow):
        change = update(table).where(table.group_id == id).values(group_id=None)
        change = change if account is None else change.where(table.owner == account)
        session.execute(change.execution_options(synchronize_session=False))
