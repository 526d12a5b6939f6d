"""Quotas and the fair order: on the queue itself, with a simulated engine, and what people are told."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from test_queue import new_row
from town import Town, submitted

from colonnade.gateway import queue
from colonnade.gateway.accounts import fairness, usage
from colonnade.gateway.accounts.people import new_account
from colonnade.gateway.accounts.quotas import Quotas
from colonnade.gateway.accounts.tables import PersonalUsageRow, QuotaRow
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import JobRow, Store, UsageRow, now

MONTH = usage.month_of(now())


class Hall:
    """A queue with owners, and a number of cores that are simulated: time passes from the end of a job to the next."""

    def __init__(self, store: Store, cores: int, **options: Any) -> None:
        self.store, self.free, self.time = store, cores, 0.0
        self.quotas = Quotas(Settings(accounts=True, public_url="http://x", **options))
        self.ends: list[tuple[float, str, int, int]] = []
        self.length: dict[str, float] = {}
        self.started: dict[str, float] = {}
        self.statements = 0

    def person(self, name: str) -> str:
        with self.store.write() as session:
            return new_account(session, name, email=f"{name}@example.org").id

    def submit(
        self, owner: str, count: int = 1, length: float = 10.0, service: str = "a.b", cores: int = 1
    ) -> list[str]:
        ids = []
        with self.store.write() as session:
            for _ in range(count):
                row = new_row(service=service, cores=cores)
                row.owner = owner
                fairness.enqueue(session, row, MONTH)
                queue.add(session, row)
                self.length[row.id] = length
                ids.append(row.id)
        return ids

    def start(self) -> list[str]:
        """Start what fits."""
        with self.store.write() as session:
            claims = queue.claim(session, "g", self.free, fair=fairness.Fair(self.quotas))
        for claim in claims:
            self.free -= claim.cores
            self.started[claim.id] = self.time
            heapq.heappush(self.ends, (self.time + self.length[claim.id], claim.id, claim.attempt, claim.cores))
        return [claim.id for claim in claims]

    def step(self) -> None:
        """Until the next job ends."""
        self.time, id, attempt, cores = heapq.heappop(self.ends)
        self.free += cores
        with self.store.write() as session:
            assert queue.finish(session, id, attempt, "succeeded", cpu_seconds=self.length[id] * cores)
        self.start()


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Iterator[Store]:
    path = tmp_path / "colonnade.sqlite3"
    path.write_bytes(empty.read_bytes())
    found = Store(f"sqlite:///{path}")
    yield found
    found.close()


@pytest.mark.parametrize(
    ("cores", "amount"), [(1, 300), (2, 300), (7, 300), pytest.param(2, 10_000, marks=pytest.mark.slow)]
)
def test_many_jobs_delay_another_by_no_more_than_one_jobs_length(store: Store, cores: int, amount: int) -> None:
    hall = Hall(store, cores)
    many, one = hall.person("many"), hall.person("one")
    hall.submit(many, amount)
    hall.start()
    for _ in range(5 * cores):
        hall.step()
    (id,) = hall.submit(one)
    asked = hall.time
    hall.start()
    while id not in hall.started:
        hall.step()
    assert hall.started[id] - asked <= 10.0
    (second,) = hall.submit(one)
    asked = hall.time
    while second not in hall.started:
        hall.step()
    assert hall.started[second] - asked <= 2 * 10.0


def test_two_who_ask_for_more_than_there_is_get_the_same(store: Store) -> None:
    """By CPU time, not by the number of jobs: one's take ten times as long."""
    hall = Hall(store, 2)
    short, long = hall.person("short"), hall.person("long")
    with store.write() as session:
        for service, seconds in (("a.short", 10.0), ("a.long", 100.0)):
            session.add(
                UsageRow(month=MONTH, service=service, outcome="succeeded", jobs=100, cpu_seconds=100 * seconds)
            )
    hall.submit(long, 40, 100.0, "a.long")
    hall.submit(short, 200, 10.0, "a.short")
    hall.start()
    while hall.time < 1500:
        hall.step()
    used = Counter[str]()
    with store.read() as session:
        for row in session.scalars(select(PersonalUsageRow)):
            used[row.account] += int(row.cpu_seconds)
    assert used[short] == pytest.approx(used[long], rel=0.15)


def test_nobody_starves_and_nothing_runs_twice(store: Store) -> None:
    """A random crowd: everybody's jobs start, each once, and in the order in which each person asked."""
    rng = random.Random(1)
    hall = Hall(store, 3, quota_running=2)
    people = [hall.person(f"p{n}") for n in range(8)]
    order: dict[str, list[str]] = {owner: [] for owner in people}
    for _ in range(40):
        owner = rng.choice(people)
        order[owner] += hall.submit(owner, rng.randint(1, 4), rng.choice([1.0, 5.0, 30.0]))
        hall.start()
        for _ in range(rng.randint(0, 3)):
            if hall.ends:
                hall.step()
        with store.read() as session:
            running = Counter(session.scalars(select(JobRow.owner).where(JobRow.state == "running")))
        assert max(running.values(), default=0) <= 2
    while hall.ends:
        hall.step()
    assert set(hall.started) == {id for ids in order.values() for id in ids}
    for ids in order.values():
        starts = [hall.started[id] for id in ids]
        assert starts == sorted(starts)


def test_who_is_at_the_limit_leaves_the_cores_to_others(store: Store) -> None:
    hall = Hall(store, 4, quota_running=2)
    many, one = hall.person("many"), hall.person("one")
    hall.submit(many, 100)
    others = hall.submit(one, 2)
    assert len(hall.start()) == 4 and set(others) <= set(hall.started)
    hall.step()
    with store.read() as session:
        running = Counter(session.scalars(select(JobRow.owner).where(JobRow.state == "running")))
    assert running in ({many: 2, one: 1}, {many: 2, one: 2})


def test_a_limit_for_one_service_holds_beside_the_other(store: Store) -> None:
    hall = Hall(store, 10, quota_running=6)
    owner = hall.person("ada")
    with store.write() as session:
        session.add(QuotaRow(subject=owner, service="a.b", kind="running", value=2))
    hall.submit(owner, 5, service="a.b")
    hall.submit(owner, 5, service="a.c")
    hall.start()
    with store.read() as session:
        running = Counter(session.scalars(select(JobRow.service).where(JobRow.state == "running")))
    assert running == {"a.b": 2, "a.c": 4}


def test_cancelled_jobs_are_not_charged(store: Store) -> None:
    hall = Hall(store, 1)
    ada, bob = hall.person("ada"), hall.person("bob")
    hall.submit(bob, 3)
    hall.start()
    ids = hall.submit(ada, 200)
    with store.write() as session:
        for id in ids:
            queue.cancel_queued(session, id)
    (id,) = hall.submit(ada)
    hall.step()
    assert id in hall.started


def test_the_cost_of_a_job_does_not_grow_with_the_queue(store: Store) -> None:
    """Counted in steps of SQLite's virtual machine, which no other work on the machine disturbs."""
    hall = Hall(store, 2)
    owners = [hall.person(f"p{n}") for n in range(20)]
    costs = []
    for amount in (5, 100):
        for owner in owners:
            hall.submit(owner, amount)
        hall.start()
        steps = _steps(store, lambda: (hall.submit(owners[0]), hall.step()))
        costs.append(steps)
    assert costs[1] < 1.5 * costs[0], costs


def _steps(store: Store, work: Callable[[], object]) -> int:
    """Virtual machine steps, in tens, of what happens on the database meanwhile."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    connection = store.engine.connect()
    raw = connection.connection.driver_connection
    assert raw is not None
    connection.close()  # back to the pool, from where the work takes it again
    raw.set_progress_handler(tick, 10)
    work()
    raw.set_progress_handler(None, 0)
    return count


# --- what people are told ------------------------------------------------------------------------


def test_limits_are_refused_in_a_sentence(build: Callable[..., Town]) -> None:
    town = build(quota_queued=2, quota_storage="10 kB")
    ada, op = town.account("ada"), town.account("op", "operator")
    program, operator = town.program(ada), town.program(op)
    path, body = "/api/v1/services/testing.double/jobs", {"inputs": {"n": 1}, "again": True}
    for _ in range(2):
        submitted(program)
    refused = program.post(path, json=body)
    assert refused.status_code == 403
    assert refused.json()["detail"] == "You have 2 jobs in the queue, which is as many as you may have."
    page = town.browser(ada).post("/services/testing.double", data={"n": "12345"})
    assert page.status_code == 422 and "as many as you may have" in page.text and 'value="12345"' in page.text
    assert len(list(town.gateway.runs.glob("*/*"))) == 2  # what was refused left nothing

    assert (
        operator.put(
            "/api/v1/operator/limits", json={"subject": "ada@example.org", "kind": "queued", "value": 5}
        ).status_code
        == 204
    )
    submitted(program)
    with town.gateway.store.write() as session:
        usage.count(session, ada.id, "testing.double", 3600.0 * 7, now())
    operator.put("/api/v1/operator/limits", json={"subject": ada.id, "kind": "cpu_hours", "value": 5})
    told = program.post(path, json=body).json()["detail"]
    assert told.startswith("You have used 7.0 of the 5 CPU hours that you have a month; jobs are taken again on 1 ")
    full = program.put("/api/v1/uploads/big", content=bytes(11_000))
    assert full.status_code == 403 and "of the 10.0KB that you have" in full.json()["detail"]
    assert not list((town.gateway.files.folder).glob("??/*"))
    mine = {item["kind"]: item for item in program.get("/api/v1/me").json()["limits"]}
    assert (mine["queued"]["used"], mine["queued"]["limit"]) == (3, 5)
    assert mine["cpu_hours"]["used"] == 7.0


def test_operators_set_limits_on_their_page(town: Town) -> None:
    ada, op = town.account("ada"), town.account("op", "operator")
    browser = town.browser(op)
    form = {"subject": "ada@example.org", "service": "", "kind": "storage", "value": "50 GB"}
    assert browser.post("/operator/limits", data=form).status_code == 303
    page = browser.get("/operator/limits").text
    assert "ada@example.org" in page and "50 GB</td>" in page
    wrong = browser.post("/operator/limits", data={"subject": "nobody", "kind": "size", "value": "-1"})
    for words in ("subject must be a role or an account", "kind must be one of", "value must be a number"):
        assert words in wrong.text
    assert wrong.status_code == 422
    everybody = browser.post("/operator/limits", data={"subject": "", "kind": "queued", "value": "1"})
    assert "is one of the settings" in everybody.text
    browser.post("/operator/limits", data={"service": "testing.double", "kind": "queued", "value": "1"})
    program = town.program(ada)
    submitted(program)
    refused = program.post("/api/v1/services/testing.double/jobs", json={"inputs": {"n": 1}, "again": True})
    assert "1 jobs of testing.double in the queue" in refused.json()["detail"]
    submitted(program, "testing.sleep", inputs={"seconds": 1})
    browser.post("/operator/limits", data=form | {"value": ""})
    assert "50 GB</td>" not in browser.get("/operator/limits").text


def test_too_many_submissions_in_a_minute(build: Callable[..., Town]) -> None:
    town = build(submits_per_minute=3)
    program = town.program(town.account("ada"))
    statuses = [
        program.post("/api/v1/services/testing.double/jobs", json={"inputs": {"n": n}}).status_code for n in range(5)
    ]
    assert statuses == [201, 201, 201, 429, 429]


def test_the_size_of_results_counts(town: Town) -> None:
    account = town.account("ada")
    id = submitted(town.program(account))
    with town.gateway.store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == id).values(stored=12_345))
    with town.gateway.store.read() as session:
        assert usage.stored_bytes(session, account.id) == 12_345
