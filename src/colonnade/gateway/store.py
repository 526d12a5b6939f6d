"""The tables of the gateway and how they are reached: SQLAlchemy models, SQLite in WAL mode, migrations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    String,
    TypeDecorator,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from colonnade.errors import ColonnadeError

HEAD = "0003"  # the newest migration; known here so that an up-to-date start need not load Alembic
FINAL = ("succeeded", "failed", "cancelled")
STATES = ("waiting", "queued", "running", *FINAL)


class UnknownJob(ColonnadeError):
    """There is no job of that id."""


class Refused(ColonnadeError):
    """The request is understood, but the state of the job or the gateway does not allow it."""


class Forbidden(ColonnadeError):
    """The person who asks may not do that; the text says who may, or which limit is reached."""


class TooOften(ColonnadeError):
    """It was tried too often; `wait` is in how many seconds it may be tried again."""

    def __init__(self, sentence: str, wait: float) -> None:
        self.wait = max(int(wait) + 1, 1)
        super().__init__(sentence)


class Unavailable(ColonnadeError):
    """The gateway cannot store anything just now; the text says why, and trying again later may help."""


class Moment(TypeDecorator[datetime]):
    """A point in time: aware UTC in Python, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        found: datetime = value
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Moment,
        dict[str, Any]: JSON,
        int: BigInteger,
        str: String,
    }


class JobRow(Base):
    """One request and what became of it.

    `run` names the run directory: the job's own id, or that of the earlier job whose result it was served from.
    `cached_from` is that earlier job (it may have been deleted since; the result stays).
    `owner` and `group_id` name an account and a group; None on a gateway without accounts, and for a private job.
    `rank` and `charge` are the job's start tag and length in the fair queue (see `accounts.fairness`); `stored` is
    the size of the run directory when the job ended.
    `attempt` counts the starts and fences every later transition; `lost` counts those whose worker or gateway died.
    """

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    service: Mapped[str]
    version: Mapped[str]
    state: Mapped[str]
    title: Mapped[str] = mapped_column(default="")
    inputs: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(default=0)
    fingerprint: Mapped[str] = mapped_column(String(64))
    run: Mapped[str] = mapped_column(String(26))
    cached_from: Mapped[str | None] = mapped_column(String(26), default=None)
    cores: Mapped[int] = mapped_column(default=1)
    attempt: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)
    gateway: Mapped[str | None] = mapped_column(String(26), default=None)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]
    started: Mapped[datetime | None] = mapped_column(default=None)
    finished: Mapped[datetime | None] = mapped_column(default=None)
    error: Mapped[str] = mapped_column(default="")
    cpu_seconds: Mapped[float] = mapped_column(default=0.0)
    max_rss: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str | None] = mapped_column(String(26), default=None)
    group_id: Mapped[str | None] = mapped_column(String(26), default=None)
    rank: Mapped[float] = mapped_column(default=0.0, server_default="0")
    charge: Mapped[float] = mapped_column(default=0.0, server_default="0")
    stored: Mapped[int] = mapped_column(default=0, server_default="0")

    @property
    def final(self) -> bool:
        """Whether the job has ended, one way or another."""
        return self.state in FINAL


Index("jobs_by_service", JobRow.service, JobRow.id)
Index("jobs_by_state", JobRow.state, JobRow.id)
Index("jobs_queue", JobRow.state, JobRow.rank, JobRow.id)  # in the order in which jobs start
Index("jobs_by_service_state", JobRow.service, JobRow.state, JobRow.id)
# Both equal conditions of the look-up are in it: with one alone SQLite may prefer an index by state.
Index("jobs_by_fingerprint", JobRow.fingerprint, JobRow.state, JobRow.id)
# As literal text here and in the query: with a bound parameter SQLite could not tell that the index applies.
CACHED = text("cached_from IS NOT NULL")
Index("jobs_served", JobRow.run, sqlite_where=CACHED, postgresql_where=CACHED)
# Without accounts these stay empty and cost nothing.
_OWNED, _GROUPED = text("owner IS NOT NULL"), text("group_id IS NOT NULL")
Index("jobs_by_owner", JobRow.owner, JobRow.id, sqlite_where=_OWNED, postgresql_where=_OWNED)
Index(
    "jobs_by_owner_state",
    *(JobRow.owner, JobRow.state, JobRow.rank, JobRow.service),
    sqlite_where=_OWNED,
    postgresql_where=_OWNED,
)
Index("jobs_by_group", JobRow.group_id, JobRow.id, sqlite_where=_GROUPED, postgresql_where=_GROUPED)


class FileRow(Base):
    """An uploaded file; its bytes are in the content-addressed store under the checksum."""

    __tablename__ = "files"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str]
    size: Mapped[int]
    created: Mapped[datetime]

    @property
    def reference(self) -> dict[str, Any]:
        """What an input names the file by."""
        return {"sha256": self.sha256, "name": self.name, "size": self.size}


class JobFile(Base):
    """Which uploaded files a job was given."""

    __tablename__ = "job_files"

    job: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


class UsageRow(Base):
    """How many jobs of a service ended how in a month ("2026-11"), and what they used.

    `outcome` is the final state, or "cached" for those served from an earlier result.
    """

    __tablename__ = "usage"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    service: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16), primary_key=True)
    jobs: Mapped[int]
    cpu_seconds: Mapped[float]


class GatewayRow(Base):
    """A gateway process that takes jobs, and its last sign of life."""

    __tablename__ = "gateways"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    host: Mapped[str]
    boot: Mapped[str]
    pid: Mapped[int]
    pid_started: Mapped[int]
    heartbeat: Mapped[datetime]


class RemovalRow(Base):
    """A run directory whose job was deleted and whose bytes are still to be removed."""

    __tablename__ = "removals"

    run: Mapped[str] = mapped_column(String(26), primary_key=True)


def now() -> datetime:
    return datetime.now(UTC)


class Store:
    """A database and its sessions.

    Args:
        url: SQLAlchemy URL.
        busy_timeout: seconds to wait for another writer.

    Attributes:
        shared: whether several machines may use it (PostgreSQL).
    """

    def __init__(self, url: str, busy_timeout: float = 10.0) -> None:
        self.engine = _engine(url, busy_timeout)
        self.shared = self.engine.dialect.name == "postgresql"
        # A writer takes SQLite's lock when it begins, so that two never meet half-way ("database is locked" at once).
        self.writing = sessionmaker(self.engine.execution_options(colonnade_write=True), expire_on_commit=False)
        self._reading = sessionmaker(self.engine, expire_on_commit=False)

    def upgrade(self) -> None:
        """Bring the tables up to date."""
        with self.engine.connect() as connection:
            known = inspect(connection).has_table("alembic_version")
            if known and connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD:
                return
        from colonnade.gateway.migrations import upgrade

        upgrade(self.engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with _plain_errors(), self._reading() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one transaction: committed at the end, rolled back on any error.

        Raises:
            Unavailable: another writer holds the database, or the disk is full.
        """
        with _plain_errors(), self.writing.begin() as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, DatabaseError, InterfaceError) as error:
        reason = " ".join(str(error.orig).split())
        if "locked" in reason or "busy" in reason:
            raise Unavailable("The gateway's database is busy; try again in a moment.") from error
        if "full" in reason or "disk I/O" in reason:
            raise Unavailable("There is no space left on the gateway's disk.") from error
        if isinstance(error, OperationalError | InterfaceError):
            raise Unavailable(f"The gateway's database cannot be used ({reason}).") from error
        raise


def _engine(url: str, busy_timeout: float) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        # Several gateways share the server's connections, of which PostgreSQL takes 100 unless told otherwise.
        return create_engine(url, pool_size=5, max_overflow=20, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(url, pool_size=20, max_overflow=40, connect_args={"timeout": busy_timeout})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-8000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get("colonnade_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
