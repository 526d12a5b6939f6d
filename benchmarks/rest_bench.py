"""What the benchmarks over REST share: the gateway as `colonnade serve` starts it, and jobs sent to servers in turn."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from gateway_bench import SERVICE, table, verdict

LOOK = 0.1  # seconds between two looks at what is left
EXECUTE = "import sys; from pathlib import Path; from colonnade import runner; runner.execute(Path(sys.argv[1]))"


@dataclass
class Server:
    """A server under test.

    Attributes:
        submit: sends one job, by its number.
        left: how many jobs have not ended.
        check: called at the end of a round; raises when a job did not succeed.
        rates: jobs a second of each round, from the first submission to the last end.
        submits: seconds that each submission took.
    """

    submit: Callable[[int], None]
    left: Callable[[], int]
    check: Callable[[], None] = lambda: None
    rates: list[float] = field(default_factory=list)
    submits: list[float] = field(default_factory=list)

    def round(self, jobs: int, count: bool = True) -> None:
        begin, taken = time.perf_counter(), []
        for number in range(jobs):
            start = time.perf_counter()
            self.submit(number)
            taken.append(time.perf_counter() - start)
        while self.left():
            time.sleep(LOOK)
        rate = jobs / (time.perf_counter() - begin)
        self.check()
        if count:
            self.rates.append(rate)
            self.submits += taken

    @property
    def rate(self) -> float:
        return statistics.mean(self.rates)

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return 1000 * statistics.quantiles(self.submits, n=100)[-1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(client: httpx.Client, path: str) -> None:
    while True:
        try:
            if client.get(path).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)


@contextmanager
def ours(workers: int = 2, database: str = "") -> Iterator[Server]:
    """The gateway as `colonnade serve` starts it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "colonnade.cli", "serve", "--port", str(port), "--data", folder]
        environment = os.environ | {"COLONNADE_WORKERS": str(workers), "COLONNADE_DATABASE": database}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        while not (Path(folder) / "token").exists():
            assert process.poll() is None
            time.sleep(0.1)
        token = (Path(folder) / "token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            answers(client, "/health/ready")

            def submit(number: int) -> None:
                body = {"inputs": {"n": number}, "again": True}
                client.post(f"/api/v1/services/{SERVICE}/jobs", json=body).raise_for_status()

            def left() -> int:
                health = client.get("/api/v1/health").json()
                return int(health["queued"] + health["running"])

            def check() -> None:
                assert {row["outcome"] for row in client.get("/api/v1/usage").json()} == {"succeeded"}

            try:
                yield Server(submit, left, check)
            finally:
                process.terminate()
                process.wait()


def in_turn(servers: dict[str, Server], jobs: int, rounds: int) -> None:
    """Rounds in turn, so that a busy moment of the machine meets all."""
    for server in servers.values():
        server.round(8, count=False)
    for _ in range(rounds):
        for server in servers.values():
            server.round(jobs)


def compare(title: str, servers: dict[str, Server], mine: str, goals: dict[str, float]) -> None:
    """Print rates and submissions of all, and the ratio of ours to each; `goals`: the least ratio, by name."""
    rows = [(name, f"{server.rate:.1f} jobs/s", "", "") for name, server in servers.items()]
    for name, server in servers.items():
        if name == mine:
            continue
        ratio, goal = servers[mine].rate / server.rate, goals.get(name)
        told = ("", "") if goal is None else (f">= {goal:g}", verdict(ratio >= goal))
        rows.append((f"{mine} / {name}", f"{ratio:.1f}", *told))
    rows += [(f"{name}, submission p99", f"{server.p99:.0f} ms", "", "") for name, server in servers.items()]
    best = min(server.p99 for name, server in servers.items() if name in goals)
    rows.append(
        (f"{mine}, submission p99", f"{servers[mine].p99:.0f} ms", "no worse", verdict(servers[mine].p99 <= best))
    )
    table(title, rows)
