"""Trivial jobs over REST: this gateway beside the plain way, a FastAPI server that starts a process for each job.

    python benchmarks/against_subprocess_server.py [JOBS]

The plain server keeps its jobs in memory, and forgets them when it ends. Both run the same service in the same kind of
run directory, on two cores, and are asked over HTTP by the same client in turn: JOBS are submitted one after the other
and then waited for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from gateway_bench import SERVICE
from rest_bench import EXECUTE, Server, answers, compare, free_port, in_turn, ours

ROUNDS = 3
PLAIN = f"""
import asyncio, itertools, sys
from pathlib import Path
import uvicorn
from fastapi import FastAPI
from colonnade import runner, service

folder, port = Path(sys.argv[1]), int(sys.argv[2])
app, states, count, cores, tasks = FastAPI(), {{}}, itertools.count(), asyncio.Semaphore(2), set()
code = {EXECUTE!r}

async def work(id, directory):
    async with cores:
        states[id] = "running"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(directory))
        states[id] = "succeeded" if await process.wait() == 0 else "failed"

@app.post("/jobs")
async def submit(body: dict):
    id = str(next(count))
    found = service.get({SERVICE!r})
    runner.prepare(found, found.parse(body["inputs"]), folder / id)
    states[id] = "queued"
    tasks.add(asyncio.create_task(work(id, folder / id)))
    return {{"id": id}}

@app.get("/states")
async def all_states():
    return states

uvicorn.run(app, port=port, log_level="error")
"""


@contextmanager
def plain() -> Iterator[Server]:
    """The plain server."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([sys.executable, "-c", PLAIN, folder, str(port)], env=os.environ)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            answers(client, "/states")

            def submit(number: int) -> None:
                client.post("/jobs", json={"inputs": {"n": number}}).raise_for_status()

            def states() -> list[str]:
                return list(client.get("/states").json().values())

            def check() -> None:
                assert set(states()) == {"succeeded"}

            try:
                yield Server(submit, lambda: sum(state in ("queued", "running") for state in states()), check)
            finally:
                process.terminate()
                process.wait()


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with plain() as there, ours() as here:
        servers = {"plain server": there, "gateway": here}
        in_turn(servers, jobs, ROUNDS)
    compare(
        f"Trivial jobs over REST ({ROUNDS} x {jobs} jobs each, in turn, {len(os.sched_getaffinity(0))} cores)",
        servers,
        "gateway",
        {"plain server": 10},
    )


if __name__ == "__main__":
    main()
