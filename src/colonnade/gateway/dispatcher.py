"""Between the queue and the engine: claims queued jobs, hands them over, records how they end."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from ulid import ULID

from colonnade.gateway import processes, queue
from colonnade.gateway.attempt import Outcome, settle
from colonnade.gateway.engine import Engine, Pool
from colonnade.gateway.queue import Claim
from colonnade.gateway.settings import Settings
from colonnade.gateway.storage import Storage
from colonnade.gateway.store import GatewayRow, JobRow, Store, Unavailable, now

if TYPE_CHECKING:
    from colonnade.gateway.accounts.office import Office

log = logging.getLogger(__name__)

AWAY = 2.0  # longest pause, in seconds, between two tries to reach a database that cannot be used


class Dispatcher:
    """One thread that moves jobs from the queue to the engine and back.

    Args:
        settings: options.
        store: the database.
        directory_of: run directory by the name of the run.
        storage: where jobs' files are, when it is not a folder that the workers see.
        office: where people have accounts: the fair order, and whom to tell of an end.

    Attributes:
        id: this gateway process, as the database knows it.
        changes: grows with every change of a job's state that this gateway knows of.
        on_change: called at each.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        directory_of: Callable[[str], Path],
        office: Office | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.id = str(ULID())
        self.changes = 0
        self.on_change: Callable[[], None] = lambda: None
        self.engine = Engine(settings, self._report, self.wake, storage)
        self._settings = settings
        self._store = store
        self._directory_of = directory_of
        self._office = office
        self._running: dict[str, Claim] = {}
        self._outcomes: deque[tuple[Claim, Outcome]] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._halted = threading.Event()  # set with `_stopping`: a pause is then over
        self._in_doubt = False  # whether the database may hold claims that this gateway never heard of
        self._thread = threading.Thread(target=self._loop, name="colonnade-dispatcher", daemon=True)
        self._due: dict[str, float] = {}

    # --- from any thread -------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()
        self.engine.start()

    def stop(self) -> None:
        """Take no more jobs, end those that run, queue them again."""
        self._stopping = True
        self._halted.set()
        self.wake()
        self._thread.join(timeout=2 * self._settings.busy_timeout)
        self.engine.stop()
        self._record_outcomes()
        for claim in self._running.values():  # of which the engine had no time to tell
            outcome = settle(self._directory_of(claim.run), claim.attempt) or Outcome("lost")
            self._record(claim.id, claim.attempt, outcome)
        with self._store.write() as session:
            session.execute(delete(GatewayRow).where(GatewayRow.id == self.id))

    def wake(self) -> None:
        """Something may be there to do."""
        self._wake.set()

    def announce(self) -> None:
        """Some job's state has changed."""
        self.changes += 1
        self.on_change()

    def cancel(self, id: str) -> None:
        """End a job if this gateway runs it."""
        for claim in list(self._running.values()):
            if claim.id == id:
                self.engine.cancel(claim.key)

    def _report(self, claim: Claim, outcome: Outcome) -> None:
        self._outcomes.append((claim, outcome))
        self.wake()

    # --- the thread ------------------------------------------------------------------------------

    def _loop(self) -> None:
        away = 0.0
        while not self._stopping:
            try:
                self._turn()
                away = 0.0
            except Unavailable as error:
                if not away:  # said once, not for every try
                    log.warning("%s", error)
                away = min(2 * away, AWAY) or 0.2
                self._halted.wait(away)
                self.wake()
            except Exception:
                log.exception("The dispatcher stumbled; it goes on.")
                self._halted.wait(1.0)
            self._wake.wait(self._settings.poll)
            self._wake.clear()

    def _turn(self) -> None:
        self._record_outcomes()
        if self._in_doubt:
            self._give_back_unheard()
        if self._is_due("heartbeat", self._settings.heartbeat):
            self._heartbeat()
            self._recover()
        if self._is_due("cancels", self._settings.poll):
            self._look_for_cancels()
        self._hand_over()

    def _is_due(self, what: str, interval: float) -> bool:
        if time.monotonic() < self._due.get(what, 0.0):
            return False
        self._due[what] = time.monotonic() + interval
        return True

    def _hand_over(self) -> None:
        for pool in self.engine.pools():
            running = [claim for claim in self._running.values() if pool.holds(claim.service)]
            free = pool.cores - (0 if pool.together else sum(claim.cores for claim in running))
            if free > 0:
                self._take(free, pool)

    def _take(self, free: int, pool: Pool) -> None:
        self._in_doubt = True
        with self._store.write() as session:
            fair = self._office.fair() if self._office is not None else None
            claims = queue.claim(session, self.id, free, together=pool.together, fair=fair, services=pool.services)
        self._in_doubt = False
        for claim in claims:
            self._running[claim.key] = claim
            log.info("job started", extra={"job": claim.id, "attempt": claim.attempt, "service": claim.service})
            if not self.engine.submit(claim, self._directory_of(claim.run)):
                self._report(claim, Outcome("unstarted"))
        if claims:
            self.announce()

    def _give_back_unheard(self) -> None:
        """Queue again what was claimed when the database went away between its commit and its answer."""
        with self._store.read() as session:
            rows = queue.running_here(session, self.id)
        for row in rows:
            if f"{row.id}-{row.attempt}" not in self._running:
                self._record(row.id, row.attempt, Outcome("unstarted"))
        self._in_doubt = False

    def _record_outcomes(self) -> None:
        while self._outcomes:
            claim, outcome = self._outcomes[0]  # stays until it is recorded: the database may be locked
            if outcome.status == "lost":
                outcome = settle(self._directory_of(claim.run), claim.attempt) or outcome
            self._record(claim.id, claim.attempt, outcome)
            self._outcomes.popleft()
            self._running.pop(claim.key, None)
            self.announce()

    def _record(self, id: str, attempt: int, outcome: Outcome) -> None:
        over = outcome.status not in ("lost", "unstarted")
        stored = outcome.stored or (self._size(id) if over and self._office is not None else 0)
        with self._store.write() as session:
            if over:
                changed = queue.finish(
                    session,
                    id,
                    attempt,
                    outcome.status,
                    error=outcome.error,
                    cpu_seconds=outcome.cpu_seconds,
                    max_rss=outcome.max_rss,
                    stored=stored,
                )
            else:
                changed = queue.give_back(
                    session,
                    id,
                    attempt,
                    lost=outcome.status == "lost" and not self._stopping,
                    retries=self._settings.retries,
                    cpu_seconds=outcome.cpu_seconds,
                )
            if changed:
                log.info("job left its worker", extra={"job": id, "attempt": attempt, "outcome": outcome.status})
            if changed and self._office is not None:
                row = session.get_one(JobRow, id, populate_existing=True)
                if row.final:
                    self._office.ended(session, row)

    def _size(self, id: str) -> int:
        """Bytes of a run directory."""
        with self._store.read() as session:
            run = session.scalar(select(JobRow.run).where(JobRow.id == id))
        found = self._directory_of(run).rglob("*") if run is not None else ()
        return sum(path.stat().st_size for path in found if path.is_file() and not path.is_symlink())

    def _recover(self) -> None:
        """Take up the running jobs of gateways that are gone."""
        with self._store.read() as session:
            rows = queue.running_elsewhere(session, self.id)
            known = {row.id: row for row in session.scalars(select(GatewayRow))}
        gone = {id for id, row in known.items() if id != self.id and self._is_gone(row)}
        for row in rows:
            if row.gateway in known and row.gateway not in gone:
                continue
            log.warning("Job %s was left by a gateway that is gone.", row.id)
            outcome = settle(self._directory_of(row.run), row.attempt) or Outcome("lost")
            self._record(row.id, row.attempt, outcome)
            self.announce()
        if gone:
            with self._store.write() as session:
                session.execute(delete(GatewayRow).where(GatewayRow.id.in_(gone)))

    def _is_gone(self, row: GatewayRow) -> bool:
        if row.host == processes.host():
            return row.boot != processes.boot() or not processes.Process(row.pid, row.pid_started).alive
        return (now() - row.heartbeat).total_seconds() > self._settings.heartbeat_stale

    def _heartbeat(self) -> None:
        me = processes.identify(os.getpid())
        with self._store.write() as session:
            session.merge(
                GatewayRow(
                    id=self.id,
                    host=processes.host(),
                    boot=processes.boot(),
                    pid=me.pid,
                    pid_started=me.started,
                    heartbeat=now(),
                )
            )

    def _look_for_cancels(self) -> None:
        with self._store.read() as session:
            asked = queue.cancels_for(session, self.id)
        for id in asked:
            self.cancel(id)
