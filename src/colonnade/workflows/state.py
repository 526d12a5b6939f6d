"""How far a workflow is: the same words for one that runs in a folder and one on a gateway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, Field

StepWord = Literal["waiting", "running", "succeeded", "failed", "skipped", "cancelled"]
WorkflowWord = Literal["running", "succeeded", "failed", "cancelled"]


class StepState(BaseModel):
    """How far one step is."""

    name: str
    title: str
    service: str
    state: StepWord = "waiting"
    mapped: bool = False
    needs: list[str] = Field(default_factory=list, description="Steps whose results it takes.")
    total: int | None = Field(None, description="Runs of the service; null while the rows are not known.")
    done: int = Field(0, description="Runs that have succeeded.")
    running: int = 0
    failed: int = 0
    reused: int = Field(0, description="Of those done, how many an earlier result answered.")
    error: str = ""

    @property
    def says(self) -> str:
        """The state in a few words."""
        if self.total is None or not self.mapped:
            return self.state + (", from an earlier run" if self.reused and self.state == "succeeded" else "")
        parts = [f"{self.done} of {self.total}"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.reused} from earlier runs"] if self.reused else []
        return f"{self.state}: {', '.join(parts)}"


def overall(steps: Iterable[StepState]) -> WorkflowWord | None:
    """How a workflow ended; None while something may still happen."""
    words = [step.state for step in steps]
    if any(word in ("waiting", "running") for word in words):
        return None
    if "cancelled" in words:
        return "cancelled"
    return "failed" if any(word in ("failed", "skipped") for word in words) else "succeeded"
