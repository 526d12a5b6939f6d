"""Personal API tokens: for programs, with scopes and an end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.orm import Session
from ulid import ULID

from colonnade.errors import BadInput, Problem
from colonnade.gateway.accounts.sessions import person_of
from colonnade.gateway.accounts.tables import AccountRow, TokenRow, digest, new_secret
from colonnade.gateway.person import SCOPES, Person, Scope
from colonnade.gateway.store import now

PREFIX = "cln_"  # so that people, and programs that search for leaked secrets, know one when they see it
LONGEST_DAYS = 366
MOST = 50
USED = timedelta(minutes=5)


def make(session: Session, person: Person, name: str, scopes: Iterable[str], days: int | None) -> tuple[TokenRow, str]:
    """A new token; its text is shown once and cannot be found again.

    Args:
        session: of `Store.write`.
        person: whose it is.
        name: what it is for.
        scopes: what it allows.
        days: after which it ends; None: never.

    Raises:
        BadInput: no scope, an unknown one, one that the person has not, or an end out of range.
    """
    wanted = [scope for scope in SCOPES if scope in set(scopes)]
    if not wanted or set(scopes) - set(SCOPES):
        raise BadInput([Problem("scopes", f"scopes must be some of {', '.join(SCOPES)}.", str(scopes))])
    if "operate" in wanted and person.role != "operator":
        raise BadInput([Problem("scopes", "scopes: only an operator may have a token that operates the gateway.")])
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise BadInput([Problem("days", f"days must be between 1 and {LONGEST_DAYS}, but is {days}.", str(days))])
    if len(listed(session, str(person.id))) >= MOST:
        raise BadInput([Problem("name", f"name: you have {MOST} tokens, which is as many as you may have.")])
    secret = PREFIX + new_secret()
    row = TokenRow(
        id=str(ULID()),
        digest=digest(secret),
        account=person.id,
        name=name.strip()[:100] or "unnamed",
        scopes=" ".join(wanted),
        created=now(),
        expires=None if days is None else now() + timedelta(days=days),
    )
    session.add(row)
    return row, secret


def listed(session: Session, account: str) -> list[TokenRow]:
    """A person's tokens, newest first."""
    return list(session.scalars(select(TokenRow).where(TokenRow.account == account).order_by(TokenRow.id.desc())))


def revoke(session: Session, account: str, id: str) -> bool:
    """End a token; False when the person has none of that id."""
    done: CursorResult[tuple[()]] = session.execute(  # type: ignore[assignment]
        delete(TokenRow).where(TokenRow.id == id, TokenRow.account == account)
    )
    return done.rowcount == 1


def find(session: Session, secret: str) -> tuple[Person, AccountRow, TokenRow] | None:
    """Whose token it is; None when it has ended or never was."""
    pair = session.execute(
        select(TokenRow, AccountRow)
        .join(AccountRow, AccountRow.id == TokenRow.account)
        .where(TokenRow.digest == digest(secret), ~AccountRow.disabled)
    ).first()
    if pair is None or (pair[0].expires is not None and pair[0].expires <= now()):
        return None
    token, account = pair
    scopes: frozenset[Scope] = frozenset(token.scopes.split())  # type: ignore[arg-type]
    found = person_of(session, account)
    return Person(found.id, found.name, found.role, scopes, found.groups), account, token


def touch(session: Session, id: str) -> None:
    """Write down that a token was used."""
    session.execute(
        update(TokenRow).where(TokenRow.id == id).values(used=now()).execution_options(synchronize_session=False)
    )
