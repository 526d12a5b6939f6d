"""Dask, on which the jobs run: a cluster of this machine's own, or one that a scheduler's address names."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from colonnade.gateway import child
from colonnade.gateway.attempt import Outcome, Record
from colonnade.gateway.order import Limits, Order
from colonnade.gateway.queue import Claim
from colonnade.gateway.settings import Settings
from colonnade.service import Resources, services

log = logging.getLogger(__name__)

Status = Literal["starting", "ready", "lost", "stopped"]
CORES = "cores"  # the Dask resource of which a job takes as many as its service asks for
RECONNECT = 2.0  # seconds between two attempts to reach a scheduler

CONFIG = {
    # A worker is a daemonic process otherwise, and these may not have children.
    "distributed.worker.daemon": False,
    # Dask never runs a job a second time by itself: the queue decides that.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    # Jobs are other processes, with limits of their own; the worker's own memory says nothing.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    # The HTTP servers that Dask always starts have nothing to tell to the other users of the machine.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # An idle gateway is idle.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "30s",
}


class Engine:
    """Runs claimed jobs and reports how each attempt ended.

    Args:
        settings: options.
        report: called, from some thread, with every claim that was submitted and its outcome.
        changed: called when the engine has become ready or was lost.

    Attributes:
        status: "starting", "ready", "lost" (a scheduler that cannot be reached just now) or "stopped".
        cores: what all workers offer together; 0 unless ready.
    """

    def __init__(
        self, settings: Settings, report: Callable[[Claim, Outcome], None], changed: Callable[[], None]
    ) -> None:
        self.status: Status = "starting"
        self.cores = 0
        self._settings = settings
        self._report = report
        self._changed = changed
        self._cluster: Any = None
        self._client: Any = None
        self._futures: dict[str, Any] = {}
        self._stop = threading.Event()
        self._messengers = ThreadPoolExecutor(2, thread_name_prefix="colonnade-engine")
        self._thread = threading.Thread(target=self._run, name="colonnade-engine", daemon=True)

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End all jobs and the workers; every job still running is reported as lost."""
        self.status, self.cores = "stopped", 0
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self._messengers.shutdown(wait=False, cancel_futures=True)
        self._disconnect()

    def _run(self) -> None:
        """Keep the connection to the scheduler, whatever happens to it."""
        while not self._stop.is_set():
            try:
                if self._client is None:
                    self._connect()
                self._look()
            except Exception as error:
                if not self._stop.is_set():
                    log.warning("The engine cannot be reached (%s); trying again.", error)
                self._lose()
            self._stop.wait(RECONNECT if self.status != "ready" else self._settings.poll)

    def _connect(self) -> None:
        import dask
        from distributed import Client

        dask.config.set(CONFIG)
        logging.getLogger("distributed").setLevel(logging.ERROR)
        if self._settings.scheduler == "local":
            self._cluster = _local_cluster(self._settings)
            self._client = Client(self._cluster, set_as_default=False)  # type: ignore[no-untyped-call]
        else:
            address = self._settings.scheduler
            self._client = Client(address, set_as_default=False, timeout="10s")  # type: ignore[no-untyped-call]
        plugin = child.Warm(self._settings.preload, self._settings.pass_environment)
        self._client.register_plugin(_as_dask_plugin(plugin))

    def _look(self) -> None:
        """See whether the scheduler is there and what its workers offer."""
        if self._client.status != "running":
            raise ConnectionError(f"the connection to the scheduler is {self._client.status}")
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        cores = int(sum(worker["resources"].get(CORES, 0) for worker in workers))
        if self._stop.is_set() or cores == self.cores:
            return
        self.status, self.cores = ("ready" if cores else "starting"), cores
        self._changed()

    def _lose(self) -> None:
        if self.status == "ready":
            self.status, self.cores = "lost", 0
            self._changed()
        self._disconnect()

    def _disconnect(self) -> None:
        client, cluster = self._client, self._cluster
        self._client = self._cluster = None
        if client is not None:
            with suppress(Exception):
                if cluster is not None:
                    client.run(child.close, on_error="ignore")
                else:  # the workers are not ours to close: they run other gateways' jobs too
                    client.run(child.tell_all, list(self._futures), "stop", on_error="ignore")
            with suppress(Exception):
                client.close(timeout=2)
        if cluster is not None:
            with suppress(Exception):
                cluster.close(timeout=5)

    # --- jobs ------------------------------------------------------------------------------------

    def submit(self, claim: Claim, directory: Path) -> bool:
        """Hand an attempt to a worker; False when none can be reached, and the attempt never began."""
        order = Order(
            key=claim.key,
            attempt=claim.attempt,
            directory=directory,
            cores=claim.cores,
            limits=Limits.of(_resources(claim.service), self._settings),
        )
        try:
            future = self._client.submit(
                child.run, order, key=claim.key, resources={CORES: claim.cores}, pure=False, retries=0
            )
        except Exception as error:  # the scheduler went away between the claim and now
            log.warning("%s could not be submitted (%s).", claim.key, error)
            self.cores = 0  # until the scheduler has been seen again
            return False
        self._futures[claim.key] = future
        future.add_done_callback(lambda done: self._done(claim, directory, done))
        return True

    def cancel(self, key: str) -> None:
        """End a job; returns at once."""
        client = self._client
        if client is not None:
            with suppress(RuntimeError):  # stopping: all jobs end
                self._messengers.submit(_tell, client, key)

    def _done(self, claim: Claim, directory: Path, future: Any) -> None:
        self._futures.pop(claim.key, None)
        try:
            # What the keeper wrote last spares a journey through the scheduler to the worker and back.
            known = Record.read(directory) if future.status == "finished" else None
            outcome = known.outcome if known is not None and known.attempt == claim.attempt else None
            outcome = outcome or future.result()
        except BaseException as error:  # the worker was killed, or the scheduler is gone: Dask has several words
            if not self._stop.is_set():
                log.warning("%s was lost (%s: %s).", claim.key, type(error).__name__, error)
            outcome = Outcome("lost", "The worker was lost.")
            if getattr(self._client, "status", "") != "running":
                self.cores = 0
        self._report(claim, outcome)


def _tell(client: Any, key: str) -> None:
    try:
        client.run(child.tell, key, "cancel", on_error="ignore")
    except Exception as error:
        log.warning("%s could not be told to end (%s).", key, error)


def _resources(service: str) -> Resources:
    found = services().get(service)
    return found.resources if found is not None else Resources()


def _local_cluster(settings: Settings) -> Any:
    """One worker process with a thread per core: a thread only waits for its job's process.

    The workers and the scheduler talk over TLS with keys of this run alone: whoever could speak to a Dask scheduler
    could run any code as its owner, and every user of the machine can reach its ports.
    """
    from distributed import LocalCluster
    from distributed.security import Security

    return LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=1,
        threads_per_worker=settings.workers,
        resources={CORES: settings.workers},
        processes=True,
        host="127.0.0.1",
        security=Security.temporary(),  # type: ignore[no-untyped-call]
        protocol="tls://",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        memory_limit=0,
        local_directory=str(settings.data / "engine"),
        silence_logs=logging.ERROR,
    )


def _as_dask_plugin(plugin: child.Warm) -> Any:
    from distributed.diagnostics.plugin import WorkerPlugin

    class Plugin(WorkerPlugin):
        name = plugin.name

        def setup(self, worker: Any) -> None:
            plugin.setup(worker)

    return Plugin()
