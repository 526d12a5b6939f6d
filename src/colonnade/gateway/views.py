"""What the REST interface answers with, as models: jobs, services, uploads, usage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field
from sqlalchemy import func, select

from colonnade.gateway.core import Gateway
from colonnade.gateway.store import JobRow, UsageRow
from colonnade.service import Service

State = Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled"]


class Upload(BaseModel):
    """A stored file; put it, as it is, where a service takes a file."""

    sha256: str
    name: str
    size: int


class Job(BaseModel):
    """One request and what became of it."""

    id: str
    service: str
    version: str
    title: str
    state: State
    seed: int
    inputs: dict[str, Any]
    created: datetime
    started: datetime | None
    finished: datetime | None
    error: str = Field(description="Why there is no result, in one sentence; empty otherwise.")
    cached_from: str | None = Field(description="The earlier identical job whose result this one shows.")
    attempt: int = Field(description="How often the job was started.")
    queue_position: int | None = Field(description="How many queued jobs come before this one; only while queued.")
    cpu_seconds: float
    max_rss: int = Field(description="Largest resident memory of the job, in bytes.")

    @classmethod
    def of(cls, row: JobRow, position: int | None = None) -> Job:
        """The model of a row of the store."""
        values = {name: getattr(row, name) for name in cls.model_fields if name != "queue_position"}
        return cls(queue_position=position, **values)


class JobPage(BaseModel):
    """Jobs from the newest to the oldest."""

    jobs: list[Job]
    next: str | None = Field(description="Give it as `after` to get the jobs that follow; null: there are no more.")


class Limits(BaseModel):
    """What one job of a service may use."""

    cores: int
    memory: int = Field(description="bytes")
    walltime: float = Field(description="seconds")
    gpus: int


class ServiceSummary(BaseModel):
    """A service in a list."""

    name: str
    column: str
    title: str
    summary: str
    paper: str
    version: str
    unavailable: str | None = Field(description="Why it cannot run here, or null.")

    @classmethod
    def of(cls, service: Service[Any, Any], **more: Any) -> Self:
        """The model of a registered service."""
        return cls(
            name=service.name,
            column=service.column,
            title=service.title,
            summary=service.summary,
            paper=service.paper,
            version=service.version,
            unavailable=service.unavailable(),
            **more,
        )


class ServiceDetail(ServiceSummary):
    """All there is to know about a service before running it."""

    description: str
    inputs: dict[str, Any] = Field(description="JSON schema of the inputs.")
    outputs: dict[str, Any] = Field(description="JSON schema of the outputs.")
    examples: dict[str, Any] = Field(description="Inputs that work, by title.")
    limits: Limits


class ResultFile(BaseModel):
    """A file of a finished job."""

    name: str
    media_type: str
    size: int | None = Field(description="bytes; null for a format that is made when it is asked for")
    href: str


class Outcome(BaseModel):
    """What a job gave back: the outputs of its service, or why there are none."""

    status: Literal["succeeded", "failed"]
    error: str = ""
    outputs: dict[str, Any] = Field(default_factory=dict)
    titles: dict[str, str] = Field(default_factory=dict)


class Usage(BaseModel):
    """Jobs of a service that ended in a month, and what they used."""

    month: str
    service: str
    outcome: str
    jobs: int
    cpu_seconds: float

    @classmethod
    def of(cls, row: UsageRow) -> Usage:
        """The model of a row of the store."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class Health(BaseModel):
    """Whether the gateway can do its work."""

    version: str
    engine: str
    cores: int
    disk_free: int
    queued: int
    running: int


def queue_position(gateway: Gateway, row: JobRow) -> int | None:
    """How many queued jobs stand before this one; None when it is not queued."""
    if row.state != "queued":
        return None
    before = select(func.count()).select_from(JobRow).where(JobRow.state == "queued", JobRow.id < row.id)
    with gateway.store.read() as session:
        return session.scalar(before) or 0


def job_view(gateway: Gateway, row: JobRow) -> Job:
    """A job with its place in the queue."""
    return Job.of(row, queue_position(gateway, row))


def job_page(rows: Sequence[JobRow], following: str | None) -> JobPage:
    """A page of a list; places in the queue are told by the job itself."""
    return JobPage(jobs=[Job.of(row) for row in rows], next=following)


def limits(service: Service[Any, Any]) -> Limits:
    """What one job of the service may use."""
    resources = service.resources
    return Limits(
        cores=resources.cores,
        memory=resources.memory_bytes,
        walltime=resources.walltime.total_seconds(),
        gpus=resources.gpus,
    )
