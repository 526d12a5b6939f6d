"""Typed inputs: file names, file fields, and what every field refuses."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

import samples
from colonnade.errors import BadInput
from colonnade.inputs import MAX_NAME, Accept, InputFile, Inputs, Param, human_size, local_file, safe_name
from colonnade.runner import input_files
from colonnade.service import get

WORDS = get("sample.words")
NUMBERS = get("sample.numbers")


def stripped(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1].strip(" .")


@given(st.text())
def test_a_safe_name_is_one_visible_part(name: str) -> None:
    assume(stripped(name))
    try:
        safe = safe_name(name)
    except ValueError:
        return
    assert safe
    assert "/" not in safe and "\\" not in safe
    assert safe not in (".", "..") and not safe.startswith(".")
    assert len(safe) <= MAX_NAME
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in safe)


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=30))
def test_a_plain_name_is_kept(name: str) -> None:
    assert safe_name(f"/some/where/{name}.pdb") == f"{name}.pdb"


@given(st.text())
def test_a_safe_name_is_safe_to_make_safe_again(name: str) -> None:
    try:
        safe = safe_name(name)
    except ValueError:
        return
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.pdb", "a.pdb"),
        ("evil\u202efdp.exe", "evil_fdp.exe"),
        ("a\0b.txt", "a_b.txt"),
        ("..hidden", "hidden"),
        ("x" * 300 + ".pdb", "x" * (MAX_NAME - 4) + ".pdb"),
    ],
)
def test_hostile_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["x." + "y" * 500, "." * 500 + "a" + "b" * 500, "é" * 200])
def test_a_long_name_stays_within_what_a_file_system_takes(name: str) -> None:
    assert 0 < len(safe_name(name)) <= MAX_NAME
    assert len(safe_name(name).encode()) <= 255 - len("01234567-")  # as the run directory stores it


@pytest.mark.parametrize("name", ["", "...", "/", " . "])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no usable character"):
        safe_name(name)


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        WORDS.parse({"document": str(path)})
    return str(caught.value)


def test_a_file_field_refuses_with_the_reason(tmp_path: Path) -> None:
    for name, content in (("a.pdf", b"x"), ("empty.txt", b""), ("large.txt", b"x" * 1001), ("binary.txt", b"a\0b")):
        (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / "a.pdf") == "document: 'a.pdf' must end in .txt."
    assert refusal(tmp_path / "empty.txt") == "document: 'empty.txt' is empty."
    assert refusal(tmp_path / "large.txt") == "document: 'large.txt' has 1.0KB, but at most 1.0KB are taken."
    assert refusal(tmp_path / "binary.txt") == "document: the file holds binary data, not text."
    assert refusal(tmp_path / "none.txt") == f"document: there is no file '{tmp_path}/none.txt'."
    assert refusal(tmp_path) == f"document: '{tmp_path}' is not a file."


def test_two_files_are_equal_by_name_and_content(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("same")
    one, two = (InputFile(tmp_path / folder / "a.txt", "a.txt") for folder in ("one", "two"))
    assert one == two and hash(one) == hash(two)
    assert one != InputFile(tmp_path / "one" / "a.txt", "b.txt")


def test_files_are_found_in_lists_too(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(name)
    parsed = WORDS.parse({"document": str(tmp_path / "a.txt"), "others": [str(tmp_path / f"{n}.txt") for n in "bc"]})
    assert [file.name for file in input_files(parsed)] == ["a.txt", "b.txt", "c.txt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_field_takes_what_is_no_number(value: float) -> None:
    with pytest.raises(BadInput, match="temperature"):
        NUMBERS.parse({"temperature": value})


@given(st.sampled_from("\0\x01\x07\x1b\x7f"), st.text(max_size=5))
def test_no_text_holds_control_characters(control: str, rest: str) -> None:
    for values in ({"label": f"{rest}{control}{rest}"}, {"chains": ["A", control]}):
        with pytest.raises(BadInput, match="control character"):
            NUMBERS.parse(values)


def test_inputs_cannot_be_changed() -> None:
    parsed = NUMBERS.parse({})
    with pytest.raises(ValueError, match="frozen"):
        parsed.count = 5


@pytest.mark.parametrize("reference", ["", "example:sample.words/../samples.py", "example:sample.words/none.txt"])
def test_references_that_lead_nowhere(reference: str) -> None:
    with pytest.raises(ValueError, match=r"no (example )?file"):
        local_file(reference)


def test_sizes_as_people_write_them() -> None:
    assert human_size(20_000_000) == "20.0MB"


class Counts(Inputs):
    most: int | None = Param(None, title="Most")
    mass: float = Param(1.0, title="Mass")
    name: str = Param("", title="Name")


def test_counts_as_people_write_them() -> None:
    counts = Counts.model_validate({"most": "300k", "mass": " 1.5M ", "name": "300k"})
    assert (counts.most, counts.mass, counts.name) == (300_000, 1_500_000.0, "300k")


@pytest.mark.parametrize("text", ["k", "3K", "1e3k", "3 k", "0.0001k", "-3k"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(ValidationError, match="most"):
        Counts.model_validate({"most": text})


def test_fields_carry_what_every_front_shows() -> None:
    schema = samples.EveryInput.model_json_schema()["properties"]
    assert schema["temperature"]["unit"] == "°C"
    assert schema["temperature"]["level"] == "basic"
    assert schema["ratio"]["level"] == "guru"
    document = samples.FileInput.model_json_schema()["properties"]["document"]
    assert document["accept"] == [".txt"] and document["maxSize"] == 1000


class _Folder(Inputs):
    images: Annotated[InputFile, Accept(".zip", limit="1 MB")] = Param(title="Images")


def test_a_folder_stands_for_its_zip_where_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "cat" / "1.txt").write_text("miau")
    (tmp_path / "pets" / ".hidden").write_text("no")
    (tmp_path / "pets" / "link").symlink_to("/etc/hostname")
    found = [_Folder.model_validate({"images": str(tmp_path / "pets")}).images for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].name == "pets.zip"
    with zipfile.ZipFile(found[0].path) as packed:
        assert packed.namelist() == ["cat/1.txt"]


def test_a_folder_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(2_000_000))
    with pytest.raises(ValidationError, match="more than the 1,000,000 bytes"):
        _Folder.model_validate({"images": str(tmp_path)})


def test_a_folder_is_no_file_of_another_source(tmp_path: Path) -> None:
    """A gateway's own source decides what a reference means: no client can name a folder of its machine."""

    def source(reference: object) -> Path:
        raise ValueError("there is no such upload")

    with pytest.raises(ValidationError, match="no such upload"):
        _Folder.model_validate({"images": str(tmp_path)}, context={"files": source})
