"""Migrations of the gateway's tables, run by the gateway itself when it starts."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database lacks, each in its transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with engine.execution_options(colonnade_write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
