"""Faults at scale: what the gateway stands on goes away while many jobs run; each ends once, and none is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgres
import psutil
import pytest
import s3
from harness import settings, submit, until
from sqlalchemy import text
from test_engine import Cluster

from colonnade import runner
from colonnade.gateway.core import Gateway
from colonnade.gateway.store import JobRow

JOBS = 100
PATIENCE = 900.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

AUDIT = {
    "sqlite": """
CREATE TABLE ends (job TEXT, state TEXT);
CREATE TRIGGER audit AFTER UPDATE OF state ON jobs WHEN NEW.state IN ('succeeded', 'failed', 'cancelled')
BEGIN INSERT INTO ends VALUES (NEW.id, NEW.state); END;
""",
    "postgresql": """
CREATE TABLE ends (job TEXT, state TEXT);
CREATE FUNCTION note() RETURNS trigger AS $$ BEGIN INSERT INTO ends VALUES (NEW.id, NEW.state); RETURN NULL; END; $$
LANGUAGE plpgsql;
CREATE TRIGGER audit AFTER UPDATE OF state ON jobs FOR EACH ROW
WHEN (NEW.state IN ('succeeded', 'failed', 'cancelled')) EXECUTE FUNCTION note();
""",
}


def audit(gateway: Gateway) -> None:
    """Let the database itself write down every end of a job."""
    kind = gateway.store.engine.dialect.name
    with gateway.store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        if kind == "sqlite":
            raw.executescript(AUDIT[kind])
        else:
            raw.execute(AUDIT[kind])
            raw.commit()


def some(gateway: Gateway, count: int = JOBS) -> list[JobRow]:
    return [submit(gateway, "testing.walk", seed=n, steps=1 + n % 8, pause=0.05) for n in range(count)]


def all_ended_once(gateway: Gateway, rows: list[JobRow], folder: Path) -> None:
    def over() -> bool:
        health = gateway.health()
        return health["queued"] + health["running"] == 0

    until(over, "the end of all jobs", PATIENCE)
    after = [gateway.job(row.id) for row in rows]
    assert [row.error for row in after if row.state != "succeeded"] == []
    with gateway.store.read() as session:
        ends = session.execute(text("SELECT job, state FROM ends ORDER BY job")).all()
    assert [tuple(end) for end in ends] == sorted((row.id, "succeeded") for row in rows)
    for row in after[::10]:  # the same as if nothing had happened
        runner.run("testing.walk", row.inputs, folder / row.id, seed=row.seed)
        assert (gateway.results(row) / "result.json").read_bytes() == (folder / row.id / "result.json").read_bytes()


def some_ended(gateway: Gateway, count: int) -> None:
    until(lambda: sum(row.jobs for row in gateway.usage()) >= count, f"{count} jobs", PATIENCE)


def started(folder: Path, **options: Any) -> Gateway:
    found = Gateway(settings(folder, **({"retries": 100} | options)))
    audit(found)
    found.start()
    return found


@pytest.fixture
def place() -> Iterator[tuple[s3.Server, dict[str, Any]]]:
    with s3.server() as server:
        yield server, {"storage": f"s3://{s3.BUCKET}/x", "storage_endpoint": server.address, **s3.KEYS}


def test_postgresql_is_restarted(tmp_path: Path) -> None:
    with postgres.server() as server:
        gateway = started(tmp_path / "data", database=server.database("faults"))
        rows = some(gateway)
        for count in (10, 40):
            some_ended(gateway, count)
            server.stop()
            time.sleep(3)
            server.start()
        all_ended_once(gateway, rows, tmp_path / "alone")
        gateway.stop()


def test_the_object_store_is_away_for_a_minute(tmp_path: Path, place: tuple[s3.Server, dict[str, Any]]) -> None:
    server, options = place
    gateway = started(tmp_path / "data", **options)
    rows = some(gateway)
    some_ended(gateway, 10)
    server.freeze()
    time.sleep(60)
    server.thaw()
    all_ended_once(gateway, rows, tmp_path / "alone")
    assert max(gateway.job(row.id).lost for row in rows) == 0  # waited for, not run again
    gateway.stop()


def test_the_scheduler_is_killed(tmp_path: Path) -> None:
    cluster = Cluster()
    gateway = started(tmp_path / "data", scheduler=cluster.address)
    rows = some(gateway)
    for count in (10, 30, 50):
        some_ended(gateway, count)
        cluster.kill()
        cluster.start()
    all_ended_once(gateway, rows, tmp_path / "alone")
    gateway.stop()
    cluster.kill()


def test_a_workers_disk_is_full(tmp_path: Path, place: tuple[s3.Server, dict[str, Any]]) -> None:
    """The worker of a job has no room for its files: the job waits for one that has, and is not failed for it."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "colonnade-test", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    cluster = Cluster()
    gateway = started(tmp_path / "data", scheduler=cluster.address, **place[1])
    (small / "ballast").write_bytes(bytes(1))
    try:
        cluster.kill()
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard"]
        command += ["--port", cluster.address.rpartition(":")[2], "--dashboard-address", ":0"]
        cluster.processes.append(psutil.Popen(command, stderr=subprocess.DEVNULL))
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.address, "--no-nanny", "--no-dashboard"]
        worker += ["--nthreads", "2", "--resources", "cores=2", "--local-directory", str(tmp_path)]
        cluster.processes.append(
            psutil.Popen(worker, stderr=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(small)})
        )
        until(lambda: gateway.health()["engine"] == "ready", "the worker", 120)
        with (small / "ballast").open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(4096))
            except OSError:
                pass
        rows = some(gateway, 20)
        until(lambda: sum(gateway.job(row.id).lost for row in rows) > 0, "an attempt without room", 120)
        (small / "ballast").unlink()
        all_ended_once(gateway, rows, tmp_path / "alone")
    finally:
        gateway.stop()
        cluster.kill()
        subprocess.run(["umount", "-l", str(small)], check=True)
