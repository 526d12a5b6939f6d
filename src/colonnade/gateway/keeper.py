"""The keeper of one attempt: a process that starts the service's own, holds it to its limits, and ends it.

The keeper is forked from the worker's warm server and forks the service in its turn. It is the reaper of everything
the service leaves behind, so that no descendant gets out of its sight, and it holds one end of a pipe to the worker:
when the worker is gone, the job goes too.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from colonnade.gateway import processes
from colonnade.gateway.attempt import CANCELLED, Ending, Outcome, Record
from colonnade.gateway.logfile import CappedLog
from colonnade.gateway.order import Order, plain_size, plain_time
from colonnade.gateway.service_process import serve
from colonnade.job import replace_file

TICK = 0.1  # seconds between two looks at memory and time
READ = 1 << 20
LEAST_FREE = 1 << 20
LOCK_WAIT = 15.0  # seconds to wait for what is left of an earlier attempt to let go of the directory

Reason = Literal["cancelled", "stopped", "walltime", "cpu", "memory"]


def keep(worker: Connection) -> None:
    """Wait for an order, carry it out, tell how it ended; the target of the keeper's process."""
    os.setsid()
    processes.prctl(processes.PR_SET_CHILD_SUBREAPER, 1)
    try:
        order: Order = worker.recv()
    except EOFError:
        return
    lock = _lock(order.directory)
    if lock is None:
        worker.send(Outcome("lost", "An earlier attempt still holds the run directory."))
        return
    outcome = Keeper(order, worker).run()
    with suppress(OSError):  # nobody listens any more; the record tells those who come to look
        worker.send(outcome)


def _lock(directory: Path) -> int | None:
    """Take the run directory for this attempt; the lock lasts as long as any process that was forked with it."""
    handle = os.open(directory, os.O_RDONLY)
    os.set_inheritable(handle, False)
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)


@dataclass
class _End:
    """How the service's first process ended."""

    code: int = 0
    signal: int = 0


class Keeper:
    """Watches one service process and its descendants.

    Args:
        order: what to run and by which limits.
        worker: sends "cancel" or "stop"; its end means that the worker is gone.
    """

    def __init__(self, order: Order, worker: Connection) -> None:
        self._order = order
        self._worker = worker
        self._reason: Reason | None = None
        self._kill_at = float("inf")
        self._end: _End | None = None
        self._cpu_reaped = 0.0
        self._peak = 0
        self._oom_kills = processes.oom_kills()
        self._started = time.monotonic()

    def run(self) -> Outcome:
        scratch = tempfile.mkdtemp(prefix="colonnade-")
        record = Record(self._order.attempt, processes.identify(os.getpid()), scratch=scratch)
        record.write(self._order.directory)
        try:
            verdict = self._watch(record)
            outcome = self._outcome(verdict)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        record.outcome = outcome if outcome.status != "lost" else None
        record.write(self._order.directory)
        return outcome

    # --- watching --------------------------------------------------------------------------------

    def _watch(self, record: Record) -> str:
        """Start the service, stay with it until nothing of it is left; returns what it said on dying, if anything."""
        bell_out, bell_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(bell_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        output, output_in = os.pipe2(os.O_CLOEXEC)
        with suppress(OSError):  # more than the user may have in pipes; the usual size does too
            fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, READ)
        verdict, verdict_in = os.pipe2(os.O_CLOEXEC)
        keeper = os.getpid()
        pid = os.fork()
        if pid == 0:
            for handle in (bell_out, bell_in, output, verdict, self._worker.fileno()):
                os.close(handle)
            serve(self._order, Path(record.scratch), output_in, verdict_in, keeper)
        os.close(output_in)
        os.close(verdict_in)
        record.service = processes.identify(pid)
        record.write(self._order.directory)
        self._follow(pid, bell_out, output)
        os.set_blocking(verdict, False)
        with suppress(BlockingIOError):
            return os.read(verdict, 10_000).decode(errors="replace")
        return ""

    def _follow(self, pid: int, bell: int, output: int) -> None:
        log = CappedLog(self._order.directory / "log.txt", self._order.limits.log)
        os.set_blocking(output, False)
        with selectors.DefaultSelector() as waiting:
            waiting.register(output, selectors.EVENT_READ, "output")
            waiting.register(bell, selectors.EVENT_READ, "bell")
            waiting.register(self._worker.fileno(), selectors.EVENT_READ, "worker")
            check_at = 0.0
            while True:
                ready = {key.data for key, _ in waiting.select(max(0.0, min(TICK, check_at - time.monotonic())))}
                if "output" in ready and not _pump(output, log):
                    waiting.unregister(output)
                if "worker" in ready and not self._hear():
                    waiting.unregister(self._worker.fileno())
                if "bell" in ready:
                    os.read(bell, 4096)
                if not self._reap(pid):
                    break
                if time.monotonic() >= check_at:
                    self._check(pid)
                    check_at = time.monotonic() + TICK
                self._strike(pid)
        while _pump(output, log):
            pass
        log.close()

    def _hear(self) -> bool:
        """Take a word from the worker; False when there will be no more."""
        try:
            word = self._worker.recv()
        except (EOFError, OSError):
            self._give("stopped", grace=0.0)
            return False
        if word == "cancel":
            self._give("cancelled", grace=self._order.limits.grace)
        else:
            self._give("stopped", grace=0.0)
        return True

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self._give("stopped", grace=0.0)

    def _reap(self, service: int) -> bool:
        """Collect what has ended; False when no process is left."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._cpu_reaped += used.ru_utime + used.ru_stime
            if pid == service:
                self._peak = max(self._peak, used.ru_maxrss * 1024)
                ended = os.waitstatus_to_exitcode(status)
                if self._order.isolate != "off" and ended > 128:  # bubblewrap's word for a signal
                    ended = 128 - ended
                self._end = _End(code=max(ended, 0), signal=max(-ended, 0))

    def _check(self, service: int) -> None:
        """Hold the processes to their limits."""
        limits = self._order.limits
        pids = processes.descendants(os.getpid())
        used = processes.usage(pids)
        self._peak = max(self._peak, used.memory)
        if time.monotonic() - self._started > limits.walltime:
            self._give("walltime", grace=limits.grace)
        elif self._cpu_reaped + used.cpu_seconds > limits.cpu_seconds:
            self._give("cpu", grace=limits.grace)
        # Shared pages count several times in the quick sum; before anyone is killed they are counted once.
        elif used.memory > limits.memory and processes.proportional_memory(pids) > limits.memory:
            self._give("memory", grace=0.0)

    # --- ending ----------------------------------------------------------------------------------

    def _give(self, reason: Reason, grace: float) -> None:
        """Decide to end the job; the first reason stands, a more urgent later one only hastens the end."""
        if self._reason is None:
            self._reason = reason
            if grace > 0:
                _signal_all(signal.SIGTERM)
        self._kill_at = min(self._kill_at, time.monotonic() + grace)

    def _strike(self, service: int) -> None:
        """Kill what is left when the time has come, or when the service itself has ended."""
        if self._end is not None or time.monotonic() >= self._kill_at:
            _signal_all(signal.SIGKILL)

    def _outcome(self, verdict: str) -> Outcome:
        end = self._end or _End()
        status, error = self._judge(end, verdict)
        if status == "lost":
            return Outcome("lost", error, self._cpu_reaped, self._peak)
        if status != "succeeded":
            _free_full_disk(self._order.directory)
            _write_failure(self._order.directory, error)
        return Outcome(status, error, round(self._cpu_reaped, 3), self._peak)

    def _judge(self, end: _End, verdict: str) -> tuple[Ending, str]:
        result = _result(self._order.directory) if end.code == 0 and end.signal == 0 else None
        if result is not None and (result["status"] == "succeeded" or self._reason is None):
            return result["status"], result.get("error", "")
        if self._reason == "cancelled":
            return "cancelled", CANCELLED
        if self._reason == "stopped":
            return "lost", "The gateway stopped."
        return "failed", self._limit_passed() or verdict or self._death(end)

    def _limit_passed(self) -> str:
        limits = self._order.limits
        match self._reason:
            case "walltime":
                return f"The job took longer than its {plain_time(limits.walltime)}."
            case "cpu":
                return f"The job used more than its {plain_time(limits.cpu_seconds)} of CPU time."
            case "memory":
                return f"The job used more than its {plain_size(limits.memory)} of memory."
        return ""

    def _death(self, end: _End) -> str:
        limits = self._order.limits
        if end.signal == signal.SIGXCPU:
            return f"The job used more than its {plain_time(limits.cpu_seconds)} of CPU time."
        if end.signal == signal.SIGXFSZ:
            return f"The job wrote a file larger than the {plain_size(limits.file_size)} it may."
        if end.signal == signal.SIGKILL and processes.oom_kills() > self._oom_kills:
            return "The job was killed because the machine ran out of memory."
        if end.signal:
            name = signal.Signals(end.signal).name if end.signal in set(signal.Signals) else "a real-time signal"
            return f"The job was killed by signal {end.signal} ({name}); its log may tell more."
        return f"The service ended without a result (exit code {end.code}); its log may tell more."


def _signal_all(number: signal.Signals) -> None:
    """Send a signal to everything below the keeper."""
    for pid in processes.descendants(os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _pump(output: int, log: CappedLog) -> bool:
    """Move one piece of what was printed to the log; False when there is none (now, or ever)."""
    try:
        chunk = os.read(output, READ)
    except BlockingIOError:
        return False
    log.write(chunk)
    return bool(chunk)


def _result(directory: Path) -> dict[str, Any] | None:
    try:
        result: dict[str, Any] = json.loads((directory / "result.json").read_bytes())
        return result
    except (OSError, ValueError):
        return None


def _free_full_disk(directory: Path) -> None:
    """Remove a failed job's files when there is no room left to write even its end down."""
    if shutil.disk_usage(directory).free < LEAST_FREE:
        shutil.rmtree(directory / "files", ignore_errors=True)


def _write_failure(directory: Path, error: str) -> None:
    result = {"status": "failed", "error": error}
    with suppress(OSError):
        replace_file(directory / "result.json", json.dumps(result, indent=1, ensure_ascii=False).encode())
