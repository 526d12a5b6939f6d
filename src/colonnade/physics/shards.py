"""A data set on disk: Parquet shards that are read in batches, so that memory does not grow with the number of events.

Every shard carries in its metadata what made it: seed, settings, software versions. Shard k of a set comes from the
k-th child of the seed, so it can be made again alone, and by any number of workers.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from colonnade.physics.errors import PhysicsError
from colonnade.physics.schema import Column, Spec, spec

METADATA = b"colonnade.physics"
ROW_GROUP = 1000  # events; what is in memory at least when a shard is read


class Dataset:
    """Events of one of the five kinds, in a folder of Parquet shards.

    Args:
        folder: holds `part-00000.parquet` and so on.
        keep: an object that must live as long as the set (a temporary folder).

    Raises:
        PhysicsError: the folder holds no shard of ours.
    """

    def __init__(self, folder: Path | str, keep: Any = None) -> None:
        self.folder = Path(folder)
        self._keep = keep
        self.files = sorted(self.folder.glob("part-*.parquet"))
        if not self.files:
            raise PhysicsError(f"{str(self.folder)!r} holds no shard (part-*.parquet) of a data set.")
        self.spec: Spec = spec(str(self.metadata["dataset"]))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Of the first shard: dataset, seed, settings, versions."""
        return read_metadata(self.files[0])

    @cached_property
    def sizes(self) -> list[int]:
        return [pq.read_metadata(file).num_rows for file in self.files]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns that these shards hold: an official set has fewer than a generated one."""
        names = pq.read_schema(self.files[0]).names
        return tuple(column for column in self.spec.columns if column.name in names)

    def __len__(self) -> int:
        return sum(self.sizes)

    def __repr__(self) -> str:
        return f"Dataset({self.spec.name}, {len(self)} events, {len(self.files)} shards)"

    def batches(
        self,
        size: int = ROW_GROUP,
        columns: Sequence[str] | None = None,
        rng: np.random.Generator | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """The events in pieces of at most `size`; a piece never spans two row groups.

        Args:
            size: most events at once.
            columns: which ones (default: all).
            rng: shuffles row groups, and events within them.
            start, stop: range of events.
        """
        wanted = [column for column in self.columns if columns is None or column.name in columns]
        groups = self._groups(start, len(self) if stop is None else min(stop, len(self)))
        for index in range(len(groups)) if rng is None else rng.permutation(len(groups)):
            file, group, low, high = groups[index]
            with pq.ParquetFile(file) as reader:
                table = reader.read_row_group(group, columns=[column.name for column in wanted])
            values = {column.name: from_arrow(table[column.name], column)[low:high] for column in wanted}
            order = np.arange(high - low) if rng is None else rng.permutation(high - low)
            for first in range(0, high - low, size):
                chosen = order[first : first + size]
                yield {name: array[chosen] for name, array in values.items()}

    def _groups(self, start: int, stop: int) -> list[tuple[Path, int, int, int]]:
        """(file, row group, first and last row in it) of the events from start to stop."""
        found, begin = [], 0
        for file in self.files:
            metadata = pq.read_metadata(file)
            for group in range(metadata.num_row_groups):
                rows = metadata.row_group(group).num_rows
                low, high = max(start - begin, 0), min(stop - begin, rows)
                if low < high:
                    found.append((file, group, low, high))
                begin += rows
        return found

    def arrays(
        self, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None
    ) -> dict[str, NDArray[Any]]:
        """Whole columns in memory (use `batches` when there are many events)."""
        pieces = list(self.batches(columns=columns, start=start, stop=stop))
        if not pieces:
            return {
                c.name: np.zeros((0, *c.shape), c.dtype) for c in self.columns if columns is None or c.name in columns
            }
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def to_parquet(self, folder: Path | str) -> Dataset:
        """Copy the shards into `folder`."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for file in self.files:
            shutil.copyfile(file, target / file.name)
        return Dataset(target)


def temporary() -> tuple[Path, Any]:
    """A folder that is removed when the object beside it is."""
    holder = tempfile.TemporaryDirectory(prefix="colonnade-physics-")
    return Path(holder.name), holder


def shard_name(index: int) -> str:
    return f"part-{index:05d}.parquet"


def read_metadata(file: Path) -> dict[str, Any]:
    """What a shard says of its making.

    Raises:
        PhysicsError: the file is no shard of ours.
    """
    try:
        found = pq.read_schema(file).metadata or {}
        told: dict[str, Any] = json.loads(found[METADATA])
    except (pa.ArrowException, KeyError, OSError):
        raise PhysicsError(f"{str(file)!r} is not a shard written by this package.") from None
    return told


class ShardWriter:
    """Writes one shard, row group by row group; the file appears under its name when it is whole."""

    def __init__(self, file: Path, columns: Sequence[Column], metadata: Mapping[str, Any]) -> None:
        self._file, self._draft, self._columns = file, file.with_suffix(".part"), tuple(columns)
        told = {METADATA: json.dumps(dict(metadata), sort_keys=True).encode()}
        self._schema = pa.schema([(c.name, _arrow_type(c)) for c in columns], metadata=told)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._draft, self._schema, compression="zstd")

    def write(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Append events.

        Raises:
            PhysicsError: the disk is full.
        """
        arrays = [_to_arrow(np.asarray(values[column.name]), column) for column in self._columns]
        try:
            self._writer.write_table(pa.table(arrays, schema=self._schema), row_group_size=ROW_GROUP)
        except OSError as error:
            self._writer.close()
            self._draft.unlink(missing_ok=True)
            raise PhysicsError(
                f"The shard {str(self._file)!r} could not be written: {error.strerror or error}."
            ) from None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._writer.close()
        if error is None:
            self._draft.replace(self._file)
        else:
            self._draft.unlink(missing_ok=True)


def _arrow_type(column: Column) -> pa.DataType:
    element = pa.from_numpy_dtype(np.dtype(column.dtype))
    return pa.list_(element, column.size) if column.shape else element


def _to_arrow(values: NDArray[Any], column: Column) -> pa.Array:
    if values.shape[1:] != column.shape:
        raise PhysicsError(f"{column.name} must have the shape {column.shape} per event, but has {values.shape[1:]}.")
    flat = pa.array(np.ascontiguousarray(values, column.dtype).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, column.size) if column.shape else flat


def from_arrow(values: pa.ChunkedArray, column: Column) -> NDArray[Any]:
    """An Arrow column as a numpy array of its event shape."""
    whole = values.combine_chunks()
    flat = whole.flatten() if column.shape else whole
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(-1, *column.shape)
