"""What the gateway's benchmarks share: a trivial service, a gateway over a temporary folder, a table of results."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLUGIN = str(Path(__file__).parents[1] / "tests/gateway/plugin")
# The trivial service comes from the tests' example package, here and in the processes that run jobs.
sys.path.insert(0, PLUGIN)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PLUGIN, os.environ.get("PYTHONPATH")]))

from colonnade.gateway.core import Gateway  # noqa: E402
from colonnade.gateway.settings import Settings  # noqa: E402

SERVICE = "testing.double"


@contextmanager
def gateway(workers: int = 2) -> Iterator[Gateway]:
    """A gateway that runs, with nothing in it."""
    with tempfile.TemporaryDirectory(prefix="colonnade-bench-") as folder:
        found = Gateway(Settings(data=Path(folder), workers=workers, scheduler="local", database=""))
        found.start()
        while found.health()["engine"] != "ready":
            time.sleep(0.02)
        try:
            yield found
        finally:
            found.stop()


def table(title: str, rows: list[tuple[str, str, str, str]]) -> None:
    """Print (what, measured, goal, whether it is reached)."""
    print(f"\n{title}")
    head = ("", "measured", "goal", "")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"
