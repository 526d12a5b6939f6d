"""Whose jobs are to be deleted hears of it before, once a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import update
from town import Town, submitted

from colonnade.gateway.store import JobRow, now


def test_owners_are_told_two_days_before(build: Callable[..., Town], mailbox: Any) -> None:
    town = build(smtp=mailbox.url, result_days=7)
    ada, bob = town.account("ada"), town.account("bob")
    assert "7 days after a job has ended" in town.browser().get("/terms").text
    for account, days in ((ada, 5.5), (ada, 6), (bob, 1)):
        program = town.program(account)
        id = submitted(program)
        program.post(f"/api/v1/jobs/{id}/cancel")
        with town.gateway.store.write() as session:
            session.execute(update(JobRow).where(JobRow.id == id).values(finished=now() - timedelta(days=days)))
    for _ in range(2):
        town.gateway._tidy()
    text = mailbox.letter("ada@example.org", "within two days")
    assert text.startswith("2 of your jobs are deleted")
    assert [letter["To"] for letter in mailbox.letters] == ["ada@example.org"]
    assert len(town.gateway.jobs().rows) == 3
