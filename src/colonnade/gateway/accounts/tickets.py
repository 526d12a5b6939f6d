"""Links that are mailed: to make an account, to set a password, to join a group. Each works once, for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import delete
from sqlalchemy.orm import Session

from colonnade.errors import ColonnadeError
from colonnade.gateway.accounts.tables import TicketRow, digest, new_secret
from colonnade.gateway.store import now

Kind = Literal["register", "reset", "join"]
HOURS: dict[Kind, float] = {"register": 48, "reset": 2, "join": 24 * 14}


class DeadTicket(ColonnadeError):
    """A link that was mailed works no more."""


@dataclass(frozen=True)
class Ticket:
    """What a link is for: an account, or a group; and whom it was mailed to."""

    kind: str
    subject: str
    email: str


def make(session: Session, kind: Kind, subject: str, email: str) -> str:
    """A new ticket; gives the path of its link."""
    secret = new_secret()
    expires = now() + timedelta(hours=HOURS[kind])
    session.add(TicketRow(digest=digest(secret), kind=kind, subject=subject, email=email, expires=expires))
    return f"/{kind}/{secret}"


def opened(session: Session, secret: str, kind: Kind) -> Ticket:
    """What a link is for, without using it up.

    Raises:
        DeadTicket: it was used, is too old, or never was.
    """
    row = session.get(TicketRow, digest(secret))
    if row is None or row.kind != kind or row.expires <= now():
        raise DeadTicket("This link was used already or is too old; ask for a new one.")
    return Ticket(row.kind, row.subject, row.email)


def used(session: Session, secret: str, kind: Kind) -> Ticket:
    """Use a ticket up: of two who try at the same time one fails.

    Raises:
        DeadTicket: it was used, is too old, or never was.
    """
    found = opened(session, secret, kind)
    gone = session.execute(delete(TicketRow).where(TicketRow.digest == digest(secret)).returning(TicketRow.digest))
    if gone.scalar() is None:
        raise DeadTicket("This link was used already or is too old; ask for a new one.")
    return found
