"""Unpacking what somebody else packed: nothing outside the folder, no links, no bombs. And packing a folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from colonnade.errors import ColonnadeError

MAX_ENTRIES = 100_000
MAX_BYTES = 50_000_000_000
MAX_RATIO = 500  # how much larger than the archive its content may be, beyond a first MIN_CHECKED bytes
MIN_CHECKED = 100_000_000
_BLOCK = 10_240  # a tar's own bytes come in records of this size
_HEADERS = 1_024  # bytes of headers that each entry of a tar may bring

_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(NotImplementedError, EOFError, RuntimeError, UnicodeError),
)


class BadArchive(ColonnadeError):
    """An archive that is broken, or that would write where or more than it should."""


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Unpack a zip or a tar (plain, gzip, bzip2, xz) into a folder; a single folder at its top is left away.

    Everything is checked before the first byte is written, and what is written is counted, whatever the archive says.

    Args:
        archive: the archive; what it is, its content tells.
        folder: made when it is absent.
        max_bytes: most that may be written.

    Raises:
        BadArchive: it is neither, holds a link, an absolute name or one that leads out of the folder, names a file
            twice, or is larger inside than is allowed.
    """
    limit = min(max_bytes, max(MIN_CHECKED, archive.stat().st_size * MAX_RATIO))
    opened = _zip_entries if zipfile.is_zipfile(archive) else _tar_entries
    try:
        with closing(opened(archive, limit)) as found:
            targets = _targets(list(_checked(found, limit)))
        written = 0
        with closing(opened(archive, limit)) as found:
            for entry, target in zip(found, targets, strict=True):
                if not entry.folder and target.parts:
                    written += _write(entry, folder / target, limit - written)
    except _BROKEN as error:
        raise BadArchive(f"The archive is broken ({error}).") from None


@dataclass(frozen=True)
class _Entry:
    """A member of an archive; `plain` when it is a file or a folder and nothing else."""

    name: str
    size: int
    folder: bool
    plain: bool
    archive: Any
    member: Any

    def open(self) -> IO[bytes]:
        """Its content."""
        if isinstance(self.archive, zipfile.ZipFile):
            return self.archive.open(self.member)
        stream: IO[bytes] | None = self.archive.extractfile(self.member)
        assert stream is not None  # only called for files
        return stream


def _zip_entries(archive: Path, _limit: int) -> Generator[_Entry, None, None]:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            yield _Entry(member.filename, member.file_size, member.is_dir(), plain, packed, member)


def _tar_entries(archive: Path, limit: int) -> Generator[_Entry, None, None]:
    with _inflated(archive) as stream:
        bounded: Any = _Bounded(stream, limit + _BLOCK + _HEADERS * MAX_ENTRIES)
        with tarfile.open(fileobj=bounded, mode="r|") as packed:
            for member in packed:
                yield _Entry(member.name, member.size, member.isdir(), member.isreg() or member.isdir(), packed, member)


def _inflated(archive: Path) -> AbstractContextManager[Any]:
    """The bytes behind a compression that the first bytes tell."""
    with archive.open("rb") as raw:
        start = raw.read(6)
    openers: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
    found = next((opener for magic, opener in openers.items() if start.startswith(magic)), None)
    return found(archive) if found else archive.open("rb")


class _Bounded:
    """A stream that ends in `BadArchive` when more is read from it than is allowed."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream, self._left = stream, limit

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise BadArchive("The archive is larger inside than is allowed.")
        chunk: bytes = self._stream.read(size)
        self._left -= len(chunk)
        return chunk


def _checked(found: Iterator[_Entry], limit: int) -> Iterator[tuple[PurePosixPath, bool]]:
    """Name and kind of each entry; an archive of a bad one is refused as soon as it is met."""
    total = 0
    for count, entry in enumerate(found, 1):
        if count > MAX_ENTRIES:
            raise BadArchive(f"The archive holds more than {MAX_ENTRIES} files.")
        total += entry.size
        if total > limit:
            raise BadArchive("The archive is larger inside than is allowed.")
        yield _path(entry), entry.folder


def _path(entry: _Entry) -> PurePosixPath:
    name = entry.name
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name.partition("/")[0]:
        raise BadArchive(f"The archive holds the name {name[:80]!r}, which leads out of the folder.")
    if not entry.plain:
        raise BadArchive(f"The archive holds {name[:80]!r}, which is not a plain file.")
    return path


def _targets(entries: Sequence[tuple[PurePosixPath, bool]]) -> list[PurePosixPath]:
    """Where each entry goes, below the folder."""
    files = [path for path, folder in entries if not folder]
    if len(set(files)) != len(files):
        raise BadArchive("The archive names a file twice.")
    tops = {path.parts[0] for path, _ in entries if path.parts}
    common = len(tops) == 1 and all(len(path.parts) > 1 for path in files)
    return [PurePosixPath(*path.parts[1:]) if common else path for path, _ in entries]


def _write(entry: _Entry, target: Path, allowed: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with entry.open() as source, target.open("xb") as stream:
        while chunk := source.read(1 << 20):
            written += len(chunk)
            if written > allowed:  # an entry's own size is only what the archive says of itself
                raise BadArchive("The archive is larger inside than is allowed.")
            stream.write(chunk)
    return written


def pack(folder: Path, archive: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Pack a folder into a zip: the same bytes for the same content; links and hidden files are left out.

    Raises:
        BadArchive: it holds more than is allowed.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    shown = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if len(shown) > MAX_ENTRIES:
        raise BadArchive(f"The folder holds more than {MAX_ENTRIES} files.")
    if sum(path.stat().st_size for path in shown) > max_bytes:
        raise BadArchive(f"The folder holds more than the {max_bytes:,} bytes that are taken.")
    with zipfile.ZipFile(archive, "w") as packed:
        for path in shown:
            packed.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())
