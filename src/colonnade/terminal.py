"""A run's results for the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from colonnade.formats import formats
from colonnade.render import number, own_files
from colonnade.results import Estimate, Figure, Table
from colonnade.runner import Run

MAX_TEXT = 2_000  # characters of one plain value
MAX_COLUMNS = 12


def render(run: Run, rows: int) -> Group:
    """Numbers first, then the head of each table, then the files; user text is never read as markup.

    Args:
        run: a run read back.
        rows: how many rows of a table are shown.
    """
    parts: list[RenderableType] = []
    if run.status == "failed":
        return Group(Text(f"The run failed: {run.error}", style="red"))
    if run.status == "pending":
        return Group(Text("The run has no result yet."))
    numbers = _grid("Result")
    for _, title, value in run.results:
        if isinstance(value, Estimate):
            numbers.add_row(Text(title), Text(str(value), style="bold"))
        elif not hasattr(value, "kind"):
            numbers.add_row(Text(title), Text(number(value)[:MAX_TEXT]))
    if numbers.row_count:
        parts.append(numbers)
    taken = own_files(run)
    files = _grid("Files")
    for path, title, value in run.results:
        if isinstance(value, Table):
            parts.append(_table(title, value, rows, formats(path, value, taken)[0][0]))
        named = [value.file] if hasattr(value, "file") else []
        if isinstance(value, Figure):
            named = [name for name, _ in formats(path, value, taken) if (run.files / name).exists()]
            named = named[-1:] or ["in the report"]
        for name in named:
            files.add_row(Text(title), Text(name if name == "in the report" else f"files/{name}"))
    if files.row_count:
        parts.append(files)
    return Group(*parts)


def _grid(title: str) -> RichTable:
    grid = RichTable(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), title=None)
    grid.add_column(title, style="dim", overflow="fold")
    grid.add_column("value", overflow="fold")
    return grid


def _table(title: str, table: Table, rows: int, download: str) -> RenderableType:
    columns = table.columns[:MAX_COLUMNS]
    length = len(table.data[0]) if table.data else 0
    hints = []
    if length > rows:
        hints.append(f"{rows} of {length} rows")
    if len(table.columns) > MAX_COLUMNS:
        hints.append(f"{MAX_COLUMNS} of {len(table.columns)} columns")
    hint = f"{' and '.join(hints)}; all in files/{download}" if hints else None
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(Text(column.label), justify="right" if column.type in ("integer", "number") else "left")
    for row in range(min(length, rows)):
        shown.add_row(*(Text(_cell(table.data[index][row])) for index in range(len(columns))))
    return Group(Text(f"\n{title}", style="bold"), shown, *([Text(hint, style="dim")] if hint else []))


def _cell(value: Any) -> str:
    return number(value)[:MAX_TEXT]
