"""200 people browse, submit and watch at one gateway: no 5xx, no lost job, p95 of a page, memory.

    python benchmarks/locust_gateway.py [SECONDS] [USERS]

Starts a gateway of its own (SQLite, as many workers as there are cores), and locust in a process of its own beside it.
Prints the requests by kind, what was submitted and what has ended, and the gateway's resident memory over time.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psutil
from locust import HttpUser, between, task

PLUGIN = str(Path(__file__).parents[1] / "tests" / "gateway" / "plugin")
SERVICE = "testing.double"


class Person(HttpUser):
    """Looks around, sends a job now and then, and looks how it is."""

    wait_time = between(2, 8)

    def on_start(self) -> None:
        self.client.headers["authorization"] = f"Bearer {os.environ['BENCH_TOKEN']}"
        self.jobs: list[str] = []

    @task(6)
    def browse(self) -> None:
        path = random.choice(["/", f"/services/{SERVICE}", "/usage", "/jobs", "/workflows"])
        self.client.get(path, name=f"page {path}")

    @task(3)
    def submit(self) -> None:
        body = {"inputs": {"n": random.randrange(1_000_000)}}
        answer = self.client.post(f"/api/v1/services/{SERVICE}/jobs", json=body, name="submit")
        if answer.status_code == 201:
            self.jobs.append(answer.json()["id"])

    @task(4)
    def watch(self) -> None:
        if self.jobs:
            self.client.get(f"/jobs/{self.jobs[-1]}", name="page /jobs/ID")


def main(seconds: int, users: int) -> int:
    """Run it; 1 when a bar was missed."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join(filter(None, [PLUGIN, os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"COLONNADE_DATA": folder, "PYTHONPATH": path, "COLONNADE_PORT": "0"}
        gateway = subprocess.Popen(
            [sys.executable, "-m", "colonnade.cli", "serve"], stdout=subprocess.PIPE, text=True, env=environment
        )
        try:
            assert gateway.stdout is not None
            found = re.search(r"(http://\S+?)/\?token=(\S+)", gateway.stdout.readline())
            assert found is not None
            return _measure(gateway.pid, found[1], found[2], seconds, users)
        finally:
            gateway.send_signal(signal.SIGINT)
            gateway.wait(60)


def _measure(pid: int, url: str, token: str, seconds: int, users: int) -> int:
    client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=60)
    while client.get("/health/ready").status_code != 200:
        time.sleep(0.2)
    memory: list[float] = []
    over = threading.Event()
    threading.Thread(target=_remember, args=(pid, memory, over), daemon=True).start()
    run = subprocess.run(
        [sys.executable, "-m", "locust", "-f", __file__, "--headless", "-u", str(users), "-r", "20",
         "-t", f"{seconds}s",
         "--host", url, "--json", "--only-summary"],
        stdout=subprocess.PIPE, text=True, check=False, env=os.environ | {"BENCH_TOKEN": token},
    )  # fmt: skip
    stats = json.loads(run.stdout)
    failed = sum(item["num_failures"] for item in stats)
    sent = sum(item["num_requests"] for item in stats if item["name"] == "submit")
    for item in sorted(stats, key=lambda item: item["name"]):
        print(f"{item['name']:28} {item['num_requests']:6} requests   p50 {_share(item, 0.5):5.0f}   "
              f"p95 {_share(item, 0.95):5.0f} ms")  # fmt: skip
    pages = [item for item in stats if item["name"].startswith("page")]
    p95 = _share({"response_times": _together(pages)}, 0.95)
    while (health := client.get("/api/v1/health").json())["queued"] + health["running"]:
        time.sleep(0.5)
    over.set()
    ended = sum(row["jobs"] for row in client.get("/api/v1/usage").json() if row["outcome"] in ("succeeded", "cached"))
    third = memory[len(memory) // 3 :]
    print(f"pages p95 {p95:.0f} ms; {failed} failed requests; {sent} jobs sent, {ended} succeeded; "
          f"gateway {third[0]:.0f} MB after a third, {memory[-1]:.0f} MB at the end")  # fmt: skip
    return int(failed > 0 or ended < sent or p95 >= 250)


def _together(items: list[dict]) -> dict[str, int]:
    times: dict[str, int] = {}
    for item in items:
        for time_, count in item["response_times"].items():
            times[time_] = times.get(time_, 0) + count
    return times


def _share(item: dict, share: float) -> float:
    times = sorted((float(time_), count) for time_, count in item["response_times"].items())
    left = share * sum(count for _, count in times)
    for time_, count in times:
        left -= count
        if left <= 0:
            return time_
    return float("nan")


def _remember(pid: int, memory: list[float], over: threading.Event) -> None:
    process = psutil.Process(pid)
    while not over.wait(1.0):
        memory.append(process.memory_info().rss / 1e6)


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    sys.exit(main(*(given + [60, 200][len(given) :])))
