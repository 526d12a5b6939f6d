"""Setting limits: for a person, a role, or everybody at one service."""

from __future__ import annotations

from pydantic import ByteSize, TypeAdapter, ValidationError
from sqlalchemy import delete

from colonnade.errors import BadInput, Problem
from colonnade.gateway.accounts import people
from colonnade.gateway.accounts.office import Office
from colonnade.gateway.accounts.quotas import KINDS
from colonnade.gateway.accounts.tables import AccountRow, QuotaRow
from colonnade.gateway.person import ROLES
from colonnade.service import services

_BYTES = TypeAdapter(ByteSize)
FOR_ONE_SERVICE = ("queued", "running", "cpu_hours")


def set_limit(office: Office, subject: str, service: str, kind: str, value: str) -> None:
    """Set a limit; an empty value takes it away, and the next one more general holds again.

    Args:
        office: accounts of the gateway.
        subject: "role:NAME", an account's id or mail address; "" for everybody, then with a service only.
        service: name of a service, or "" for all together.
        kind: of `quotas.KINDS`.
        value: a number, or a size such as "50 GB".

    Raises:
        BadInput: one of these is wrong.
    """
    problems = []
    found = _subject(office, subject.strip())
    if found is None:
        problems.append(Problem("subject", f"subject must be a role or an account, but is {subject[:60]!r}.", subject))
    if service and service not in services():
        problems.append(Problem("service", f"service: there is no service {service[:60]!r}.", service))
    if kind not in KINDS:
        problems.append(Problem("kind", f"kind must be one of {', '.join(KINDS)}, but is {kind[:40]!r}.", kind))
    elif service and kind not in FOR_ONE_SERVICE:
        problems.append(Problem("service", f"service: {KINDS[kind]} are limited for all services together."))
    if found == "" and not service:
        problems.append(
            Problem("service", "service: a limit for everybody is one of the settings, or for one service.")
        )
    number = _number(kind, value.strip())
    if number is None and value.strip():
        problems.append(Problem("value", f"value must be a number of 0 or more, but is {value[:40]!r}.", value))
    if problems:
        raise BadInput(problems)
    with office.store.write() as session:
        key = {"subject": found, "service": service, "kind": kind}
        if number is None:
            session.execute(delete(QuotaRow).filter_by(**key))
        else:
            session.merge(QuotaRow(**key, value=number))
    with office.store.read() as session:
        office.quotas.refresh(session, force=True)


def _subject(office: Office, text: str) -> str | None:
    if text == "" or (text.startswith("role:") and text[5:] in ROLES):
        return text
    with office.store.read() as session:
        account = session.get(AccountRow, text) or people.by_email(session, text.lower())
    return account.id if account is not None else None


def _number(kind: str, text: str) -> float | None:
    try:
        number = float(_BYTES.validate_python(text)) if kind in ("storage", "upload") else float(text)
    except (ValueError, ValidationError):
        return None
    return number if 0 <= number < float("inf") else None
