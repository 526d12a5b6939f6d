"""The meta-database: how well many networks do on many tasks after a short training.

A plan is a list of trials in a fixed order; trials are run in shards whose file names follow from their content, so
that a build may be stopped and taken up again, spread over processes, or run twice, with the same outcome. Any first
part of the order holds all tasks alike.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from colonnade.nas import cells, mobilenet
from colonnade.nas.data import Images
from colonnade.nas.errors import NasError
from colonnade.nas.mobilenet import Mobile
from colonnade.nas.space import Architecture, Macro, macros, macs
from colonnade.nas.spaces import Design

LARGEST = 600_000  # multiply-adds of a network of the database
SHARED = 12  # trials of each task that are the same networks for all tasks
REPEATED = 3  # of these, how many are trained a second time from another seed

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, order=True)
class Trial:
    """One training: a network on a task from a seed.

    In the space `mobilenet`, `cell` is the number of the blocks, `channels` the width, and `repeats` the blocks in all.
    """

    task: str
    cell: int
    channels: int
    repeats: int
    resolution: int
    seed: int
    space: str = "cells"

    @classmethod
    def of(cls, task: str, network: Design, seed: int) -> Trial:
        if isinstance(network, Mobile):
            return cls(task, network.code, network.width, network.depth, network.resolution, seed, "mobilenet")
        macro = network.macro
        return cls(task, network.cell, macro.channels, macro.repeats, macro.resolution, seed)

    @property
    def architecture(self) -> Design:
        if self.space == "mobilenet":
            return Mobile(self.cell, self.channels, self.resolution)
        return Architecture(self.cell, Macro(self.channels, self.repeats, self.resolution))

    @property
    def content(self) -> tuple[str | int, ...]:
        """What names the file of its shard: the space only where it is not that of the cells, the first one."""
        return astuple(self) if self.space != "cells" else astuple(self)[:-1]


@dataclass(frozen=True)
class Outcome:
    """What a trial gave.

    Attributes:
        accuracy: on the test images, in %.
        loss: mean cross-entropy on the test images, in nats.
        seconds: of processor time.
    """

    trial: Trial
    accuracy: float
    loss: float
    seconds: float


class Tasks:
    """The image tasks in a file of `scripts/collect_nas_tasks.py`."""

    def __init__(self, path: Path | str) -> None:
        try:
            self._file = np.load(path, allow_pickle=False)
            self.families: dict[str, str] = json.loads(str(self._file["families"]))
        except (OSError, ValueError, KeyError) as error:
            raise NasError(f"tasks: {Path(path).name!r} is no file of image tasks ({error}).") from None

    def __getitem__(self, name: str) -> Images:
        x, y, test = (self._file[f"{name}/{part}"] for part in ("x", "y", "test"))
        return Images(x, y.astype(np.int64), tuple(map(str, range(int(y.max()) + 1))), test)


def plan(tasks: Sequence[str], cells_per_task: int = 40, seed: int = 0, space: str = "cells") -> list[Trial]:
    """The trials of a database: some networks shared by all tasks, the others drawn anew for each.

    Of the cells, half come from all alike, half from those with several convolutions; for each a macro network
    is drawn first, then a cell that keeps it within `LARGEST`. Of the larger space there are fewer trials.
    """
    rng = np.random.default_rng(seed)
    draw = _draw if space == "cells" else _draw_mobile
    common, twice = (SHARED, REPEATED) if space == "cells" else (3, 1)
    shared = [draw(rng, bool(i % 2)) for i in range(common)]
    order: list[Trial] = []
    for place in range(cells_per_task):
        for task in tasks:
            network = shared[place // 2] if place % 2 == 0 and place // 2 < common else draw(rng, bool(place // 2 % 2))
            order.append(Trial.of(task, network, 0))
    again = [Trial.of(task, network, 1) for network in shared[:twice] for task in tasks]
    middle = len(order) // 2
    return list(dict.fromkeys(order[:middle] + again + order[middle:]))


def _draw_mobile(rng: np.random.Generator, strong: bool) -> Mobile:
    """A network of at most `LARGEST` multiply-adds: width and resolution alike, then blocks, of small ones as well.

    A strong one uses at least a third of that.
    """
    while True:
        width, resolution = int(rng.choice(mobilenet.WIDTHS)), int(rng.choice(mobilenet.RESOLUTIONS))
        for _ in range(20):
            depth, widest = (int(n) for n in rng.integers(1, 4, 2))
            found = mobilenet.random_one(rng, width, resolution, depth, widest)
            if LARGEST * strong / 3 <= mobilenet.sizes([found])[1][0] <= LARGEST:
                return found


def _draw(rng: np.random.Generator, strong: bool) -> Architecture:
    """A network of at most `LARGEST` multiply-adds."""
    pool = cells.searchable()
    every = cells.every_cell()[pool]
    if strong:
        pool = pool[((every == cells.CONV3).sum(1) >= 2) & ((every >= cells.CONV1).sum(1) >= 3)]
    choices = macros()
    while True:
        macro = choices[int(rng.integers(len(choices)))]
        tried = rng.choice(pool, 20)
        for cell in tried.tolist():
            if macs(cells.from_index(cell), macro) <= LARGEST:
                return Architecture(cell, macro)


@dataclass(frozen=True)
class Shard:
    """Trials to run together, and where their outcomes go."""

    tasks: Path
    folder: Path
    trials: tuple[Trial, ...]

    @property
    def file(self) -> Path:
        content = json.dumps([trial.content for trial in self.trials]).encode()
        return self.folder / f"{hashlib.sha256(content).hexdigest()[:16]}.json"


def shards(tasks: Path, folder: Path, trials: Sequence[Trial], size: int = 8) -> list[Shard]:
    """The trials of a plan in pieces."""
    return [Shard(tasks, folder, tuple(trials[i : i + size])) for i in range(0, len(trials), size)]


@lru_cache(maxsize=1)
def _tasks(path: Path) -> Tasks:
    return Tasks(path)


@lru_cache(maxsize=64)
def _images(path: Path, task: str) -> Images:
    return _tasks(path)[task]


def run_shard(shard: Shard) -> Path:
    """Run the trials of a shard unless its file is there; the file appears whole or not at all."""
    import torch

    from colonnade.nas.training import SHORT, Diverged, train

    if shard.file.exists():
        return shard.file
    torch.set_num_threads(1)
    found = []
    for trial in shard.trials:
        start = time.process_time()
        try:
            trained = train(trial.architecture, _images(shard.tasks, trial.task), SHORT, trial.seed)
        except Diverged:
            continue
        seconds = time.process_time() - start
        found.append(asdict(Outcome(trial, round(trained.accuracy, 3), round(trained.loss, 5), round(seconds, 2))))
    shard.folder.mkdir(parents=True, exist_ok=True)
    draft = shard.file.with_suffix(f".{os.getpid()}.part")
    draft.write_text(json.dumps(found))
    draft.replace(shard.file)
    return shard.file


def build(
    tasks: Path,
    folder: Path,
    trials: Sequence[Trial],
    mapped: Callable[[Callable[[Shard], Path], Sequence[Shard]], Sequence[Path]] | None = None,
) -> list[Outcome]:
    """Run all trials, by `mapped(run_shard, shards)` (a job's `map`) or one after the other."""
    pieces = shards(tasks, folder, trials)
    files = mapped(run_shard, pieces) if mapped is not None else [run_shard(piece) for piece in pieces]
    return [outcome for file in files for outcome in read_shard(file)]


def read_shard(file: Path) -> list[Outcome]:
    """The outcomes in a shard's file."""
    return [Outcome(Trial(**item.pop("trial")), **item) for item in json.loads(file.read_text())]


_HEADER = [field.name for field in fields(Trial)] + ["accuracy", "loss", "seconds"]


def save(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write outcomes as a table (CSV, gzipped, the same bytes for the same outcomes)."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows(
        [*astuple(o.trial), o.accuracy, o.loss, o.seconds] for o in sorted(outcomes, key=lambda o: o.trial)
    )
    path.write_bytes(gzip.compress(stream.getvalue().encode(), mtime=0))


def load(path: Path) -> list[Outcome]:
    """Read what `save` wrote; a table without the column `space` holds cells.

    Raises:
        NasError: it is not such a table.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))
        return [_outcome(row) for row in rows]
    except (OSError, KeyError, ValueError) as error:
        raise NasError(f"db: {path.name!r} is no meta-database ({error}).") from None


def _outcome(row: dict[str, str]) -> Outcome:
    cell, channels, repeats, resolution, seed = (int(row[name]) for name in _HEADER[1:6])
    trial = Trial(row["task"], cell, channels, repeats, resolution, seed, row.get("space") or "cells")
    accuracy, loss, seconds = (float(row[name]) for name in _HEADER[7:])
    return Outcome(trial, accuracy, loss, seconds)


def noise_ceiling(outcomes: Sequence[Outcome]) -> float:
    """Correlation within tasks of two trainings that differ in their seed only: 1 - variance of noise over variance.

    A prediction that knows every network's mean accuracy correlates with one training by the square root of it.
    """
    first = {_place(o.trial): o.accuracy for o in outcomes if o.trial.seed == 0}
    noise: dict[str, list[float]] = {}
    for o in outcomes:
        if o.trial.seed == 1 and _place(o.trial) in first:
            noise.setdefault(o.trial.task, []).append((first[_place(o.trial)] - o.accuracy) ** 2 / 2)
    if not noise:
        raise NasError("db: no network was trained twice, so that the noise is not known.")
    spread = [np.var([a for place, a in first.items() if place[0] == task], ddof=1) for task in noise]
    return float(1 - np.mean([np.mean(v) for v in noise.values()]) / np.mean(spread))


def _place(trial: Trial) -> tuple[str, Design]:
    return trial.task, trial.architecture
