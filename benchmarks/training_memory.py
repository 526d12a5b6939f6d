"""Resident memory of training on a stream of jets, for ten thousand and a hundred thousand of them (goal: < 1.5 GB).

The shards are one shard of 5,000 synthetic jets under many names: what is measured is the stream, not the physics.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CODE = """
import resource, sys, torch
torch.set_num_threads(1)
from colonnade.physics import Dataset, fit
data = Dataset(sys.argv[1])
fit(data, "graphnet", events=len(data) // 4, nodes=100)
print(len(data), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def shard(file: Path, jets: int = 5000) -> None:
    from colonnade.physics.schema import spec
    from colonnade.physics.shards import ShardWriter

    rng = np.random.default_rng(0)
    pt = np.sort(rng.exponential(15, (jets, 200)), axis=1)[:, ::-1] * (np.arange(200) < rng.integers(20, 90, (jets, 1)))
    eta, phi = rng.normal(0, 0.3, (2, jets, 200))
    p4 = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)
    columns = [column for column in spec("top").columns if column.name in ("p4", "label")]
    with ShardWriter(file, columns, {"dataset": "top"}) as writer:
        writer.write({"p4": p4.astype(np.float32), "label": np.arange(jets) % 2})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "one" / "part-00000.parquet"
        shard(first)
        for count in (2, 20):
            place = Path(folder) / str(count)
            place.mkdir()
            for index in range(count):
                os.link(first, place / f"part-{index:05d}.parquet")
            told = subprocess.run([sys.executable, "-c", CODE, str(place)], capture_output=True, text=True, check=True)
            jets, memory = told.stdout.split()
            print(f"{int(jets):,} jets: {memory} MB")


if __name__ == "__main__":
    main()
