"""The tables of workflows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from colonnade.gateway.store import Base

ENDED = ("succeeded", "failed", "cancelled")


def _workflow(**options: bool) -> Mapped[str]:
    return mapped_column(String(26), ForeignKey("workflows.id", ondelete="CASCADE"), **options)  # type: ignore[arg-type]


class WorkflowRow(Base):
    """A workflow that somebody started.

    `files` are references to the uploads that `file:NAME` in the document stands for. `expanded` says of each step
    whose rows are known how many there are, or why it cannot be run. `note` is why it waits, beyond its jobs.
    Whoever leads it on is `holder`, until `held_until`; another gateway may then take over.
    """

    __tablename__ = "workflows"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    title: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    document: Mapped[dict[str, Any]]
    files: Mapped[dict[str, Any]]
    expanded: Mapped[dict[str, Any]]
    outputs: Mapped[dict[str, Any]]
    error: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    owner: Mapped[str | None] = mapped_column(String(26), default=None)
    group_id: Mapped[str | None] = mapped_column(String(26), default=None)
    created: Mapped[datetime]
    finished: Mapped[datetime | None] = mapped_column(default=None)
    holder: Mapped[str | None] = mapped_column(String(26), default=None)
    held_until: Mapped[datetime | None] = mapped_column(default=None)

    @property
    def final(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.state in ENDED


Index("workflows_by_state", WorkflowRow.state, WorkflowRow.id)
Index("workflows_by_owner", WorkflowRow.owner, WorkflowRow.id)
Index("workflows_by_group", WorkflowRow.group_id, WorkflowRow.id)


class WorkflowItemRow(Base):
    """One run of a step, and the job that does it.

    The job's id is chosen with the row, so that a gateway that died between the two does not start it twice.
    `state`: waiting, sent, succeeded, failed, cancelled, skipped.
    """

    __tablename__ = "workflow_items"

    workflow: Mapped[str] = _workflow(primary_key=True)
    step: Mapped[str] = mapped_column(String(40), primary_key=True)
    index: Mapped[int] = mapped_column("place", primary_key=True, autoincrement=False)
    job: Mapped[str] = mapped_column(String(26), index=True)
    row: Mapped[Any] = mapped_column("cells", JSON, nullable=True, default=None)
    state: Mapped[str] = mapped_column(String(16))
    reused: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str] = mapped_column(default="")


class WorkflowShareRow(Base):
    """A secret link that opens one workflow and its jobs to whoever has it, until it is revoked."""

    __tablename__ = "workflow_shares"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    workflow: Mapped[str] = _workflow(index=True)
    created: Mapped[datetime]
