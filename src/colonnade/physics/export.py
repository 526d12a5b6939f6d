"""Data sets in the formats other programs read: HDF5, ROOT, and PyTorch Geometric; npz is in `official`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from colonnade.physics.errors import engine
from colonnade.physics.features import Builder
from colonnade.physics.shards import Dataset


def to_hdf5(data: Dataset, file: Path | str) -> None:
    """One dataset per column, compressed, written batch by batch."""
    with engine("h5py").File(file, "w") as target:
        for column in data.columns:
            made = target.create_dataset(
                column.name,
                (len(data), *column.shape),
                column.dtype,
                chunks=True,
                compression="gzip",
                compression_opts=1,
            )
            made.attrs["unit"], made.attrs["meaning"] = column.unit, column.meaning
        start = 0
        for batch in data.batches():
            stop = start + len(next(iter(batch.values())))
            for name, values in batch.items():
                target[name][start:stop] = values
            start = stop


def to_root(data: Dataset, file: Path | str) -> None:
    """A tree `events` with a branch per column, written batch by batch."""
    with engine("uproot").recreate(file) as target:
        for index, batch in enumerate(data.batches()):
            values = {name: np.ascontiguousarray(array) for name, array in batch.items()}
            if index == 0:
                target.mktree("events", {name: (array.dtype, array.shape[1:]) for name, array in values.items()})
            target["events"].extend(values)


def to_pyg(data: Dataset, index: int, builder: Builder | None = None) -> Any:
    """One event as `torch_geometric.data.Data`.

    Raises:
        MissingEngine: PyTorch Geometric is not installed.
    """
    geometric = engine("torch_geometric.data", "pyg")
    batch = data.arrays(start=index, stop=index + 1)
    builder = builder or Builder(data.spec.name).fit(batch)
    graph = builder(batch)
    return geometric.Data(x=graph.flat, edge_index=graph.edge_index, y=builder.target(batch))
