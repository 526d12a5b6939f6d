"""How far a job is, read from its events: the last state of each bar, the last lines of its log, its previews."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_LINES = 500  # of the log, on a page
MAX_READ = 8_000_000  # bytes of events that a page looks at; the rest comes over the event stream


@dataclass
class Bar:
    """A progress bar. `done` is -1 when it has ended without a known total."""

    label: str
    done: int
    total: int | None
    began: float
    seen: float

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None when nobody knows."""
        if self.done < 0:
            return 1.0
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def remaining(self) -> float | None:
        """Seconds left at the pace so far."""
        if self.share is None or not 0 < self.share < 1:
            return None
        return (self.seen - self.began) * (1 - self.share) / self.share


@dataclass
class Progress:
    """What a job told while it ran, and the offset up to which it was read."""

    bars: dict[int, Bar] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    previews: dict[str, Any] = field(default_factory=dict)
    offset: int = 0


def progress(path: Path) -> Progress:
    """Read a job's `events.jsonl`; a job that has told nothing yet has none."""
    found = Progress()
    try:
        with path.open("rb") as stream:
            chunk = stream.read(MAX_READ)
    except OSError:
        return found
    for line in chunk.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        found.offset += len(line)
        try:
            _take(found, json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue  # its writer was killed half-way
    del found.lines[:-MAX_LINES]
    return found


def _take(found: Progress, event: dict[str, Any]) -> None:
    if event["kind"] == "progress":
        bar, time = int(event["bar"]), float(event["time"])
        before = found.bars.get(bar)
        # A second attempt of the job starts its bars anew.
        began = before.began if before is not None and event["done"] != 0 else time
        found.bars[bar] = Bar(str(event["label"]), int(event["done"]), event["total"], began, time)
    elif event["kind"] == "log":
        found.lines.append(str(event["message"]))
    elif event["kind"] == "preview":
        found.previews[str(event["name"])] = event["result"]
