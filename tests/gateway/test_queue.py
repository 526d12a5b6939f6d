"""Transitions of jobs: only those allowed, each once, whoever else tries."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from ulid import ULID

from colonnade.gateway import queue
from colonnade.gateway.store import FINAL, JobRow, Store, UsageRow, now


def new_row(state: str = "queued", cores: int = 1, service: str = "testing.double") -> JobRow:
    id = str(ULID())
    return JobRow(
        id=id, service=service, version="1", state=state, inputs={"n": 1}, fingerprint="f" * 64, run=id, cores=cores,
        title="", seed=0, created=now(),
    )  # fmt: skip


def enter(store: Store, count: int = 1, **options: object) -> list[str]:
    rows = [new_row(**options) for _ in range(count)]  # type: ignore[arg-type]
    with store.write() as session:
        for row in rows:
            queue.add(session, row)
    return [row.id for row in rows]


def look(store: Store, id: str) -> JobRow:
    with store.read() as session:
        row = session.get(JobRow, id)
        assert row is not None
        return row


def usage(store: Store) -> dict[str, int]:
    with store.read() as session:
        return {row.outcome: row.jobs for row in session.scalars(select(UsageRow))}


@contextmanager
def fresh_store(path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{path}", busy_timeout=60)
    store.upgrade()
    yield store
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with fresh_store(tmp_path / "test.sqlite3") as found:
        yield found


def test_claims_come_in_order_and_wide_jobs_are_not_overtaken(store: Store) -> None:
    (first,), (wide,), (last,) = enter(store), enter(store, cores=2), enter(store)
    with store.write() as session:
        assert [claim.id for claim in queue.claim(session, "g", 2)] == [first]
        assert queue.claim(session, "g", 1) == []
        assert [claim.id for claim in queue.claim(session, "g", 2)] == [wide]
        assert [claim.id for claim in queue.claim(session, "g", 2)] == [last]
        assert queue.claim(session, "g", 0) == []


def test_a_given_back_job_comes_first_again(store: Store) -> None:
    first, second = enter(store, 2)
    with store.write() as session:
        (claim,) = queue.claim(session, "g", 1)
        assert queue.give_back(session, claim.id, claim.attempt, lost=True, retries=3)
        again = queue.claim(session, "g", 2)
    assert [(claim.id, claim.attempt) for claim in again] == [(first, 2), (second, 1)]


def test_an_attempt_that_was_given_up_cannot_speak(store: Store) -> None:
    (id,) = enter(store)
    with store.write() as session:
        (old,) = queue.claim(session, "g", 1)
        queue.give_back(session, id, old.attempt, lost=True, retries=3)
        (new,) = queue.claim(session, "h", 1)
        assert not queue.finish(session, id, old.attempt, "failed", error="too late")
        assert not queue.give_back(session, id, old.attempt, lost=True, retries=3)
        assert queue.finish(session, id, new.attempt, "succeeded", cpu_seconds=2.0, max_rss=5)
        assert not queue.finish(session, id, new.attempt, "failed")
    row = look(store, id)
    assert (row.state, row.error, row.cpu_seconds, row.max_rss) == ("succeeded", "", 2.0, 5)
    assert usage(store) == {"succeeded": 1}


def test_a_job_is_given_up_after_so_many_losses(store: Store) -> None:
    (id,) = enter(store)
    for _ in range(3):
        with store.write() as session:
            (claim,) = queue.claim(session, "g", 1)
            assert queue.give_back(session, id, claim.attempt, lost=True, retries=2)
    row = look(store, id)
    assert (row.state, row.attempt) == ("failed", 3)
    assert row.error == "The job was given up: the process that ran it was lost 3 times."


def test_a_lost_job_that_was_to_be_cancelled_is_cancelled(store: Store) -> None:
    (id,) = enter(store)
    with store.write() as session:
        (claim,) = queue.claim(session, "g", 1)
        assert queue.request_cancel(session, id)
        assert queue.cancels_for(session, "g") == [id] and queue.cancels_for(session, "h") == []
        assert queue.give_back(session, id, claim.attempt, lost=True, retries=5)
    assert look(store, id).state == "cancelled"


def test_an_error_rolls_the_usage_back_with_the_transition(store: Store) -> None:
    (id,) = enter(store)
    with store.write() as session:
        (claim,) = queue.claim(session, "g", 1)
    with pytest.raises(RuntimeError), store.write() as session:
        queue.finish(session, id, claim.attempt, "succeeded")
        raise RuntimeError
    assert look(store, id).state == "running" and usage(store) == {}


OPERATIONS = ("claim", "finish", "fail", "stop", "lose", "cancel_queued", "request_cancel", "stale_finish")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(st.sampled_from(OPERATIONS), max_size=10))
def test_only_allowed_transitions_happen(store: Store, operations: list[str]) -> None:
    """Any sequence of calls does to the row what the diagram of states says, and nothing else."""
    with store.write() as session:
        session.execute(delete(JobRow))
        session.execute(delete(UsageRow))
    (id,) = enter(store)
    model = Model()
    for operation in operations:
        with store.write() as session:
            assert call(session, id, operation, model.attempt) == model.call(operation), operation
        row = look(store, id)
        assert (row.state, row.attempt, row.lost) == (model.state, model.attempt, model.lost)
        assert (row.finished is not None) == row.final
    assert usage(store) == ({model.state: 1} if model.state in FINAL else {})


def call(session: Session, id: str, operation: str, attempt: int) -> bool:
    calls: dict[str, Callable[[], bool]] = {
        "claim": lambda: bool(queue.claim(session, "g", 1)),
        "finish": lambda: queue.finish(session, id, attempt, "succeeded"),
        "fail": lambda: queue.finish(session, id, attempt, "failed"),
        "stop": lambda: queue.give_back(session, id, attempt, lost=False),
        "lose": lambda: queue.give_back(session, id, attempt, lost=True, retries=2),
        "cancel_queued": lambda: queue.cancel_queued(session, id),
        "request_cancel": lambda: queue.request_cancel(session, id),
        "stale_finish": lambda: queue.finish(session, id, attempt - 1, "failed"),
    }
    return calls[operation]()


class Model:
    """The diagram of states, without a database."""

    def __init__(self) -> None:
        self.state, self.attempt, self.lost, self.asked = "queued", 0, 0, False

    def call(self, operation: str) -> bool:
        leaves = "queued" if operation in ("claim", "cancel_queued") else "running"
        if self.state != leaves or operation == "stale_finish":
            return False
        match operation:
            case "claim":
                self.state, self.attempt, self.asked = "running", self.attempt + 1, False
            case "finish" | "fail":
                self.state = "succeeded" if operation == "finish" else "failed"
            case "stop" | "lose" if self.asked:
                self.state = "cancelled"
            case "stop":
                self.state = "queued"
            case "lose":
                self.state, self.lost = ("failed", self.lost) if self.lost >= 2 else ("queued", self.lost + 1)
            case "cancel_queued":
                self.state = "cancelled"
            case "request_cancel":
                self.asked = True
        return True


CLAIMER = """
import sys
from colonnade.gateway import queue
from colonnade.gateway.store import Store
store = Store(sys.argv[1], busy_timeout=60)
sys.stdin.readline()
while True:
    with store.write() as session:
        claims = queue.claim(session, sys.argv[2], 3)
    if not claims:
        break
    print(*(claim.key for claim in claims), sep="\\n", flush=True)
"""


def test_no_job_is_claimed_twice(store: Store) -> None:
    """Three threads and two other processes take jobs from one queue at the same time."""
    ids = enter(store, 300)
    url = str(store.engine.url)
    command = [sys.executable, "-c", CLAIMER, url]
    others = [
        subprocess.Popen([*command, f"process-{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    taken: list[str] = []

    def work(name: str) -> None:
        while True:
            with store.write() as session:
                claims = queue.claim(session, name, 2)
            if not claims:
                return
            taken.extend(claim.key for claim in claims)

    threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(3)]
    for other in others:
        assert other.stdin is not None
        other.stdin.write("go\n")
        other.stdin.flush()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        printed, _ = other.communicate(timeout=60)
        assert other.returncode == 0
        taken.extend(printed.split())
    assert sorted(taken) == sorted(f"{id}-1" for id in ids)


def test_pages(store: Store) -> None:
    ids = enter(store, 5) + enter(store, 3, service="testing.other", state="failed")
    with store.read() as session:
        first = queue.page(session, limit=3)
        second = queue.page(session, after=first.next, limit=3)
        third = queue.page(session, after=second.next, limit=3)
        assert [row.id for page in (first, second, third) for row in page.rows] == ids[::-1]
        assert third.next is None
        assert [row.id for row in queue.page(session, state="failed").rows] == ids[:4:-1]
        assert queue.page(session, state="failed", service="testing.double").rows == []
        assert queue.active(session) == {"queued": 5, "running": 0}
