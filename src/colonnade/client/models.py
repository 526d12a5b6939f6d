"""What a gateway answers, as Python objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from colonnade.errors import ColonnadeError
from colonnade.workflows.state import StepState

FINAL = frozenset({"succeeded", "failed", "cancelled"})


class GatewayError(ColonnadeError):
    """The gateway refused, or could not be reached.

    Attributes:
        status: of the HTTP answer; 0 when there was none.
    """

    def __init__(self, sentence: str, status: int = 0) -> None:
        self.status = status
        super().__init__(sentence)


class _Answer(BaseModel):
    # A newer gateway may tell more than this client knows.
    model_config = ConfigDict(extra="allow", frozen=True)


class RemoteService(_Answer):
    """A service that a gateway offers; `inputs`, `outputs` and `examples` only when it was asked for alone."""

    name: str
    title: str
    summary: str = ""
    paper: str = ""
    version: str = ""
    unavailable: str | None = None
    description: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    examples: dict[str, Any] = Field(default_factory=dict)


class RemoteJob(_Answer):
    """A job of a gateway as it was when asked for."""

    id: str
    service: str
    state: str
    version: str = ""
    seed: int = 0
    inputs: dict[str, Any] = Field(default_factory=dict)
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    error: str = ""
    cached_from: str | None = None
    queue_position: int | None = None

    @property
    def ended(self) -> bool:
        """Whether the job will not change any more."""
        return self.state in FINAL


class RemoteWorkflow(_Answer):
    """A workflow of a gateway as it was when asked for; `outputs` are filled once it has succeeded."""

    id: str
    title: str
    state: str
    error: str = ""
    note: str = ""
    steps: list[StepState] = Field(default_factory=list)
    outputs: dict[str, Any] = Field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the workflow will not change any more."""
        return self.state in FINAL


@dataclass(frozen=True)
class RemoteResult:
    """What a job gave back; `result["energy"]` is the typed result at that path, as in a local run.

    Attributes:
        job: the job's id.
        outputs: the service's outputs as plain values.
        results: (path, title, typed value) of each, in order.
    """

    job: str
    outputs: Mapping[str, Any]
    results: list[tuple[str, str, Any]] = field(default_factory=list)

    def __getitem__(self, path: str) -> Any:
        for name, _, value in self.results:
            if name == path:
                return value
        raise KeyError(path)
