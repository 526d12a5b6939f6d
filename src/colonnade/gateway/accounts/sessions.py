"""Signed-in browsers: a secret cookie for each, exchanged for a new one from time to time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import CursorResult, delete, or_, select, update
from sqlalchemy.orm import Session

from colonnade.gateway.accounts.tables import AccountRow, MemberRow, SessionRow, digest, new_secret
from colonnade.gateway.person import Person, Role
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import now

GRACE = timedelta(seconds=60)  # that a replaced secret still works: requests of one page overlap
SEEN = timedelta(minutes=5)  # how old the last sign of life may get before it is written down again


@dataclass(frozen=True)
class Found:
    """A session that a secret opened.

    Args:
        person: who it is.
        account: the row of the account.
        stale: whether the secret is to be exchanged.
        unseen: whether the last sign of life is to be written down again.
    """

    person: Person
    account: AccountRow
    stale: bool
    unseen: bool


def begin(session: Session, account: str) -> str:
    """Sign a person in; gives the cookie's secret."""
    secret, moment = new_secret(), now()
    session.add(SessionRow(digest=digest(secret), account=account, began=moment, made=moment, seen=moment))
    return secret


def find(session: Session, secret: str, settings: Settings) -> Found | None:
    """Whose session a secret opens; None when it has ended or never was."""
    pair = session.execute(
        select(SessionRow, AccountRow)
        .join(AccountRow, AccountRow.id == SessionRow.account)
        .where(SessionRow.digest == digest(secret), ~AccountRow.disabled)
    ).first()
    if pair is None:
        return None
    row, account = pair
    moment = now()
    if moment - row.began > timedelta(days=settings.session_days):
        return None
    if moment - row.seen > timedelta(days=settings.session_idle_days):
        return None
    if row.replaced is not None and moment - row.replaced > GRACE:
        return None
    old = moment - row.made > timedelta(seconds=settings.session_rotation)
    person = person_of(session, account, session_digest=row.digest)
    return Found(person, account, stale=old and row.replaced is None, unseen=moment - row.seen > SEEN)


def person_of(session: Session, account: AccountRow, session_digest: str = "") -> Person:
    """The person of an account, with the groups it is in."""
    groups = session.scalars(select(MemberRow.group_id).where(MemberRow.account == account.id))
    role: Role = account.role  # type: ignore[assignment]
    return Person(account.id, account.name, role, groups=frozenset(groups), session=session_digest)


def touch(session: Session, session_digest: str) -> None:
    """Write down a sign of life."""
    session.execute(
        update(SessionRow)
        .where(SessionRow.digest == session_digest)
        .values(seen=now())
        .execution_options(synchronize_session=False)
    )


def rotate(session: Session, session_digest: str) -> str | None:
    """Exchange a session's secret; None when another request has just done so."""
    moment = now()
    change = update(SessionRow).where(SessionRow.digest == session_digest, SessionRow.replaced.is_(None))
    done: CursorResult[tuple[()]] = session.execute(  # type: ignore[assignment]
        change.values(replaced=moment).execution_options(synchronize_session=False)
    )
    if done.rowcount != 1:
        return None
    old = session.get_one(SessionRow, session_digest)
    secret = new_secret()
    session.add(SessionRow(digest=digest(secret), account=old.account, began=old.began, made=moment, seen=moment))
    return secret


def end(session: Session, session_digest: str) -> None:
    """Sign one browser out."""
    session.execute(delete(SessionRow).where(SessionRow.digest == session_digest))


def end_all(session: Session, account: str) -> None:
    """Sign a person out everywhere."""
    session.execute(delete(SessionRow).where(SessionRow.account == account))


def sweep(session: Session, settings: Settings) -> None:
    """Remove the sessions that have ended."""
    moment = now()
    session.execute(
        delete(SessionRow).where(
            or_(
                SessionRow.began < moment - timedelta(days=settings.session_days),
                SessionRow.seen < moment - timedelta(days=settings.session_idle_days),
                SessionRow.replaced < moment - GRACE,
            )
        )
    )
