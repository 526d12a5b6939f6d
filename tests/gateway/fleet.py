"""Gateways, a Dask scheduler and workers as processes that look after themselves, and a clock of theirs that jumps."""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

# Wall-clock time is what the file of 8 bytes says ahead of the true one; monotonic time and pauses are left alone.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long long *ahead;
static int (*usual)(clockid_t, struct timespec *);

__attribute__((constructor)) static void set_up(void) {
    const char *path = getenv("TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) ahead = page;
    usual = dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t id, struct timespec *now) {
    if (!usual) set_up();
    int failed = usual(id, now);
    if (!failed && ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
"""


class Clock:
    """A wall clock that may be set, for the processes that are started with its environment."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("gcc")
        if compiler is None:
            pytest.skip("gcc is not installed")
        source, library = folder / "clock.c", folder / "clock.so"
        source.write_text(CLOCK)
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "TEST_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """Let it be some seconds ahead of the true time (or behind)."""
        with self._file.open("r+b") as stream:
            stream.write(struct.pack("=q", seconds))


class Fleet:
    """Processes by name; one that ends is started again, as systemd does."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = os.environ | environment
        self._commands: dict[str, tuple[list[str], dict[str, str]]] = {}
        self._running: dict[str, psutil.Popen] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_after, daemon=True)
        self._thread.start()

    def add(self, name: str, *arguments: str, **variables: str) -> None:
        """Run `python -m ARGUMENTS` from now on."""
        self._commands[name] = ([sys.executable, "-m", *arguments], variables)

    def _look_after(self) -> None:
        while not self._over.wait(0.2):
            for name, (command, variables) in list(self._commands.items()):
                found = self._running.get(name)
                if found is None or found.poll() is not None:
                    environment = self._environment | variables
                    self._running[name] = psutil.Popen(
                        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                    )

    def kill(self, name: str) -> None:
        with suppress(psutil.NoSuchProcess, KeyError):
            self._running[name].kill()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        for process in self._running.values():
            with suppress(psutil.NoSuchProcess):
                family = [*process.children(recursive=True), process]
                for member in family:
                    with suppress(psutil.NoSuchProcess):
                        member.kill()
            process.wait()


@contextmanager
def small_disk(folder: Path, size: str = "48m") -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "colonnade-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Use up a file system's room; removing what is returned gives it back."""
    ballast = folder / f"ballast-{random.randrange(1 << 30)}"
    with suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    return ballast


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def variables(options: dict[str, Any]) -> dict[str, str]:
    """Settings of a gateway as environment."""
    return {f"COLONNADE_{name.upper()}": str(value) for name, value in options.items()}
