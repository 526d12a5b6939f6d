"""Memory of an idle gateway, all its processes together, and the seconds until it serves.

    python benchmarks/idle.py

With the web half installed this is `colonnade serve` until its first answer over HTTP; else the queue and the engine
alone (`python -m colonnade.gateway`) until it says that it runs jobs. Memory is the proportional set size: a page
that several processes share counts once. It is read some seconds after the engine is up.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from gateway_bench import table, verdict

SETTLE = 15.0  # seconds after the start at which the gateway is idle
PROCESSES = 4  # gateway, Dask worker, fork server and the keeper in waiting: fewer, and the engine is not up yet


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serving(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=1.0).status_code < 500
    except httpx.HTTPError:
        return False


def start(data: Path, web: bool) -> tuple[psutil.Popen, float]:
    """Start a gateway and wait until it serves; returns it and the seconds that took."""
    port = free_port()
    environment = os.environ | {"COLONNADE_DATA": str(data), "COLONNADE_PORT": str(port), "COLONNADE_WORKERS": "2"}
    command = ["-c", "from colonnade.cli import main; main()", "serve"] if web else ["-m", "colonnade.gateway"]
    begin = time.perf_counter()
    process = psutil.Popen([sys.executable, *command], env=environment, stdout=subprocess.PIPE, text=True)
    if web:
        while not serving(port):
            assert process.poll() is None, "the gateway ended"
            time.sleep(0.02)
    else:
        assert process.stdout.readline().startswith("Running jobs")
    return process, time.perf_counter() - begin


def stop(process: psutil.Popen) -> None:
    process.terminate()
    process.wait(30)


def memory(process: psutil.Process) -> list[tuple[str, float]]:
    """What each process of a gateway is, and its proportional set size in MB."""
    found = []
    for member in [process, *process.children(recursive=True)]:
        command = " ".join(member.cmdline())
        kinds = {"resource_tracker": "resource tracker", "spawn_main": "Dask worker", "forkserver": "forked from there"}
        kind = next((name for word, name in kinds.items() if word in command), "gateway")
        found.append((kind, member.memory_full_info().pss / 1e6))
    return found


def main() -> None:
    web = importlib.util.find_spec("colonnade.gateway.app") is not None
    with tempfile.TemporaryDirectory(prefix="colonnade-bench-") as folder:
        process, first = start(Path(folder), web)
        stop(process)
        process, again = start(Path(folder), web)
        deadline = time.monotonic() + 4 * SETTLE
        while len(process.children(recursive=True)) < PROCESSES and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(SETTLE)
        before = sum(member.cpu_times().user for member in [process, *process.children(recursive=True)])
        time.sleep(SETTLE)
        after = sum(member.cpu_times().user for member in [process, *process.children(recursive=True)])
        members = memory(process)
        stop(process)
    total = sum(size for _, size in members)
    table(
        "An idle gateway (" + ("colonnade serve" if web else "queue and engine alone, without the web") + ", 2 cores)",
        [
            *((kind, f"{size:.0f} MB", "", "") for kind, size in members),
            ("all processes", f"{total:.0f} MB", "< 300 MB", verdict(total < 300)),
            ("processor when idle", f"{100 * (after - before) / SETTLE:.1f} %", "", ""),
            ("serving, first start", f"{first:.2f} s", "< 3 s", verdict(first < 3)),
            ("serving, later start", f"{again:.2f} s", "< 3 s", verdict(again < 3)),
        ],
    )


if __name__ == "__main__":
    main()
