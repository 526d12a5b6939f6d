"""Real jobs in real processes on a real Dask cluster: how they run, and every way in which they end."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from harness import PATIENCE, ended, in_state, settings, submit, until, value

from colonnade import runner
from colonnade.gateway.attempt import Record
from colonnade.gateway.core import Gateway
from colonnade.gateway.order import Limits

KILLED_WITHIN = 5.0  # the gateway aims at 2 s; this leaves room for a busy machine


def told_pids(gateway: Gateway, id: str) -> list[int]:
    """The processes that a service wrote down."""
    path = gateway.directory(id) / "pids"
    until(path.exists, "the service's list of processes")
    return [int(word) for word in path.read_text().split()]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def log(gateway: Gateway, id: str) -> str:
    return (gateway.directory(id) / "log.txt").read_text()


# --- the ordinary ways ---------------------------------------------------------------------------


def test_a_job_runs_and_its_result_is_that_of_the_library(gateway: Gateway, tmp_path: Path) -> None:
    row = ended(gateway, submit(gateway, "testing.double", n=21).id)
    assert (row.state, row.error, row.attempt) == ("succeeded", "", 1)
    assert value(gateway, row.id) == 42
    assert row.cpu_seconds > 0 and row.max_rss > 1_000_000
    assert row.created <= row.started <= row.finished
    runner.run("testing.double", {"n": 21}, tmp_path / "alone")
    assert (gateway.directory(row.id) / "result.json").read_bytes() == (tmp_path / "alone/result.json").read_bytes()


def test_an_identical_request_is_answered_at_once_unless_it_is_to_run_again(gateway: Gateway) -> None:
    first = ended(gateway, submit(gateway, "testing.double", n=1001).id)
    served = submit(gateway, "testing.double", again=False, n=1001)
    assert (served.state, served.cached_from, served.cpu_seconds) == ("succeeded", first.id, 0.0)
    assert gateway.directory(served.id) == gateway.directory(first.id)
    chained = submit(gateway, "testing.double", again=False, n=1001)
    assert chained.cached_from == first.id
    assert submit(gateway, "testing.double", again=False, seed=1, n=1001).cached_from is None
    anew = ended(gateway, gateway.rerun(first.id).id)
    assert (anew.state, anew.cached_from) == ("succeeded", None)
    assert gateway.directory(anew.id) != gateway.directory(first.id)


def test_a_failed_job_is_not_served_again(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.fail").id)
    assert (row.state, row.error) == ("failed", "The sample is empty.")
    assert submit(gateway, "testing.fail", again=False).cached_from is None
    assert "ValueError" in log(gateway, row.id)


def test_an_uploaded_file_reaches_the_job(gateway: Gateway) -> None:
    file = gateway.save_upload([b"four", b"teen chars"], "../../text.txt")
    assert file.name == "text.txt"
    row = ended(gateway, submit(gateway, "testing.characters", file=file.reference).id)
    run = runner.load(gateway.directory(row.id))
    assert run.outputs["characters"]["value"] == 14
    assert (run.files / "copy.txt").read_text() == "fourteen chars"
    gateway.delete(row.id)


def test_a_rerun_needs_no_second_upload(gateway: Gateway) -> None:
    file = gateway.save_upload([b"abc"], "text.txt")
    row = ended(gateway, submit(gateway, "testing.characters", file=file.reference).id)
    gateway.files.remove(file.sha256)
    anew = ended(gateway, gateway.rerun(row.id).id)
    assert anew.state == "succeeded", anew.error


def test_events_tell_of_progress_and_states(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.sleep", seconds=0.2).id)
    lines = (gateway.directory(row.id) / "events.jsonl").read_text().splitlines()
    assert '"kind":"progress"' in lines[0] and '"done":10' in lines[-1]


def test_the_gateways_secrets_are_not_in_a_jobs_environment(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.environment").id)
    seen = runner.load(gateway.directory(row.id)).outputs
    for names in (seen["names"], seen["initial"]):
        assert "PATH" in names
        assert "COLONNADE_TEST_SECRET" not in names
    assert seen["cores"] == "1"


def test_cores_are_shared_out(gateway: Gateway) -> None:
    """Two one-core jobs run together; one that takes both cores waits for them, and is not overtaken."""
    first, second = (submit(gateway, "testing.sleep", seed=n, seconds=1.5) for n in (1, 2))
    until(lambda: gateway.health()["running"] == 2, "two jobs at once")
    wide = submit(gateway, "testing.wide", seconds=0.5)
    narrow = submit(gateway, "testing.sleep", seconds=0.01)
    rows = [ended(gateway, row.id) for row in (first, second, wide, narrow)]
    assert [row.state for row in rows] == ["succeeded"] * 4
    assert rows[2].started >= max(rows[0].finished, rows[1].finished)
    assert rows[3].started >= rows[2].finished
    assert value(gateway, wide.id) == 2


# --- limits --------------------------------------------------------------------------------------


def test_a_service_that_prints_a_gigabyte(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.chatty", n=1000).id)
    assert row.state == "succeeded", row.error
    printed = log(gateway, row.id)
    assert len(printed) < 201_000
    assert printed.startswith("the first line\n") and printed.endswith("the last line\n")
    assert "bytes are left out here" in printed


def test_too_much_memory_bit_by_bit(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.hungry", n=1000).id)
    assert (row.state, row.error) == ("failed", "The job used more than its 300 MiB of memory.")
    assert runner.load(gateway.directory(row.id)).error == row.error


def test_too_much_memory_at_once(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.greedy").id)
    assert (row.state, row.error) == ("failed", "The job needed more memory than it may use.")


def test_too_much_time(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.overtime").id)
    assert (row.state, row.error) == ("failed", "The job took longer than its 1 second.")


def test_too_much_cpu_time(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Limits.of
    monkeypatch.setattr(Limits, "of", lambda *args: dataclasses.replace(usual(*args), cpu_seconds=0.5))
    row = ended(gateway, submit(gateway, "testing.spin", seconds=50).id)
    assert (row.state, row.error) == ("failed", "The job used more than its 0.5 seconds of CPU time.")
    assert 0.5 <= row.cpu_seconds < 10


def test_too_large_a_file(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.fill", n=60).id)
    assert (row.state, row.error) == ("failed", "The job wrote a file larger than it may.")


# --- violent ends --------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM")])
def test_a_killed_service(gateway: Gateway, number: int, name: str) -> None:
    row = ended(gateway, submit(gateway, "testing.killed", signal=number).id)
    assert row.state == "failed"
    assert row.error == f"The job was killed by signal {number} ({name}); its log may tell more."


def test_a_service_that_leaves_without_a_word(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.exits").id)
    assert row.error == "The service ended without a result (exit code 3); its log may tell more."


@pytest.mark.parametrize("service", ["testing.stubborn", "testing.daemon"])
def test_cancel_ends_every_process(gateway: Gateway, service: str) -> None:
    row = submit(gateway, service, seconds=500)
    pids = told_pids(gateway, row.id)
    assert pids and not any(gone(pid) for pid in pids)
    begin = time.monotonic()
    gateway.cancel(row.id)
    until(lambda: all(gone(pid) for pid in pids), "the end of all processes")
    row = ended(gateway, row.id)
    assert time.monotonic() - begin < KILLED_WITHIN
    assert (row.state, row.error) == ("cancelled", "The job was cancelled.")


def test_a_daemon_does_not_outlive_its_job(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.daemon", seconds=0).id)
    assert row.state == "succeeded", row.error
    pids = told_pids(gateway, row.id)
    assert pids and all(gone(pid) for pid in pids)


def test_cancel_before_the_start(gateway: Gateway) -> None:
    blockers = [submit(gateway, "testing.sleep", seed=n, seconds=30) for n in (1, 2)]
    until(lambda: gateway.health()["running"] == 2, "two jobs at once")
    waiting = submit(gateway, "testing.double", n=5)
    row = gateway.cancel(waiting.id)
    assert (row.state, row.attempt) == ("cancelled", 0)
    for blocker in blockers:
        assert gateway.cancel(blocker.id).state == "cancelled"
    assert gateway.cancel(waiting.id).state == "cancelled"


# --- losses --------------------------------------------------------------------------------------


def record(gateway: Gateway, id: str) -> Record:
    """The record of an attempt whose service process has begun."""

    def started() -> Record | None:
        found = Record.read(gateway.directory(id))
        return found if found is not None and found.service is not None else None

    found: Record = until(started, "the record of the attempt")
    return found


def past_step(gateway: Gateway, id: str) -> None:
    until((gateway.directory(id) / "checkpoint.npz").exists, "the first checkpoint")


def assert_resumed(gateway: Gateway, id: str) -> None:
    row = ended(gateway, id)
    assert (row.state, row.attempt, row.lost) == ("succeeded", 2, 1), row.error
    starts = [line for line in (gateway.directory(id) / "events.jsonl").read_text().splitlines() if "from step" in line]
    assert len(starts) == 2 and "from step 0" not in starts[1]
    assert value(gateway, id) == sum(range(40))


def test_a_lost_keeper(gateway: Gateway) -> None:
    row = submit(gateway, "testing.steps", steps=40, pause=0.05)
    past_step(gateway, row.id)
    os.kill(record(gateway, row.id).keeper.pid, signal.SIGKILL)
    assert_resumed(gateway, row.id)


def test_a_lost_keeper_leaves_no_daemon(gateway: Gateway) -> None:
    row = submit(gateway, "testing.daemon", seconds=500)
    pids = told_pids(gateway, row.id)
    assert pids
    found = record(gateway, row.id)
    os.kill(found.keeper.pid, signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in pids), "the end of the daemon")
    in_state(gateway, row.id, "running")
    until(lambda: gateway.job(row.id).attempt == 2, "the second attempt")
    assert gateway.cancel(row.id).final or ended(gateway, row.id).state == "cancelled"


def worker_pid(gateway: Gateway, id: str) -> int:
    """The Dask worker: the parent of the fork server, which is the keeper's parent."""
    return psutil.Process(record(gateway, id).keeper.pid).parent().ppid()


def test_a_lost_worker(gateway: Gateway) -> None:
    row = submit(gateway, "testing.steps", steps=40, pause=0.05, mark=1)
    past_step(gateway, row.id)
    before = record(gateway, row.id)
    os.kill(worker_pid(gateway, row.id), signal.SIGKILL)
    assert_resumed(gateway, row.id)
    assert not before.keeper.alive and before.service is not None and not before.service.alive


def test_a_lost_fork_server(gateway: Gateway) -> None:
    row = submit(gateway, "testing.sleep", seconds=0.5)
    server = psutil.Process(record(gateway, row.id).keeper.pid).parent()
    server.kill()
    assert ended(gateway, row.id).state == "succeeded"
    after = ended(gateway, submit(gateway, "testing.double", n=8).id)
    assert after.state == "succeeded", after.error


def test_an_orderly_stop_gives_its_jobs_back(tmp_path: Path) -> None:
    first = Gateway(settings(tmp_path / "data"))
    first.start()
    row = submit(first, "testing.steps", steps=60, pause=0.05)
    past_step(first, row.id)
    left = record(first, row.id)
    first.stop()
    assert not left.keeper.alive and left.service is not None and not left.service.alive
    second = Gateway(settings(tmp_path / "data"))
    given_back = second.job(row.id)
    assert (given_back.state, given_back.lost, given_back.attempt) == ("queued", 0, 1)
    assert (second.directory(row.id) / "checkpoint.npz").exists()
    second.store.close()


# --- disk and database ---------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 24 MB."""
    import subprocess

    folder = tmp_path / "small"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=24m", "colonnade-test", str(folder)]
    mounted = subprocess.run(options, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system takes root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    from colonnade.gateway.store import Unavailable

    gateway = Gateway(settings(small_disk / "data"))
    gateway.start()
    try:
        row = ended(gateway, submit(gateway, "testing.fill", n=40).id)
        assert (row.state, row.error) == ("failed", "There is no space left on the disk.")
        with pytest.raises(Unavailable, match="no space left"):
            gateway.save_upload((bytes(1_000_000) for _ in range(40)), "large.txt")
        assert not list((gateway.files.folder / "drafts").iterdir())
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
        file_count = len(list(gateway.runs.rglob("job.json")))
        with pytest.raises(Unavailable, match="no space left"):
            submit(gateway, "testing.double", n=1)
        assert len(list(gateway.runs.rglob("job.json"))) == file_count
        ballast.unlink()
        assert ended(gateway, submit(gateway, "testing.double", n=2).id).state == "succeeded"
    finally:
        gateway.stop()


def test_a_locked_database(tmp_path: Path) -> None:
    import sqlite3

    from colonnade.gateway.store import Unavailable

    gateway = Gateway(settings(tmp_path / "data", busy_timeout=0.2))
    gateway.start()
    try:
        row = submit(gateway, "testing.sleep", seconds=0.3)
        in_state(gateway, row.id, "running")
        other = sqlite3.connect(gateway.settings.data / "colonnade.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="busy"):
            submit(gateway, "testing.double", n=3)
        until((gateway.directory(row.id) / "result.json").exists, "the result")
        assert gateway.job(row.id).state == "running"  # readers are not kept out
        until(lambda: gateway.dispatcher._outcomes, "the outcome that cannot be recorded", PATIENCE)
        other.execute("ROLLBACK")
        assert ended(gateway, row.id).state == "succeeded"
        assert ended(gateway, submit(gateway, "testing.double", n=3).id).state == "succeeded"
    finally:
        gateway.stop()


def test_a_claim_of_which_the_database_did_not_tell(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes away between its commit and its answer: the job runs nowhere, until it is queued again."""
    from colonnade.gateway import queue
    from colonnade.gateway.store import Unavailable

    usual, claim = gateway.store.write, queue.claim
    unheard: list[str] = []

    def claiming(*given: Any, **options: Any) -> list[queue.Claim]:
        found = claim(*given, **options)
        unheard.extend(one.id for one in found)
        return found

    @contextmanager
    def deaf() -> Iterator[Any]:
        before = len(unheard)
        with usual() as session:
            yield session
        if before < len(unheard) == 1:
            raise Unavailable("The database went away.")

    monkeypatch.setattr(queue, "claim", claiming)
    monkeypatch.setattr(gateway.store, "write", deaf)
    row = ended(gateway, submit(gateway, "testing.double", n=5).id)
    assert unheard == [row.id, row.id]
    assert (row.state, row.attempt, row.lost) == ("succeeded", 2, 0)


# --- a scheduler elsewhere -----------------------------------------------------------------------


class Cluster:
    """A Dask scheduler and a worker, started as an operator would."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        self.processes: list[psutil.Popen] = []
        self.start()

    def start(self) -> None:
        port = self.address.rpartition(":")[2]
        scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", port, "--dashboard-address", ":0"]
        worker = ["dask_worker", self.address, "--no-nanny", "--nthreads", "2", "--resources", "cores=2"]
        for name, *options in (scheduler, worker):
            command = [sys.executable, "-m", f"distributed.cli.{name}", "--no-dashboard", *options]
            self.processes.append(psutil.Popen(command, stderr=subprocess.DEVNULL))

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()


def test_a_scheduler_elsewhere_and_its_loss(tmp_path: Path) -> None:
    cluster = Cluster()
    gateway = Gateway(settings(tmp_path / "data", scheduler=cluster.address, retries=1))
    gateway.start()
    try:
        row = submit(gateway, "testing.steps", steps=40, pause=0.05)
        past_step(gateway, row.id)
        cluster.kill()
        until(lambda: gateway.job(row.id).state == "queued", "the job back in the queue")
        until(lambda: gateway.health()["engine"] == "lost", "the loss of the scheduler")
        cluster.start()
        done = ended(gateway, row.id)
        assert (done.state, done.lost) == ("succeeded", 1), done.error
        assert value(gateway, row.id) == sum(range(40))
    finally:
        gateway.stop()
        cluster.kill()
