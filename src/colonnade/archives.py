"""Unpacking an archive that somebody else made: nothing outside the folder, no links, no bombs."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from colonnade.errors import ColonnadeError

MAX_ENTRIES = 100_000
MAX_BYTES = 50_000_000_000
MAX_RATIO = 500  # how much larger than the archive its content may be, beyond a first MIN_CHECKED bytes
MIN_CHECKED = 100_000_000


class BadArchive(ColonnadeError):
    """An archive that is broken, or that would write where or more than it should."""


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Unpack a zip into a folder; a single folder at its top is left away.

    Everything is checked before the first byte is written, and what is written is counted, whatever the archive says.

    Args:
        archive: the zip.
        folder: made when it is absent.
        max_bytes: most that may be written.

    Raises:
        BadArchive: it is no zip, holds a link, an absolute name or one that leads out of the folder, names a file
            twice, or is larger inside than is allowed.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = packed.infolist()
            limit = _limit(archive, entries, max_bytes)
            paths = [_path(entry) for entry in entries]
            top = _common_top(paths, entries)
            targets = [PurePosixPath(*path.parts[1:]) if top else path for path in paths]
            files = [target for target, entry in zip(targets, entries, strict=True) if not entry.is_dir()]
            if len(set(files)) != len(files):
                raise BadArchive("The archive names a file twice.")
            written = 0
            for target, entry in zip(targets, entries, strict=True):
                if entry.is_dir() or not target.parts:
                    continue
                written += _write(packed, entry, folder / target, limit - written)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise BadArchive(f"The archive is broken ({error}).") from None


def _limit(archive: Path, entries: list[zipfile.ZipInfo], max_bytes: int) -> int:
    if len(entries) > MAX_ENTRIES:
        raise BadArchive(f"The archive holds more than {MAX_ENTRIES} files.")
    limit = min(max_bytes, max(MIN_CHECKED, archive.stat().st_size * MAX_RATIO))
    if sum(entry.file_size for entry in entries) > limit:
        raise BadArchive("The archive is larger inside than is allowed.")
    return limit


def _path(entry: zipfile.ZipInfo) -> PurePosixPath:
    name = entry.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name.partition("/")[0]:
        raise BadArchive(f"The archive holds the name {name[:80]!r}, which leads out of the folder.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(f"The archive holds {name[:80]!r}, which is not a plain file.")
    return path


def _common_top(paths: list[PurePosixPath], entries: list[zipfile.ZipInfo]) -> bool:
    """Whether everything lies in one folder."""
    tops = {path.parts[0] for path in paths if path.parts}
    files = [path for path, entry in zip(paths, entries, strict=True) if not entry.is_dir()]
    return len(tops) == 1 and all(len(path.parts) > 1 for path in files)


def _write(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, allowed: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with packed.open(entry) as source, target.open("xb") as stream:
        while chunk := source.read(1 << 20):
            written += len(chunk)
            if written > allowed:  # an entry's own size is only what the archive says of itself
                raise BadArchive("The archive is larger inside than is allowed.")
            stream.write(chunk)
    return written
