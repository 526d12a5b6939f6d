"""The survey's tables as data: models and benchmarks, each row with its source, and questions to them.

>>> [row.name for row in models(objective="TLM", most_parameters=200)]
['AMBER']
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from colonnade.multilingual.errors import MultilingualError, one_of
from colonnade.multilingual.languages import language

_FILE = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True)
class ModelRow:
    """A pretrained model. `parameters` in millions; None where no figure is written down.

    `alpha` is the exponent of the language sampling q ∝ p^alpha; `runs_here` the name by which `encoder` loads it;
    `checked` is "published" (read at the source) or "literature" (not compared with the source's table).
    """

    name: str
    family: str
    tokenizer: str
    languages: int
    corpora: tuple[str, ...]
    parallel: bool
    objectives: tuple[str, ...]
    source: str
    year: int
    checked: str
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    parameters: float | None = None
    vocabulary: int | None = None
    alpha: float | None = None
    hub: str = ""
    runs_here: str = ""


@dataclass(frozen=True)
class BenchmarkRow:
    """A benchmark: its task, metric, languages (two-letter codes), and the reader of this package for its files."""

    name: str
    task: str
    metric: str
    languages: tuple[str, ...]
    parallel: bool
    source: str
    checked: str
    collection: tuple[str, ...] = field(default_factory=tuple)
    reader: str = ""
    count: int = 0

    @property
    def covers(self) -> int:
        """Number of languages."""
        return self.count or len(self.languages)


def models(
    *,
    text: str = "",
    family: str = "",
    objective: str = "",
    parallel: bool | None = None,
    least_languages: int = 0,
    most_parameters: float = float("inf"),
) -> list[ModelRow]:
    """Models that satisfy every condition given, smallest first.

    Args:
        text: a part of name, corpus, tokenizer or hub name, in any case.
        family: "encoder" or "encoder-decoder".
        objective: e.g. "TLM".
        parallel: whether it was trained on parallel text.
        least_languages: fewest languages.
        most_parameters: in millions; models without a figure are left out when this is given.

    Raises:
        MultilingualError: no model has such a family or objective (the known ones are named).
    """
    rows = table()[0]
    if family:
        one_of("family", family, sorted({row.family for row in rows}))
    if objective:
        one_of("objective", objective, sorted({name for row in rows for name in row.objectives}))
    found = [
        row
        for row in rows
        if (not family or row.family == family)
        and (not objective or objective in row.objectives)
        and (parallel is None or row.parallel == parallel)
        and row.languages >= least_languages
        and (most_parameters == float("inf") or (row.parameters is not None and row.parameters <= most_parameters))
        and _matches(text, row.name, row.tokenizer, row.hub, *row.corpora)
    ]
    return sorted(found, key=lambda row: (row.parameters or 0, row.name))


def benchmarks(*, text: str = "", task: str = "", collection: str = "", covers: str = "") -> list[BenchmarkRow]:
    """Benchmarks that satisfy every condition given.

    Args:
        text: a part of name or metric, in any case.
        task: "classification", "tagging", "question answering" or "retrieval".
        collection: e.g. "XTREME".
        covers: a language that must be covered, as people write it; sets whose languages are only counted are left out.

    Raises:
        MultilingualError: no benchmark has such a task or collection, or the language is unknown.
    """
    rows = table()[1]
    if task:
        one_of("task", task, sorted({row.task for row in rows}))
    if collection:
        one_of("collection", collection, sorted({name for row in rows for name in row.collection}))
    code = language(covers).code if covers else ""
    return [
        row
        for row in rows
        if (not task or row.task == task)
        and (not collection or collection in row.collection)
        and (not code or code in {language(item).code for item in row.languages})
        and _matches(text, row.name, row.metric)
    ]


def _matches(text: str, *where: str) -> bool:
    return text.casefold() in "\n".join(where).casefold()


@cache
def table() -> tuple[tuple[ModelRow, ...], tuple[BenchmarkRow, ...]]:
    """Every model and every benchmark."""
    return read_catalogue(_FILE)


def read_catalogue(path: Path) -> tuple[tuple[ModelRow, ...], tuple[BenchmarkRow, ...]]:
    """Read a file laid out as `catalogue.toml`, such as a group's own list.

    Raises:
        MultilingualError: the file is no TOML, or a row misses a field or has an unknown one.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MultilingualError(f"catalogue {path.name!r} is no TOML: {error}") from None
    return (
        tuple(_row(ModelRow, item) for item in content.get("model", [])),
        tuple(_row(BenchmarkRow, item) for item in content.get("benchmark", [])),
    )


def _row(kind: type[Any], item: dict[str, Any]) -> Any:
    unknown = set(item) - {one.name for one in fields(kind)}
    if unknown:
        raise MultilingualError(f"row {item.get('name', '?')!r} has the unknown field {sorted(unknown)[0]!r}")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in item.items()})
    except TypeError as error:
        raise MultilingualError(f"row {item.get('name', '?')!r} is not whole: {error}") from None
