"""`colonnade admin`: what the operator of a gateway does from its machine."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from colonnade.errors import ColonnadeError

if TYPE_CHECKING:
    from colonnade.gateway.core import Gateway

app = App(
    name="admin",
    help="Operate a gateway: accounts, its database. Options of the gateway come from COLONNADE_* or its file.",
    help_format="plaintext",
)

Role = Literal["visitor", "user", "expert", "guru", "operator"]
Email = Annotated[str, Parameter(help="The person's mail address.")]


def _gateway() -> Gateway:
    """The gateway of the settings, with its accounts; not started."""
    from colonnade.gateway.core import Gateway
    from colonnade.gateway.settings import load_settings

    settings = load_settings()
    if not settings.accounts:
        raise ColonnadeError("This gateway has no accounts; COLONNADE_ACCOUNTS=true switches them on.")
    return Gateway(settings)


@app.command
def add_account(email: Email, name: str, *, role: Role = "user") -> int:
    """Make an account; the password is asked for, or read from standard input.

    The first operator of a gateway is made so.

    Parameters
    ----------
    name
        What to call the person.
    role
        What the person may do.
    """
    gateway = _gateway()
    assert gateway.office is not None
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    try:
        account = gateway.office.people.create(name, email, role, password)
    finally:
        gateway.store.close()
    print(f"{account.email} has the account {account.id}, role {account.role}.")
    return 0


@app.command
def set_role(email: Email, role: Role) -> int:
    """Give a person a role.

    Parameters
    ----------
    role
        What the person may do.
    """
    gateway = _gateway()
    from colonnade.gateway.accounts.people import by_email

    with gateway.store.write() as session:
        account = by_email(session, email.strip().lower())
        if account is None:
            raise ColonnadeError(f"There is no account for {email!r}.")
        account.role = role
    gateway.store.close()
    print(f"{email} has the role {role}.")
    return 0


@app.command
def adopt(email: Email) -> int:
    """Give the jobs and files from before there were accounts to a person."""
    from sqlalchemy import select, update

    from colonnade.gateway.accounts.people import by_email
    from colonnade.gateway.accounts.tables import FileOwner
    from colonnade.gateway.store import FileRow, JobRow, now

    gateway = _gateway()
    with gateway.store.write() as session:
        account = by_email(session, email.strip().lower())
        if account is None:
            raise ColonnadeError(f"There is no account for {email!r}.")
        done: Any = session.execute(update(JobRow).where(JobRow.owner.is_(None)).values(owner=account.id))
        owned = select(FileOwner.sha256)
        for sha256 in session.scalars(select(FileRow.sha256).where(FileRow.sha256.not_in(owned))).all():
            session.add(FileOwner(sha256=sha256, account=account.id, created=now()))
    gateway.store.close()
    print(f"{done.rowcount} jobs are {email}'s now.")
    return 0


@app.command
def copy_database(target: str) -> int:
    """Copy the gateway's database into an empty one, e.g. from SQLite to PostgreSQL. The gateway has to be stopped.

    Parameters
    ----------
    target
        SQLAlchemy URL of the new database, e.g. postgresql+psycopg://USER:PASSWORD@HOST/NAME
    """
    from colonnade.gateway.settings import load_settings
    from colonnade.gateway.store import Store
    from colonnade.gateway.transfer import copy

    source, new = Store(load_settings().database_url), Store(target)
    try:
        rows = copy(source, new)
    finally:
        source.close()
        new.close()
    print(
        f"Copied {sum(rows.values())} rows of {sum(map(bool, rows.values()))} tables; set COLONNADE_DATABASE to use it."
    )
    return 0


@app.command
def backup(target: Path) -> int:
    """Write the gateway's database and data folder into an archive; gateways may run meanwhile.

    Parameters
    ----------
    target
        The archive to make: NAME.tar, or NAME.tar.gz.
    """
    from colonnade.gateway import backup as backups
    from colonnade.gateway.settings import load_settings

    counted = backups.backup(load_settings(), target)
    print(f"{target} holds {_counted(counted)}.")
    return 0


@app.command
def restore(source: Path) -> int:
    """Bring a backup into an empty data folder and an empty database, SQLite or PostgreSQL. No gateway may run there.

    Parameters
    ----------
    source
        The archive that `colonnade admin backup` made.
    """
    from colonnade.gateway import backup as backups
    from colonnade.gateway.settings import load_settings

    settings = load_settings()
    counted = backups.restore(settings, source)
    print(f"Restored {_counted(counted)} into {settings.data}.")
    return 0


def _counted(counted: dict[str, int]) -> str:
    rows = sum(number for name, number in counted.items() if name != "files")
    return f"{rows} rows and {counted['files']} files"
