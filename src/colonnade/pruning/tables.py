"""Labelled and unlabelled texts from a user's own file, with a plain sentence for whatever is wrong with it."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from colonnade.pruning.errors import PruningError

TEXT, LABEL = "text", "label"
MAX_CHARACTERS = 100_000  # of one text
MAX_CLASSES = 100


@dataclass(frozen=True)
class Labelled:
    """Texts and the numbers of their classes.

    Attributes:
        texts: as in the file.
        labels: a class number each.
        classes: names of the classes in alphabetical order.
    """

    texts: list[str]
    labels: list[int]
    classes: tuple[str, ...]


def read_labelled(path: str | Path, rows_at_least: int = 2) -> Labelled:
    """A TSV or CSV file with the columns `text` and `label`.

    Raises:
        PruningError: names the column or the line at fault.
    """
    header, rows = _read(Path(path))
    text, label = _column(header, TEXT), _column(header, LABEL)
    texts, names = [], []
    for line, row in rows:
        texts.append(_text(row[text], line))
        if not row[label].strip():
            raise PruningError(f"Line {line} has no label.")
        names.append(row[label].strip())
    if len(texts) < rows_at_least:
        raise PruningError(f"The file has {len(texts)} rows with a text, but at least {rows_at_least} are needed.")
    counts = Counter(names)
    if len(counts) < 2:
        raise PruningError(f"Every row has the label {names[0]!r}; at least two different labels are needed.")
    if len(counts) > MAX_CLASSES:
        raise PruningError(
            f"The column label holds {len(counts)} different values, but at most {MAX_CLASSES} classes are taken; "
            "is it a column of numbers?"
        )
    rare = [name for name, count in counts.items() if count < 2]
    if rare:
        raise PruningError(f"The label {rare[0]!r} stands in one row only; every label needs at least two.")
    classes = tuple(sorted(counts))
    return Labelled(texts, [classes.index(name) for name in names], classes)


def read_texts(path: str | Path) -> list[str]:
    """The texts of a file: the column `text` of a TSV or CSV file, else one text a line.

    Raises:
        PruningError: the file holds no text, or is not UTF-8.
    """
    path = Path(path)
    if path.suffix.lower() in (".tsv", ".csv"):
        header, rows = _read(path)
        column = _column(header, TEXT)
        texts = [_text(row[column], line) for line, row in rows]
    else:
        texts = [_text(row, k) for k, row in enumerate(_decoded(path).splitlines(), 1) if row.strip()]
    if not texts:
        raise PruningError(f"{path.name!r} holds no text.")
    return texts


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PruningError(f"{path.name!r} is not UTF-8: line {line} holds a byte that is no character.") from None


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header and rows with their line numbers."""
    lines = _decoded(path).splitlines(keepends=True)
    first = lines[0] if lines else ""
    separator = (
        "\t" if "\t" in first or path.suffix.lower() == ".tsv" else ";" if ";" in first and "," not in first else ","
    )
    # A tab-separated file knows no quotes: a text may begin with one.
    reader = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        rows = []
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                raise PruningError(f"Line {reader.line_num} has {len(row)} columns, but the header has {len(header)}.")
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise PruningError(f"{path.name!r} is no table: line {reader.line_num}: {error}.") from None
    return header, rows


def _column(header: list[str], name: str) -> int:
    if name not in header:
        shown = ", ".join(repr(cell[:30]) for cell in header[:8]) or "none"
        raise PruningError(f"The file needs a column {name!r} in its first line; its columns are {shown}.")
    return header.index(name)


def _text(value: str, line: int) -> str:
    if not value.strip():
        raise PruningError(f"Line {line} has no text.")
    if len(value) > MAX_CHARACTERS:
        raise PruningError(
            f"The text in line {line} has {len(value)} characters, but at most {MAX_CHARACTERS} are taken."
        )
    return value.strip()
