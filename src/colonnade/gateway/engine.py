"""Where jobs run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from colonnade.gateway.queue import Claim
from colonnade.gateway.settings import Settings

Status = Literal["starting", "ready", "lost", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended; `lost` when nobody can tell because its worker is gone."""

    claim: Claim
    status: Literal["succeeded", "failed", "cancelled", "lost"]
    error: str = ""
    cpu_seconds: float = 0.0
    max_rss: int = 0


class Engine:
    """Runs claimed jobs, each in a process of its own, and reports how they ended."""

    def __init__(self, settings: Settings, report: Callable[[Outcome], None], changed: Callable[[], None]) -> None:
        self.status: Status = "starting"
        self.cores = 0
        self._settings = settings
        self._report = report
        self._changed = changed
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        self.cores, self.status = self._settings.workers, "ready"
        self._changed()

    def stop(self) -> None:
        self.status, self.cores = "stopped", 0
        for process in list(self._running.values()):
            process.kill()

    def submit(self, claim: Claim, directory: Path) -> None:
        threading.Thread(target=self._run, args=(claim, directory), daemon=True).start()

    def cancel(self, key: str) -> None:
        process = self._running.get(key)
        if process is not None:
            process.kill()

    def _run(self, claim: Claim, directory: Path) -> None:
        code = "import sys, pathlib; from colonnade.runner import execute; execute(pathlib.Path(sys.argv[1]))"
        with (directory / "log.txt").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", code, str(directory)], stdout=log, stderr=log)
            self._running[claim.key] = process
            process.wait()
            del self._running[claim.key]
        if self.status == "stopped":
            self._report(Outcome(claim, "lost"))
        elif process.returncode != 0:
            self._report(Outcome(claim, "cancelled", "The job was cancelled."))
        else:
            result = json.loads((directory / "result.json").read_bytes())
            self._report(Outcome(claim, result["status"], result.get("error", "")))
