"""Gateways, a Dask scheduler and workers as processes that look after themselves, and a clock of theirs that jumps."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


class Clock:
    """A wall clock that may be set; monotonic time goes on as it does."""

    def __init__(self, folder: Path) -> None:
        if not Path(LIBRARY).exists():
            pytest.skip("libfaketime is not installed (Debian package faketime)")
        self._file = folder / "clock"
        self.set(0)
        self.environment = {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: int) -> None:
        """Let it be some seconds ahead of the true time (or behind)."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{seconds:+d}")
        draft.replace(self._file)


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
                    self._running[name] = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL)

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
