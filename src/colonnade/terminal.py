"""A run's results for the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from colonnade.formats import formats
from colonnade.render import number, own_files
from colonnade.results import Estimate, Figure, Table
from colonnade.runner import Run

MAX_TEXT = 2_000  # characters of one plain value
FEWEST_COLUMNS = 4  # shown even when their cells must break
MAX_CELL = 30  # width from which a cell breaks
GAP = 2  # between columns


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
            parts.append(_Head(title, value, rows, formats(path, value, taken)[0][0]))
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


@dataclass(frozen=True)
class _Head:
    """The first rows of a table, and as many of its columns as the terminal has room for."""

    title: str
    table: Table
    rows: int
    download: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        length = len(self.table.data[0]) if self.table.data else 0
        rows = min(length, self.rows)
        cells = [[_cell(value) for value in values[:rows]] for values in self.table.data]
        widths = self._widths(cells, options.max_width)
        count = len(widths)
        shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for column, width in zip(self.table.columns, widths, strict=False):
            side: Literal["left", "right"] = "right" if column.type in ("integer", "number") else "left"
            shown.add_column(Text(column.label), justify=side, min_width=width)
        for row in range(rows):
            shown.add_row(*(Text(cells[index][row]) for index in range(count)))
        yield Text(f"\n{self.title}", style="bold")
        yield shown
        hints = [f"{rows} of {length} rows"] if length > rows else []
        if count < len(self.table.columns):
            hints.append(f"{count} of {len(self.table.columns)} columns")
        if hints:
            yield Text(f"{' and '.join(hints)}; all in files/{self.download}", style="dim")

    def _widths(self, cells: list[list[str]], room: int) -> list[int]:
        """The least widths of as many columns as fit: labels may break between words, short cells may not."""
        widths: list[int] = []
        for column, texts in zip(self.table.columns, cells, strict=True):
            words = column.label.split() or [""]
            widths.append(min(max(map(cell_len, [*words, *texts])), MAX_CELL))
            if sum(widths) + GAP * len(widths) + 2 > room and len(widths) > FEWEST_COLUMNS:
                return widths[:-1]
        return widths


def _cell(value: Any) -> str:
    return number(value)[:MAX_TEXT]
