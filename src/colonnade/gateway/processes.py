"""Processes of this machine, named so that a reused number is never mistaken for the one that was meant."""

from __future__ import annotations

import ctypes
import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")


class Process(NamedTuple):
    """A process by its number and its start time in clock ticks since boot (0: it does not exist)."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return self.started != 0 and identify(self.pid) == self


@cache
def host() -> str:
    return socket.gethostname()


@cache
def boot() -> str:
    """What tells this boot of the machine (or of its container's host) from any other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Process:
    """The process that has this number now; a zombie counts as gone."""
    fields = _stat(pid)
    return Process(pid, int(fields[19])) if fields and fields[0] not in (b"Z", b"X") else Process(pid, 0)


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(root: int) -> list[int]:
    """All living processes below `root`, parents before their children."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        for child in children(waiting.pop()):
            found.append(child)
            waiting.append(child)
    return found


def children(pid: int) -> list[int]:
    """The living (or not yet collected) processes that `pid` is the parent of."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError, NotADirectoryError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  (plain names, in a loop that runs often)
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return found


class Use(NamedTuple):
    """What some processes hold and have used."""

    memory: int
    cpu_seconds: float


def usage(pids: list[int]) -> Use:
    """Resident memory (shared pages counted in each) and CPU time of some processes together."""
    pages = ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            pages += int(fields[21])
            ticks += int(fields[11]) + int(fields[12])
    return Use(pages * PAGE, ticks / TICKS)


def proportional_memory(pids: list[int]) -> int:
    """Resident memory of some processes, with shared pages divided among those who share them."""
    total = 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
                if line.startswith(b"Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since boot."""
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_bytes().splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


def prctl(option: int, value: int) -> None:
    """Call prctl(2).

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
