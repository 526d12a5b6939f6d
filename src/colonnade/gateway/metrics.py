"""Prometheus metrics: what the database counts, what this process serves. Nobody is named in them.

Loaded only with the setting `metrics`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from sqlalchemy import func, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from colonnade.gateway.routes import route_of
from colonnade.gateway.store import GatewayRow, JobRow, Unavailable, now
from colonnade.gateway.workflows.tables import WorkflowRow

if TYPE_CHECKING:
    from colonnade.gateway.core import Gateway

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one gateway process.

    Args:
        gateway: whose.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_OfGateway(gateway))
        self.requests = Histogram(
            "colonnade_request_seconds",
            "Time until a request was answered, by route.",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)


class _OfGateway:
    """Read out of the database and the engine whenever Prometheus asks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def describe(self) -> list[Any]:
        return []  # asked for at registration, when the database may not answer yet

    def collect(self) -> Iterator[Any]:
        up = GaugeMetricFamily("colonnade_database_up", "Whether the database answers.")
        try:
            yield from self._counted()
            up.add_metric([], 1)
        except Unavailable:
            up.add_metric([], 0)
        yield up
        engine = self._gateway.dispatcher.engine
        ready = GaugeMetricFamily("colonnade_engine_ready", "Whether the engine takes jobs.")
        ready.add_metric([], float(engine.status == "ready"))
        yield ready
        cores = GaugeMetricFamily("colonnade_engine_cores", "Cores of the engine.")
        cores.add_metric([], engine.cores)
        yield cores
        free = GaugeMetricFamily("colonnade_disk_free_bytes", "Free space where the data are.")
        free.add_metric([], shutil.disk_usage(self._gateway.settings.data).free)
        yield free

    def _counted(self) -> Iterator[Any]:
        with self._gateway.store.read() as session:
            active = JobRow.state.in_(("queued", "running"))
            rows = session.execute(
                select(JobRow.state, JobRow.service, func.count()).where(active).group_by(JobRow.state, JobRow.service)
            ).all()
            oldest = session.scalar(select(func.min(JobRow.created)).where(JobRow.state == "queued"))
            gateways = session.scalar(select(func.count()).select_from(GatewayRow)) or 0
            running = select(func.count()).select_from(WorkflowRow).where(WorkflowRow.state == "running")
            workflows = session.scalar(running) or 0
        jobs = GaugeMetricFamily("colonnade_jobs", "Jobs that have not ended.", labels=("state", "service"))
        for state, service, count in rows:
            jobs.add_metric((state, service), count)
        yield jobs
        wait = GaugeMetricFamily("colonnade_queue_oldest_seconds", "How long the oldest queued job has waited.")
        wait.add_metric([], 0.0 if oldest is None else max((now() - oldest).total_seconds(), 0.0))
        yield wait
        for name, help, value in (
            ("colonnade_gateways", "Gateway processes that show signs of life.", gateways),
            ("colonnade_workflows_running", "Workflows that have not ended.", workflows),
        ):
            gauge = GaugeMetricFamily(name, help)
            gauge.add_metric([], value)
            yield gauge
        yield from self._ended()

    def _ended(self) -> Iterator[Any]:
        ended: dict[tuple[str, str], int] = {}
        seconds: dict[str, float] = {}
        for row in self._gateway.usage():
            key = (row.service, row.outcome)
            ended[key] = ended.get(key, 0) + row.jobs
            seconds[row.service] = seconds.get(row.service, 0.0) + row.cpu_seconds
        jobs = CounterMetricFamily("colonnade_jobs_ended", "Jobs that have ended.", labels=("service", "outcome"))
        for names, count in ended.items():
            jobs.add_metric(names, count)
        yield jobs
        cpu = CounterMetricFamily("colonnade_job_cpu_seconds", "CPU time of jobs that ended.", labels=("service",))
        for service, used in seconds.items():
            cpu.add_metric((service,), used)
        yield cpu


class Measured:
    """ASGI middleware that measures requests; event streams count until they begin.

    Args:
        app: what stands behind.
        metrics: where to.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measuring(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = str(message["status"])
                seconds = time.perf_counter() - began
                self.metrics.requests.labels(scope["method"], route_of(scope), status).observe(seconds)
            await send(message)

        await self.app(scope, receive, measuring)
