"""Reading a job's `events.jsonl` while it grows."""

from __future__ import annotations

import json
from pathlib import Path

from colonnade.job import Event

MAX_READ = 4_000_000  # bytes after which one reading ends


def grown(path: Path, start: int) -> bool:
    """Whether there is anything behind the offset; cheap enough to ask often."""
    try:
        return path.stat().st_size > start
    except OSError:
        return False


def tail(path: Path, start: int) -> list[tuple[int, Event]]:
    """The whole events after the byte offset `start`, each with the offset behind it.

    A line that is not an event (its writer was killed half-way) is passed over.
    """
    found: list[tuple[int, Event]] = []
    end = start
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            while end - start < MAX_READ and (line := stream.readline()).endswith(b"\n"):
                end += len(line)
                event = _event(line)
                if event is not None:
                    found.append((end, event))
    except OSError:
        pass  # not there yet, or deleted meanwhile
    return found


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
