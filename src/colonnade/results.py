"""Typed results: what a service gives back, and how each kind is downloaded.

Files are named relative to the run's `files/` folder. How a result looks is `report`'s business and the pages'.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_CELLS = 200_000  # a larger table belongs in an Artifact
Cell = float | int | str | bool | None
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Outputs(BaseModel):
    """Base of every service's outputs; fields are results, plain values, or lists and dicts of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings", defer_build=True)


class _Result(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    title: str = ""
    caption: str = ""


class Estimate(_Result):
    """A number with its unit, and its standard error or an interval (neither: exact, or said in the caption)."""

    kind: Literal["estimate"] = "estimate"
    value: float
    error: float | None = Field(None, ge=0)
    interval: tuple[float, float] | None = None
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.unit}".rstrip()

    @property
    def text(self) -> str:
        """Value and error to two digits of the error, "-9.4 ± 1.9"; value and interval to two, "13 (5.4 to 33)"."""
        if self.error is None and self.interval is not None:
            return f"{self.value:.2g} ({self.interval[0]:.2g} to {self.interval[1]:.2g})"
        if self.error is None or not self.error > 0 or not math.isfinite(self.error):
            return f"{self.value:.6g}"
        digits = 1 - math.floor(math.log10(self.error))
        if -4 <= digits <= 8:
            return f"{self.value:.{max(digits, 0)}f} ± {self.error:.{max(digits, 0)}f}"
        return f"{self.value:.3g} ± {self.error:.2g}"


class Column(BaseModel):
    """A table's column: its name, unit, and the type of its cells."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: Literal["integer", "number", "text", "boolean"]
    unit: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


class Table(_Result):
    """Typed columns with units; `data` holds one list of cells per column."""

    kind: Literal["table"] = "table"
    columns: list[Column]
    data: list[list[Cell]]

    @model_validator(mode="before")
    @classmethod
    def _numbers_again(cls, values: Any) -> Any:
        """JSON has no NaN and no infinity: they are written as strings, and read back in columns of numbers."""
        if not isinstance(values, Mapping) or not isinstance(values.get("data"), list):
            return values
        columns, data = values.get("columns"), values["data"]
        if not isinstance(columns, list) or len(columns) != len(data):
            return values
        kinds = [column.get("type") if isinstance(column, Mapping) else column.type for column in columns]
        read = [
            [_NOT_FINITE.get(cell, cell) if isinstance(cell, str) else cell for cell in cells]
            if kind == "number" and isinstance(cells, list)
            else cells
            for kind, cells in zip(kinds, data, strict=True)
        ]
        return {**values, "data": read}

    @model_validator(mode="after")
    def _rectangular(self) -> Table:
        lengths = {len(column) for column in self.data}
        if len(self.data) != len(self.columns) or len(lengths) > 1:
            raise ValueError("a table needs one list of cells per column, all of one length")
        if sum(len(column) for column in self.data) > MAX_CELLS:
            raise ValueError(f"a table holds at most {MAX_CELLS} cells; write a larger one as an Artifact")
        return self

    @classmethod
    def of(
        cls,
        data: Mapping[str, Sequence[Any] | Any],
        *,
        units: Mapping[str, str] | None = None,
        title: str = "",
        caption: str = "",
    ) -> Table:
        """Build a table from columns by name (lists or numpy arrays); types are taken from the cells."""
        cells = {name: _plain(values) for name, values in data.items()}
        columns = [
            Column(name=name, type=_cell_type(values), unit=(units or {}).get(name, ""))
            for name, values in cells.items()
        ]
        return cls(columns=columns, data=list(cells.values()), title=title, caption=caption)

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        return list(zip(*self.data, strict=True))

    def to_csv(self) -> str:
        """Comma-separated values with a header line; units stand in the header."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.label for column in self.columns])
        writer.writerows(self.rows)
        return stream.getvalue()


def _plain(values: Any) -> list[Cell]:
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _cell_type(values: Sequence[Cell]) -> Literal["integer", "number", "text", "boolean"]:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    if kinds and kinds <= {int, float}:
        return "number"
    return "text"


class Figure(_Result):
    """A Plotly figure, as its JSON specification."""

    kind: Literal["figure"] = "figure"
    spec: dict[str, Any]

    @classmethod
    def of(cls, figure: Any, *, title: str = "", caption: str = "") -> Figure:
        """Take a `plotly.graph_objects.Figure` (or its dict)."""
        spec = json.loads(figure.to_json()) if hasattr(figure, "to_json") else dict(figure)
        if "layout" in spec:  # without its theme: the page's own light or dark one applies
            spec["layout"] = {name: value for name, value in dict(spec["layout"]).items() if name != "template"}
        return cls(spec=spec, title=title, caption=caption)

    @field_validator("spec")
    @classmethod
    def _finite(cls, spec: dict[str, Any]) -> dict[str, Any]:
        """What is no number is a gap to Plotly, and JSON calls it null."""
        cleaned: dict[str, Any] = _gaps(spec)
        return cleaned


def _gaps(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _gaps(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_gaps(item) for item in value]
    return value


class _FileResult(_Result):
    file: str

    @model_validator(mode="after")
    def _inside(self) -> _FileResult:
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts or not path.name or "\\" in self.file:
            raise ValueError(f"file {self.file!r} must be a relative path inside the run's files folder")
        return self


class Artifact(_FileResult):
    """A file in its field's usual format."""

    kind: Literal["artifact"] = "artifact"
    media_type: str = "application/octet-stream"


class Selection(BaseModel):
    """Residues of one chain (author numbering; none named: the whole chain) shown in one colour and style."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chain: str
    residues: list[int] = Field(default_factory=list)
    color: str = Field("#888888", pattern=r"^#[0-9a-fA-F]{6}$")
    style: Literal["cartoon", "ball_and_stick", "spacefill", "surface"] = "cartoon"
    label: str = ""


class Structure3D(_FileResult):
    """A molecular structure (PDB or mmCIF file) with the selections that the viewer colours."""

    kind: Literal["structure3d"] = "structure3d"
    format: Literal["pdb", "mmcif"] = "pdb"
    selections: list[Selection] = Field(default_factory=list)


class Video(_FileResult):
    """A film (mp4 or webm)."""

    kind: Literal["video"] = "video"
    media_type: str = "video/mp4"


class Model(_FileResult):
    """Trained weights (safetensors) and what is needed to use them."""

    kind: Literal["model"] = "model"
    parameters: int = Field(0, ge=0)
    details: dict[str, Cell] = Field(default_factory=dict)


Result = Estimate | Table | Figure | Artifact | Structure3D | Video | Model
AnyResult = Annotated[Result, Field(discriminator="kind")]


def plain(outputs: BaseModel) -> dict[str, Any]:
    """A result or outputs as JSON knows values: NaN and infinities, which it does not, as strings."""
    values: dict[str, Any] = json.loads(outputs.model_dump_json())
    return values


def walk(outputs: BaseModel) -> Iterator[tuple[str, str, Any]]:
    """All of a service's outputs as (dotted path, title, value), lists and dicts of results opened."""
    for name, info in type(outputs).model_fields.items():
        title = info.title or name.replace("_", " ").capitalize()
        yield from _walk(name, title, getattr(outputs, name))


def _walk(path: str, title: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, _Result):
        yield path, value.title or title, value
    elif isinstance(value, Outputs):
        yield from ((f"{path}.{inner}", label, item) for inner, label, item in walk(value))
    elif isinstance(value, Mapping) and any(isinstance(item, _Result) for item in value.values()):
        for key, item in value.items():
            yield from _walk(f"{path}.{key}", f"{title}: {key}", item)
    elif isinstance(value, list | tuple) and any(isinstance(item, _Result) for item in value):
        for index, item in enumerate(value):
            yield from _walk(f"{path}.{index}", f"{title} {index + 1}", item)
    elif value is not None:
        yield path, title, value
