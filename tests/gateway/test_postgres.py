"""The gateway over a real PostgreSQL server: the queue, several gateways, the way there from SQLite."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
from harness import ended, settings, submit, until
from sqlalchemy import select, text
from test_queue import (  # noqa: F401  (the same tests over another database)
    enter,
    new_row,
    test_a_given_back_job_comes_first_again,
    test_a_lost_job_that_was_to_be_cancelled_is_cancelled,
    test_an_attempt_that_was_given_up_cannot_speak,
    test_an_error_rolls_the_usage_back_with_the_transition,
    test_claims_come_in_order_and_wide_jobs_are_not_overtaken,
    test_no_job_is_claimed_twice,
    test_pages,
)

from colonnade.errors import ColonnadeError
from colonnade.gateway import queue
from colonnade.gateway.accounts import tables
from colonnade.gateway.core import Gateway
from colonnade.gateway.notices import Ear
from colonnade.gateway.store import Base, JobRow, Store, Unavailable, now
from colonnade.gateway.transfer import copy


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as found:
        yield found


@pytest.fixture
def url(server: postgres.Server) -> str:
    return server.database(f"test{secrets.token_hex(4)}")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    found = Store(url)
    found.upgrade()
    yield found
    found.close()


def test_migrations_make_the_tables_of_the_models(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_gateways_that_start_at_once_migrate_once(url: str) -> None:
    code = "import sys; from colonnade.gateway.store import Store; Store(sys.argv[1]).upgrade()"
    processes = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]


def test_two_gateways_on_one_engine_take_no_more_than_its_cores(store: Store) -> None:
    enter(store, 10)
    for name in ("one", "two"):
        with store.write() as session:
            taken = queue.claim(session, name, 4, together=True)
        assert len(taken) == (4 if name == "one" else 0)


def test_a_database_is_copied_with_every_row(tmp_path: Path, url: str) -> None:
    old = Gateway(settings(tmp_path / "old", accounts=True, public_url="http://x"))
    assert old.office is not None
    with old.store.write() as session:
        account = tables.AccountRow(
            id="01A", email="ada@example.org", name="Ada é", password="x", role="user", community="", notify=True,
            disabled=False, created=now(), asked_role="", asked_reason="",
        )  # fmt: skip
        session.add(account)
        session.flush()
        old.office.people.consent(session, account.id)
        for n in range(2500):
            row = new_row(state="succeeded" if n % 2 else "queued")
            row.owner, row.inputs = "01A", {"n": n, "text": "ü\u0001"}
            session.add(row)
    new = Store(url)
    rows = copy(old.store, new)
    assert rows["jobs"] == 2500 and rows["accounts"] == 1 and rows["consents"] == 2

    def everything(store: Store) -> dict[str, Any]:
        with store.engine.connect() as connection:
            return {
                table.name: sorted(
                    tuple(row)
                    for row in connection.execute(select(*[column for column in table.c if column.name != "inputs"]))
                )
                for table in (Base.metadata.tables[name] for name in ("jobs", "accounts", "consents"))
            }

    assert str(everything(old.store)) == str(everything(new))
    with new.read() as session:
        assert {row.inputs["text"] for row in session.scalars(select(JobRow))} == {"ü\u0001"}
    with pytest.raises(ColonnadeError, match="not empty"):
        copy(old.store, new)
    old.store.close()
    new.close()


def test_a_database_in_use_is_not_copied(tmp_path: Path, url: str) -> None:
    old, new = Store(f"sqlite:///{tmp_path / 'old.sqlite3'}"), Store(url)
    old.upgrade()
    with old.write() as session:
        session.execute(text("INSERT INTO gateways VALUES ('g', 'h', 'b', 1, 1, '2026-01-01 00:00:00')"))
    with pytest.raises(ColonnadeError, match="stop it first"):
        copy(old, new)
    new.close()
    old.close()


# --- gateways ------------------------------------------------------------------------------------


class Fleet:
    """Gateway processes over one PostgreSQL and one data folder."""

    def __init__(self, data: Path, url: str, count: int) -> None:
        options = {"data": data, "database": url, "retries": 1000, "poll": 5.0, "heartbeat": 0.5, "workers": 1}
        self.environment = os.environ | {f"COLONNADE_{name.upper()}": str(value) for name, value in options.items()}
        self.members = [self.start() for _ in range(count)]

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "colonnade.gateway"]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        for member in self.members:
            member.terminate()
        for member in self.members:
            assert member.wait(60) == 0

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.kill()


@pytest.fixture
def front(tmp_path: Path, url: str) -> Iterator[Gateway]:
    """A gateway that takes submissions and runs nothing."""
    found = Gateway(settings(tmp_path / "data", database=url))
    with found.store.engine.begin() as connection:  # every end of a job, as the database itself saw it
        connection.execute(text("CREATE TABLE ends (job TEXT, state TEXT)"))
        connection.execute(
            text(
                "CREATE FUNCTION note() RETURNS trigger AS $$ BEGIN INSERT INTO ends VALUES (NEW.id, NEW.state);"
                " RETURN NEW; END $$ LANGUAGE plpgsql"
            )
        )
        connection.execute(
            text(
                "CREATE TRIGGER audit AFTER UPDATE OF state ON jobs FOR EACH ROW"
                " WHEN (NEW.state IN ('succeeded', 'failed', 'cancelled')) EXECUTE FUNCTION note()"
            )
        )
    yield found
    found.store.close()


def ends(gateway: Gateway) -> Counter[str]:
    with gateway.store.engine.connect() as connection:
        return Counter(connection.scalars(text("SELECT job FROM ends")))


def test_two_gateways_one_killed_the_server_restarted(
    front: Gateway, tmp_path: Path, url: str, server: postgres.Server
) -> None:
    """Every job ends once, whatever was killed; one that another gateway took in is heard of without polling."""
    with Fleet(tmp_path / "data", url, 2) as fleet:
        jobs = [submit(front, "testing.steps", steps=4, pause=0.05, mark=n, seed=n) for n in range(12)]
        until(lambda: sum(ends(front).values()) >= 2, "two jobs", patience=120)
        fleet.members.pop(random.Random(0).randrange(2)).kill()
        until(lambda: sum(ends(front).values()) >= 5, "five jobs", patience=120)
        server.stop()
        with pytest.raises(Unavailable):
            front.job(jobs[0].id)
        server.start()
        for row in jobs:
            assert until(lambda id=row.id: front.job(id).final, row.id, patience=120)
        assert {front.job(row.id).state for row in jobs} == {"succeeded"}
        assert ends(front) == Counter([row.id for row in jobs])
        assert fleet.members[0].poll() is None
        fleet.stop()


def test_what_one_gateway_takes_in_another_hears_of(front: Gateway) -> None:
    """Polling would take an hour."""
    heard = threading.Event()
    ear = Ear(front.store, heard.set)
    ear.start()
    assert heard.wait(30)  # it listens now
    for change in (lambda: submit(front, "testing.double", n=1), lambda: front.cancel(front.jobs().rows[0].id)):
        heard.clear()
        change()
        assert heard.wait(30)
    heard.clear()
    front.jobs()  # looking is no news
    assert not heard.wait(0.5)
    ear.stop()


def test_a_cancel_reaches_the_gateway_that_runs_the_job(front: Gateway, tmp_path: Path, url: str) -> None:
    with Fleet(tmp_path / "data", url, 1) as fleet:
        row = submit(front, "testing.sleep", seconds=300)
        until(lambda: front.job(row.id).state == "running", "running", patience=120)
        front.cancel(row.id)
        assert ended(front, row.id).state == "cancelled"
        fleet.stop()
