"""What operators decide of people: their roles, and whether their accounts are open."""

from __future__ import annotations

from colonnade.errors import BadInput, Problem
from colonnade.gateway.accounts import letters, sessions
from colonnade.gateway.accounts.office import Office
from colonnade.gateway.accounts.tables import AccountRow
from colonnade.gateway.person import ROLES, Person
from colonnade.gateway.store import Refused, UnknownJob


class UnknownAccount(UnknownJob):
    """There is no account of that id."""


def set_role(office: Office, who: Person, account: str, role: str) -> AccountRow:
    """Give a person a role, and tell the person when it was asked for.

    Raises:
        BadInput: there is no such role.
        Refused: an operator would lose the own role, by which somebody has to be able to give it back.
        UnknownAccount: there is no such account.
    """
    if role not in ROLES:
        raise BadInput([Problem("role", f"role must be one of {', '.join(ROLES)}, but is {role[:40]!r}.", role[:40])])
    if account == who.id:
        raise Refused("Another operator has to change your own role.")
    with office.store.write() as session:
        row = session.get(AccountRow, account)
        if row is None:
            raise UnknownAccount(f"There is no account {account[:40]!r}.")
        asked, row.role = row.asked_role, role
        row.asked_role = row.asked_reason = ""
        if asked and row.email:
            text = f"Your level at the science gateway is {role!r} now.\n\n    {office.settings.public_url}/account\n"
            letters.write(session, row.email, "Your level was changed", text)
    office.postman.wake()
    return row


def decline(office: Office, account: str) -> None:
    """Leave a person's role as it is, and tell the person."""
    with office.store.write() as session:
        row = session.get(AccountRow, account)
        if row is None or not row.asked_role:
            return
        if row.email:
            text = f"You asked for the level {row.asked_role!r}; for now your level stays {row.role!r}.\n"
            letters.write(session, row.email, "Your level stays as it is", text)
        row.asked_role = row.asked_reason = ""
    office.postman.wake()


def close(office: Office, who: Person, account: str, closed: bool) -> None:
    """Close an account, which signs the person out everywhere and ends its tokens' use; or open it again.

    Raises:
        Refused: it is the own one.
        UnknownAccount: there is no such account.
    """
    if account == who.id:
        raise Refused("Another operator has to close your own account.")
    with office.store.write() as session:
        row = session.get(AccountRow, account)
        if row is None:
            raise UnknownAccount(f"There is no account {account[:40]!r}.")
        row.disabled = closed
        if closed:
            sessions.end_all(session, account)
