"""Workflows with their runs and links; usage by community."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from colonnade.gateway.store import Moment

revision = "0003"
down_revision = "0002"

ID = sa.String(26)


def _workflow(**options: bool) -> sa.Column[str]:
    key = sa.ForeignKey("workflows.id", ondelete="CASCADE")
    return sa.Column("workflow", ID, key, nullable=False, **options)  # type: ignore[arg-type]


def upgrade() -> None:
    op.create_table(
        "workflows",
        sa.Column("id", ID, primary_key=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("expanded", sa.JSON(), nullable=False),
        sa.Column("outputs", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("owner", ID),
        sa.Column("group_id", ID),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("finished", Moment()),
        sa.Column("holder", ID),
        sa.Column("held_until", Moment()),
    )
    for name, columns in (
        ("workflows_by_state", ["state", "id"]),
        ("workflows_by_owner", ["owner", "id"]),
        ("workflows_by_group", ["group_id", "id"]),
    ):
        op.create_index(name, "workflows", columns)
    op.create_table(
        "workflow_items",
        _workflow(primary_key=True),
        sa.Column("step", sa.String(40), primary_key=True),
        sa.Column("place", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("job", ID, nullable=False, index=True),
        sa.Column("cells", sa.JSON()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
    )
    op.create_table(
        "workflow_shares",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        _workflow(index=True),
        sa.Column("created", Moment(), nullable=False),
    )
    op.create_table(
        "community_usage",
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("community", sa.String(), primary_key=True),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
    )
