"""A gateway's database and data folder as one archive, and back; into the same kind of database or another.

    manifest.json            version of the tables, rows by table, when it was made
    database/TABLE.jsonl     the rows of a table
    data/...                 uploads, run directories, the token

The rows come from one snapshot of the database, taken before the files: whatever a row names is there, unless it was
deleted meanwhile. A backup may be taken while gateways run; a job that runs then begins again from its last checkpoint
where the backup is restored.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sqlalchemy import Connection, DateTime, Table, func, insert, select, update

import colonnade
from colonnade.errors import ColonnadeError
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import HEAD, Base, JobRow, Moment, Store, now
from colonnade.gateway.transfer import LEFT_OUT

MANIFEST = "manifest.json"
BATCH = 1000
SKIPPED = ("files/drafts/", "engine/")  # uploads under way, and what an engine writes down for itself
DATABASE = ("colonnade.sqlite3", "colonnade.sqlite3-wal", "colonnade.sqlite3-shm")


class BadBackup(ColonnadeError):
    """The archive is no backup, or not of this version."""


def backup(settings: Settings, target: Path) -> dict[str, int]:
    """Write a backup; the archive appears at once when it is whole.

    Args:
        settings: of the gateway.
        target: the archive to make, a `.tar` or `.tar.gz`; must not exist.

    Returns:
        Rows by table, and the number of files as "files".

    Raises:
        ColonnadeError: the target exists.
    """
    if target.exists():
        raise ColonnadeError(f"The file {str(target)!r} exists already.")
    target.parent.mkdir(parents=True, exist_ok=True)
    store = Store(settings.database_url, settings.busy_timeout)
    store.upgrade()
    draft = target.with_name(f".{target.name}.part")
    try:
        mode = "w:gz" if target.name.endswith((".gz", ".tgz")) else "w"
        with draft.open("wb") as stream, tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
            draft.chmod(0o600)
            counted = _rows_out(store, archive)
            counted["files"] = _files_out(settings.data, archive, {target.resolve(), draft.resolve()})
            manifest = {"tables": HEAD, "version": colonnade.__version__, "made": now().isoformat(), "rows": counted}
            _add(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
        store.close()
    return counted


def _rows_out(store: Store, archive: tarfile.TarFile) -> dict[str, int]:
    counted = {}
    with _snapshot(store) as connection:
        for table in Base.metadata.sorted_tables:
            if table.name in LEFT_OUT:
                continue
            with tempfile.TemporaryFile() as rows:
                number = 0
                result = connection.execution_options(yield_per=BATCH).execute(select(table))
                for row in result.mappings():
                    rows.write(json.dumps(dict(row), default=_written, ensure_ascii=False).encode() + b"\n")
                    number += 1
                size = rows.tell()
                rows.seek(0)
                member = tarfile.TarInfo(f"database/{table.name}.jsonl")
                member.size, member.mode = size, 0o600
                archive.addfile(member, rows)
            counted[table.name] = number
    return counted


@contextmanager
def _snapshot(store: Store) -> Iterator[Connection]:
    """A connection that sees one state of the database, whatever is written meanwhile."""
    engine = store.engine.execution_options(isolation_level="REPEATABLE READ") if store.shared else store.engine
    with engine.connect() as connection, connection.begin():
        yield connection


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _files_out(data: Path, archive: tarfile.TarFile, but: set[Path]) -> int:
    number = 0
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data).as_posix()
        if path.resolve() in but or name in DATABASE or name.startswith(SKIPPED):
            continue
        try:
            if path.is_file() and not path.is_symlink():
                archive.add(path, f"data/{name}", recursive=False)  # a second link to the same bytes is stored as one
                number += 1
        except FileNotFoundError:  # deleted meanwhile
            continue
    return number


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


# --- back ----------------------------------------------------------------------------------------


def restore(settings: Settings, source: Path) -> dict[str, int]:
    """Bring a backup into an empty data folder and an empty database.

    Args:
        settings: of the new gateway; its database may be of another kind than the old one's.
        source: the archive.

    Returns:
        Rows by table, and the number of files as "files".

    Raises:
        BadBackup: the archive is none, is broken, or of a newer version.
        ColonnadeError: the data folder or the database is not empty.
    """
    data = settings.data
    if data.exists() and any(path for path in data.iterdir() if path.name not in DATABASE):
        raise ColonnadeError(f"The data folder {str(data)!r} is not empty.")
    manifest = _manifest(source)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = Store(settings.database_url, settings.busy_timeout)
    try:
        store.upgrade()
        with tarfile.open(source) as archive, store.engine.execution_options(colonnade_write=True).begin() as new:
            for table in Base.metadata.sorted_tables:
                if new.scalar(select(func.count()).select_from(table)):
                    raise ColonnadeError(f"The database is not empty: it has rows in {table.name}.")
            counted = _rows_in(archive, new)
            counted["files"] = _files_in(archive, data)
            if counted != {**dict.fromkeys(counted, 0), **manifest["rows"]}:
                raise BadBackup("The archive does not hold as many rows and files as it says; nothing was restored.")
            # No gateway runs them: each goes on from its last checkpoint.
            again = update(JobRow).where(JobRow.state == "running")
            new.execute(again.values(state="queued", gateway=None, started=None))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BadBackup(f"The archive is broken ({error}); nothing was restored into the database.") from None
    finally:
        store.close()
    return counted


def _manifest(source: Path) -> dict[str, Any]:
    try:
        with tarfile.open(source) as archive:
            stream = archive.extractfile(MANIFEST)
            assert stream is not None
            found: dict[str, Any] = json.load(stream)
            tables = str(found["tables"])
    except (OSError, EOFError, tarfile.TarError, KeyError, ValueError, AssertionError):
        raise BadBackup(f"{str(source)!r} is no backup of a gateway, or it is cut off.") from None
    if tables > HEAD:
        raise BadBackup("The backup is of a newer version of Colonnade; install that one.")
    return found


def _rows_in(archive: tarfile.TarFile, new: Connection) -> dict[str, int]:
    counted = {}
    for table in Base.metadata.sorted_tables:
        if table.name in LEFT_OUT:
            continue
        try:
            stream = archive.extractfile(f"database/{table.name}.jsonl")
        except KeyError:  # a table that the older version did not have
            continue
        counted[table.name] = _insert(new, table, stream) if stream is not None else 0
    return counted


def _insert(new: Connection, table: Table, stream: IO[bytes]) -> int:
    moments = [column.key for column in table.columns if isinstance(column.type, Moment | DateTime)]
    known = {column.key for column in table.columns}
    number, rows = 0, []
    for line in stream:
        row = {name: value for name, value in json.loads(line).items() if name in known}
        for name in moments:
            row[name] = datetime.fromisoformat(row[name]) if row.get(name) else None
        rows.append(row)
        number += 1
        if len(rows) == BATCH:
            new.execute(insert(table), rows)
            rows = []
    if rows:
        new.execute(insert(table), rows)
    return number


def _files_in(archive: tarfile.TarFile, data: Path) -> int:
    number = 0
    for member in archive:
        parts = PurePosixPath(member.name).parts
        if parts[:1] != ("data",) or not (member.isfile() or member.islnk()):
            continue
        if ".." in parts or len(parts) < 2:
            raise BadBackup(f"The archive holds a file {member.name!r}, which leads out of it.")
        target = data.joinpath(*parts[1:])
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if member.islnk():
            linked = PurePosixPath(member.linkname).parts
            if ".." in linked or linked[:1] != ("data",):
                raise BadBackup(f"The archive holds a link {member.name!r}, which leads out of it.")
            target.hardlink_to(data.joinpath(*linked[1:]))
        else:
            stream = archive.extractfile(member)
            assert stream is not None
            _write(stream, target, member.mode)
        number += 1
    return number


def _write(stream: IO[bytes], target: Path, mode: int) -> None:
    with target.open("xb") as out:
        while chunk := stream.read(1 << 20):
            out.write(chunk)
    target.chmod(mode & 0o777)
