"""The queue under a year of WeNMR's load: 12 million jobs, 4,000 CPU years, 23,000 people (arXiv:2107.01056).

    python benchmarks/year_of_jobs.py [JOBS]

The real queue on a real database (SQLite in a temporary folder), with simulated cores and a simulated clock: people
come at random, few of them often (Zipf), one in five with hundreds of jobs at once, the rest with one; run times are
log-normal with the mean that the year's figures give (2.9 hours), some of them longer than a day. A part of the year is
run with a short and with a long queue behind it, and with a month's finished jobs in the database too, at 4,000 busy
cores; the year is projected from the last of these.
CPU time is counted, not wall-clock time.
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, insert, select, text
from ulid import ULID

from colonnade.gateway import queue
from colonnade.gateway.accounts import fairness, usage
from colonnade.gateway.accounts.quotas import Quotas
from colonnade.gateway.accounts.tables import AccountRow
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import JobRow, Store, now

YEAR = 365.25 * 86_400
JOBS, PEOPLE, CORES = 12_000_000, 23_000, 4_000
MEAN = 4_000 * YEAR / JOBS  # CPU seconds of one job
SIGMA = 1.2
BURST = 400  # jobs of one docking run
CHUNK = 20_000  # rows written at once
SERVICES = ("structure.docking", "structure.interaction_space", "structure.map_fit", "structure.affinity")


class Site:
    """A queue, 4,000 simulated cores, and a crowd."""

    def __init__(self, folder: Path, backlog: int, finished: int) -> None:
        self.path = folder / f"{backlog}-{finished}.sqlite3"
        self.store = Store(f"sqlite:///{self.path}")
        self.store.upgrade()
        self.quotas = Quotas(Settings(accounts=True, public_url="http://127.0.0.1", quota_running=1000))
        self.random = random.Random(1)
        self.spent = {"submit": 0.0, "start": 0.0, "end": 0.0}
        self.done = 0
        self.people = [str(ULID()) for _ in range(PEOPLE)]
        self.weights = list(itertools.accumulate(1 / (n + 1) for n in range(PEOPLE)))
        self.month = usage.month_of(now())
        with self.store.write() as session:
            people = [
                {"id": id, "email": None, "name": "", "password": "", "role": "user", "community": "", "notify": True,
                 "disabled": False, "created": now(), "asked_role": "", "asked_reason": ""}
                for id in self.people
            ]  # fmt: skip
            session.execute(insert(AccountRow), people)
            session.execute(insert(JobRow), [self.row("running") for _ in range(CORES)])
            session.execute(insert(JobRow), [self.row("queued", n) for n in range(backlog)])
        for _ in range(finished // CHUNK):
            with self.store.write() as session:
                session.execute(insert(JobRow), [self.row("succeeded") for _ in range(CHUNK)])
        with self.store.read() as session:
            running = session.execute(select(JobRow.id, JobRow.attempt).where(JobRow.state == "running")).all()
        self.ends = [(self.length() * self.random.random(), row.id, row.attempt) for row in running]
        heapq.heapify(self.ends)

    def length(self) -> float:
        return self.random.lognormvariate(0.0, SIGMA) * MEAN / 2.0544  # exp(SIGMA^2 / 2)

    def row(self, state: str, n: int = 0) -> dict[str, object]:
        id = str(ULID())
        owner = self.random.choices(self.people, cum_weights=self.weights)[0]
        return {
            "id": id, "service": self.random.choice(SERVICES), "version": "1", "state": state, "title": "",
            "inputs": {"n": n, "file": {"sha256": id * 2, "name": "complex.pdb", "size": 100_000}}, "seed": 0,
            "fingerprint": (id * 3)[:64], "run": id, "cores": 1, "attempt": 1 if state == "running" else 0, "lost": 0,
            "cancel_requested": False, "created": now(), "error": "", "cpu_seconds": 0.0, "max_rss": 0,
            "owner": owner, "rank": float(n) * MEAN / 50, "charge": MEAN, "stored": 0,
            "gateway": "g" if state == "running" else None,
        }  # fmt: skip

    def submit(self, owner: str) -> None:
        began = time.process_time()
        with self.store.write() as session:
            row = JobRow(**(self.row("queued") | {"owner": owner}))
            self.quotas.admit(session, owner, "user", row.service)
            fairness.enqueue(session, row, self.month)
            queue.add(session, row)
        self.spent["submit"] += time.process_time() - began

    def end(self) -> None:
        """One job ends, and another starts."""
        moment, id, attempt = heapq.heappop(self.ends)
        began = time.process_time()
        with self.store.write() as session:
            assert queue.finish(session, id, attempt, "succeeded", cpu_seconds=MEAN)
        middle = time.process_time()
        with self.store.write() as session:
            claims = queue.claim(session, "g", 1, fair=fairness.Fair(self.quotas))
        self.spent["end"] += middle - began
        self.spent["start"] += time.process_time() - middle
        self.done += 1
        for claim in claims:
            heapq.heappush(self.ends, (moment + self.length(), claim.id, claim.attempt))

    def run(self, jobs: int) -> None:
        left = 0
        owner = ""
        for _ in range(jobs):
            if not left:
                owner = self.random.choices(self.people, cum_weights=self.weights)[0]
                left = BURST if self.random.random() < 0.2 else 1
            left -= 1
            self.submit(owner)
            self.end()

    def bytes_per_job(self) -> float:
        with self.store.read() as session:
            number = session.scalar(select(func.count()).select_from(JobRow)) or 1
        with self.store.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        return self.path.stat().st_size / number


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print(f"The queue with {CORES} busy cores and {PEOPLE} people; {jobs} jobs each\n")
    print("jobs queued   finished    submit      start       end         together")
    with tempfile.TemporaryDirectory() as folder:
        for backlog, finished in ((1_000, 0), (100_000, 0), (100_000, 1_000_000)):
            site = Site(Path(folder), backlog, finished)
            site.run(jobs)
            parts = [1e3 * site.spent[name] / jobs for name in ("submit", "start", "end")]
            print(f"{backlog:9,d}  {finished:11,d}   " + "".join(f"{part:6.2f} ms   " for part in [*parts, sum(parts)]))
            size, cost = site.bytes_per_job(), sum(parts) / 1e3
            site.store.close()
    rate = JOBS / YEAR
    print(f"\nA year: {rate:.2f} jobs/s on average, {3 * rate:.2f} transactions/s; {cost * rate:.1%} of one core;")
    print(f"{JOBS * size / 1e9:.1f} GB when every job is kept ({size:.0f} bytes a job with its indexes);")
    print(f"this queue could take {1 / cost:.0f} jobs/s, {1 / cost / rate:.0f} x the average.")


if __name__ == "__main__":
    main()
