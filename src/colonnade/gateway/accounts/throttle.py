"""How often something may be tried: counted in the database, so that it holds for all gateways together."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, delete
from sqlalchemy.orm import Session

from colonnade.gateway.accounts.tables import CountRow
from colonnade.gateway.queue import upsert
from colonnade.gateway.store import TooOften, now


def count(session: Session, key: str, window: float) -> tuple[int, datetime]:
    """Count one try; a window of so many seconds begins with its first.

    Returns:
        How many there were in the window, and when it ends.
    """
    moment = now()
    ends = moment + timedelta(seconds=window)
    over = CountRow.ends <= moment
    row = upsert(session)(CountRow).values(key=key, count=1, ends=ends)
    row = row.on_conflict_do_update(
        index_elements=[CountRow.key],
        set_={"count": case((over, 1), else_=CountRow.count + 1), "ends": case((over, ends), else_=CountRow.ends)},
    )
    found = session.execute(row.returning(CountRow.count, CountRow.ends)).one()
    return int(found[0]), found[1]


def limit(session: Session, key: str, most: int, window: float) -> None:
    """Count one try and refuse it when there were too many.

    Raises:
        TooOften: there were more than `most` in the window. The count is to be kept all the same: commit it.
    """
    number, ends = count(session, key, window)
    if number > most:
        wait = (ends - now()).total_seconds()
        minutes = max(round(wait / 60), 1)
        when = f"in {minutes} minute{'' if minutes == 1 else 's'}" if wait > 60 else "in a moment"
        raise TooOften(f"That was tried too often; try again {when}.", wait)


def forget(session: Session, key: str) -> None:
    """Begin anew, after it went well."""
    session.execute(delete(CountRow).where(CountRow.key == key))


def sweep(session: Session) -> None:
    """Remove the windows that are over."""
    session.execute(delete(CountRow).where(CountRow.ends <= now()))
