"""People: accounts and all that is theirs; the owner, group, rank and size of a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from colonnade.gateway.store import Moment

revision = "0002"
down_revision = "0001"

ID = sa.String(26)
DIGEST = sa.String(64)


def _account(**options: bool) -> sa.Column[str]:
    key = sa.ForeignKey("accounts.id", ondelete="CASCADE")
    return sa.Column("account", ID, key, nullable=False, **options)  # type: ignore[arg-type]


def upgrade() -> None:
    _jobs()
    _people()
    _groups()
    _the_rest()


def _jobs() -> None:
    op.add_column("jobs", sa.Column("owner", ID))
    op.add_column("jobs", sa.Column("group_id", ID))
    op.add_column("jobs", sa.Column("rank", sa.Double(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("charge", sa.Double(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("stored", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("jobs_queue", "jobs", ["state", "rank", "id"])
    owned, grouped = sa.text("owner IS NOT NULL"), sa.text("group_id IS NOT NULL")
    for name, columns, where in (
        ("jobs_by_owner", ["owner", "id"], owned),
        ("jobs_by_owner_state", ["owner", "state", "rank", "service"], owned),
        ("jobs_by_group", ["group_id", "id"], grouped),
    ):
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)


def _people() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", ID, primary_key=True),
        sa.Column("email", sa.String(), unique=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password", sa.String(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("community", sa.String(), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("asked_role", sa.String(16), nullable=False),
        sa.Column("asked_reason", sa.String(), nullable=False),
    )
    op.create_table(
        "consents",
        _account(primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("version", sa.String(32), primary_key=True),
        sa.Column("given", Moment(), nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", DIGEST, primary_key=True),
        _account(index=True),
        sa.Column("began", Moment(), nullable=False),
        sa.Column("made", Moment(), nullable=False),
        sa.Column("seen", Moment(), nullable=False),
        sa.Column("replaced", Moment()),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False, unique=True),
        _account(index=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("expires", Moment()),
        sa.Column("used", Moment()),
    )
    op.create_table(
        "tickets",
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", ID, nullable=False, index=True),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("expires", Moment(), nullable=False),
    )
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(), primary_key=True),
        sa.Column("subject", sa.String(), primary_key=True),
        _account(index=True),
    )
    op.create_table(
        "login_flows",
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("verifier", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("next", sa.String(), nullable=False),
        sa.Column("expires", Moment(), nullable=False),
    )


def _groups() -> None:
    op.create_table(
        "user_groups",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created", Moment(), nullable=False),
    )
    group = sa.ForeignKey("user_groups.id", ondelete="CASCADE")
    op.create_table(
        "members",
        sa.Column("group_id", ID, group, primary_key=True),
        _account(primary_key=True, index=True),
        sa.Column("manager", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "shares",
        sa.Column("id", ID, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False, unique=True),
        sa.Column("job", ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("created", Moment(), nullable=False),
    )
    op.create_table(
        "file_owners",
        sa.Column("sha256", DIGEST, primary_key=True),
        _account(primary_key=True, index=True),
        sa.Column("created", Moment(), nullable=False),
    )


def _the_rest() -> None:
    op.create_table(
        "letters",
        sa.Column("id", ID, primary_key=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("due", Moment(), nullable=False, index=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "counts",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("ends", Moment(), nullable=False, index=True),
    )
    op.create_table(
        "fair_clock",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("time", sa.Double(), nullable=False),
    )
    op.create_table(
        "quotas",
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("service", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("value", sa.Double(), nullable=False),
    )
    op.create_table(
        "personal_usage",
        _account(primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("service", sa.String(), primary_key=True),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
    )


def downgrade() -> None:
    for table in (
        "personal_usage", "quotas", "fair_clock", "counts", "letters", "file_owners", "shares", "members",
        "user_groups", "login_flows", "identities", "tickets", "api_tokens", "sessions", "consents", "accounts",
    ):  # fmt: skip
        op.drop_table(table)
    for index in ("jobs_by_group", "jobs_by_owner_state", "jobs_by_owner", "jobs_queue"):
        op.drop_index(index, "jobs")
    for column in ("stored", "charge", "rank", "group_id", "owner"):
        op.drop_column("jobs", column)
