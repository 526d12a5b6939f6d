"""Deletion of jobs some days after they have ended, and the mail that tells their owners before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from colonnade.gateway.store import FINAL, JobRow, Store, UnknownJob, now

if TYPE_CHECKING:
    from colonnade.gateway.accounts.office import Office

WARNING = timedelta(days=2)  # before the deletion
BATCH = 100


def expire(store: Store, days: float, delete: Callable[[str], None]) -> int:
    """Delete the jobs that ended more than `days` ago, with their bytes; gives their number."""
    deleted = 0
    while ids := _ended_before(store, now() - timedelta(days=days)):
        for id in ids:
            try:
                delete(id)
                deleted += 1
            except UnknownJob:  # another gateway, or the owner, was faster
                continue
    return deleted


def _ended_before(store: Store, moment: datetime) -> list[str]:
    query = select(JobRow.id).where(JobRow.state.in_(FINAL), JobRow.finished < moment).order_by(JobRow.id)
    with store.read() as session:
        return list(session.scalars(query.limit(BATCH)))


def warn(office: Office, days: float) -> int:
    """Mail everybody whose jobs are deleted within two days; once a day at most. Gives the number of mails."""
    from colonnade.gateway.accounts import letters, throttle
    from colonnade.gateway.accounts.tables import AccountRow

    soon = now() - timedelta(days=days) + WARNING
    owned = select(JobRow.owner, func.count()).where(JobRow.state.in_(FINAL), JobRow.finished < soon)
    sent = 0
    with office.store.write() as session:
        for owner, number in session.execute(owned.where(JobRow.owner.is_not(None)).group_by(JobRow.owner)).all():
            account = session.get(AccountRow, owner)
            if account is None or not account.email or throttle.count(session, f"warned:{owner}", 86_400)[0] > 1:
                continue
            jobs = "One of your jobs is" if number == 1 else f"{number} of your jobs are"
            text = f"{jobs} deleted within two days, with results and files.\n\n    {office.settings.public_url}/jobs\n"
            letters.write(session, account.email, "Jobs that will be deleted", text)
            sent += 1
    office.postman.wake()
    return sent
