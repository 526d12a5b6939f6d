"""Uploaded files: stored once, refused while they stream, and never anything else of this machine."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.gateway.files import FileStore, TooLarge


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", limit=1000)


def stored(files: FileStore) -> list[Path]:
    return [path for path in files.folder.rglob("*") if path.is_file()]


def test_a_file_is_stored_once_under_its_checksum(files: FileStore) -> None:
    sha256, size = files.add([b"some ", b"content"])
    assert (sha256, size) == (hashlib.sha256(b"some content").hexdigest(), 12)
    assert files.add([b"some content"]) == (sha256, size)
    assert stored(files) == [files.path(sha256)]
    assert files({"sha256": sha256, "name": "x"}).read_bytes() == b"some content"


def test_an_upload_over_the_limit_is_refused_while_it_streams(files: FileStore) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 100
            yield bytes(100)

    with pytest.raises(TooLarge, match="larger than the 1"):
        files.add(endless())
    assert taken == 1100
    assert stored(files) == []


def test_an_upload_that_breaks_off_leaves_nothing(files: FileStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        files.add(broken())
    assert stored(files) == []


@pytest.mark.parametrize(
    "reference",
    [
        "/etc/passwd",
        "../../etc/passwd",
        "",
        {"name": "x"},
        {"sha256": "../../../../etc/passwd", "name": "x"},
        {"sha256": "A" * 64, "name": "x"},
        {"sha256": "0" * 64, "name": "x"},
        {"sha256": ["0" * 64], "name": "x"},
        "example:testing.double/../../conftest.py",
    ],
)
def test_nothing_else_can_be_named(files: FileStore, reference: object) -> None:
    with pytest.raises(ValueError, match=r"file|upload"):
        files(reference)  # type: ignore[arg-type]


def test_a_file_of_the_store_is_linked_and_any_other_copied(files: FileStore, tmp_path: Path) -> None:
    sha256, _ = files.add([b"abc"])
    files.place(files.path(sha256), tmp_path / "linked")
    assert (tmp_path / "linked").samefile(files.path(sha256))
    assert not (tmp_path / "linked").stat().st_mode & 0o222
    other = tmp_path / "other"
    other.write_text("mine")
    files.place(other, tmp_path / "copied")
    assert not (tmp_path / "copied").samefile(other)
    assert (tmp_path / "copied").read_text() == "mine"


def test_old_drafts_are_swept_and_new_ones_kept(files: FileStore) -> None:
    old, new = files.folder / "drafts/old", files.folder / "drafts/new"
    old.write_text("x")
    new.write_text("x")
    os.utime(old, (0, 0))
    files.sweep()
    assert stored(files) == [new]


def test_a_full_device(files: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's own full device stands in for the draft."""
    draft = files.receive()
    draft._stream.close()
    draft._stream = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    with pytest.raises(OSError) as caught, draft:
        draft.write(b"x")
    assert caught.value.errno == errno.ENOSPC
    assert stored(files) == []
