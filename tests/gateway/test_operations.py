"""Health, statistics as a table, deletion after some days."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import settings, submit
from sqlalchemy import update

from colonnade.gateway import retention
from colonnade.gateway.core import Gateway
from colonnade.gateway.store import JobRow, Unavailable, UnknownJob, now


def age(gateway: Gateway, id: str, days: float) -> None:
    with gateway.store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == id).values(finished=now() - timedelta(days=days)))


def test_alive_and_ready(api: Any, idle: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.get("/health/live").json() == {"status": "live"}
    waiting = api.get("/health/ready")
    assert (waiting.status_code, waiting.json()["reason"]) == (503, "the engine is starting")
    idle.dispatcher.engine.status = "ready"
    assert api.get("/health/ready").json() == {"status": "ready"}

    def away() -> None:
        raise Unavailable("away")

    monkeypatch.setattr(idle, "health", away)
    assert api.get("/health/ready").json()["reason"] == "the database cannot be used"


def test_usage_as_a_table(api: Any, idle: Gateway, run_all: Any) -> None:
    for n in range(3):
        submit(idle, "testing.double", n=n)
    run_all()
    answer = api.get("/usage.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["service"], row["outcome"], row["jobs"], row["cpu_seconds"]) == (
        "testing.double", "succeeded", "3", "1.500",
    )  # fmt: skip
    assert float(row["cpu_years"]) == pytest.approx(1.5 / 31_557_600, abs=1e-9)


def test_jobs_go_some_days_after_they_ended(tmp_path: Path) -> None:
    gateway = Gateway(settings(tmp_path / "data", result_days=7))
    file = gateway.save_upload([b"abc"], "a.txt")
    old, fresh = (submit(gateway, "testing.characters", file=file.reference, seed=n) for n in range(2))
    waiting = submit(gateway, "testing.double", n=1)
    for row in (old, fresh):
        gateway.cancel(row.id)
    age(gateway, old.id, 8)
    age(gateway, fresh.id, 6)
    directory = gateway.directory(old.id)
    gateway._tidy()
    with pytest.raises(UnknownJob):
        gateway.job(old.id)
    assert not directory.exists()
    assert gateway.job(fresh.id).state == "cancelled" and gateway.job(waiting.id).state == "queued"
    assert gateway.files(file.reference).exists()
    gateway.store.close()


def test_without_the_setting_nothing_is_deleted(idle: Gateway) -> None:
    row = submit(idle, "testing.double", n=1)
    idle.cancel(row.id)
    age(idle, row.id, 10_000)
    idle._tidy()
    assert idle.job(row.id)


def test_many_go_in_batches(idle: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    rows = [submit(idle, "testing.double", n=n) for n in range(5)]
    for row in rows:
        idle.cancel(row.id)
        age(idle, row.id, 2)
    assert retention.expire(idle.store, 1, idle.delete) == 5
    assert idle.jobs().rows == []
