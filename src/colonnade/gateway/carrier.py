"""On a worker that shares no folder with the gateway: fetch a job, run it, store what it leaves."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from colonnade.errors import ColonnadeError
from colonnade.gateway import child
from colonnade.gateway.attempt import Outcome
from colonnade.gateway.order import Order
from colonnade.gateway.storage import Storage, patiently, snapshot, tree

log = logging.getLogger(__name__)

TOPIC = "colonnade-events"  # on which the scheduler hands a job's events to its gateway
LOOK = 0.5  # seconds between two looks at what a job has written
SICK = 5.0  # seconds that a worker without room holds a job back: another one may have room
MAX_NEWS = 1 << 20  # bytes of events that are sent at once
RESULTS = ("result.json", "files", "events.jsonl", "log.txt")
STATE = ("checkpoint.npz", "files", "events.jsonl")


@dataclass(frozen=True)
class Carriage:
    """Where a run's files are, and how long to wait for the store; never handed to the job's own processes."""

    storage: Storage
    run: str
    patience: float


def run(order: Order, carriage: Carriage) -> Outcome:
    """The Dask task of one attempt whose files come and go through the store."""
    here = Path(tempfile.mkdtemp(prefix="colonnade-run-"))
    directory = here / carriage.run  # the name marks the job's processes
    directory.mkdir(mode=0o700)
    try:
        patiently(lambda: carriage.storage.fetch(carriage.run, directory, _start), carriage.patience)
        with _Watch(order, carriage, directory):
            outcome = child.run(replace(order, directory=directory))
        if outcome.status in ("lost", "unstarted"):
            return outcome
        kept = tree(directory, *RESULTS)
        keep = carriage.storage.keep
        stored = patiently(lambda: keep(carriage.run, order.attempt, kept), carriage.patience)
        return replace(outcome, stored=stored)
    except (ColonnadeError, OSError) as error:
        log.warning("%s could not be carried (%s).", order.key, error)
        time.sleep(SICK)
        return Outcome("lost", f"The worker could not fetch or store the job's files: {error}")
    finally:
        shutil.rmtree(here, ignore_errors=True)


def _start(lists: list[str]) -> list[str]:
    """What an attempt starts from: the request, and the last checkpoint of an earlier attempt."""
    return [*lists[:1], *[name for name in lists if name.endswith(".part")][-1:]]


class _Watch:
    """A thread that sends a job's events and stores its checkpoints while it runs."""

    def __init__(self, order: Order, carriage: Carriage, directory: Path) -> None:
        self._order = order
        self._carriage = carriage
        self._directory = directory
        self._ended = threading.Event()
        self._send = _sender(order.key)
        self._sent = 0
        self._kept = 0  # when the last stored checkpoint was written
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        with suppress(OSError):
            self._kept = (self._directory / "checkpoint.npz").stat().st_mtime_ns
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._news()

    def _run(self) -> None:
        while not self._ended.wait(LOOK):
            self._news()
            try:
                self._checkpoint()
            except (ColonnadeError, OSError) as error:  # the next one will do
                log.warning("A checkpoint of %s could not be stored (%s).", self._order.key, error)

    def _news(self) -> None:
        with suppress(OSError), (self._directory / "events.jsonl").open("rb") as stream:
            stream.seek(self._sent)
            while chunk := stream.read(MAX_NEWS):
                self._send(self._sent, chunk)
                self._sent += len(chunk)

    def _checkpoint(self) -> None:
        try:
            written = (self._directory / "checkpoint.npz").stat().st_mtime_ns
        except OSError:
            return
        if written == self._kept:
            return
        with tempfile.TemporaryDirectory(dir=self._directory.parent) as folder:
            copies = snapshot(self._directory, Path(folder), *STATE)
            if "checkpoint.npz" in copies:
                self._carriage.storage.keep(self._carriage.run, self._order.attempt, copies, part=True)
                self._kept = written


def _sender(key: str) -> Callable[[int, bytes], None]:
    from distributed import get_worker

    worker = get_worker()

    def send(offset: int, chunk: bytes) -> None:
        worker.log_event(TOPIC, {"key": key, "offset": offset, "text": chunk.decode("latin-1")})

    return send


def write_down(directory: Path, offset: int, text: str) -> None:
    """Put events that a worker sent where those of a local job would be."""
    path = directory / "events.jsonl"
    # The job may have been deleted, or the disk is full: the stored events are whole.
    with suppress(OSError), path.open("r+b" if path.exists() else "wb") as stream:
        stream.seek(offset)
        stream.write(text.encode("latin-1"))
        if offset == 0:  # another attempt that starts afresh
            stream.truncate()
