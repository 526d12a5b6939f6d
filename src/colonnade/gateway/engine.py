"""Dask, on which the jobs run: a cluster of this machine's own, or one that a scheduler's address names."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from colonnade.gateway import carrier, child
from colonnade.gateway.attempt import CANCELLED, Outcome, Record
from colonnade.gateway.batch import Batch, Shape, shape_of
from colonnade.gateway.order import Isolation, Limits, Order
from colonnade.gateway.queue import Claim
from colonnade.gateway.settings import Settings, config_file
from colonnade.gateway.storage import Storage
from colonnade.service import Resources, services

log = logging.getLogger(__name__)

Status = Literal["starting", "ready", "lost", "stopped"]
CORES = "cores"  # the Dask resource of which a job takes as many as its service asks for
RECONNECT = 2.0  # seconds between two attempts to reach a scheduler

CONFIG: dict[str, object] = {
    # A worker is a daemonic process otherwise, and these may not have children.
    "distributed.worker.daemon": False,
    # Dask never runs a job a second time by itself: the queue decides that.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    # A worker is gone when its connection is. Signs of life are counted by a clock that may be set.
    "distributed.scheduler.worker-ttl": None,
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


@dataclass(frozen=True)
class Pool:
    """Cores that some jobs share: the engine's, or those of one queue of a batch system.

    Attributes:
        cores: how many there are.
        together: the running jobs of all gateways are on them.
        services: whose jobs; None: all.
    """

    cores: int
    together: bool = False
    services: frozenset[str] | None = None

    def holds(self, service: str) -> bool:
        return self.services is None or service in self.services


class Engine:
    """Runs claimed jobs and reports how each attempt ended.

    Args:
        settings: options.
        report: called, from some thread, with every claim that was submitted and its outcome.
        changed: called when the engine has become ready or was lost.
        storage: where jobs' files are, when it is not a folder that the workers see.

    Attributes:
        status: "starting", "ready", "lost" (a scheduler that cannot be reached just now) or "stopped".
        cores: what all workers offer together; 0 unless ready.
    """

    def __init__(
        self,
        settings: Settings,
        report: Callable[[Claim, Outcome], None],
        changed: Callable[[], None],
        storage: Storage | None = None,
    ) -> None:
        self.status: Status = "starting"
        self.cores = 0
        self._settings = settings
        self._report = report
        self._changed = changed
        self._cluster: Any = None
        self._client: Any = None
        self._storage = storage
        self._directories: dict[str, Path] = {}  # where events of jobs on other machines are written down
        self._batch: Batch | None = None
        self._shapes: dict[str, Shape | None] = {}  # of the batch system's allocations, by service
        self._futures: dict[str, Any] = {}
        self._wanted: dict[str, Shape] = {}  # by the keys of attempts that the batch system has to place
        self._offered: frozenset[str] = frozenset()  # names of the workers' resources
        self._withdrawn: set[str] = set()  # attempts that were cancelled before a worker had begun them
        self._turn = threading.Event()
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
        self._turn.set()
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
            self._turn.wait(RECONNECT if self.status != "ready" else self._settings.poll)
            self._turn.clear()

    def _connect(self) -> None:
        import dask
        from distributed import Client

        dask.config.set(CONFIG)
        logging.getLogger("distributed").setLevel(logging.ERROR)
        if self._settings.scheduler == "local":
            self._cluster = _local_cluster(self._settings)
            self._client = Client(self._cluster, set_as_default=False)  # type: ignore[no-untyped-call]
        elif self._settings.batch:
            self._batch = Batch(self._settings)
            self._cluster = self._batch.start()
            self._client = Client(self._cluster, set_as_default=False)  # type: ignore[no-untyped-call]
        else:
            address = self._settings.scheduler
            self._client = Client(address, set_as_default=False, timeout="10s")  # type: ignore[no-untyped-call]
        plugin = child.Warm(self._settings.preload, self._settings.pass_environment)
        self._client.register_plugin(_as_dask_plugin(plugin))
        if self._storage is not None:
            self._client.subscribe_topic(carrier.TOPIC, self._heard)

    def _look(self) -> None:
        """See whether the scheduler is there and what its workers offer."""
        if self._client.status != "running":
            raise ConnectionError(f"the connection to the scheduler is {self._client.status}")
        info = self._client.scheduler_info(n_workers=-1)["workers"]
        if self._batch is not None:
            self._fit(info)
            return
        workers = info.values()
        self._offered = frozenset(name for worker in workers for name in worker["resources"])
        cores = int(sum(worker["resources"].get(CORES, 0) for worker in workers))
        if self._stop.is_set() or cores == self.cores:
            return
        self.status, self.cores = ("ready" if cores else "starting"), cores
        self._changed()

    def _fit(self, workers: dict[str, dict[str, Any]]) -> None:
        """Have as many allocations as attempts ask for."""
        assert self._batch is not None
        busy = self._client.processing()
        names = {str(worker["name"]): bool(busy.get(address)) for address, worker in workers.items()}
        self._batch.fit(Counter(list(self._wanted.values())), names)
        if self.status != "ready" or not self.cores:
            self.status = "ready"
            self.cores = sum(queue.cores for queue in self._settings.batch_queues.values())
            self._changed()

    def pools(self) -> list[Pool]:
        """What jobs may hold just now; a batch system is asked for it as they come."""
        if self._batch is None:
            together = self._settings.scheduler != "local"  # other gateways' jobs run on the same cores
            return [Pool(self.cores, together)]
        if not self.cores:
            return []
        return [
            Pool(queue.cores, services=frozenset(name for name in services() if self._queue(name) == key))
            for key, queue in self._settings.batch_queues.items()
        ]

    def shape(self, service: str) -> Shape | None:
        """The allocation that a service's jobs run in; None when no queue of the batch system holds it."""
        if service not in self._shapes:
            limit = int(self._settings.memory_limit) if self._settings.memory_limit else None
            self._shapes[service] = shape_of(_resources(service), self._settings.batch_queues, limit)
        return self._shapes[service]

    def _queue(self, service: str) -> str | None:
        shape = self.shape(service)
        return shape.queue if shape is not None else None

    def _lose(self) -> None:
        if self.status == "ready":
            self.status, self.cores = "lost", 0
            self._changed()
        self._disconnect()

    def _disconnect(self) -> None:
        client, cluster, batch = self._client, self._cluster, self._batch
        self._client = self._cluster = self._batch = None
        if client is not None:
            with suppress(Exception):
                if cluster is not None:
                    client.run(child.close, on_error="ignore")
                else:  # the workers are not ours to close: they run other gateways' jobs too
                    client.run(child.tell_all, list(self._futures), "stop", on_error="ignore")
            with suppress(Exception):
                client.close(timeout=2)
        if batch is not None:
            batch.close()
        if cluster is not None:
            with suppress(Exception):
                cluster.close(timeout=5)

    # --- jobs ------------------------------------------------------------------------------------

    def submit(self, claim: Claim, directory: Path) -> bool:
        """Hand an attempt to a worker; False when none can be reached, and the attempt never began."""
        order = _order(claim, directory, self._settings)
        try:
            wanted = self._place(claim)
            future = self._client.submit(*self._task(order, claim), key=claim.key, resources=wanted, pure=False)
        except Exception as error:  # the scheduler went away between the claim and now
            log.warning("%s could not be submitted (%s).", claim.key, error)
            self.cores = 0  # until the scheduler has been seen again
            self._wanted.pop(claim.key, None)
            return False
        self._futures[claim.key] = future
        self._turn.set()
        future.add_done_callback(lambda done: self._done(claim, directory, done))
        return True

    def _task(self, order: Order, claim: Claim) -> tuple[Any, ...]:
        """What a worker calls: with an object store it fetches and stores the job's files itself."""
        if self._storage is None:
            return (child.run, order)
        self._directories[claim.key] = order.directory
        return (carrier.run, order, carrier.Carriage(self._storage, claim.run, self._settings.storage_patience))

    def _heard(self, event: tuple[Any, dict[str, Any]]) -> None:
        """Events of a job, from the worker that runs it."""
        news = event[1]
        directory = self._directories.get(news["key"])
        if directory is not None:
            carrier.write_down(directory, news["offset"], news["text"])

    def _place(self, claim: Claim) -> dict[str, float]:
        """The Dask resources of the workers that may run an attempt, and how much of each it takes."""
        if self._batch is not None:
            shape = self.shape(claim.service)
            if shape is None:
                raise LookupError("no queue of the batch system takes it any more")
            self._wanted[claim.key] = shape
            return {shape.resource: 1}
        asked = _resources(claim.service)
        wanted: dict[str, float] = {CORES: claim.cores}
        if "memory" in self._offered:
            wanted["memory"] = asked.memory_bytes
        if asked.gpus:
            wanted["gpus"] = asked.gpus
        return wanted

    def cancel(self, key: str) -> None:
        """End a job; returns at once."""
        client, future = self._client, self._futures.get(key)
        if client is not None:
            with suppress(RuntimeError):  # stopping: all jobs end
                self._messengers.submit(self._tell, client, key, future)

    def _tell(self, client: Any, key: str, future: Any) -> None:
        """Tell the worker that runs a job to end it; a job that no worker has begun is taken from the scheduler."""
        try:
            client.run(child.tell, key, "cancel", on_error="ignore")
            begun = any(key in keys for keys in client.processing().values())
            if future is not None and not begun and not future.done():
                self._withdrawn.add(key)
                future.cancel()
                client.run(child.tell, key, "cancel", on_error="ignore")  # it may have begun just now
        except Exception as error:
            log.warning("%s could not be told to end (%s).", key, error)

    def _done(self, claim: Claim, directory: Path, future: Any) -> None:
        self._futures.pop(claim.key, None)
        self._wanted.pop(claim.key, None)
        self._directories.pop(claim.key, None)
        self._turn.set()
        if claim.key in self._withdrawn:
            self._withdrawn.discard(claim.key)
            self._report(claim, Outcome("cancelled", CANCELLED))
            return
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


def _order(claim: Claim, directory: Path, settings: Settings) -> Order:
    asked = _resources(claim.service)
    isolate: Isolation = settings.isolation or ("auto" if settings.accounts else "off")
    return Order(
        key=claim.key,
        attempt=claim.attempt,
        directory=directory,
        cores=claim.cores,
        limits=Limits.of(asked, settings),
        gpus=asked.gpus,
        isolate=isolate,
        network=asked.network,
        hidden=(settings.data, config_file()),
    )


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
