"""Typed inputs: what a service takes, said once for the shell, the form, the REST schema and the messages."""

from __future__ import annotations

import atexit
import hashlib
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticUndefined, core_schema

Level = Literal["basic", "expert", "guru"]
LEVELS: tuple[Level, ...] = ("basic", "expert", "guru")
MAX_TEXT = 100_000  # characters in one text field unless the field says otherwise


def Param(
    default: Any = PydanticUndefined,
    *,
    title: str,
    help: str = "",
    unit: str | None = None,
    level: Level = "basic",
    group: str | None = None,
    multiline: bool = False,
    **constraints: Any,
) -> Any:
    """Describe one input field: pydantic's `Field` with a unit, a level and the help that every front shows.

    Args:
        default: value when the user gives none; leave out for a required field.
        title: a few words, the label of the form.
        help: one or two sentences: what it does, when to change it.
        unit: as printed behind the number, e.g. "Å" or "kcal/mol".
        level: who sees it: `basic` everyone, `expert` and `guru` those who ask for more.
        group: heading under which the form gathers related fields.
        multiline: the form offers several lines of text.
        constraints: pydantic's own (`ge`, `le`, `gt`, `lt`, `min_length`, `max_length`, `pattern`,
            `default_factory` ...).
    """
    extra: dict[str, Any] = {"level": level} | {
        key: value
        for key, value in (("unit", unit), ("group", group), ("multiline", multiline or None))
        if value is not None
    }
    if "default_factory" in constraints:
        return Field(title=title, description=help, json_schema_extra=extra, **constraints)
    return Field(default, title=title, description=help, json_schema_extra=extra, **constraints)


class Inputs(BaseModel):
    """Base of every service's inputs: unknown names, infinities, NaN and control characters are refused."""

    # Built at first use: a list of services builds none of them.
    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, frozen=True, str_max_length=MAX_TEXT, defer_build=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_control_characters(cls, value: Any) -> Any:
        if _holds_control(value):
            raise ValueError("it holds a control character, which no field takes")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _short_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """300k and 1.5M in a field of numbers, as people write counts."""
        short = _SHORT.fullmatch(value.strip()) if isinstance(value, str) else None
        if short is None:
            return value
        kind = cls.model_fields[str(info.field_name)].annotation
        parts = {kind, *get_args(kind)}
        if str in parts or not parts & {int, float}:
            return value
        return float(short[1]) * {"k": 1e3, "M": 1e6}[short[2]]


def _holds_control(value: Any) -> bool:
    """Whether a text, or one inside lists and groups, holds a control character."""
    if isinstance(value, str):
        return _CONTROL.search(value) is not None
    if isinstance(value, Mapping):
        return any(_holds_control(item) for item in value.values())
    return isinstance(value, list | tuple | set | frozenset) and any(_holds_control(item) for item in value)


_SHORT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([kM])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class FileSource(Protocol):
    """Where the bytes behind a file reference are: a run directory, the gateway's store, the local disk."""

    def __call__(self, reference: str | Mapping[str, Any]) -> Path:
        """The local path of a reference; raises ValueError with one plain sentence when there is none."""
        ...


@dataclass(frozen=True)
class InputFile:
    """A file given to a service: where its bytes are, and the name its owner gave it (never a path)."""

    path: Path
    name: str

    @cached_property
    def sha256(self) -> str:
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @cached_property
    def size(self) -> int:
        return self.path.stat().st_size

    def __hash__(self) -> int:
        return hash((self.name, self.sha256))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InputFile) and (self.name, self.sha256) == (other.name, other.sha256)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(cls._reference),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "object",
            "format": "file",
            "description": "An uploaded file: the answer of an upload, as it is.",
            "properties": {
                "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
                "size": {"type": "integer", "minimum": 0},
            },
            "required": ["sha256", "name"],
        }

    @classmethod
    def _validate(cls, value: Any, info: core_schema.ValidationInfo) -> InputFile:
        if isinstance(value, InputFile):
            return value
        files: FileSource = (info.context or {}).get("files", local_file)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            return cls(files(value), safe_name(value["name"]))
        if isinstance(value, str | Path):
            path = files(str(value))
            return cls(path, safe_name(path.name))
        raise ValueError("a file is named by its path, or by the answer of its upload")

    def _reference(self) -> dict[str, Any]:
        return {"sha256": self.sha256, "name": self.name, "size": self.size}


MAX_NAME = 120  # characters
MAX_NAME_BYTES = 240  # file systems take 255, and the run directory puts a checksum before the name
MAX_SUFFIX = 20
# Control characters, and those that make a name read otherwise than it is (bidirectional overrides, invisible marks).
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe_name(name: str) -> str:
    """A file name that can be shown and stored: the last part only, no hidden or control character.

    Raises:
        ValueError: nothing is left of the name.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join("_" if unicodedata.category(char) in _HIDDEN else char for char in last).strip(" .")
    if not kept:
        raise ValueError(f"the file name {name[:40]!r} has no usable character")
    stem, dot, suffix = kept.rpartition(".")
    if not stem or len(suffix) > MAX_SUFFIX:
        stem, dot, suffix = kept, "", ""
    ending = dot + suffix
    stem = stem[: MAX_NAME - len(ending)]
    while len((stem + ending).encode()) > MAX_NAME_BYTES:
        stem = stem[:-1]
    return stem + ending


def local_file(reference: str | Mapping[str, Any]) -> Path:
    """The file source of library and shell: a path, or `example:SERVICE/NAME` for a carried example."""
    text = reference if isinstance(reference, str) else str(reference.get("path", ""))
    if text.startswith("example:"):
        return example_file(text)
    path = Path(text).expanduser()
    if not text or not path.exists():
        raise ValueError(f"there is no file {text!r}")
    if not path.is_file():
        raise ValueError(f"{text!r} is not a file")
    return path


def _zipped(folder: Path, limit: int) -> Path:
    """A zip of a folder, in a place that is gone when the process ends."""
    from colonnade.archives import BadArchive, pack

    place = Path(tempfile.mkdtemp(prefix="colonnade-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    try:
        pack(folder, place / "folder.zip", max_bytes=limit)
    except BadArchive as error:
        raise ValueError(str(error).rstrip(".")) from None
    return place / "folder.zip"


def example_file(reference: str) -> Path:
    """The path of `example:SERVICE/NAME`, a file that the service's package carries in its `examples` folder.

    Raises:
        ValueError: there is no such service, or it carries no such file.
    """
    from colonnade.service import services

    service, _, name = reference.removeprefix("example:").partition("/")
    found = services().get(service)
    if found is None:
        raise ValueError(f"{reference[:80]!r} names no service")
    path = found.examples_folder / name
    if name != Path(name).name or not path.is_file():
        raise ValueError(f"{service} carries no example file {name!r}")
    return path


@dataclass(frozen=True)
class Accept:
    """What a file field takes; written `Annotated[InputFile, Accept(".pdb", ".cif", limit="20 MB")]`.

    Args:
        extensions: allowed endings of the name, lower case, with the dot; compound ones (".tar.gz") are fine.
        limit: largest size, e.g. "20 MB".
        check: called with path; raises ValueError with one sentence when the content is not what the name says.
            Runs at submission, so that a bad file is refused before it queues. Imports its engine when called.
    """

    extensions: tuple[str, ...]
    limit: int
    check: Callable[[Path], object] | None

    def __init__(self, *extensions: str, limit: str = "50 MB", check: Callable[[Path], object] | None = None) -> None:
        object.__setattr__(self, "extensions", extensions)
        object.__setattr__(self, "limit", int(TypeAdapter(ByteSize).validate_python(limit)))
        object.__setattr__(self, "check", check)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        inspected = core_schema.no_info_after_validator_function(self._inspect, handler(source))
        return core_schema.with_info_before_validator_function(self._packed, inspected)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"accept": list(self.extensions), "maxSize": self.limit}

    def _packed(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        """On the owner's own machine a folder may stand for the zip of it, where a zip is taken."""
        here = (info.context or {}).get("files", local_file) is local_file
        if not here or ".zip" not in self.extensions or not isinstance(value, str | Path):
            return value
        folder = Path(value).expanduser()
        if not folder.is_dir():
            return value
        return InputFile(_zipped(folder, self.limit), safe_name(folder.resolve().name) + ".zip")

    def _inspect(self, file: InputFile) -> InputFile:
        if self.extensions and not file.name.lower().endswith(self.extensions):
            raise ValueError(f"{file.name!r} must end in {' or '.join(self.extensions)}")
        if file.size == 0:
            raise ValueError(f"{file.name!r} is empty")
        if file.size > self.limit:
            raise ValueError(
                f"{file.name!r} has {human_size(file.size)}, but at most {human_size(self.limit)} are taken"
            )
        if self.check is not None:
            self.check(file.path)
        return file


def human_size(size: int) -> str:
    """A size in bytes as people write it, e.g. "20.0MB"."""
    return ByteSize(size).human_readable(decimal=True)
