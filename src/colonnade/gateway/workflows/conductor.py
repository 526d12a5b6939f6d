"""Leads workflows on: as jobs end, finds what can be run next, and queues it.

Any gateway may lead any workflow, one at a time: it holds a workflow for a minute, and renews that with every turn.
All that a turn needs is in the database, so that a gateway may die at any moment.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import CursorResult, or_, select, update

from colonnade.gateway.store import Unavailable, now
from colonnade.gateway.workflows.tables import WorkflowRow

if TYPE_CHECKING:
    from colonnade.gateway.core import Gateway

log = logging.getLogger(__name__)
HOLD = timedelta(seconds=60)
LOOK = 5.0  # seconds between two looks while nothing is announced: for other gateways' deaths, and for what had to wait


class Conductor:
    """One thread that leads the workflows of a gateway on; it is begun by the first workflow.

    Args:
        gateway: whose.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._begin = threading.Lock()
        self._running = False

    def start(self) -> None:
        """Begin if there is a workflow to lead on, or another gateway that may leave one."""
        self._running = True
        with self._gateway.store.read() as session:
            some = session.scalar(select(WorkflowRow.id).where(WorkflowRow.state == "running").limit(1))
        if some is not None or self._gateway.store.shared:
            self.wake()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def wake(self) -> None:
        """Something may have changed."""
        if self._thread is None:
            with self._begin:
                if self._running and self._thread is None and not self._stopping:
                    self._thread = threading.Thread(target=self._loop, name="colonnade-conductor", daemon=True)
                    self._thread.start()
        self._wake.set()

    def heard(self) -> None:
        """A job's state has changed; of interest only while there are workflows."""
        if self._thread is not None:
            self._wake.set()

    def _loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self.turn()
            except Unavailable:
                time.sleep(0.5)
            except Exception:
                log.exception("The conductor of workflows stumbled; it goes on.")
                time.sleep(1.0)
            self._wake.wait(LOOK)

    def turn(self) -> None:
        """Lead every workflow on as far as it goes now."""
        from colonnade.gateway.workflows.turn import Turn

        me = self._gateway.dispatcher.id
        with self._gateway.store.read() as session:
            free = or_(WorkflowRow.holder == me, WorkflowRow.held_until.is_(None), WorkflowRow.held_until < now())
            ids = list(session.scalars(select(WorkflowRow.id).where(WorkflowRow.state == "running", free)))
        for id in ids:
            if self._stopping or not self._hold(id, me):
                continue
            try:
                Turn(self._gateway, id, partial(self._goes_on, id, me)).go()
            except Unavailable:
                raise
            except Exception:
                log.exception("Workflow %s cannot be led on.", id)

    def _goes_on(self, id: str, me: str) -> bool:
        return not self._stopping and self._hold(id, me)

    def _hold(self, id: str, me: str) -> bool:
        """Take a workflow for a minute; False when another gateway has it, or it has ended."""
        with self._gateway.store.write() as session:
            mine = or_(WorkflowRow.holder == me, WorkflowRow.held_until.is_(None), WorkflowRow.held_until < now())
            change = update(WorkflowRow).where(WorkflowRow.id == id, WorkflowRow.state == "running", mine)
            change = change.values(holder=me, held_until=now() + HOLD).execution_options(synchronize_session=False)
            done: CursorResult[tuple[()]] = session.execute(change)  # type: ignore[assignment]
            return done.rowcount == 1
