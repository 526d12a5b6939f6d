"""Progress of a run: a live bar with the time left in a terminal, plain lines elsewhere, nothing when it is not wanted.

`Observer` takes the events of a run, which are the same whether it runs here or on a gateway.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

PLAIN_INTERVAL = 5.0  # seconds between two plain lines of one bar


class Observer(Protocol):
    """Shows events while it is entered."""

    def __call__(self, event: dict[str, Any]) -> None: ...
    def __enter__(self) -> Observer: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def observer(console: Console, *, silent: bool = False) -> Observer:
    """The observer that suits where the messages go.

    Args:
        console: where to, usually standard error.
        silent: show nothing.
    """
    if silent:
        return Silent()
    return Live(console) if console.is_terminal else Plain(console)


class Silent:
    """Shows nothing."""

    def __call__(self, event: dict[str, Any]) -> None:
        pass

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *ended: object) -> None:
        pass


class Live(Silent):
    """Bars that move, messages above them."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._bars: dict[int, TaskID] = {}

    def __enter__(self) -> Observer:
        self._progress.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._progress.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        if event["kind"] == "log":
            self._progress.console.print(Text(event["message"]))
        elif event["kind"] == "progress":
            bar = event["bar"]
            if bar not in self._bars:
                self._bars[bar] = self._progress.add_task(event["label"], total=event["total"])
            total, done = event["total"], event["done"]
            if done < 0:  # the end of a bar whose length nobody knew
                task = next(task for task in self._progress.tasks if task.id == self._bars[bar])
                total = done = max(task.completed, 1)
            self._progress.update(self._bars[bar], completed=done, total=total)


class Plain(Silent):
    """A line for every message, and now and then one for a bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[int, float] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        if event["kind"] == "log":
            self._say(event["message"])
        elif event["kind"] == "progress":
            bar, done, total = event["bar"], event["done"], event["total"]
            ended = done < 0 or done == total
            now = time.monotonic()
            if ended or now - self._shown.get(bar, -PLAIN_INTERVAL) >= PLAIN_INTERVAL:
                self._shown[bar] = now
                of = f" of {total}" if total is not None else ""
                self._say(f"{event['label']}: {'done' if done < 0 else f'{done}{of}'}")

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)
