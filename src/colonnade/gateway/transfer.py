"""Moving a gateway's database to another, e.g. from SQLite to PostgreSQL: all tables, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select

from colonnade.errors import ColonnadeError
from colonnade.gateway.accounts import tables  # noqa: F401  (its tables belong to the models)
from colonnade.gateway.store import Base, GatewayRow, Store
from colonnade.gateway.workflows import tables as workflow_tables  # noqa: F401

BATCH = 1000
LEFT_OUT = {GatewayRow.__tablename__}  # processes that run now


def copy(source: Store, target: Store) -> dict[str, int]:
    """Copy every row into an empty database, in one transaction, and count what has arrived.

    Returns:
        The number of rows by table.

    Raises:
        ColonnadeError: the target holds something already, a gateway uses the source, or not every row arrived.
    """
    source.upgrade()
    target.upgrade()
    copied: dict[str, int] = {}
    with source.engine.connect() as old, target.engine.execution_options(colonnade_write=True).begin() as new:
        _refuse_unfit(old, new)
        for table in Base.metadata.sorted_tables:
            if table.name in LEFT_OUT:
                continue
            for rows in _batches(old, table):
                new.execute(insert(table), rows)
            before, after = _count(old, table), _count(new, table)
            if before != after:
                raise ColonnadeError(f"Of {before} rows of {table.name} only {after} arrived; nothing was copied.")
            copied[table.name] = after
    return copied


def _refuse_unfit(old: Connection, new: Connection) -> None:
    if _count(old, Base.metadata.tables[GatewayRow.__tablename__]):
        raise ColonnadeError("A gateway uses this database; stop it first (or start and stop it, when it was killed).")
    for table in Base.metadata.sorted_tables:
        if _count(new, table):
            raise ColonnadeError(f"The new database is not empty: it has rows in {table.name}.")


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    result = connection.execution_options(yield_per=BATCH).execute(select(table))
    for rows in result.partitions():
        yield [dict(row._mapping) for row in rows]
