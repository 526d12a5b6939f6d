"""The facade: submission, pages, deletion, events; without an engine where none is needed."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import ended, run, submit, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colonnade import service
from colonnade.errors import BadInput, ColonnadeError
from colonnade.gateway import queue
from colonnade.gateway.core import Gateway
from colonnade.gateway.events import tail
from colonnade.gateway.files import TooLarge
from colonnade.gateway.store import FileRow, JobRow, Refused, UnknownJob, now


def succeed(gateway: Gateway, row: JobRow) -> JobRow:
    """End a queued job as the engine would."""
    with gateway.store.write() as session:
        (claim,) = queue.claim(session, gateway.dispatcher.id, 1)
        assert claim.id == row.id
        queue.finish(session, row.id, claim.attempt, "succeeded")
    (gateway.directory(row.id) / "result.json").write_text('{"status": "succeeded", "outputs": {}}')
    return gateway.job(row.id)


def test_a_submitted_job_is_durable_before_it_runs(idle: Gateway) -> None:
    row = submit(idle, "testing.double", n=3, seed=7)
    again = Gateway(idle.settings)
    found = again.job(row.id)
    assert (found.state, found.seed, found.inputs, found.service) == ("queued", 7, {"n": 3}, "testing.double")
    description = json.loads((again.directory(row.id) / "job.json").read_bytes())
    assert (description["inputs"], description["seed"]) == ({"n": 3}, 7)
    again.store.close()


def test_what_is_refused_leaves_nothing(idle: Gateway) -> None:
    with pytest.raises(BadInput, match="seed"):
        submit(idle, "testing.double", n=3, seed=-1)
    with pytest.raises(UnknownJob, match="no job"):
        idle.job("nonsense")
    with pytest.raises(UnknownJob):
        idle.cancel("01")
    assert not list(idle.runs.glob("*/*")) and idle.jobs().rows == []


def test_uploads(idle: Gateway) -> None:
    file = idle.save_upload([b"abc"], "a\u202etxt.exe/../b.txt")
    assert (file.name, file.size) == ("b.txt", 3)
    assert idle.save_upload([b"abc"], "c.txt").sha256 == file.sha256
    with pytest.raises(ColonnadeError, match="no usable character"):
        idle.save_upload([b"x"], "...")
    with pytest.raises(TooLarge):
        idle.save_upload((bytes(1 << 20) for _ in range(20)), "big")
    assert not list((idle.files.folder / "drafts").iterdir())


def test_deletion_removes_the_bytes_when_nobody_else_shows_them(idle: Gateway) -> None:
    file = idle.save_upload([b"abc"], "a.txt")
    first = submit(idle, "testing.characters", file=file.reference)
    with pytest.raises(Refused, match="queued"):
        idle.delete(first.id)
    first = succeed(idle, first)
    served = submit(idle, "testing.characters", again=False, file=file.reference)
    directory = idle.directory(first.id)
    assert served.cached_from == first.id and idle.directory(served.id) == directory

    idle.delete(first.id)
    with pytest.raises(UnknownJob):
        idle.job(first.id)
    assert (directory / "result.json").exists()
    assert idle.files(file.reference).exists()
    later = submit(idle, "testing.characters", again=False, file=file.reference)
    assert idle.directory(later.id) == directory

    idle.delete(later.id)
    assert directory.exists()
    idle.delete(served.id)
    assert not directory.exists()
    with pytest.raises(ValueError, match="upload it again"):
        idle.files(file.reference)
    assert submit(idle, "testing.double", again=False, n=1).state == "queued"


def test_a_service_that_measures_times_always_runs(idle: Gateway) -> None:
    found = replace(service.get("testing.double"), repeatable=False)
    first, second = (idle.submit(found, found.parse({"n": 3})) for _ in range(2))
    succeed(idle, first)
    third = idle.submit(found, found.parse({"n": 3}))
    assert (second.state, third.state, third.cached_from) == ("queued", "queued", None)


def test_a_removal_that_a_crash_cut_short_is_finished_at_the_next_start(idle: Gateway, monkeypatch: Any) -> None:
    row = succeed(idle, submit(idle, "testing.double", n=3))
    directory = idle.directory(row.id)
    with monkeypatch.context() as patch:
        patch.setattr(idle, "_remove_runs", lambda: None)  # the process dies here
        idle.delete(row.id)
    assert directory.exists()
    idle._tidy()
    assert not directory.exists()


def test_an_upload_that_no_job_uses_goes_after_a_week(idle: Gateway) -> None:
    used, forgotten, fresh = (idle.save_upload([text], "x.txt") for text in (b"used", b"forgotten", b"fresh"))
    submit(idle, "testing.characters", file=used.reference)
    with idle.store.write() as session:
        for row in (used, forgotten):
            session.get(FileRow, row.sha256).created = now() - timedelta(days=8)
    idle._tidy()
    assert idle.files(used.reference)
    assert idle.files(fresh.reference)
    with pytest.raises(ValueError, match="upload it again"):
        idle.files(forgotten.reference)


def test_usage_counts_what_ended(idle: Gateway) -> None:
    succeed(idle, submit(idle, "testing.double", n=3))
    submit(idle, "testing.double", again=False, n=3)
    idle.cancel(submit(idle, "testing.double", n=4).id)
    assert {(row.service, row.outcome): row.jobs for row in idle.usage()} == {
        ("testing.double", "cached"): 1,
        ("testing.double", "cancelled"): 1,
        ("testing.double", "succeeded"): 1,
    }


def test_simultaneous_submissions_are_all_kept(idle: Gateway) -> None:
    def work(n: int) -> None:
        for k in range(5):
            submit(idle, "testing.double", n=100 * n + k)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = idle.jobs(limit=100).rows
    assert len(rows) == 30 and len({row.inputs["n"] for row in rows}) == 30


# --- events --------------------------------------------------------------------------------------


async def collect(gateway: Gateway, id: str, start: int = 0) -> list[tuple[int, dict[str, Any]]]:
    return [item async for item in gateway.events(id, start)]


def test_events_of_a_running_job_and_their_resumption(gateway: Gateway) -> None:
    row = submit(gateway, "testing.sleep", seconds=0.6)
    events = run(asyncio.wait_for(collect(gateway, row.id), 60))
    states = [event["state"] for _, event in events if event["kind"] == "state"]
    assert states[-1] == "succeeded" and states == sorted(states, key=["queued", "running", "succeeded"].index)
    progress = [event["done"] for _, event in events if event["kind"] == "progress"]
    assert progress[0] == 0 and progress[-1] == 10 and progress == sorted(progress)
    offsets = [offset for offset, _ in events]
    assert offsets == sorted(offsets)
    middle, seen = next((offset, event["done"]) for offset, event in events if event.get("done", 0) >= 5)
    rest = run(collect(gateway, row.id, middle))
    assert [event["done"] for _, event in rest if event["kind"] == "progress"] == [n for n in progress if n > seen]
    assert rest[-1][1]["state"] == "succeeded"


def test_events_of_a_served_job_are_those_of_the_run(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.sleep", seconds=0.11).id)
    served = submit(gateway, "testing.sleep", again=False, seconds=0.11)
    assert run(collect(gateway, served.id))[:-1] == run(collect(gateway, row.id))[:-1]


def test_a_watcher_of_a_deleted_job_is_told(idle: Gateway) -> None:
    row = submit(idle, "testing.double", n=1)

    async def watch() -> None:
        async for _ in idle.events(row.id):
            if idle.job(row.id).state == "queued":
                idle.cancel(row.id)

    run(asyncio.wait_for(watch(), 60))
    idle.delete(row.id)
    with pytest.raises(UnknownJob):
        run(collect(idle, row.id))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.dictionaries(st.text(), st.text())), st.binary(max_size=20), st.integers(0, 10))
def test_tailing_gives_every_event_once(tmp_path: Path, events: list[Any], rubbish: bytes, cut: int) -> None:
    """Whatever a killed writer left in the middle, and wherever reading is resumed."""
    path = tmp_path / "events.jsonl"
    lines = [json.dumps(event).encode() + b"\n" for event in events]
    half = len(lines) // 2
    junk = b"\xff" + rubbish.replace(b"\n", b"") + b"\n"
    path.write_bytes(b"".join([*lines[:half], junk, *lines[half:]]) + b'{"unfinished":')
    found = tail(path, 0)
    assert [event for _, event in found] == events
    if found:
        offset, _ = found[min(cut, len(found) - 1)]
        assert [event for _, event in tail(path, offset)] == events[min(cut, len(found) - 1) + 1 :]


def test_the_engine_is_ready(gateway: Gateway) -> None:
    health = until(lambda: gateway.health() if gateway.health()["cores"] == 2 else None, "two cores")
    assert health["engine"] == "ready" and health["disk_free"] > 0
