"""The tables: migrations that agree with the models, and queries that no number of jobs slows down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session
from test_queue import fresh_store, look, new_row

from colonnade.gateway import queue
from colonnade.gateway.accounts import tables  # noqa: F401  (its tables belong to the models)
from colonnade.gateway.store import HEAD, Base, JobRow, Store, now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with fresh_store(tmp_path / "test.sqlite3") as found:
        yield found


def test_migrations_make_the_tables_of_the_models(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from colonnade.gateway import migrations

    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == HEAD


def test_partial_indexes_of_the_migrations_are_those_of_the_models(store: Store, tmp_path: Path) -> None:
    """What Alembic does not compare: the conditions of the indexes."""
    other = Store(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    Base.metadata.create_all(other.engine)

    def indexes(found: Store) -> list[Any]:
        query = (
            "SELECT name, replace(sql, '\"', '') FROM sqlite_master WHERE type = 'index' AND sql NOT NULL ORDER BY 1"
        )
        with found.engine.connect() as connection:
            return list(connection.execute(text(query)))

    assert indexes(store) == indexes(other)
    other.close()


def test_a_database_of_the_first_version_keeps_its_jobs(tmp_path: Path) -> None:
    from colonnade.gateway.migrations import upgrade

    old = Store(f"sqlite:///{tmp_path / 'old.sqlite3'}")
    upgrade(old.engine, "0001")
    values = (
        "('01', 'a.b', '1', 'queued', '', '{\"n\": 1}', 7, 'f', '01', NULL, 1, 0, 0, NULL, 0, '2026-01-01 00:00:00', "
        "NULL, NULL, '', 0.0, 0)"
    )
    with old.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO jobs VALUES {values}")
        connection.exec_driver_sql("INSERT INTO job_files VALUES ('01', 'abc')")
    old.upgrade()
    row = look(old, "01")
    assert (row.inputs, row.seed, row.owner, row.group_id, row.rank, row.stored) == ({"n": 1}, 7, None, None, 0.0, 0)
    with old.write() as session:
        assert [claim.id for claim in queue.claim(session, "g", 1)] == ["01"]
        assert session.execute(text("SELECT count(*) FROM job_files")).scalar() == 1
    old.close()


def test_a_start_that_is_up_to_date_does_not_load_alembic(store: Store) -> None:
    code = (
        "import sys; from colonnade.gateway.store import Store; Store(sys.argv[1]).upgrade(); "
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(store.engine.url)], check=False).returncode == 0


def test_sqlite_is_set_up_for_durability_and_many_readers(store: Store) -> None:
    with store.engine.connect() as connection:
        found = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "foreign_keys")]
    assert found == ["wal", 1]


def test_times_are_aware_whatever_zone_they_came_in(store: Store) -> None:
    row = new_row()
    row.created = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with store.write() as session:
        queue.add(session, row)
    assert look(store, row.id).created == datetime(2026, 3, 1, 10, tzinfo=UTC)


@contextmanager
def plans(store: Store) -> Iterator[list[str]]:
    """How SQLite answers the statements that are executed meanwhile."""
    found: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            rows = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            found.extend(row[3] for row in rows)

    event.listen(store.engine, "before_cursor_execute", explain)
    yield found
    event.remove(store.engine, "before_cursor_execute", explain)


# Each question, and what SQLite must answer it by: without one of these it walks through the finished jobs.
QUESTIONS: dict[str, tuple[Callable[[Session], object], str]] = {
    "list": (queue.page, "INDEX sqlite_autoindex_jobs_1"),
    "list on": (lambda s: queue.page(s, after="01"), "sqlite_autoindex_jobs_1 (id<?)"),
    "list by service": (lambda s: queue.page(s, service="a.b", after="01"), "jobs_by_service (service=? AND id<?)"),
    "list by state": (lambda s: queue.page(s, state="failed", after="01"), "jobs_by_state (state=? AND id<?)"),
    "list by both": (
        lambda s: queue.page(s, state="failed", service="a.b", after="01"),
        "jobs_by_service_state (service=? AND state=? AND id<?)",
    ),
    "earlier result": (
        lambda s: queue.earlier_result(s, "f" * 64),
        "jobs_by_fingerprint (fingerprint=? AND state=?)",
    ),
    "claim": (lambda s: queue.claim(s, "g", 2), "jobs_queue (state=?)"),
    "finish": (lambda s: queue.finish(s, "01", 1, "failed"), "sqlite_autoindex_jobs_1 (id=?)"),
    "cancels": (lambda s: queue.cancels_for(s, "g"), "jobs_queue (state=?)"),
    "counts": (queue.active, "COVERING INDEX jobs_queue (state=?)"),
    "list of a person": (lambda s: queue.page(s, owner="o", after="01"), "jobs_by_owner (owner=? AND id<?)"),
    "list of a group": (lambda s: queue.page(s, group="g", after="01"), "jobs_by_group (group_id=? AND id<?)"),
    "others": (lambda s: queue.others_use(s, "01", "02"), "jobs_served (run=?)"),
    "elsewhere": (lambda s: queue.running_elsewhere(s, "g"), "jobs_queue (state=?)"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_goes_through_the_finished_jobs(store: Store, name: str) -> None:
    ask, index = QUESTIONS[name]
    with store.write() as session:
        session.add_all(new_row(state="succeeded") for _ in range(50))
    with store.write() as session, plans(store) as found:
        ask(session)
    assert any(index in plan for plan in found), found
    for plan in found:
        assert "TEMP B-TREE" not in plan, plan
        assert not plan.startswith("SCAN jobs") or "jobs_queue" in plan or "jobs_running" in plan or name == "list", (
            plan
        )


def test_what_a_reader_has_seen_stays_readable(store: Store) -> None:
    row = new_row()
    with store.write() as session:
        queue.add(session, row)
    found = look(store, row.id)
    assert (found.inputs, found.created <= now(), found.final) == ({"n": 1}, True, False)
    assert isinstance(found, JobRow)
