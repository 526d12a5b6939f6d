"""Inside a Dask worker: one process per job, forked from a warm server, and the way to reach those that run."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import multiprocessing.util
import os
import signal
import sys
import threading
import time
import types
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from colonnade.gateway import enclosure, processes
from colonnade.gateway.attempt import CANCELLED, Outcome, settle
from colonnade.gateway.keeper import keep
from colonnade.gateway.order import Order
from colonnade.gateway.service_process import clean_environment

log = logging.getLogger(__name__)
MAX_REFUSED = 10_000
ENDS_VARIABLE = "COLONNADE_ENDS"  # set in an allocation of a batch system: when its time is over


@dataclass(frozen=True)
class Line:
    """A keeper's process and the pipe to it."""

    pid: int
    pipe: Connection


class Jobs:
    """The jobs that this worker runs, by key. One of them exists in each worker process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Line] = {}
        self._spare: Line | None = None  # forked in advance: the next job need not wait for it
        self._refused: dict[str, None] = {}
        self._closed = False
        self.ends = float("inf")  # when the batch system takes the worker away, in seconds since the epoch

    def run(self, order: Order) -> Outcome:
        """Run one attempt to its end; blocks the calling thread."""
        if order.isolate != "off" and not enclosure.available():
            if order.isolate == "required":
                return Outcome("failed", enclosure.MISSING)
            order = replace(order, isolate="off")
        with self._lock:
            if time.time() + order.limits.walltime > self.ends:
                _leave()
                return Outcome("unstarted", "The worker's own time is nearly over.")
            if self._closed:
                return Outcome("lost", "The worker stopped.")
            if order.key in self._refused:
                return Outcome("cancelled", CANCELLED)
            line = self._give(order)
            self._running[order.key] = line
        threading.Thread(target=self.prepare, daemon=True).start()
        try:
            outcome: Outcome = line.pipe.recv()
            return outcome
        except (EOFError, OSError):
            return self._after_loss(order)
        finally:
            with self._lock:
                del self._running[order.key]
            # The keeper is not waited for: it is the fork server's child, and its last word has been heard.
            line.pipe.close()

    def _give(self, order: Order) -> Line:
        """Hand the order to the keeper that waits, or to a new one."""
        line, self._spare = self._spare, None
        if line is not None:
            try:
                line.pipe.send(order)
                return line
            except OSError:  # it was killed while it waited
                line.pipe.close()
        line = _start_keeper()
        line.pipe.send(order)
        return line

    def prepare(self) -> None:
        """Have a keeper ready for the next job."""
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = _start_keeper()

    def tell(self, key: str, word: str) -> None:
        """Send a word ("cancel", "stop") to a job; one that has not started yet never will."""
        with self._lock:
            found = self._running.get(key)
            if found is not None:
                with suppress(OSError):
                    found.pipe.send(word)
            else:
                self._refused[key] = None
                if len(self._refused) > MAX_REFUSED:
                    del self._refused[next(iter(self._refused))]

    def close(self) -> None:
        """End every job and start no more."""
        with self._lock:
            self._closed = True
            for line in self._running.values():
                with suppress(OSError):
                    line.pipe.send("stop")
            if self._spare is not None:
                self._spare.pipe.close()

    def _after_loss(self, order: Order) -> Outcome:
        """A keeper died without a word: end what it kept."""
        log.warning("The keeper of %s was lost.", order.key)
        found = settle(order.directory, order.attempt)
        with self._lock:
            others = [line for key, line in self._running.items() if key != order.key]
            _end_orphans({line.pid for line in [*others, self._spare] if line is not None})
        return found or Outcome("lost", "The keeper was lost.")


def _start_keeper() -> Line:
    for _ in range(2):
        with suppress(EOFError, OSError):  # the fork server was killed this moment; the next call starts another
            return _fork_keeper()
    return _fork_keeper()


def _fork_keeper() -> Line:
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=keep, args=(theirs,), name="keeper")
    with theirs:
        process.start()
    return Line(process.pid or 0, ours)


def _end_orphans(known: set[int]) -> None:
    """Kill what has become the worker's own child because its keeper died: nothing else can be there."""
    server: Any = multiprocessing.forkserver._forkserver
    tracker: Any = multiprocessing.resource_tracker._resource_tracker
    known = {*known, server._forkserver_pid, tracker._pid}
    for _ in range(100):
        orphans = [pid for pid in processes.children(os.getpid()) if pid not in known]
        if not orphans:
            return
        for orphan in orphans:
            for pid in [*processes.descendants(orphan), orphan]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(orphan, 0)


def _leave() -> None:
    """Close this worker once the scheduler has heard what its task gave back."""
    from distributed import get_worker

    worker = get_worker()
    worker.loop.add_callback(worker.loop.call_later, 1.0, worker.close_gracefully)


_jobs = Jobs()


def run(order: Order) -> Outcome:
    """The Dask task of one attempt."""
    return _jobs.run(order)


def tell(key: str, word: str) -> None:
    """Called on every worker to reach the one that runs a job."""
    _jobs.tell(key, word)


def tell_all(keys: list[str], word: str) -> None:
    """Called on every worker to reach several jobs."""
    for key in keys:
        _jobs.tell(key, word)


def close() -> None:
    """Called on a worker before it stops for good."""
    _jobs.close()


@dataclass
class Warm:
    """A Dask worker plugin: makes the worker a place where jobs can be forked.

    Args:
        preload: further modules to import before the fork.
        pass_environment: further variables that jobs may see.
    """

    preload: tuple[str, ...] = ()
    pass_environment: tuple[str, ...] = ()
    name: str = "colonnade-warm"

    def setup(self, worker: Any) -> None:
        # The fork server and all its children run in this environment, and it alone is what /proc shows of them.
        _jobs.ends = float(os.environ.get(ENDS_VARIABLE, "inf"))
        kept = clean_environment(os.environ, self.pass_environment)
        os.environ.clear()
        os.environ.update(kept)
        if kept.get("PYTHONPATH"):  # jobs run in folders of their own, where a relative one means something else
            folders = kept["PYTHONPATH"].split(os.pathsep)
            os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(folder).absolute()) for folder in folders if folder)
        os.environ["PYTHONHASHSEED"] = "0"  # the order of a set is then the same in every run of a job
        # Otherwise every child would run the program that started the gateway again, under another name.
        sys.modules["__main__"] = types.ModuleType("__main__")
        processes.prctl(processes.PR_SET_CHILD_SUBREAPER, 1)
        multiprocessing.set_forkserver_preload(["colonnade.gateway.warm", *self.preload])
        # When the worker leaves, multiprocessing waits for the keepers, and these wait for a word.
        multiprocessing.util.Finalize(None, close, exitpriority=100)
        _jobs.prepare()
