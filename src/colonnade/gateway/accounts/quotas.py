"""Limits by person and service: what they are, who sets them, and the sentence that refuses what is over one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from colonnade.gateway.accounts import usage
from colonnade.gateway.accounts.tables import QuotaRow
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import Forbidden, now
from colonnade.inputs import human_size

Kind = Literal["queued", "running", "cpu_hours", "storage", "upload"]
KINDS: dict[Kind, str] = {
    "queued": "jobs in the queue",
    "running": "jobs that run at once",
    "cpu_hours": "CPU hours a month",
    "storage": "stored bytes",
    "upload": "bytes of one upload",
}
REMEMBERED = 5.0  # seconds that the limits of the database are used before they are read again


class OverQuota(Forbidden):
    """More than the person may have; the text names the limit, and when or how there is room again."""


@dataclass(frozen=True)
class Standing:
    """How much of one limit a person has used."""

    kind: Kind
    used: float
    limit: float

    @property
    def label(self) -> str:
        return KINDS[self.kind]

    @property
    def in_bytes(self) -> bool:
        return self.kind in ("storage", "upload")


class Quotas:
    """The limits in force: those of the database over those of the settings.

    The most particular wins: a person's own, then the role's, then the settings'. Limits for one service hold beside
    those for all services together.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = now) -> None:
        self._defaults: dict[Kind, float] = {
            "queued": settings.quota_queued,
            "running": settings.quota_running,
            "cpu_hours": settings.quota_cpu_hours,
            "storage": int(settings.quota_storage),
            "upload": int(settings.upload_limit),
        }
        self._set: dict[tuple[str, str, str], float] = {}
        self._read = float("-inf")
        self._clock = clock

    def refresh(self, session: Session, *, force: bool = False) -> None:
        """Read the limits that operators have set, unless that was done a moment ago."""
        if force or time.monotonic() - self._read > REMEMBERED:
            self._set = {(row.subject, row.service, row.kind): row.value for row in session.scalars(select(QuotaRow))}
            self._read = time.monotonic()

    def limit(self, kind: Kind, owner: str, role: str, service: str = "") -> float:
        """A limit: for all services together, or for one service alone (infinite when none was set)."""
        for subject in (owner, f"role:{role}"):
            found = self._set.get((subject, service, kind))
            if found is not None:
                return found
        return self._defaults[kind] if not service else self._set.get(("", service, kind), float("inf"))

    def least(self, kind: Kind) -> float:
        """The smallest limit of a kind that anybody has anywhere."""
        return min([self._defaults[kind], *(value for (_, _, of), value in self._set.items() if of == kind)])

    def admit(self, session: Session, owner: str, role: str, service: str) -> None:
        """Let one more job of a person be queued.

        Raises:
            OverQuota: a limit is reached.
        """
        self.refresh(session)
        month = usage.month_of(self._clock())
        for of, where in (("", ""), (service, f" of {service}")):
            service_or_all = of or None
            most = self.limit("queued", owner, role, of)
            if most < float("inf") and usage.active(session, owner, "queued", service_or_all) >= most:
                raise OverQuota(f"You have {most:,.0f} jobs{where} in the queue, which is as many as you may have.")
            most = self.limit("cpu_hours", owner, role, of)
            if most < float("inf") and (used := usage.cpu_hours(session, owner, month, service_or_all)) >= most:
                raise OverQuota(
                    f"You have used {used:,.1f} of the {most:,.0f} CPU hours{where} that you have a month; "
                    f"jobs are taken again on {_next_month(self._clock())}."
                )
        self._room(session, owner, role, 0)

    def admit_upload(self, session: Session, owner: str, role: str, size: int) -> None:
        """Let a person keep one more file.

        Raises:
            OverQuota: there is no room for it.
        """
        self.refresh(session)
        self._room(session, owner, role, size)

    def largest_upload(self, session: Session, owner: str, role: str) -> int:
        """Bytes that one upload of a person may have."""
        self.refresh(session)
        return int(min(self.limit("upload", owner, role), self._defaults["upload"]))

    def _room(self, session: Session, owner: str, role: str, more: int) -> None:
        most = self.limit("storage", owner, role)
        used = usage.stored_bytes(session, owner)
        if used + more > most:
            raise OverQuota(
                f"Your files and results take {human_size(used)} of the {human_size(int(most))} that you have; "
                "delete jobs that you do not need any more."
            )

    def standing(self, session: Session, owner: str, role: str) -> list[Standing]:
        """What a person has used of each limit."""
        self.refresh(session)
        month = usage.month_of(self._clock())
        used: dict[Kind, float] = {
            "queued": usage.active(session, owner, "queued"),
            "running": usage.active(session, owner, "running"),
            "cpu_hours": usage.cpu_hours(session, owner, month),
            "storage": usage.stored_bytes(session, owner),
        }
        return [Standing(kind, amount, self.limit(kind, owner, role)) for kind, amount in used.items()]


def _next_month(moment: datetime) -> str:
    year, month = divmod(moment.year * 12 + moment.month, 12)
    first = datetime(year, month + 1, 1)
    return f"{first:%-d %B %Y}"
