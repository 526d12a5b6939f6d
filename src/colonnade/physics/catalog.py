"""`load` the official events, your own copies of them, or `generate` as many as you want, with one schema."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib import import_module, metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.physics.errors import PhysicsError, between
from colonnade.physics.fetch import Progress, fetch
from colonnade.physics.official import Split, read_npz
from colonnade.physics.schema import NAMES, Spec, spec
from colonnade.physics.shards import Dataset, ShardWriter, shard_name, temporary

MOST_EVENTS = 100_000_000
SMALLEST_SHARD = 200  # a generator's start-up costs as much as some tens of events

_GENERATORS = {  # module, function, class of its settings, software whose version decides the events
    "top": ("jets", "top_tagging", "JetSettings", ("numpy", "pythia8mc", "fastjet")),
    "airshower": ("showers", "air_showers", "ShowerSettings", ("numpy",)),
    "belle": ("decays", "belle_events", "DecaySettings", ("numpy", "pythia8mc", "decaylanguage", "particle")),
    "eos": ("heavy_ions", "heavy_ion_events", "HeavyIonSettings", ("numpy", "torch")),
    "spinodal": ("spinodal", "spinodal_events", "SpinodalSettings", ("numpy", "scipy")),
}


def default_folder() -> Path:
    """Where official files are kept: the variable COLONNADE_PHYSICS_DATA, or the user's cache folder."""
    named = os.environ.get("COLONNADE_PHYSICS_DATA")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("colonnade")) / "physics"


def load(
    name: str,
    split: Split = "train",
    path: Path | str | None = None,
    *,
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
    folder: Path | str | None = None,
) -> Dataset:
    """Official events, or a copy of your own in their layout, or shards that were written before.

    Args:
        name: "top", "spinodal", "eos", "airshower" or "belle".
        split: "train" or "test".
        path: a folder where official files are kept and downloaded to; or an npz file of your own in the official
            layout, which is read as it is; or a folder of shards.
        mirrors: addresses of the official file to try instead of the registered one.
        progress: called with the bytes downloaded and their total.
        folder: where the shards made from an npz file go (default: beside it, in a folder of its name).

    Raises:
        PhysicsError: unknown name or split, no way to the file, or a file that is not what it should be.
    """
    described = spec(name)
    if split not in ("train", "test"):
        raise PhysicsError(f"split must be train or test, but is {split!r}.")
    place = Path(path) if path is not None else default_folder()
    if place.is_file():
        shards = Path(folder) if folder is not None else place.parent / f"{place.stem}.shards" / split
        return read_npz(place, described, split, shards)
    if any(place.glob("part-*.parquet")):
        found = Dataset(place)
        if found.spec.name != name:
            raise PhysicsError(f"path holds the set {found.spec.name!r}, not {name!r}.")
        return found
    file = fetch(described, place, mirrors, progress)
    shards = Path(folder) if folder is not None else place / f"{file.stem}.shards" / split
    return read_npz(file, described, split, shards)


@dataclass(frozen=True)
class ShardTask:
    """All that decides one shard of a generated set; can be sent to another machine."""

    name: str
    folder: str
    seed: int
    shard: int
    events: int
    settings: dict[str, Any] = field(default_factory=dict)


def plan(name: str, n: int, seed: int, folder: Path | str, **physics: Any) -> list[ShardTask]:
    """The shards of a generated set; `write_shard` makes each, in any order and anywhere.

    Raises:
        PhysicsError: unknown set or setting, or a value out of range.
    """
    described = spec(name)
    between("n", n, 1, MOST_EVENTS)
    if seed < 0:
        raise PhysicsError(f"seed must be at least 0, but is {seed}.")
    made = settings(name, **physics)
    size = int(np.clip(-(-n // 8), SMALLEST_SHARD, described.shard))
    starts = range(0, n, size)
    return [
        ShardTask(name, str(folder), seed, index, min(size, n - start), asdict(made))
        for index, start in enumerate(starts)
    ]


def settings(name: str, **physics: Any) -> Any:
    """The checked physics settings of a generator; see the settings class of its module for what there is."""
    module, _, kind, _ = _GENERATORS[spec(name).name]
    settings_class = getattr(import_module(f"colonnade.physics.{module}"), kind)
    known = {item.name for item in fields(settings_class)}
    for given in physics:
        if given not in known:
            raise PhysicsError(f"{given} is not a setting of {name}; there are {', '.join(sorted(known))}.")
    return settings_class(**physics)


def write_shard(task: ShardTask) -> dict[str, Any]:
    """Generate one shard and write it; returns its metadata."""
    module, function, _, software = _GENERATORS[task.name]
    generator = getattr(import_module(f"colonnade.physics.{module}"), function)
    rng = np.random.default_rng(np.random.SeedSequence(task.seed, spawn_key=(task.shard,)))
    made = generator(task.events, rng, settings(task.name, **task.settings))
    told = {
        "dataset": task.name,
        "seed": task.seed,
        "shard": task.shard,
        "events": task.events,
        "settings": task.settings,
        "software": {package: _version(package) for package in software},
        "report": made.pop("report", {}),
    }
    columns = [column for column in spec(task.name).columns if column.name in made]
    with ShardWriter(Path(task.folder) / shard_name(task.shard), columns, told) as writer:
        writer.write(made)
    return told


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def generate(
    name: str, n: int, seed: int = 0, folder: Path | str | None = None, workers: int = 1, **physics: Any
) -> Dataset:
    """Make `n` events with the schema and labels of the official set.

    The shards depend on name, n, seed and settings alone: any number of workers gives the same bytes.

    Args:
        name: one of the five sets.
        n: number of events.
        seed: of everything random.
        folder: where the shards go; by default a temporary one that lives as long as the set.
        workers: processes.
        physics: settings of the generator.

    Raises:
        PhysicsError: a value out of range, an impossible cut (with the measured acceptance), a folder in use.
        MissingEngine: a simulator is not installed; names the extra that brings it.
    """
    place, keep = temporary() if folder is None else (Path(folder), None)
    if place.exists() and any(place.glob("part-*.parquet")):
        raise PhysicsError(f"folder {str(place)!r} holds shards already; name another one.")
    tasks = plan(name, n, seed, place, **physics)
    if min(workers, len(tasks)) > 1:
        with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=get_context("forkserver")) as pool:
            list(pool.map(write_shard, tasks))
    else:
        for task in tasks:
            write_shard(task)
    return Dataset(place, keep)


def describe(name: str) -> Spec:
    """What is known of a data set: columns, units, licence, citation."""
    return spec(name)


__all__ = ["NAMES", "ShardTask", "default_folder", "describe", "generate", "load", "plan", "settings", "write_shard"]
