"""Whether a million finished jobs slow down the job list, a submission and the rest that a request does.

    python benchmarks/million_jobs.py [JOBS]

Two gateways without an engine, one with 1,000 finished jobs and one with 1,000,000; each question is asked of both in
turn, so that whatever else the machine does meets both alike.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway_bench import SERVICE, table, verdict

from colonnade import service
from colonnade.gateway import queue
from colonnade.gateway.core import Gateway
from colonnade.gateway.settings import Settings

FEW = 1_000
ROUNDS = 100
# Ids that sort before those of today, services and states in a fixed mixture, fingerprints at random.
FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :count)
INSERT INTO jobs (id, service, version, state, title, inputs, seed, fingerprint, run, cores, attempt, lost, gateway,
                  cancel_requested, created, started, finished, error, cpu_seconds, max_rss)
SELECT printf('01A%023d', n),
       CASE n % 5 WHEN 0 THEN :service ELSE 'testing.other' || (n % 5) END,
       '1.0',
       CASE WHEN n % 20 < 17 THEN 'succeeded' WHEN n % 20 < 19 THEN 'failed' ELSE 'cancelled' END,
       'job ' || n, '{"n": ' || n || ', "temperature": 25.0, "selection": ["A", "B"]}', n,
       lower(hex(randomblob(32))), printf('01A%023d', n), 1, 1, 0, '00000000000000000000000000',
       0, :then, :then, :then, '', 1.5, 10000000
FROM numbers
"""


def fill(gateway: Gateway, count: int) -> None:
    """Insert finished jobs; their indexes are built afterwards, as that is faster."""
    indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'jobs' AND sql NOT NULL"
    with closing(sqlite3.connect(gateway.settings.data / "colonnade.sqlite3")) as connection:
        for pragma in ("cache_size = -500000", "temp_store = MEMORY", "synchronous = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        found = connection.execute(indexes).fetchall()
        for name, _ in found:
            connection.execute(f"DROP INDEX {name}")
        values = {"count": count, "service": SERVICE, "then": "2026-01-01 12:00:00.000000"}
        connection.execute(FILL, values)
        for _, sql in found:
            connection.execute(sql)
        connection.commit()


def questions(gateway: Gateway) -> dict[str, Callable[[int], object]]:
    offered = service.get(SERVICE)
    with gateway.store.read() as session:
        ids = [row.id for row in queue.page(session, limit=500).rows]
    deep = ids[-1]
    fresh = random.Random(1)

    def submit(_: int) -> object:
        return gateway.submit(offered, offered.parse({"n": fresh.randrange(10_000_000)}))

    def cycle(_: int) -> None:
        """Claim the oldest queued job and end it."""
        with gateway.store.write() as session:
            for claim in queue.claim(session, "g", 1):
                queue.finish(session, claim.id, claim.attempt, "succeeded")

    return {
        "list, first page": lambda _: gateway.jobs(limit=50),
        "list, a later page": lambda _: gateway.jobs(limit=50, after=deep),
        "list of one service": lambda _: gateway.jobs(limit=50, service="testing.other1"),
        "list of one state": lambda _: gateway.jobs(limit=50, state="failed"),
        "list of both": lambda _: gateway.jobs(limit=50, service="testing.other4", state="cancelled"),
        "one job": lambda number: gateway.job(ids[number % len(ids)]),
        "submit": submit,
        "claim and finish": cycle,
        "health, usage": lambda _: (gateway.health(), gateway.usage()),
    }


def compare(few: Gateway, many: Gateway) -> list[tuple[str, float, float]]:
    """Median seconds of each question at both, asked in turn."""
    found = []
    of_few, of_many = questions(few), questions(many)
    for name in of_few:
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(ROUNDS):
            for ask, times in ((of_few[name], taken[0]), (of_many[name], taken[1])):
                begin = time.perf_counter()
                ask(number)
                times.append(time.perf_counter() - begin)
        found.append((name, statistics.median(taken[0]), statistics.median(taken[1])))
    return found


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="colonnade-bench-") as folder:
        gateways = [
            Gateway(Settings(data=Path(folder) / name, workers=2, scheduler="local", database=""))
            for name in ("few", "many")
        ]
        for gateway, jobs in zip(gateways, (FEW, count), strict=True):
            fill(gateway, jobs)
        size = (gateways[1].settings.data / "colonnade.sqlite3").stat().st_size
        rows = compare(*gateways)
        for gateway in gateways:
            gateway.store.close()
    print(f"{count} finished jobs take {size / 1e6:.0f} MB, {size / count:.0f} bytes each")
    table(
        f"{count} finished jobs against {FEW} (median of {ROUNDS})",
        [
            (
                name,
                f"{1000 * few:.2f} -> {1000 * many:.2f} ms, x {many / few:.2f}",
                "<= x 1.5",
                verdict(many <= 1.5 * few),
            )
            for name, few, many in rows
        ],
    )


if __name__ == "__main__":
    main()
