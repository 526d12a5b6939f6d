"""Unpacking what somebody else packed."""

from __future__ import annotations

import gzip
import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade import archives
from colonnade.archives import BadArchive, unpack


def packed(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


NAMES = st.lists(st.sampled_from(["a", "b", "files", "ü.txt"]), min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(NAMES, st.binary(max_size=50), min_size=1, max_size=4))
def test_what_was_packed_comes_out(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, bytes]) -> None:
    entries = {f"top/{name}.x": data for name, data in entries.items()}
    folder = tmp_path_factory.mktemp("archive")
    unpack(packed(folder / "a.zip", entries), folder / "out")
    assert content(folder / "out") == {name.removeprefix("top/"): data for name, data in entries.items()}


def test_only_a_common_folder_is_left_away(tmp_path: Path) -> None:
    unpack(packed(tmp_path / "a.zip", {"x/a": b"1", "b": b"2"}), tmp_path / "out")
    assert content(tmp_path / "out") == {"x/a": b"1", "b": b"2"}


@pytest.mark.parametrize("name", ["../up", "top/../../up", "/etc/up", "top\\..\\up", "C:/up"])
def test_names_that_lead_out_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    archive = packed(tmp_path / "a.zip", {"top/fine": b"1", name: b"2"})
    with pytest.raises(BadArchive, match="leads out of the folder"):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("top/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadArchive, match="not a plain file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("top/a", "1")
        archive.writestr("top/a", "2")
    with pytest.raises(BadArchive, match="twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MIN_CHECKED", 10_000)
    archive = packed(tmp_path / "a.zip", {"bomb": b"\0" * 5_000_000})
    with pytest.raises(BadArchive, match="larger inside"):
        unpack(archive, tmp_path / "out")
    with pytest.raises(BadArchive, match="larger inside"):
        unpack(packed(tmp_path / "b.zip", {"a": b"x" * 2000}), tmp_path / "out", max_bytes=1000)


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(tmp_path / "a.zip", {"bomb": b"\0" * 100_000})
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(BadArchive):
        unpack(archive, tmp_path / "out", max_bytes=1000)
    assert sum(len(data) for data in content(tmp_path / "out").values()) <= 1000


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    with pytest.raises(BadArchive, match="more than 3 files"):
        unpack(packed(tmp_path / "a.zip", {str(n): b"" for n in range(4)}), tmp_path / "out")


@pytest.mark.parametrize("broken", [b"", b"no zip", b"PK\x03\x04" + b"\0" * 40])
def test_what_is_no_zip_is_said_to_be_broken(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(broken)
    with pytest.raises(BadArchive, match="broken"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_cut_off_zip_is_broken(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", {"top/a": bytes(range(256)) * 100}).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadArchive, match="broken"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


# --- tar -----------------------------------------------------------------------------------------


def tarred(
    path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: Literal["w", "w:gz", "w:bz2", "w:xz"]
) -> Path:
    with tarfile.open(path, mode) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_come_out_whatever_their_compression(tmp_path: Path, mode: Literal["w", "w:gz", "w:bz2", "w:xz"]) -> None:
    long = "x" * 150
    members = [(entry("top", tarfile.DIRTYPE), b""), (entry("top/a"), b"1"), (entry(f"top/{long}/b"), b"22")]
    unpack(tarred(tmp_path / "a.tar", members, mode), tmp_path / "out")
    assert content(tmp_path / "out") == {"a": b"1", f"{long}/b": b"22"}


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (entry("../up"), "leads out of the folder"),
        (entry("/etc/up"), "leads out of the folder"),
        (entry("link", tarfile.SYMTYPE, "/etc/passwd"), "not a plain file"),
        (entry("link", tarfile.LNKTYPE, "top/fine"), "not a plain file"),
        (entry("device", tarfile.CHRTYPE), "not a plain file"),
        (entry("pipe", tarfile.FIFOTYPE), "not a plain file"),
        (entry("fine"), "names a file twice"),
    ],
)
def test_bad_members_of_a_tar_are_refused_before_anything_is_written(
    tmp_path: Path, member: tarfile.TarInfo, sentence: str
) -> None:
    archive = tarred(tmp_path / "a.tar", [(entry("fine"), b"1"), (member, b"")], "w")
    with pytest.raises(BadArchive, match=sentence):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_a_compressed_tar_that_grows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MIN_CHECKED", 1_000_000)
    archive = tarred(tmp_path / "a.tgz", [(entry("zeros"), bytes(30_000_000))], "w:gz")
    assert archive.stat().st_size * archives.MAX_RATIO < 30_000_000
    with pytest.raises(BadArchive, match="larger inside"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_header_that_fills_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long name is read into memory: not more of it than the whole archive may hold."""
    monkeypatch.setattr(archives, "MIN_CHECKED", 100_000)
    monkeypatch.setattr(archives, "MAX_ENTRIES", 10)
    header = entry("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    header.size = 60_000_000
    with gzip.open(tmp_path / "a.tgz", "wb") as stream:
        stream.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(60_000_000))
    assert (tmp_path / "a.tgz").stat().st_size * archives.MAX_RATIO < 60_000_000
    with pytest.raises(BadArchive, match="larger inside"):
        unpack(tmp_path / "a.tgz", tmp_path / "out")


def test_a_cut_off_tar_is_broken(tmp_path: Path) -> None:
    whole = tarred(tmp_path / "a.tgz", [(entry("a"), random.Random(1).randbytes(50_000))], "w:gz").read_bytes()
    (tmp_path / "b.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadArchive, match="broken"):
        unpack(tmp_path / "b.tgz", tmp_path / "out")
