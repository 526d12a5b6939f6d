"""Allocations of a batch system (SLURM, HTCondor, PBS, LSF, SGE), each a Dask worker that runs one job at a time.

The queue in the gateway's database stays the truth: what is counted here is how many attempts wait for or run in
allocations of one shape, and as many allocations are asked for. One that stays idle is given back.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import logging
import math
import os
import re
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from colonnade.gateway.service_process import clean_environment
from colonnade.gateway.settings import BatchQueue, Settings
from colonnade.service import Resources

log = logging.getLogger(__name__)

SYSTEMS = {
    "slurm": "SLURMJob",
    "htcondor": "HTCondorJob",
    "pbs": "PBSJob",
    "lsf": "LSFJob",
    "sge": "SGEJob",
}
GPUS = {
    "slurm": "--gres=gpu:{gpus}",
    "htcondor": "request_gpus = {gpus}",
    "pbs": "-l ngpus={gpus}",
    "lsf": "-gpu num={gpus}",
    "sge": "-l gpu={gpus}",
}
# A job that lost its node is queued again here; SLURM would start it a second time.
ALWAYS: Mapping[str, tuple[str, ...]] = {"slurm": ("--no-requeue",)}
# What a batch system's own commands need of the gateway's environment, and jobs may see of theirs.
OF_SYSTEMS = re.compile(r"(SLURM_CONF|PBS_|LSF_|LSB_|SGE_|_CONDOR_|CONDOR_CONFIG)")
WORKER_MEMORY = 512 << 20  # of the Dask worker, its fork server and the keeper, beside the job's own
MARGIN = 120.0  # seconds for the worker to start and to end beside the job's own time
LEAST_TIME = 3600.0  # an allocation may serve several short jobs
TOGETHER = 8  # calls of the batch system at once


class Shape(NamedTuple):
    """What the allocations of some services have in common; memory in bytes, walltime in seconds."""

    queue: str
    cores: int
    memory: int
    gpus: int
    walltime: int

    @property
    def resource(self) -> str:
        """The Dask resource of which an allocation of this shape has one."""
        return f"{self.queue}:{self.cores}c:{self.memory >> 20}m:{self.gpus}g:{self.walltime}s"


def shape_of(resources: Resources, queues: Mapping[str, BatchQueue], memory: int | None = None) -> Shape | None:
    """The shape in the first queue whose limits hold what a service asks for; None when none does."""
    wanted = int(memory or resources.memory_bytes)
    for name, queue in queues.items():
        if (
            resources.cores <= queue.cores
            and wanted <= queue.memory
            and resources.gpus <= queue.gpus
            and resources.walltime <= queue.walltime
        ):
            walltime = math.ceil(resources.walltime.total_seconds())
            return Shape(name, max(resources.cores, 1), wanted, resources.gpus, walltime)
    return None


def lifetime(shape: Shape, queue: BatchQueue) -> float:
    """Seconds to ask the batch system for: room for two of the longest jobs, within what the queue allows."""
    most = queue.walltime.total_seconds() + MARGIN
    return min(max(2 * shape.walltime + MARGIN, LEAST_TIME), most)


@dataclass
class Allocation:
    """One job of the batch system."""

    name: str
    shape: Shape
    job: Any
    asked: float
    seen: bool = False
    idle_since: float | None = None


@dataclass(frozen=True)
class Keys:
    """The TLS keys of this run, as PEM text, for the workers: whoever has them may speak to the scheduler."""

    ca_file: str
    cert: str
    key: str

    def prologue(self) -> list[str]:
        """Shell lines that write them where only the worker's account reads: no shared file system is needed.

        Each line stands alone, as HTCondor's has to.
        """
        lines = ["umask 077", 'COLONNADE_KEYS="$(mktemp -d)"', """trap 'rm -rf "$COLONNADE_KEYS"' EXIT"""]
        for name in ("ca_file", "cert", "key"):
            text = base64.b64encode(getattr(self, name).encode()).decode()
            lines.append(f'echo {text} | base64 -d > "$COLONNADE_KEYS/{name}"')
        return lines

    @staticmethod
    def arguments() -> list[str]:
        names = {"--tls-ca-file": "ca_file", "--tls-cert": "cert", "--tls-key": "key"}
        return [part for option, name in names.items() for part in (option, f'"$COLONNADE_KEYS/{name}"')]


def options(settings: Settings, shape: Shape, keys: Keys) -> dict[str, Any]:
    """What dask-jobqueue is told of one allocation."""
    system, queue = settings.scheduler, settings.batch_queues[shape.queue]
    seconds = lifetime(shape, queue)
    directives = [*ALWAYS.get(system, ()), *queue.directives]
    if shape.gpus and not any("{gpus}" in line for line in directives):
        directives.append(GPUS[system])
    directives = [line.replace("{gpus}", str(shape.gpus)) for line in directives]
    found: dict[str, Any] = {
        "cores": shape.cores,
        "processes": 1,
        "memory": f"{shape.memory + WORKER_MEMORY} B",
        "nanny": False,
        "death_timeout": 120,
        "job_name": "colonnade",
        "log_directory": str(settings.data / "engine" / "batch"),
        "local_directory": '"${TMPDIR:-/tmp}"',
        "python": settings.batch_python or sys.executable,
        "job_script_prologue": [
            *settings.batch_prologue,
            f"export COLONNADE_ENDS=$(( $(date +%s) + {int(seconds)} ))",
            *keys.prologue(),
        ],
        "worker_extra_args": [
            *("--nthreads", "1", "--memory-limit", "0", "--no-dashboard"),
            *("--resources", shlex.quote(f"{shape.resource}=1")),
            *keys.arguments(),
        ],
    }
    if system == "htcondor":
        found["disk"] = f"{int(queue.disk)} B"
        found["job_extra_directives"] = dict(_pair(line) for line in (f"+MaxRuntime = {int(seconds)}", *directives))
        return found
    found["job_extra_directives"] = directives
    found["walltime"] = _clock(seconds, seconds_too=system != "lsf")
    if queue.partition:
        found["queue"] = queue.partition
    return found


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


def _clock(seconds: float, *, seconds_too: bool) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    if not seconds_too:
        return f"{(minutes + bool(rest)) // 60:02d}:{(minutes + bool(rest)) % 60:02d}"
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def job_class(system: str) -> Any:
    """dask-jobqueue's job of a batch system, whose commands get a clean environment: SLURM hands it on to the job.

    Raises:
        ModuleNotFoundError: dask-jobqueue is not installed.
    """
    base = getattr(_imported(f"dask_jobqueue.{system}"), SYSTEMS[system])

    class Job(base):  # type: ignore[misc, valid-type]
        @staticmethod
        async def _call(cmd: list[str], **given: Any) -> str:
            kept = clean_environment(os.environ)
            kept |= {name: value for name, value in os.environ.items() if OF_SYSTEMS.match(name)}
            said: str = await base._call(cmd, env=kept, **given)
            return said

    return Job


def _imported(name: str) -> Any:
    """Import a module of dask-jobqueue, which takes the signals of the whole process when it is imported.

    They are the gateway's own; and outside the main thread, where the engine is, the import would fail.
    """
    usual = signal.signal
    signal.signal = lambda *_: None
    try:
        return importlib.import_module(name)
    finally:
        signal.signal = usual


@dataclass
class Batch:
    """A Dask scheduler in this process and the allocations whose workers belong to it.

    Args:
        settings: options, whose `scheduler` names the batch system.
    """

    settings: Settings
    allocations: dict[str, Allocation] = field(default_factory=dict)

    def start(self) -> Any:
        """Start the scheduler; gives the Dask cluster for a client."""
        from distributed import Scheduler, SpecCluster
        from distributed.security import Security

        security = Security.temporary()  # type: ignore[no-untyped-call]
        told = security.get_tls_config_for_role("worker")
        self._keys = Keys(told["ca_file"], told["cert"], told["key"])
        self._job_class = job_class(self.settings.scheduler)
        self._count = 0
        host = self.settings.batch_host or None
        scheduler = {"host": host, "protocol": "tls://", "security": security, "dashboard_address": "127.0.0.1:0"}
        if self.settings.batch_port:
            scheduler["port"] = self.settings.batch_port
        self._cluster: Any = SpecCluster(  # type: ignore[no-untyped-call]
            workers={}, scheduler={"cls": Scheduler, "options": scheduler}, security=security, silence_logs="error"
        )
        return self._cluster

    def close(self) -> None:
        """Give every allocation back."""
        with suppress(Exception):
            self._cluster.sync(self._close, list(self.allocations.values()))
        self.allocations.clear()

    # --- fitting ---------------------------------------------------------------------------------

    def fit(self, demand: Mapping[Shape, int], workers: Mapping[str, bool]) -> None:
        """Ask for what is missing and give back what is not needed.

        Args:
            demand: how many attempts wait for or run in allocations of a shape.
            workers: the workers that the scheduler knows, by name; whether each is busy.
        """
        self._look(workers)
        have = Counter(found.shape for found in self.allocations.values())
        leaving = []
        for found in self.allocations.values():
            surplus = have[found.shape] > demand.get(found.shape, 0)
            if self._lost(found, workers) or (surplus and self._idle(found)):
                leaving.append(found)
                have[found.shape] -= 1
        self._end(leaving)
        missing = [shape for shape, count in demand.items() for _ in range(count - have[shape])]
        self._begin(self._fitting(missing, demand))

    def _look(self, workers: Mapping[str, bool]) -> None:
        now = time.monotonic()
        for found in self.allocations.values():
            found.seen = found.seen or found.name in workers
            if found.seen and not workers.get(found.name, True):
                found.idle_since = found.idle_since or now
            else:
                found.idle_since = None

    def _lost(self, found: Allocation, workers: Mapping[str, bool]) -> bool:
        """Whether an allocation has ended, or was waited for long enough."""
        if found.seen:
            return found.name not in workers
        return time.monotonic() - found.asked > self.settings.batch_patience

    def _idle(self, found: Allocation) -> bool:
        """Whether an allocation has been idle long enough, or has not been given yet."""
        if not found.seen:
            return True
        return found.idle_since is not None and time.monotonic() - found.idle_since >= self.settings.batch_idle

    def _fitting(self, missing: list[Shape], demand: Mapping[Shape, int]) -> list[Shape]:
        """Those that stay within their queues; idle ones that nobody waits for leave for them."""
        taken: list[Shape] = []
        for shape in missing:
            held = [found for found in self.allocations.values() if found.shape.queue == shape.queue]
            cores = sum(found.shape.cores for found in held)
            cores += sum(other.cores for other in taken if other.queue == shape.queue)
            excess = cores + shape.cores - self.settings.batch_queues[shape.queue].cores
            idle = [found for found in held if found.idle_since is not None and not demand.get(found.shape)]
            while excess > 0 and idle:
                excess -= idle[-1].shape.cores
                self._end([idle.pop()])
            if excess <= 0:
                taken.append(shape)
        return taken

    def _begin(self, shapes: list[Shape]) -> None:
        if not shapes:
            return
        new = []
        for shape in shapes:
            self._count += 1
            name = f"colonnade-{os.getpid()}-{self._count}"
            given = options(self.settings, shape, self._keys)
            job = self._job_class(self._cluster.scheduler_address, name=name, **given)
            new.append(Allocation(name, shape, job, time.monotonic()))
        for found, error in zip(new, self._cluster.sync(self._start, new), strict=True):
            if error is None:
                self.allocations[found.name] = found
            else:  # its controller may be away for a moment; the next look asks again
                log.warning("%s gave no allocation (%s).", self.settings.scheduler, str(error).strip()[-500:])

    @staticmethod
    async def _start(new: list[Allocation]) -> list[BaseException | None]:
        limit = asyncio.Semaphore(TOGETHER)

        async def one(found: Allocation) -> None:
            async with limit:
                await found.job.start()

        return await asyncio.gather(*(one(found) for found in new), return_exceptions=True)

    def _end(self, leaving: list[Allocation]) -> None:
        if not leaving:
            return
        for found in leaving:
            self.allocations.pop(found.name, None)
        self._cluster.sync(self._close, leaving)

    async def _close(self, leaving: list[Allocation]) -> None:
        """Let the workers go, then cancel: when the controller is away, the end of its worker ends an allocation."""
        with suppress(Exception):
            names = [found.name for found in leaving]
            await self._cluster.scheduler.retire_workers(names=names, close_workers=True, remove=True)
        limit = asyncio.Semaphore(TOGETHER)

        async def one(found: Allocation) -> None:
            async with limit:
                await found.job.close()

        await asyncio.gather(*(one(found) for found in leaving), return_exceptions=True)
