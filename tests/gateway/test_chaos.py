"""Gateways and workers are killed at random while jobs run: each job ends once, and as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness import settings, submit, until

from colonnade import runner
from colonnade.gateway.attempt import RUN_VARIABLE, Record
from colonnade.gateway.core import Gateway
from colonnade.gateway.store import JobRow

# Every end of a job, as the database itself saw it.
AUDIT = """
CREATE TABLE ends (job TEXT, state TEXT);
CREATE TRIGGER audit AFTER UPDATE OF state ON jobs WHEN NEW.state IN ('succeeded', 'failed', 'cancelled')
BEGIN INSERT INTO ends VALUES (NEW.id, NEW.state); END;
"""


LEVELS = ("gateway", "worker", "fork server", "keeper")


class Fleet:
    """Some gateway processes over one data folder."""

    def __init__(self, data: Path, count: int) -> None:
        cores = max(1, 2 // count)
        options = {"data": data, "retries": 1000, "poll": 0.2, "heartbeat": 0.5, "workers": cores, "scheduler": "local"}
        self.environment = os.environ | {f"COLONNADE_{name.upper()}": str(value) for name, value in options.items()}
        self.members = [self._start() for _ in range(count)]

    def _start(self) -> psutil.Popen:
        return psutil.Popen(
            [sys.executable, "-m", "colonnade.gateway"], env=self.environment, stdout=subprocess.DEVNULL
        )

    def kill_one(self, level: str, generator: random.Random) -> None:
        """Kill a process of a level: any but the services' own; one above when that level is empty just now."""
        levels = {name: [process for member in self.members for process in _level(member, name)] for name in LEVELS}
        names = LEVELS[LEVELS.index(level) :: -1]
        victim = generator.choice(next(levels[name] for name in names if levels[name]))
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        if victim in self.members:
            victim.wait()
            self.members[self.members.index(victim)] = self._start()

    def stop(self) -> None:
        for member in self.members:
            member.send_signal(signal.SIGTERM)
        for member in self.members:
            assert member.wait(60) == 0


def _level(gateway: psutil.Process, level: str) -> list[psutil.Process]:
    """Processes of one kind below a gateway (and the gateway itself).

    Keepers and services lead sessions of their own; of the two, a keeper's parent does not: that is the fork server,
    or the worker when the fork server was killed.
    """
    if level == "gateway":
        return [gateway]
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in gateway.children(recursive=True):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                if _kind(gateway, process) == level:
                    found.append(process)
    return found


def _kind(gateway: psutil.Process, process: psutil.Process) -> str:
    if os.getsid(process.pid) == process.pid:
        return "service" if os.getsid(process.ppid()) == process.ppid() else "keeper"
    if os.getsid(process.pid) != os.getsid(gateway.pid):
        return "service"
    return "worker" if process.ppid() == gateway.pid else "fork server"


@contextmanager
def fleet(data: Path, count: int) -> Iterator[Fleet]:
    found = Fleet(data, count)
    try:
        yield found
    finally:
        for member in found.members:
            for process in [*member.children(recursive=True), member] if member.is_running() else []:
                process.kill()


def undisturbed(jobs: list[dict[str, Any]], folder: Path) -> list[bytes]:
    """The results of the same requests without a gateway."""

    def result(number: int) -> bytes:
        options = dict(jobs[number])
        runner.run("testing.walk", options, folder / str(number), seed=number)
        return (folder / str(number) / "result.json").read_bytes()

    with ThreadPoolExecutor(20) as pool:
        return list(pool.map(result, range(len(jobs))))


def marked(data: Path) -> list[int]:
    """Living processes that belong to a run below `data`."""
    found = []
    for process in psutil.process_iter():
        try:
            handles = [os.readlink(handle) for handle in Path(f"/proc/{process.pid}/fd").iterdir()]  # noqa: PTH115
            in_environment = process.environ().get(RUN_VARIABLE, "")
        except (OSError, psutil.Error):
            continue
        if any(handle.startswith(str(data / "runs")) for handle in handles) or (
            in_environment and list((data / "runs").glob(f"*/{in_environment}"))
        ):
            found.append(process.pid)
    return found


def chaos(folder: Path, jobs: list[dict[str, Any]], *, kills: int, gateways: int, seed: int, patience: float) -> None:
    generator = random.Random(seed)
    desk = Gateway(settings(folder / "data", busy_timeout=60.0))  # takes requests, runs none of them
    with sqlite3.connect(folder / "data/colonnade.sqlite3") as connection:
        connection.executescript(AUDIT)
    tally: Counter[str] = Counter()
    levels = [LEVELS[n % len(LEVELS)] for n in range(kills)]
    generator.shuffle(levels)
    with fleet(folder / "data", gateways) as found:
        half = len(jobs) // 2
        rows = [submit(desk, "testing.walk", again=False, seed=n, **jobs[n]) for n in range(half)]
        while levels and under_way(desk):
            time.sleep(generator.uniform(0.0, 0.3))
            tally[levels[-1]] += 1
            found.kill_one(levels.pop(), generator)
            for n in range(len(rows), min(len(rows) + len(jobs) // kills + 1, len(jobs))):
                rows.append(submit(desk, "testing.walk", again=False, seed=n, **jobs[n]))
        rows += [submit(desk, "testing.walk", again=False, seed=n, **jobs[n]) for n in range(len(rows), len(jobs))]
        until(lambda: sum(desk.health()[state] for state in ("queued", "running")) == 0, "the end", patience)
        found.stop()

    after = [desk.job(row.id) for row in rows]
    print(f"\n{len(jobs)} jobs, killed {dict(tally)}, lost attempts: {sum(row.lost for row in after)}")
    assert [row.error for row in after if row.state != "succeeded"] == []
    with sqlite3.connect(folder / "data/colonnade.sqlite3") as connection:
        ends = connection.execute("SELECT job, state FROM ends ORDER BY job").fetchall()
    assert ends == [(row.id, "succeeded") for row in rows]
    assert {row.outcome: row.jobs for row in desk.usage()} == {"succeeded": len(jobs)}
    results = [(desk.directory(row.id) / "result.json").read_bytes() for row in rows]
    assert results == undisturbed(jobs, folder / "alone")
    assert marked(folder / "data") == []
    desk.store.close()


def under_way(desk: Gateway) -> bool:
    """Wait until some job's process is alive; False when all jobs have ended.

    A row that says `running` is not enough: its gateway may just have been killed.
    """

    def alive(row: JobRow) -> bool:
        record = Record.read(desk.directory_of(row.run))
        return record is not None and record.service is not None and record.service.alive

    def state() -> str:
        if any(alive(row) for row in desk.jobs(state="running").rows):
            return "running"
        health = desk.health()
        return "" if health["queued"] + health["running"] else "done"

    return bool(until(state, "a running job", 120) == "running")


def some_jobs(count: int, shortest: float, longest: float, seed: int) -> list[dict[str, Any]]:
    generator = random.Random(seed)
    durations = [generator.uniform(shortest, longest) for _ in range(count)]
    return [{"steps": max(1, round(duration / 0.1)), "pause": 0.1} for duration in durations]


@pytest.mark.slow
def test_a_killed_gateway_leaves_no_process(tmp_path: Path) -> None:
    """Neither its worker, nor the fork server below that, nor a spare keeper, nor the job."""
    desk = Gateway(settings(tmp_path / "data"))
    with fleet(tmp_path / "data", 1) as found:
        row = submit(desk, "testing.patient", seconds=500)
        until((desk.directory(row.id) / ".attempt.json").exists, "the start")
        family = found.members[0].children(recursive=True)
        assert len(family) >= 4
        found.members[0].kill()
        found.members[0].wait()
        until(lambda: not any(process.is_running() for process in family), "the end of all", 60)
    desk.store.close()


def test_chaos(tmp_path: Path) -> None:
    chaos(tmp_path, some_jobs(20, 0.1, 0.6, 1), kills=4, gateways=1, seed=int(time.time()), patience=120)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("gateways", [1, 2])
def test_chaos_at_length(tmp_path: Path, gateways: int) -> None:
    seed = int(os.environ.get("CHAOS_SEED", time.time()))
    print(f"CHAOS_SEED={seed}")
    jobs = some_jobs(200, 0.1, 2.0, seed)
    chaos(tmp_path, jobs, kills=40, gateways=gateways, seed=seed, patience=900)
