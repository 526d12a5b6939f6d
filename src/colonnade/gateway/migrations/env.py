"""How Alembic reaches the gateway's database: over the connection that the gateway hands it."""

from __future__ import annotations

from alembic import context

from colonnade.gateway.accounts import tables  # noqa: F401  (its tables belong to the models)
from colonnade.gateway.store import Base
from colonnade.gateway.workflows import tables as workflow_tables  # noqa: F401

# SQLite alters a table by copying it ("batch mode").
context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
