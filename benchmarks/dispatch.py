"""What the queue and the engine add to a trivial job, and how many such jobs pass in a second.

    python benchmarks/dispatch.py

The bare call is the same service run by `runner.run` in this process, run directory and all.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from gateway_bench import SERVICE, gateway, table, verdict

from colonnade import runner, service
from colonnade.gateway.core import Gateway

SINGLE = 60
MANY = 100


def bare(count: int) -> list[float]:
    """Seconds of each of `count` bare calls."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            begin = time.perf_counter()
            runner.run(SERVICE, {"n": number}, Path(folder) / str(number))
            taken.append(time.perf_counter() - begin)
    return taken


def submit(found: Gateway, number: int) -> str:
    offered = service.get(SERVICE)
    return found.submit(offered, offered.parse({"n": number}), again=True).id


def one_by_one(found: Gateway, count: int) -> list[float]:
    """Seconds from the submission of each job to its end in the database, one at a time."""
    taken = []
    for number in range(count):
        begin = time.perf_counter()
        id = submit(found, number)
        seen = -1
        while not (seen != (seen := found.dispatcher.changes) and found.job(id).final):
            time.sleep(0.001)
        taken.append(time.perf_counter() - begin)
    return taken


def all_at_once(found: Gateway, count: int) -> float:
    """Jobs per second when `count` of them are submitted first and then waited for."""
    begin = time.perf_counter()
    ids = [submit(found, number) for number in range(count)]
    while (health := found.health())["queued"] + health["running"]:
        time.sleep(0.01)
    taken = time.perf_counter() - begin
    assert all(found.job(id).state == "succeeded" for id in ids)
    return count / taken


def main() -> None:
    with gateway(workers=2) as found:
        one_by_one(found, 5)  # the fork server has imported what it needs
        alone = statistics.median(bare(SINGLE))
        each = one_by_one(found, SINGLE)
        rate = all_at_once(found, MANY)
    queued = statistics.median(each)
    added = 1000 * (queued - alone)
    ninety = 1000 * (statistics.quantiles(each, n=10)[-1] - alone)
    table(
        f"Dispatch of a trivial service ({SINGLE} jobs one by one, then {MANY} at once, 2 cores)",
        [
            ("bare call, median", f"{1000 * alone:.1f} ms", "", ""),
            (
                "through queue and engine, median",
                f"{1000 * queued:.1f} ms",
                "",
                f"{queued / alone:.1f} x the bare call",
            ),
            ("added, median", f"{added:.1f} ms", "<= 60 ms", verdict(added <= 60)),
            ("added, 9 of 10 below", f"{ninety:.1f} ms", "", ""),
            ("queued jobs done", f"{rate:.1f} /s", ">= 20 /s", verdict(rate >= 20)),
        ],
    )


if __name__ == "__main__":
    main()
