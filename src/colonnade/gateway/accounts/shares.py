"""Secret links that open one job each, until they are revoked."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import Session
from ulid import ULID

from colonnade.gateway.accounts.tables import ShareRow, digest, new_secret
from colonnade.gateway.store import Refused, now

MOST = 20  # links of one job, and links that one browser remembers


def make(session: Session, job: str) -> tuple[ShareRow, str]:
    """A new link to a job: the row, and the secret that stands in the address.

    Raises:
        Refused: the job has too many.
    """
    if len(listed(session, job)) >= MOST:
        raise Refused(f"The job has {MOST} links; revoke one first.")
    secret = new_secret()
    row = ShareRow(id=str(ULID()), digest=digest(secret), job=job, created=now())
    session.add(row)
    return row, secret


def listed(session: Session, job: str) -> list[ShareRow]:
    """The links of a job that are not revoked."""
    return list(session.scalars(select(ShareRow).where(ShareRow.job == job).order_by(ShareRow.id)))


def revoke(session: Session, job: str, id: str) -> bool:
    """Close a link; False when the job has none of that id."""
    done: CursorResult[tuple[()]] = session.execute(  # type: ignore[assignment]
        delete(ShareRow).where(ShareRow.id == id, ShareRow.job == job)
    )
    return done.rowcount == 1


def opened(session: Session, secrets: Iterable[str]) -> frozenset[str]:
    """The jobs that these secrets open."""
    digests = [digest(secret) for secret in secrets][:MOST]
    return (
        frozenset(session.scalars(select(ShareRow.job).where(ShareRow.digest.in_(digests)))) if digests else frozenset()
    )
