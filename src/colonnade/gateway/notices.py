"""How gateways over one PostgreSQL hear of each other's changes at once, by LISTEN and NOTIFY, and not by polling."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from colonnade.gateway.queue import CHANGED
from colonnade.gateway.store import Store

log = logging.getLogger(__name__)

CHANNEL = "colonnade"
PATIENCE = 5.0  # seconds that one wait for news takes at most


def notify_on_commit(store: Store) -> None:
    """Tell all gateways of every transaction that changed the state of a job, once it stands."""

    def tell(session: Session) -> None:
        if session.info.pop(CHANGED, False):
            session.execute(text(f"NOTIFY {CHANNEL}"))

    event.listen(store.writing, "before_commit", tell)


class Ear:
    """A thread that hears of other gateways' changes.

    Args:
        store: a PostgreSQL database.
        heard: called for each piece of news, and after a connection was lost and made again.
    """

    def __init__(self, store: Store, heard: Callable[[], None]) -> None:
        self._store, self._heard = store, heard
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="colonnade-ear", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _loop(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except Exception as error:  # the server was restarted; polling goes on meanwhile
                log.warning("The database's notices cannot be heard (%s); trying again.", type(error).__name__)
                self._stopped.wait(1.0)

    def _listen(self) -> None:
        with self._store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"LISTEN {CHANNEL}"))
            raw: Any = connection.connection.driver_connection
            self._heard()  # of what was missed
            while not self._stopped.is_set():
                for _ in raw.notifies(timeout=PATIENCE, stop_after=1):
                    self._heard()
            connection.detach()
