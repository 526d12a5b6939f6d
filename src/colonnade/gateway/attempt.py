"""The record that an attempt keeps in its run directory: its processes, and how it ended.

Whoever finds the attempt abandoned (its worker or gateway was killed) ends what is left of its processes and learns
from the record whether the work was done.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from colonnade.gateway.processes import Process, boot, descendants, host, identify

RECORD = ".attempt.json"
RUN_VARIABLE = "COLONNADE_RUN"  # marks the programs that a job starts
LEAVE = 3.0  # seconds an abandoned keeper has to end by itself, as it does when its worker is gone
CANCELLED = "The job was cancelled."
GONE = 5.0  # seconds that killed processes may take to vanish

Ending = Literal["succeeded", "failed", "cancelled", "lost", "unstarted"]


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended.

    `lost`: nobody can tell, or it was broken off through no fault of the job; `unstarted`: it did not even begin.
    """

    status: Ending
    error: str = ""
    cpu_seconds: float = 0.0
    max_rss: int = 0
    stored: int = 0  # bytes in the object store, where there is one


@dataclass
class Record:
    """What is written down of an attempt; `keeper` and `service` are its two first processes."""

    attempt: int
    keeper: Process
    service: Process | None = None
    scratch: str = ""
    outcome: Outcome | None = None
    host: str = field(default_factory=host)
    boot: str = field(default_factory=boot)

    def write(self, directory: Path) -> None:
        """Replace the record; not synced to the disk, as a power cut ends the processes too."""
        draft = directory / f"{RECORD}.{os.getpid()}"
        with suppress(OSError):  # a full disk must not keep a job from being ended
            draft.write_text(json.dumps(asdict(self)))
            draft.replace(directory / RECORD)

    @classmethod
    def read(cls, directory: Path) -> Record | None:
        try:
            found = json.loads((directory / RECORD).read_bytes())
            found["keeper"] = Process(*found["keeper"])
            found["service"] = Process(*found["service"]) if found["service"] else None
            found["outcome"] = Outcome(**found["outcome"]) if found["outcome"] else None
            return cls(**found)
        except (OSError, ValueError, TypeError, KeyError):
            return None


def settle(directory: Path, attempt: int) -> Outcome | None:
    """End whatever is left of an abandoned attempt on this machine, and say how it ended if it did.

    Returns:
        The outcome that the attempt reached before it was abandoned, or None.
    """
    record = Record.read(directory)
    if record is None:
        return None
    if (record.host, record.boot) == (host(), boot()):
        _end_processes(record, directory)
        record = Record.read(directory) or record  # the keeper may have written its last word meanwhile
    if record.scratch:
        shutil.rmtree(record.scratch, ignore_errors=True)
    return record.outcome if record.attempt == attempt else None


def _end_processes(record: Record, directory: Path) -> None:
    _until(lambda: not record.keeper.alive, LEAVE)
    if record.keeper.alive:
        for pid in [*descendants(record.keeper.pid), record.keeper.pid]:
            _kill(pid)
    deadline = time.monotonic() + GONE
    while (left := _left_of(record, directory)) and time.monotonic() < deadline:
        for process in left:
            if process.alive:
                _kill(process.pid)
        time.sleep(0.02)


def _left_of(record: Record, directory: Path) -> list[Process]:
    """Living processes of the attempt: those recorded, those that hold its directory open, those with its mark.

    A bare process number would not do as proof: it may belong to somebody else by now.
    """
    left = [process for process in (record.keeper, record.service) if process is not None and process.alive]
    mark = f"{RUN_VARIABLE}={directory.name}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _belongs(entry, mark, str(directory)):
            left.append(identify(int(entry.name)))
    return [process for process in left if process.started]


def _belongs(entry: Path, mark: bytes, directory: str) -> bool:
    with suppress(OSError):
        if mark in (entry / "environ").read_bytes().split(b"\0"):
            return True
        return any(os.readlink(handle) == directory for handle in (entry / "fd").iterdir())  # noqa: PTH115
    return False


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
