"""Migrations of the gateway's tables, run by the gateway itself when it starts."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, func, select

LOCK = 0x616C656D  # any number that nothing else in the database locks


def upgrade(engine: Engine, to: str = "head") -> None:
    """Run the migrations that the database lacks, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with engine.execution_options(colonnade_write=True).begin() as connection:
        if engine.dialect.name == "postgresql":  # of several gateways that start, one does it and the others wait
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, to)
