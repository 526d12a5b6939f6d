"""A log of bounded size: its first and its last part."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

REFRESH = 1.0  # seconds between two writings of the last part while it keeps changing


class CappedLog:
    """Appends to a file up to a limit; past it keeps the first half and, rewritten in place, the last half.

    A full disk loses lines, never the writer.

    Args:
        path: the file; what it holds already stays and counts for nothing.
        limit: most bytes that are added.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = os.lseek(self._handle, 0, os.SEEK_END)  # where the first part ends so far
        self._half = max(limit // 2, 1)
        self._room = self._half
        self._tail = bytearray()
        self._passed = 0
        self._written = 0.0

    def write(self, chunk: bytes) -> None:
        first, rest = chunk[: self._room], chunk[self._room :]
        if first:
            self._place(first, self._end)
            self._end += len(first)
            self._room -= len(first)
        if rest:
            self._passed += len(rest)
            self._tail += rest[-self._half :]
            if len(self._tail) > 2 * self._half:
                del self._tail[: -self._half]
            if time.monotonic() - self._written > REFRESH:
                self._refresh()

    def close(self) -> None:
        self._refresh()
        os.close(self._handle)

    def _refresh(self) -> None:
        if not self._tail:
            return
        tail = bytes(self._tail[-self._half :])
        left_out = self._passed - len(tail)
        note = f"\n[... {left_out} bytes are left out here ...]\n".encode() if left_out else b""
        self._place(note + tail, self._end)
        with suppress(OSError):
            os.ftruncate(self._handle, self._end + len(note) + len(tail))
        self._written = time.monotonic()

    def _place(self, content: bytes, offset: int) -> None:
        with suppress(OSError):
            while content:
                done = os.pwrite(self._handle, content, offset)
                content, offset = content[done:], offset + done
