"""A thousand jobs while everything that a gateway stands on fails in turn: none is lost, none ends twice."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import postgres
import pytest
import s3
from fleet import Clock, Fleet, fill, free_port, small_disk, variables
from harness import settings, submit, until
from test_faults import all_ended_once, audit, some_ended

from colonnade.gateway.core import Gateway
from colonnade.gateway.store import JobRow, Unavailable

JOBS = int(os.environ.get("CHAOS_JOBS", "1000"))
HOUR = 3600


@dataclass
class Site:
    """Two gateways over one PostgreSQL and one S3 server, a Dask scheduler and two workers without shared folders."""

    desk: Gateway  # takes requests, runs none
    database: postgres.Server
    store: s3.Server
    fleet: Fleet
    clock: Clock
    disk: Path  # of the first worker

    # --- faults ----------------------------------------------------------------------------------

    def database_restarted(self) -> None:
        self.database.stop()
        time.sleep(3)
        self.database.start()

    def store_away_for_a_minute(self) -> None:
        self.store.freeze()
        time.sleep(60)
        self.store.thaw()

    def scheduler_killed(self) -> None:
        self.fleet.kill("scheduler")

    def worker_killed(self) -> None:
        self.fleet.kill("second worker")

    def disk_full(self) -> None:
        ballast = fill(self.disk)
        time.sleep(5)
        ballast.unlink()

    def gateway_killed(self) -> None:
        self.fleet.kill("first gateway")

    def clock_two_hours_ahead(self) -> None:
        self.clock.set(2 * HOUR)

    def clock_an_hour_behind(self) -> None:
        self.clock.set(-HOUR)

    def clock_right_again(self) -> None:
        self.clock.set(0)


FAULTS: tuple[Callable[[Site], None], ...] = (
    Site.database_restarted,
    Site.clock_two_hours_ahead,
    Site.scheduler_killed,
    Site.disk_full,
    Site.gateway_killed,
    Site.clock_an_hour_behind,
    Site.worker_killed,
    Site.clock_right_again,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        database = stack.enter_context(postgres.server())
        store = stack.enter_context(s3.server())
        disk = stack.enter_context(small_disk(tmp_path / "disk"))
        clock = Clock(tmp_path)
        scheduler = f"tcp://127.0.0.1:{free_port()}"
        url = database.database("thousand")
        place = {"storage": f"s3://{s3.BUCKET}/x", "storage_endpoint": store.address, **s3.KEYS}
        shared = {"scheduler": scheduler, "database": url, "retries": 1000, "poll": 0.2, "heartbeat": 0.5, **place}
        desk = Gateway(settings(tmp_path / "desk", **shared))
        audit(desk)
        fleet = Fleet(clock.environment)
        stack.callback(desk.store.close)
        stack.callback(fleet.stop)
        options = ["--no-dashboard", "--dashboard-address", ":0"]
        host, port = scheduler.removeprefix("tcp://").split(":")
        fleet.add("scheduler", "distributed.cli.dask_scheduler", "--host", host, "--port", port, *options)
        worker = ["distributed.cli.dask_worker", scheduler, "--no-nanny", "--no-dashboard", "--nthreads", "2"]
        for name, scratch in (("first", disk), ("second", tmp_path / "second")):
            scratch.mkdir(exist_ok=True)
            local = ["--resources", "cores=2", "--local-directory", str(tmp_path)]
            fleet.add(f"{name} worker", *worker, *local, TMPDIR=str(scratch))
            data = tmp_path / f"{name} gateway"
            data.mkdir()
            fleet.add(f"{name} gateway", "colonnade.gateway", **variables(shared | {"data": data}))
        yield Site(desk, database, store, fleet, clock, disk)


def patiently(site: Site, number: int) -> JobRow:
    """A request, sent again for as long as it is refused because something is away."""

    def sent() -> JobRow | None:
        try:
            return submit(site.desk, "testing.walk", seed=number, steps=1 + number % 4, pause=0.02)
        except Unavailable:
            return None

    found: JobRow = until(sent, f"request {number} taken", 300)
    return found


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_thousand_jobs_and_every_fault(site: Site, tmp_path: Path) -> None:
    faults = [*FAULTS, *FAULTS, Site.store_away_for_a_minute]
    random.Random(1).shuffle(faults)
    told: Counter[str] = Counter()
    rows: list[JobRow] = []
    batch = JOBS // (len(faults) + 1)
    begin = time.monotonic()
    for number, fault in enumerate(faults):
        rows += [patiently(site, len(rows) + n) for n in range(batch)]
        some_ended(site.desk, number * batch)  # so that each fault meets jobs that run
        fault(site)
        told[fault.__name__.replace("_", " ")] += 1
    rows += [patiently(site, n) for n in range(len(rows), JOBS)]
    all_ended_once(site.desk, rows, tmp_path / "alone")
    lost = sum(site.desk.job(row.id).lost for row in rows)
    print(f"\n{len(rows)} jobs in {time.monotonic() - begin:.0f} s; {dict(told)}; attempts lost: {lost}")
    assert len({row.id for row in rows}) == JOBS
