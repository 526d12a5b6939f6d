"""The official npz files, and copies of that layout, turned into shards without holding them in memory."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.decays import check_mothers
from colonnade.physics.errors import PhysicsError
from colonnade.physics.fetch import md5
from colonnade.physics.fourvectors import check_four_vectors
from colonnade.physics.schema import Column, Spec
from colonnade.physics.shards import Dataset, ShardWriter, read_metadata, shard_name

Split = Literal["train", "test"]
SOURCE_BYTES = 1 << 26  # of a source array that are in memory at once


def read_npz(file: Path, spec: Spec, split: Split, folder: Path) -> Dataset:
    """One split of an npz file in the official layout, as a data set in `folder`.

    The arrays are read in slices. A conversion that is there already is used when it came from the same bytes.

    Args:
        file: holds X_train_0 ..., X_test_0 ..., y_train, y_test.
        spec: which of the five sets it is.
        split: which part of it.
        folder: where the shards go.

    Raises:
        PhysicsError: the file is no such file, is cut, or holds pickled objects, wrong shapes or wrong physics.
    """
    checksum = md5(file)
    done = _converted(folder, checksum)
    if done is not None:
        return done
    metadata = {"dataset": spec.name, "source": file.name, "md5": checksum, "split": split, "official": True}
    columns = [column for column in spec.columns if column.key]
    try:
        with zipfile.ZipFile(file) as archive:
            _convert(archive, columns, spec, split, folder, metadata)
    except zipfile.BadZipFile:
        raise PhysicsError(f"{file.name} is no npz file, or was cut: {_looks_like(file)}.") from None
    (folder / "complete.json").write_text(json.dumps(metadata))
    return Dataset(folder)


def _converted(folder: Path, checksum: str) -> Dataset | None:
    if not (folder / "complete.json").exists():
        return None
    if json.loads((folder / "complete.json").read_text()).get("md5") == checksum:
        return Dataset(folder)
    for stale in folder.glob("part-*.parquet"):
        stale.unlink()
    (folder / "complete.json").unlink()
    return None


def _convert(
    archive: zipfile.ZipFile, columns: list[Column], spec: Spec, split: Split, folder: Path, metadata: dict[str, Any]
) -> None:
    streams = []
    for column in columns:
        letter, _, number = column.key.partition("_")
        key = f"{letter}_{split}" + (f"_{number}" if number else "")
        streams.append(_Member(archive, key, column))
    lengths = {stream.column.name: stream.rows for stream in streams}
    if len(set(lengths.values())) > 1:
        raise PhysicsError(f"The arrays of {spec.name} must have one length, but have {lengths}.")
    index = 0
    for start in range(0, streams[0].rows, spec.shard):
        count = min(spec.shard, streams[0].rows - start)
        values = {stream.column.name: stream.read(count) for stream in streams}
        if spec.name == "top":
            check_four_vectors(values["p4"])
        if spec.name == "belle":
            check_mothers(values["mother"])
        if spec.task == "classification":
            check_labels(values[spec.target])
        with ShardWriter(folder / shard_name(index), columns, metadata | {"shard": index}) as writer:
            writer.write(values)
        index += 1
    if index == 0:
        raise PhysicsError(f"{archive.filename!r} holds no {split} event.")


def check_labels(labels: NDArray[Any]) -> None:
    """Refuse labels other than 0 and 1.

    Raises:
        PhysicsError: names a wrong one.
    """
    wrong = labels[~np.isin(labels, (0, 1))]
    if len(wrong):
        raise PhysicsError(f"label must be 0 or 1, but is {wrong[0]} in {len(wrong)} events.")


class _Member:
    """One array of an npz file, read a few events at a time and never unpickled."""

    def __init__(self, archive: zipfile.ZipFile, key: str, column: Column) -> None:
        if f"{key}.npy" not in archive.namelist():
            held = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
            raise PhysicsError(f"{column.name} must be in the file as {key}, but the file holds {held}.")
        self.column = column
        self._stream: IO[bytes] = archive.open(f"{key}.npy")
        shape, fortran, dtype = _header(self._stream, key)
        expected = column.shape
        squeezed = shape[1:] if shape[1:] == expected or expected else tuple(s for s in shape[1:] if s != 1)
        if squeezed != expected and math.prod(shape[1:]) != column.size:
            raise PhysicsError(f"{key} must hold {expected} numbers per event, but has the shape {shape}.")
        if fortran and len(shape) > 1:
            raise PhysicsError(f"{key} is stored column by column; save it with numpy.ascontiguousarray.")
        self.rows, self._dtype = (shape[0] if shape else 0), dtype

    def read(self, rows: int) -> NDArray[Any]:
        wanted = rows * self.column.size * self._dtype.itemsize
        content = self._stream.read(wanted)
        if len(content) < wanted:
            raise PhysicsError(f"{self.column.name}: the file ends before its last event.")
        values = np.frombuffer(content, self._dtype).reshape(rows, *self.column.shape)
        return np.asarray(values.astype(self.column.dtype))


def _header(stream: IO[bytes], key: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
    except (ValueError, EOFError):
        raise PhysicsError(f"{key} is not a numpy array.") from None
    if dtype.hasobject:
        raise PhysicsError(f"{key} holds pickled Python objects, which are never read from a file.")
    return shape, fortran, dtype


def _looks_like(file: Path) -> str:
    with file.open("rb") as stream:
        begin = stream.read(200).lstrip().lower()
    if begin.startswith((b"<!doctype", b"<html", b"<head")):
        return "it is a web page, as a server sends that wants a login"
    return "it ends early" if begin.startswith(b"pk") else "it does not begin like an npz file"


def to_npz(parts: dict[str, Dataset], file: Path) -> None:
    """Write data sets as one npz file of the official layout, slice by slice.

    Args:
        parts: the sets by split ("train", "test").
        file: what to write.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for split, dataset in parts.items():
            for column in dataset.columns:
                letter, _, number = (column.key or f"extra_{column.name}").partition("_")
                name = f"{letter}_{split}" + (f"_{number}" if number else "")
                info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(info, "w", force_zip64=True) as stream:
                    for content in _npy(dataset, column):
                        stream.write(content)


def _npy(dataset: Dataset, column: Column) -> Iterator[bytes]:
    import io

    header = io.BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(column.dtype)),
        "fortran_order": False,
        "shape": (len(dataset), *column.shape),
    }
    np.lib.format.write_array_header_2_0(header, description)
    yield header.getvalue()
    for batch in dataset.batches(columns=[column.name]):
        yield np.ascontiguousarray(batch[column.name], column.dtype).tobytes()


__all__ = ["check_labels", "read_metadata", "read_npz", "to_npz"]
