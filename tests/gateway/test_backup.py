"""A backup and what is restored from it are the same gateway, on SQLite and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import settings, submit
from sqlalchemy import select

from colonnade import runner
from colonnade.errors import ColonnadeError
from colonnade.gateway import queue
from colonnade.gateway.backup import BadBackup, backup, restore
from colonnade.gateway.core import Gateway
from colonnade.gateway.store import Base, JobRow
from colonnade.gateway.transfer import LEFT_OUT


def filled(idle: Gateway, run_all: Any) -> JobRow:
    """A gateway with a file, a job that has ended, one that runs and one that waits; the first."""
    upload = idle.save_upload([b"seven!!"], "a.txt")
    done = submit(idle, "testing.characters", file=upload.reference)
    run_all()
    submit(idle, "testing.double", n=1)
    with idle.store.write() as session:
        queue.claim(session, "gone", 1)
    submit(idle, "testing.double", n=2)
    return done


def rows(gateway: Gateway) -> dict[str, list[Any]]:
    with gateway.store.read() as session:
        tables = [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]
        return {table.name: sorted(map(repr, session.execute(select(table)).all())) for table in tables}


def files(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if "sqlite3" not in name}


def test_round_trip(idle: Gateway, run_all: Any, tmp_path: Path) -> None:
    done = filled(idle, run_all)
    counted = backup(idle.settings, tmp_path / "b.tar.gz")
    assert counted["jobs"] == 3
    assert restore(settings(tmp_path / "new"), tmp_path / "b.tar.gz") == counted
    again = Gateway(settings(tmp_path / "new"))
    try:
        before, after = rows(idle), rows(again)
        assert {name: len(found) for name, found in before.items()} == {n: len(f) for n, f in after.items()}
        assert {name: found for name, found in before.items() if name != "jobs"} == {
            name: found for name, found in after.items() if name != "jobs"
        }
        assert files(idle.settings.data) == files(again.settings.data)
        assert runner.load(again.directory(done.id)).outputs["characters"]["value"] == 7
        # What ran at the time is queued: its gateway is not here.
        assert sorted(row.state for row in again.jobs().rows) == ["queued", "queued", "succeeded"]
    finally:
        again.store.close()


def test_refused(idle: Gateway, run_all: Any, tmp_path: Path) -> None:
    filled(idle, run_all)
    target = tmp_path / "b.tar"
    backup(idle.settings, target)
    with pytest.raises(ColonnadeError, match="exists already"):
        backup(idle.settings, target)
    with pytest.raises(ColonnadeError, match="not empty"):
        restore(idle.settings, target)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(target.read_bytes()[:20_000])
    with pytest.raises(BadBackup):
        restore(settings(tmp_path / "other"), cut)
    (tmp_path / "no.tar").write_bytes(b"no archive")
    with pytest.raises(BadBackup, match="no backup"):
        restore(settings(tmp_path / "third"), tmp_path / "no.tar")


@pytest.mark.slow
def test_round_trip_through_postgresql(idle: Gateway, run_all: Any, tmp_path: Path) -> None:
    from postgres import server

    filled(idle, run_all)
    backup(idle.settings, tmp_path / "one.tar")
    with server() as found:
        first = settings(tmp_path / "first", database=found.database("restored"))
        restore(first, tmp_path / "one.tar")
        backup(first, tmp_path / "two.tar")
        restore(settings(tmp_path / "second"), tmp_path / "two.tar")
        there, back = Gateway(first), Gateway(settings(tmp_path / "second"))
        try:
            assert rows(there) == rows(back)
        finally:
            there.store.close()
            back.store.close()
