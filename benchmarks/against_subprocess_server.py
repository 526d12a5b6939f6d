"""Trivial jobs over REST: this gateway beside the plain way, a FastAPI server that starts a process for each job.

    python benchmarks/against_subprocess_server.py [JOBS]

Bartender, the middleware of the HADDOCK3 web application, is not on PyPI; its local scheduler works as the plain server
here does: a folder, a command in a process of its own, a state in memory. Both run the same service in the same kind of
run directory, on two cores, and are asked over HTTP by the same client in turn: JOBS are submitted one after the other
and then waited for.
"""

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
from pathlib import Path

import httpx
from gateway_bench import SERVICE, table, verdict

ROUNDS = 2
PLAIN = """
import asyncio, itertools, sys
from pathlib import Path
import uvicorn
from fastapi import FastAPI
from colonnade import runner, service

folder, port = Path(sys.argv[1]), int(sys.argv[2])
app, states, count, cores = FastAPI(), {}, itertools.count(), asyncio.Semaphore(2)
code = "import sys; from pathlib import Path; from colonnade import runner; runner.execute(Path(sys.argv[1]))"

async def work(id, directory):
    async with cores:
        states[id] = "running"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(directory))
        states[id] = "succeeded" if await process.wait() == 0 else "failed"

@app.post("/jobs")
async def submit(body: dict):
    id = str(next(count))
    found = service.get("SERVICE")
    runner.prepare(found, found.parse(body["inputs"]), folder / id)
    states[id] = "queued"
    app.state.last = asyncio.create_task(work(id, folder / id))
    tasks.add(app.state.last)
    return {"id": id}

@app.get("/left")
async def left():
    return sum(state in ("queued", "running") for state in states.values())

tasks = set()
uvicorn.run(app, port=port, log_level="error")
""".replace("SERVICE", SERVICE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def plain() -> Iterator[Callable[[int], tuple[float, list[float]]]]:
    """The plain server; gives a function that runs some jobs on it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([sys.executable, "-c", PLAIN, folder, str(port)])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            answers(client, "/left")
            try:
                yield lambda jobs: run(client, "/jobs", jobs, lambda: client.get("/left").json() == 0)
            finally:
                process.terminate()
                process.wait()


@contextmanager
def ours() -> Iterator[Callable[[int], tuple[float, list[float]]]]:
    """The gateway as `colonnade serve` starts it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "colonnade", "serve", "--port", str(port), "--data", folder]
        environment = os.environ | {"COLONNADE_WORKERS": "2"}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        while not (Path(folder) / "token").exists():
            time.sleep(0.1)
        token = (Path(folder) / "token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            answers(client, "/health/ready")

            def over() -> bool:
                found = client.get("/api/v1/jobs", params={"limit": 500}).json()["jobs"]
                return all(job["state"] == "succeeded" for job in found)

            try:
                yield lambda jobs: run(client, f"/api/v1/services/{SERVICE}/jobs", jobs, over)
            finally:
                process.terminate()
                process.wait()


def answers(client: httpx.Client, path: str) -> None:
    while True:
        try:
            if client.get(path).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)


def run(client: httpx.Client, path: str, jobs: int, over: Callable[[], bool]) -> tuple[float, list[float]]:
    """Jobs a second from the first submission to the last end, and the seconds of each submission."""
    begin, taken = time.perf_counter(), []
    for number in range(jobs):
        start = time.perf_counter()
        client.post(path, json={"inputs": {"n": number}, "again": True}).raise_for_status()
        taken.append(time.perf_counter() - start)
    while not over():
        time.sleep(0.02)
    return jobs / (time.perf_counter() - begin), taken


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    rates: dict[str, list[float]] = {"plain": [], "ours": []}
    submits: dict[str, list[float]] = {"plain": [], "ours": []}
    with plain() as there, ours() as here:
        here(4), there(4)
        for _ in range(ROUNDS):  # in turn, so that a busy moment of the machine meets both
            for name, way in (("plain", there), ("ours", here)):
                rate, taken = way(jobs)
                rates[name].append(rate)
                submits[name] += taken
    ratio = statistics.mean(rates["ours"]) / statistics.mean(rates["plain"])
    tail = {name: 1000 * statistics.quantiles(taken, n=100)[-1] for name, taken in submits.items()}
    table(
        f"Trivial jobs over REST ({ROUNDS} x {jobs} jobs each, in turn, 2 cores)",
        [
            ("plain server, a process per job", f"{statistics.mean(rates['plain']):.1f} jobs/s", "", ""),
            ("gateway", f"{statistics.mean(rates['ours']):.1f} jobs/s", "", ""),
            ("ratio", f"{ratio:.1f}", ">= 10", verdict(ratio >= 10)),
            ("plain server, submission p99", f"{tail['plain']:.0f} ms", "", ""),
            ("gateway, submission p99", f"{tail['ours']:.0f} ms", "no worse", verdict(tail["ours"] <= tail["plain"])),
        ],
    )


if __name__ == "__main__":
    main()
