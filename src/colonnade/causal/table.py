"""A scientist's own table: variables in columns, samples in rows, and what was intervened on in each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.data import Transitions
from colonnade.causal.errors import CausalError
from colonnade.causal.world import chemistry

Array = NDArray[Any]
MAX_LEVELS = 20  # whole numbers with at most so many values count as categories
MAX_VARIABLES = 100
MIN_ROWS = 10
NOT_INTERVENED = ("", "none", "obs", "observational", "-", "nan")


@dataclass(frozen=True)
class InterventionTable:
    """Samples for causal discovery.

    Attributes:
        names: of the variables.
        values: (rows, variables) float64; categories as codes 0, 1, ...
        levels: number of categories of each variable; 0 for a continuous one.
        target: (rows,) which variable was set in each row; -1 for none.
        notes: what was found on reading that the user should know.
    """

    names: tuple[str, ...]
    values: Array
    levels: tuple[int, ...]
    target: Array
    notes: tuple[str, ...] = ()

    @property
    def discrete(self) -> bool:
        return all(self.levels)

    def codes(self, bins: int = 4) -> tuple[Array, Array]:
        """(rows, variables) int64 categories, continuous variables cut at quantiles, and the number of each."""
        out, counts = np.empty(self.values.shape, np.int64), np.empty(len(self.names), np.int64)
        for j, level in enumerate(self.levels):
            column = self.values[:, j]
            if level:
                out[:, j], counts[j] = column.astype(np.int64), level
            else:
                edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)[1:-1]))
                out[:, j], counts[j] = np.searchsorted(edges, column, side="right"), len(edges) + 1
        return out, counts

    def rows(self, index: Array) -> InterventionTable:
        """The table of some rows."""
        return InterventionTable(self.names, self.values[index], self.levels, self.target[index], self.notes)


def make_table(
    columns: dict[str, Sequence[Any] | Array], targets: Sequence[str | None] | None = None
) -> InterventionTable:
    """Check columns and turn categories into codes.

    Args:
        columns: values of each variable by name: numbers, text, or booleans.
        targets: for each row the name of the variable that was set, or nothing ("", "none") where none was.

    Raises:
        CausalError: too few or too many variables or rows, missing values, columns of different length, a constant or
            doubled column, or a target that is no variable.
    """
    names = tuple(str(name) for name in columns)
    if not 2 <= len(names) <= MAX_VARIABLES:
        raise CausalError(f"a table must have from 2 to {MAX_VARIABLES} variables, but has {len(names)}.")
    arrays = [np.asarray(values) for values in columns.values()]
    if len({len(array) for array in arrays}) > 1:
        raise CausalError("all columns of a table must have the same number of rows.")
    if len(arrays[0]) < MIN_ROWS:
        raise CausalError(f"a table must have at least {MIN_ROWS} rows, but has {len(arrays[0])}.")
    coded = [_coded(name, array) for name, array in zip(names, arrays, strict=True)]
    values = np.stack([column for column, _ in coded], 1)
    levels = tuple(level for _, level in coded)
    _check_columns(names, values)
    target, notes = _targets(names, targets, len(values))
    return InterventionTable(names, values, levels, target, (*notes, *_sparse(names, levels, target, values)))


def read_table(path: str | Path, target_column: str | None = None) -> InterventionTable:
    """Read a CSV (comma, semicolon or tab) or Parquet file; `target_column` names the variable set in each row.

    Raises:
        CausalError: the file cannot be read, or `make_table` refuses it.
    """
    frame = _frame(Path(path))
    targets = None
    if target_column is not None:
        if target_column not in frame.columns:
            known = ", ".join(frame.columns[:20])
            raise CausalError(f"target column must be one of {known}, but is {target_column!r}.")
        targets = ["" if _missing(item) else str(item) for item in frame.pop(target_column)]
    return make_table({name: frame[name].to_numpy() for name in frame.columns}, targets)


def _frame(path: Path) -> Any:
    import pandas as pd

    try:
        csv = path.suffix != ".parquet"
        frame = pd.read_csv(path, sep=None, engine="python") if csv else pd.read_parquet(path)
    except Exception as error:  # pandas and its engines raise many kinds
        raise CausalError(f"{path.name!r} cannot be read as a table ({str(error).splitlines()[0][:100]}).") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    return frame


def check_readable(path: str | Path) -> None:
    """Raise CausalError unless the file reads as a table of at least two columns and ten rows."""
    frame = _frame(Path(path))
    if frame.shape[1] < 2 or frame.shape[0] < MIN_ROWS:
        raise CausalError(
            f"a table must have at least 2 columns and {MIN_ROWS} rows, but has {frame.shape[1]} and {frame.shape[0]}."
        )


def table_of(data: Transitions, rows: int | None = None) -> InterventionTable:
    """The states after each action of a chemistry world, with the object that was set: variables `x0`, `x1`, ...

    Args:
        data: transitions.
        rows: how many; all by default.
    """
    world = chemistry(data.world)
    take = slice(0, rows)
    after, target = data.after(take), data.action(take) // world.colors
    names = tuple(f"x{i}" for i in range(world.slots))
    return InterventionTable(names, after.astype(np.float64), (world.colors,) * world.slots, target)


def _missing(item: object) -> bool:
    return item is None or (isinstance(item, float) and np.isnan(item)) or str(item) in ("NaT", "<NA>")


def _coded(name: str, array: Array) -> tuple[Array, int]:
    if array.ndim != 1:
        raise CausalError(f"column {name!r} must be a list of values, but has shape {array.shape}.")
    if array.dtype.kind in "fc":
        bad = int((~np.isfinite(array)).sum())
        if bad:
            raise CausalError(f"column {name!r} has {bad} missing or infinite values; leave such rows out.")
    if array.dtype.kind == "f" and not (array == np.round(array)).all():
        return array.astype(np.float64), 0
    if array.dtype.kind not in "iufb":
        text = [None if _missing(item) else str(item) for item in array.tolist()]
        missing = sum(item is None or not item.strip() for item in text)
        if missing:
            raise CausalError(f"column {name!r} has {missing} missing values; leave such rows out.")
        array = np.array(text)
    found, codes = np.unique(array, return_inverse=True)
    if array.dtype.kind in "iuf" and len(found) > MAX_LEVELS:
        return array.astype(np.float64), 0
    if len(found) > 10 * MAX_LEVELS:
        raise CausalError(
            f"column {name!r} has {len(found)} different texts; at most {10 * MAX_LEVELS} make categories."
        )
    return codes.astype(np.float64).ravel(), len(found)


def _check_columns(names: tuple[str, ...], values: Array) -> None:
    for j, name in enumerate(names):
        if (values[:, j] == values[0, j]).all():
            raise CausalError(f"column {name!r} has the same value in every row; leave it out.")
        for i in range(j):
            if (values[:, i] == values[:, j]).all():
                raise CausalError(f"columns {names[i]!r} and {name!r} hold the same values; leave one out.")


def _targets(names: tuple[str, ...], targets: Sequence[str | None] | None, rows: int) -> tuple[Array, tuple[str, ...]]:
    if targets is None:
        return np.full(rows, -1), ()
    if len(targets) != rows:
        raise CausalError(f"targets must be {rows}, one a row, but are {len(targets)}.")
    number = {name: i for i, name in enumerate(names)}
    out = np.full(rows, -1)
    for row, item in enumerate(targets):
        text = "" if item is None else str(item).strip()
        if text in number:
            out[row] = number[text]
        elif text.lower() not in NOT_INTERVENED:
            known = ", ".join(names[:20])
            raise CausalError(f"the target of row {row + 1} must be one of {known} or empty, but is {text!r}.")
    found = np.unique(out)
    if len(found) == 1 and found[0] >= 0:
        name = names[found[0]]
        return out, (f"All rows are interventions on {name}: only what {name} causes can be told.",)
    return out, ()


def _sparse(names: tuple[str, ...], levels: tuple[int, ...], target: Array, values: Array) -> list[str]:
    notes = []
    for j, level in enumerate(levels):
        rows = int((target == j).sum())
        if level and 0 < rows < 5 * level:
            notes.append(f"{names[j]} was set in only {rows} rows for {level} values (about 5 a value are needed).")
    return notes
