"""The first tables: jobs, files, usage, gateways."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from colonnade.gateway.store import Moment

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("run", sa.String(26), nullable=False),
        sa.Column("cached_from", sa.String(26)),
        sa.Column("cores", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.Column("gateway", sa.String(26)),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("started", Moment()),
        sa.Column("finished", Moment()),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.Column("max_rss", sa.BigInteger(), nullable=False),
    )
    op.create_index("jobs_by_service", "jobs", ["service", "id"])
    op.create_index("jobs_by_state", "jobs", ["state", "id"])
    op.create_index("jobs_by_service_state", "jobs", ["service", "state", "id"])
    op.create_index("jobs_by_fingerprint", "jobs", ["fingerprint", "state", "id"])
    where = sa.text("cached_from IS NOT NULL")
    op.create_index("jobs_served", "jobs", ["run"], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "files",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", Moment(), nullable=False),
    )
    op.create_table(
        "job_files",
        sa.Column("job", sa.String(26), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
    )
    op.create_index("ix_job_files_sha256", "job_files", ["sha256"])
    op.create_table(
        "usage",
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("service", sa.String(), primary_key=True),
        sa.Column("outcome", sa.String(16), primary_key=True),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
    )
    op.create_table(
        "gateways",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("boot", sa.String(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("pid_started", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat", Moment(), nullable=False),
    )
    op.create_table("removals", sa.Column("run", sa.String(26), primary_key=True))


def downgrade() -> None:
    for table in ("removals", "gateways", "usage", "job_files", "files", "jobs"):
        op.drop_table(table)
