"""Uploaded files, kept once under the checksum of their content."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from colonnade.errors import ColonnadeError
from colonnade.gateway.storage import Storage
from colonnade.inputs import example_file, human_size

_SHA256 = re.compile(r"[0-9a-f]{64}")
STALE_DRAFT = 86_400.0  # seconds after which an upload that never ended is swept away


class TooLarge(ColonnadeError):
    """An upload is over the limit."""


class FileStore:
    """A content-addressed folder of files; also the `FileSource` that resolves references to them.

    Args:
        folder: where the files are.
        limit: largest file in bytes.
        storage: an object store that holds the files for good; the folder is then a copy of what was used here.
    """

    def __init__(self, folder: Path, limit: int, storage: Storage | None = None) -> None:
        self.folder = folder
        self.storage = storage
        self.limit = limit
        self._drafts = folder / "drafts"
        self._drafts.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def receive(self, limit: int | None = None) -> Draft:
        """A draft to write an upload into, piece by piece; it becomes a file of the store by `keep`."""
        return Draft(self, self._drafts / secrets.token_hex(16), min(self.limit, limit or self.limit))

    def add(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store a whole stream.

        Returns:
            Checksum and size.

        Raises:
            TooLarge: as soon as the limit is passed; nothing stays.
        """
        with self.receive() as draft:
            for chunk in chunks:
                draft.write(chunk)
            draft.seal()
            return draft.keep()

    def __call__(self, reference: str | Mapping[str, Any]) -> Path:
        """The path of an uploaded file, or of an example's; never of anything else on this machine.

        Raises:
            ValueError: there is no such file.
        """
        if isinstance(reference, str):
            if reference.startswith("example:"):
                return example_file(reference)
            raise ValueError("a file is named by the answer of its upload")
        sha256 = str(reference.get("sha256", ""))
        path = self.path(sha256)
        if self.storage is not None and _SHA256.fullmatch(sha256) and not path.is_file():
            with suppress(FileNotFoundError):
                self.storage.get(stored_name(sha256), path, sha256)
        if not _SHA256.fullmatch(sha256) or not path.is_file():
            raise ValueError("there is no such uploaded file; upload it again")
        return path

    def place(self, source: Path, target: Path) -> None:
        """Put an input file in a run directory: as a link when it is the store's own, else as a copy."""
        if source.is_relative_to(self.folder):
            with suppress(OSError):  # no links on this file system, or too many of them
                os.link(source, target)
                return
        shutil.copyfile(source, target)

    def send(self, source: Path, sha256: str) -> None:
        """Bring a file to the object store, where there is one and it lacks it."""
        if self.storage is not None and not self.storage.has(stored_name(sha256)):
            self.storage.put(source, stored_name(sha256))

    def remove(self, sha256: str) -> None:
        if self.storage is not None:
            self.storage.remove(stored_name(sha256))
        self.path(sha256).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the drafts of uploads that were cut off long ago."""
        oldest = time.time() - STALE_DRAFT
        for draft in self._drafts.iterdir():
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < oldest:
                    draft.unlink()


class Draft:
    """An upload while it arrives; used as a context, at whose end whatever was not kept is removed."""

    def __init__(self, store: FileStore, path: Path, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._path = path
        self._stream = path.open("xb")
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Checksum of what has been written."""
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Add a piece.

        Raises:
            TooLarge: the upload is over the limit.
        """
        self.size += len(chunk)
        if self.size > self._limit:
            raise TooLarge(f"The file is larger than the {human_size(self._limit)} that are taken.")
        self._stream.write(chunk)
        self._digest.update(chunk)

    def seal(self) -> None:
        """End the writing and bring the bytes to the disk."""
        self._stream.flush()
        # Run directories hold hard links to the file: whoever writes into it must first make a copy.
        os.fchmod(self._stream.fileno(), 0o444)
        os.fsync(self._stream.fileno())
        self._store.send(self._path, self.sha256)

    def keep(self) -> tuple[str, int]:
        """Make the sealed draft a file of the store, at once.

        Returns:
            Checksum and size.
        """
        sha256 = self.sha256
        target = self._store.path(sha256)
        self._store.send(self._path, sha256)  # once more: the last job that named it may just have been deleted
        target.parent.mkdir(exist_ok=True, mode=0o700)
        if not target.exists():
            self._path.replace(target)
            _sync_folder(target.parent)
        return sha256, self.size

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # on a full disk even closing may fail; the draft goes all the same
            self._stream.close()
        self._path.unlink(missing_ok=True)


def stored_name(sha256: str) -> str:
    """Where an upload is in the object store."""
    return f"files/{sha256[:2]}/{sha256}"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
