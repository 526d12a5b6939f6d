"""All that a running service sees of the outside: its folder, its seed, progress, logs, fan-out, checkpoints."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from colonnade.results import Artifact, Figure, Table, plain

if TYPE_CHECKING:
    import numpy as np

Event = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")

PROGRESS_INTERVAL = 0.1  # seconds between two progress events of one bar
PREVIEW_INTERVAL = 0.5  # seconds between two previews of one name: they can be large
MAX_LOG = 4_000  # characters of one log line


class Job:
    """One run of one service, in one directory.

    Attributes:
        directory: the run directory; what the service writes belongs in `files`.
        files: folder of result files.
        seed: the only source of randomness (see `rng`).
        cores: how many cores the job may use.
    """

    def __init__(
        self,
        directory: Path,
        seed: int = 0,
        cores: int = 1,
        observer: Callable[[Event], None] | None = None,
    ) -> None:
        self.directory = directory
        self.files = directory / "files"
        self.seed = seed
        self.cores = cores
        self._observer = observer
        self._bars = 0
        self._previewed: dict[str, float] = {}
        self._waiting: dict[str, Figure | Table] = {}
        self.files.mkdir(parents=True, exist_ok=True)
        self._events = (directory / "events.jsonl").open("ab", buffering=0)

    def close(self) -> None:
        while self._waiting:
            self._show(*self._waiting.popitem())
        self._events.close()

    def rng(self) -> np.random.Generator:
        """A generator that gives the same numbers for the same seed."""
        import numpy as np

        return np.random.default_rng(self.seed)

    def seeds(self, count: int) -> list[int]:
        """Independent seeds, one for each of `count` parts of the work, whatever process does them."""
        import numpy as np

        sequence = np.random.SeedSequence(self.seed)
        return [int(child.generate_state(1, np.uint64)[0] >> 1) for child in sequence.spawn(count)]

    # --- what the outside sees -------------------------------------------------------------------

    def log(self, message: str) -> None:
        """Tell the user something, in one line."""
        self._emit({"kind": "log", "message": str(message)[:MAX_LOG]})

    def track(self, items: Iterable[T], label: str = "Working", total: int | None = None) -> Iterator[T]:
        """Go through `items` while the user sees how far it is."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        report = self.bar(label, total)
        for done, item in enumerate(items):
            report(done)
            yield item
        report(total if total is not None else -1)

    def bar(self, label: str, total: int | None = None) -> Callable[[int], None]:
        """A progress bar that is moved by hand: call the answer with the number of steps done (-1: all)."""
        self._bars += 1
        bar, last = self._bars, -1.0

        def report(done: int) -> None:
            nonlocal last
            now = time.monotonic()
            if 0 <= done != total and now - last < PROGRESS_INTERVAL:
                return
            last = now
            self._emit({"kind": "progress", "bar": bar, "label": label, "done": done, "total": total})

        return report

    def preview(self, result: Figure | Table | Any, name: str = "preview") -> None:
        """Show an intermediate plot or table while the job runs; a later one of the same name replaces it.

        Call it as often as you like: of many within half a second only the first is sent, and at the end the last.
        """
        shown = result if isinstance(result, Figure | Table) else Figure.of(result)
        if time.monotonic() - self._previewed.get(name, -PREVIEW_INTERVAL) < PREVIEW_INTERVAL:
            self._waiting[name] = shown
            return
        self._waiting.pop(name, None)
        self._show(name, shown)
        self._previewed[name] = time.monotonic()

    def _show(self, name: str, shown: Figure | Table) -> None:
        self._emit({"kind": "preview", "name": name, "result": plain(shown)})

    def _emit(self, event: Event) -> None:
        event = {"time": round(time.time(), 3)} | event
        self._events.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")
        if self._observer is not None:
            self._observer(event)

    # --- work ------------------------------------------------------------------------------------

    def map(self, function: Callable[[T], R], items: Sequence[T], label: str = "Working") -> list[R]:
        """`[function(item) for item in items]`, on the cluster when there is one, else on `cores` processes.

        `function` lives at the top of an importable module. Results keep the order of `items`.
        """
        from colonnade.fanout import fan_out

        report = self.bar(label, len(items))
        results: list[R] = []
        report(0)
        with closing(fan_out(function, items, self.cores)) as found:
            for result in found:
                results.append(result)
                report(len(results))
        return results

    def artifact(
        self, name: str, content: str | bytes | None = None, *, title: str = "", media_type: str | None = None
    ) -> Artifact:
        """Describe (and with `content`, write) a result file in `files`."""
        path = self.files / name
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        kind = {} if media_type is None else {"media_type": media_type}
        return Artifact(file=name, title=title or name, **kind)

    # --- checkpoints -----------------------------------------------------------------------------

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Keep `state` (numpy arrays, and values that JSON can hold) so that `resume` finds it after a crash."""
        import numpy as np

        arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
        rest = {name: value for name, value in state.items() if name not in arrays}
        buffer = io.BytesIO()
        stored: dict[str, Any] = {f"array.{name}": value for name, value in arrays.items()}
        np.savez(buffer, json=json.dumps(rest), **stored)
        replace_file(self.directory / "checkpoint.npz", buffer.getvalue())

    def resume(self) -> dict[str, Any] | None:
        """The last checkpoint of an earlier attempt of this job, or None."""
        import numpy as np

        path = self.directory / "checkpoint.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as stored:
            state: dict[str, Any] = json.loads(str(stored["json"]))
            for name in stored.files:
                if name.startswith("array."):
                    state[name.removeprefix("array.")] = stored[name]
        return state


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new content whole, also after a power cut."""
    # Named for the thread too: two threads of a gateway may write the same report.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
