"""What the tests of the gateway use: the services of `plugin/`, settings, and ways to wait.

Importing it installs those services, here and in every process started from here.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from colonnade import runner, service
from colonnade.gateway.core import Gateway
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import JobRow

T = TypeVar("T")
PLUGIN = str(Path(__file__).parent / "plugin")
ADDRESS = "http://127.0.0.1:8000"
PATIENCE = 180.0  # seconds after which a test gives up waiting; never a measure of speed

if PLUGIN not in sys.path:
    sys.path.insert(0, PLUGIN)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PLUGIN, os.environ.get("PYTHONPATH")]))
    service._load.cache_clear()
    service._distributions.cache_clear()


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for a condition and return what it gave."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {patience:.0f} s")


def submit(gateway: Gateway, name: str, *, again: bool = True, seed: int = 0, **inputs: Any) -> JobRow:
    found = service.get(name)
    return gateway.submit(found, found.parse(inputs, gateway.files), again=again, seed=seed)


def ended(gateway: Gateway, id: str) -> JobRow:
    """Wait for the end of a job."""

    def final() -> JobRow | None:
        row = gateway.job(id)
        return row if row.final else None

    return until(final, f"the end of job {id}")


def in_state(gateway: Gateway, id: str, state: str) -> JobRow:
    until(lambda: gateway.job(id).state == state, f"job {id} {state}")
    return gateway.job(id)


def value(gateway: Gateway, id: str) -> float:
    run = runner.load(gateway.directory(id))
    assert run.status == "succeeded", run.error
    return run.outputs["value"]["value"]


def settings(folder: Path, **options: Any) -> Settings:
    """Settings for a test, whatever this machine's environment says."""
    common = {"data": folder, "workers": 2, "poll": 0.2, "heartbeat": 0.5, "cancel_grace": 0.5, "scheduler": "local"}
    return Settings(**(common | {"database": "", "log_limit": 200_000, "file_limit": 50_000_000} | options))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in a thread of its own: a browser test may have left its event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
