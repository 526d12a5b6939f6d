"""The fair order and the mails on a real engine: jobs that run, and a mail server that takes letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from harness import until
from sqlalchemy import update
from town import Mailbox, Town, submitted

from colonnade.gateway import queue
from colonnade.gateway.accounts.tables import AccountRow
from colonnade.gateway.store import JobRow, now


@pytest.fixture
def busy(build: Callable[..., Town]) -> Iterator[Town]:
    """A town whose engine runs, on one core."""
    town = build(workers=1)
    yield town
    town.gateway.stop()


def test_one_job_passes_the_many_of_another(busy: Town) -> None:
    ada, bob = busy.account("ada"), busy.account("bob")
    many = [submitted(busy.program(ada), "testing.sleep", inputs={"seconds": 0.2}, seed=n) for n in range(15)]
    busy.gateway.start()
    until(lambda: busy.gateway.job(many[0]).state != "queued", "the first job", patience=120)
    one = submitted(busy.program(bob), "testing.sleep", inputs={"seconds": 0.2}, seed=99)
    asked = busy.gateway.job(one).created
    until(lambda: busy.gateway.job(one).final, "the one job", patience=120)
    between = [row for row in map(busy.gateway.job, many) if row.started and row.started > asked]
    started = busy.gateway.job(one).started
    assert started is not None
    assert len([row for row in between if row.started and row.started < started]) <= 1  # claimed at that very moment
    assert [row.state for row in map(busy.gateway.job, many[-3:])] == ["queued"] * 3
    until(lambda: busy.gateway.job(many[0]).stored > 0, "the size of a result")


def ended(town: Town, id: str, state: str, error: str = "") -> None:
    """End a job that was asked for a while ago, as the dispatcher does."""
    with town.gateway.store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == id).values(created=now() - timedelta(minutes=10)))
        (claim,) = queue.claim(session, "g", 1, fair=town.office.fair())
    with town.gateway.store.write() as session:
        assert queue.finish(session, id, claim.attempt, state, error=error)
        town.office.ended(session, session.get_one(JobRow, id, populate_existing=True))


def test_the_owner_hears_of_the_end_by_mail(build: Callable[..., Town], mailbox: Any) -> None:
    town = build(smtp=mailbox.url)
    ada = town.account("ada")
    id = submitted(town.program(ada), title="Docking\r\nBcc: all@example.org")
    ended(town, id, "failed", "The restraints name no atom.")
    text = mailbox.letter("ada@example.org", id)
    assert "has failed" in text and "The restraints name no atom." in text
    (letter,) = mailbox.letters
    assert letter["Bcc"] is None and letter["Subject"].startswith("Docking")


def test_no_mail_for_who_wants_none_or_waited_a_moment(build: Callable[..., Town], mailbox: Mailbox) -> None:
    town = build(smtp=mailbox.url)  # type: ignore[attr-defined]
    silent, quick, other = town.account("silent"), town.account("quick"), town.account("other")
    with town.gateway.store.write() as session:
        session.get_one(AccountRow, silent.id).notify = False
    ended(town, submitted(town.program(silent)), "succeeded")
    id = submitted(town.program(quick))
    with town.gateway.store.write() as session:
        (claim,) = queue.claim(session, "g", 1, fair=town.office.fair())
        queue.finish(session, id, claim.attempt, "succeeded")
        town.office.ended(session, session.get_one(JobRow, id, populate_existing=True))
    ended(town, submitted(town.program(other)), "succeeded")
    mailbox.letter("other@example.org", "has succeeded")
    assert [letter["To"] for letter in mailbox.letters] == ["other@example.org"]
