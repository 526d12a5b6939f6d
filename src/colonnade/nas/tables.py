"""Tables of networks that others have trained: what a search would have got, without training.

The tables are not part of the package; they are read from a folder (`COLONNADE_DATA`/nas by default):
`nats_bench.csv` (200 epochs, test accuracy; Dong et al., arXiv:2009.00437) and `mini-bench-arch-cell-accs.pd`
(12 epochs, validation accuracy, the same cells).
"""

from __future__ import annotations

import csv
import hashlib
import os
import pickletools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.nas import cells
from colonnade.nas.errors import NasError

DATASETS = ("cifar10", "cifar100", "imagenet16")
_COLUMNS = dict(zip(DATASETS, ("CIFAR10", "CIFAR100", "ImageNet"), strict=True))
_NATS, _SHORT = "nats_bench.csv", "mini-bench-arch-cell-accs.pd"
_CHECKSUMS = {
    _NATS: "cb5d777ec3368be83c8f9b3aa4d520696051cb0eb8d94b8f85b519f9ea4afa3e",
    _SHORT: "bda800741eea1512fab0ed771f19c8fde06c266db3bbf4690ab5921f621877fe",
}


@dataclass(frozen=True)
class Oracle:
    """Accuracies of all 15,625 cells on one data set, in %, by cell number.

    Attributes:
        test: after 200 epochs, mean over seeds, on the test images: what counts in the end.
        short: after 12 epochs on the validation images: what a search may look at; None without that table.
    """

    dataset: str
    test: np.ndarray
    short: np.ndarray | None

    @property
    def best(self) -> float:
        return float(self.test.max())

    def regret(self, cell: int) -> float:
        """How far the test accuracy of a cell is below that of the best one, in points."""
        return self.best - float(self.test[cell])


def data_folder() -> Path:
    """Where the tables are: the folder `nas` in `COLONNADE_DATA`, else in `../shared/data` beside this checkout."""
    named = os.environ.get("COLONNADE_DATA")
    return (Path(named) if named else Path(__file__).parents[4] / "shared" / "data") / "nas"


def oracle(dataset: str, folder: Path | str | None = None) -> Oracle:
    """The table of one data set.

    Raises:
        NasError: no such data set, no table in the folder, or a table that is not the one that is meant.
    """
    if dataset not in DATASETS:
        raise NasError(f"dataset must be one of {', '.join(DATASETS)}, but is {dataset!r}.")
    root = Path(folder) if folder is not None else data_folder()
    if not (root / _NATS).is_file():
        raise NasError(f"the table {_NATS} is not at hand; set COLONNADE_DATA to the folder that holds nas/{_NATS}.")
    short = _short(root / _SHORT)[dataset] if (root / _SHORT).is_file() else None
    return Oracle(dataset, _nats(root / _NATS)[dataset], short)


def read_table(path: Path) -> Oracle:
    """A table of one's own: CSV with the columns `cell` (string or number), `test` and, if there is one, `signal`, for
    all 15,625 cells.

    Raises:
        NasError: one sentence on what is wrong.
    """
    try:
        rows = list(csv.DictReader(path.read_text().splitlines()))
        places = np.array([_cell(row["cell"]) for row in rows])
        columns = {name: np.array([float(row[name]) for row in rows]) for name in ("test", "signal") if name in rows[0]}
    except (KeyError, IndexError, TypeError, UnicodeDecodeError):
        raise NasError("table must be CSV with the columns cell and test.") from None
    except NasError:
        raise
    except ValueError as error:
        raise NasError(f"table holds an accuracy that is no number ({error}).") from None
    if len(np.unique(places)) != cells.COUNT or not all(np.isfinite(c).all() for c in columns.values()):
        raise NasError(
            f"table must hold a finite accuracy for each of the {cells.COUNT:,} cells, but has {len(rows):,} rows."
        )
    found = {name: column[np.argsort(places)] for name, column in columns.items()}
    return Oracle("own", found["test"], found.get("signal"))


def _cell(text: str) -> int:
    """A cell by its number or its string."""
    return cells.to_index(cells.from_index(int(text)) if text.isdigit() else cells.from_string(text))


def _checked(path: Path) -> bytes:
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != _CHECKSUMS[path.name]:
        raise NasError(f"{path.name} is not the published table: its checksum differs.")
    return raw


@lru_cache(maxsize=2)
def _nats(path: Path) -> dict[str, np.ndarray]:
    rows = list(csv.DictReader(_checked(path).decode().splitlines()))
    places = np.array([cells.to_index(cells.from_string(row["ArchitectureString"])) for row in rows])
    found = {}
    for dataset, prefix in _COLUMNS.items():
        column = np.full(cells.COUNT, np.nan)
        column[places] = [float(row[f"{prefix}TestAccuracy200Epochs"]) for row in rows]
        found[dataset] = column
    return found


@lru_cache(maxsize=2)
def _short(path: Path) -> dict[str, np.ndarray]:
    """Validation accuracies out of a pickled pandas frame, whose arrays and strings are read without executing it."""
    names: list[str] = []
    blocks: list[bytes] = []
    for _, argument, _ in pickletools.genops(_checked(path)):
        if isinstance(argument, str):
            names.append(argument)
        elif isinstance(argument, bytes | bytearray) and len(argument) == 6 * 8 * cells.COUNT:
            blocks.append(bytes(argument))
    strings = [name for name in names if "~" in name]
    columns = [name for name in names if name.endswith(("-val", "-test"))]
    order = sorted(set(columns), key=columns.index)
    values = np.frombuffer(blocks[0], "<f8").reshape(6, cells.COUNT)
    places = np.array([cells.to_index(cells.from_string(text)) for text in strings])
    found = {}
    for dataset, name in zip(DATASETS, ("cifar10", "cifar100", "imagenet"), strict=True):
        column: Any = np.full(cells.COUNT, np.nan)
        column[places] = values[order.index(f"{name}-val")]
        found[dataset] = column
    return found
