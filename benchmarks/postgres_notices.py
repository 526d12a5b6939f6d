"""How soon one gateway hears of what another took in: LISTEN/NOTIFY against polling, and what the notices cost.

    python benchmarks/postgres_notices.py

Starts a PostgreSQL server of its own (Debian package postgresql). Polling is once a second, the gateway's default.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "gateway"))

import postgres
from test_queue import new_row

from colonnade.gateway import queue
from colonnade.gateway.notices import Ear, notify_on_commit
from colonnade.gateway.store import Store

ROUNDS, POLL = 20, 1.0


def add(store: Store) -> None:
    with store.write() as session:
        queue.add(session, new_row())


def heard_after(front: Store, back: Store) -> list[float]:
    """Seconds from a submission to the news of it, by notices."""
    news = threading.Event()
    ear = Ear(back, news.set)
    ear.start()
    assert news.wait(30)
    found = []
    for _ in range(ROUNDS):
        news.clear()
        time.sleep(0.05)
        began = time.perf_counter()
        add(front)
        assert news.wait(30)
        found.append(time.perf_counter() - began)
    ear.stop()
    return found


def seen_after(front: Store, back: Store) -> list[float]:
    """Seconds from a submission to the look that finds it, by polling; the looks come at any moment."""
    found = []
    with back.write() as session:
        queue.claim(session, "g", 1000)
    for n in range(ROUNDS):
        phase = POLL * (n + 0.5) / ROUNDS
        began = time.perf_counter()
        add(front)
        time.sleep(max(0.0, phase - (time.perf_counter() - began)))
        with back.write() as session:
            assert queue.claim(session, "g", 1000)
        found.append(time.perf_counter() - began)
    return found


def rate(store: Store, count: int = 100) -> float:
    began = time.perf_counter()
    for _ in range(count):
        add(store)
    return count / (time.perf_counter() - began)


def main() -> None:
    with postgres.server() as server:
        url = server.database("notices")
        plain, front, back = Store(url), Store(url), Store(url)
        plain.upgrade()
        notify_on_commit(front)
        rates = [(rate(plain), rate(front)) for _ in range(3)]  # in turn, so that other work meets both alike
        heard, seen = heard_after(front, back), seen_after(plain, back)
        for store in (plain, front, back):
            store.close()
    print("From a submission at one gateway to another's knowledge of it")
    print("                    median   worst")
    for name, times in (("LISTEN/NOTIFY", heard), ("polling each 1 s", seen)):
        print(f"{name:18s} {1e3 * statistics.median(times):6.0f} ms {1e3 * max(times):6.0f} ms")
    without, with_notices = (statistics.median(column) for column in zip(*rates, strict=True))
    print(f"submissions: {without:.0f} /s without notices, {with_notices:.0f} /s with them")


if __name__ == "__main__":
    main()
