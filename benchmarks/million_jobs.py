"""Whether a million finished jobs slow down the job list, a submission and the rest that a request does.

    python benchmarks/million_jobs.py [JOBS]

Two gateways without an engine, one with 1,000 finished jobs and one with 1,000,000; each question is asked of both in
turn, so that whatever else the machine does meets both alike.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway_bench import SERVICE, table, verdict
from sqlalchemy import text
from ulid import ULID

from colonnade import service
from colonnade.gateway import queue
from colonnade.gateway.core import Gateway
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import JobRow

FEW = 1_000
ROUNDS = 200
BATCH = 20_000
SERVICES = [SERVICE, "testing.sleep", "testing.fail", "testing.steps", "testing.chatty"]
STATES = ["succeeded"] * 17 + ["failed"] * 2 + ["cancelled"]


def fill(gateway: Gateway, count: int) -> None:
    """Insert finished jobs of the last year, and what they add to the usage."""
    generator = random.Random(0)
    begin = datetime.now(UTC) - timedelta(days=365)
    step = timedelta(days=365) / count
    columns = [column.name for column in JobRow.__table__.columns]
    statement = text(f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})")
    for start in range(0, count, BATCH):
        rows = [_row(generator, number, begin + number * step) for number in range(start, min(start + BATCH, count))]
        with gateway.store.write() as session:
            session.execute(statement, rows)


def _row(generator: random.Random, number: int, created: datetime) -> dict[str, object]:
    id = str(ULID.from_datetime(created))
    return {
        "id": id,
        "service": generator.choice(SERVICES),
        "version": "1.0",
        "state": generator.choice(STATES),
        "title": f"job {number}",
        "inputs": json.dumps({"n": number, "temperature": 25.0, "selection": ["A", "B"]}),
        "seed": number,
        "fingerprint": f"{generator.getrandbits(256):064x}",
        "run": id,
        "cached_from": None,
        "cores": 1,
        "attempt": 1,
        "lost": 0,
        "gateway": "0" * 26,
        "cancel_requested": False,
        "created": created.replace(tzinfo=None).isoformat(" "),
        "started": created.replace(tzinfo=None).isoformat(" "),
        "finished": created.replace(tzinfo=None).isoformat(" "),
        "error": "",
        "cpu_seconds": 1.5,
        "max_rss": 10_000_000,
    }


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
        "list of one service": lambda _: gateway.jobs(limit=50, service=SERVICES[1]),
        "list of one state": lambda _: gateway.jobs(limit=50, state="failed"),
        "list of both": lambda _: gateway.jobs(limit=50, service=SERVICES[2], state="cancelled"),
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
