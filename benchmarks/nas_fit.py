"""`nas.fit` on 4,000 Fashion-MNIST images with at most 50,000 parameters, three seeds, one thread.

    python benchmarks/nas_fit.py FASHION [EPOCHS]

FASHION holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz. Beside the network found stand a residual cell of
about its size, and the best of ten random networks within the limit, whose trainings take as many steps in all.
"""

from __future__ import annotations

import gzip
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from colonnade.nas import Architecture, Limits, cells, fit, images, macros, params, search
from colonnade.nas.fitting import inner, schedule_for
from colonnade.nas.training import train

LIMIT, TOP = 50_000, 3


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    x, y = (
        np.frombuffer(gzip.decompress((folder / f"t10k-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return x.reshape(-1, 28, 28), y.astype(np.int64)


def random_search(data, epochs, seed):
    """The best of ten random networks by validation, trained for as many steps in all as the search's."""
    rng, part, schedule = np.random.default_rng(seed), inner(data, seed), schedule_for(data, epochs)
    listed = []
    while len(listed) < 10:
        macro = macros()[int(rng.integers(24))]
        cell = int(rng.choice(cells.searchable()))
        if params(cells.from_index(cell), macro, data.channels, data.classes) <= LIMIT:
            listed.append(Architecture(cell, macro))
    each = replace(schedule, steps=max(20, round(schedule.steps * 0.8 * TOP / len(listed))))
    values = [train(architecture, part, each, seed).accuracy for architecture in listed]
    return train(listed[int(np.argmax(values))], data, schedule, seed).accuracy


def main():
    torch.set_num_threads(1)
    x, y = read(Path(sys.argv[1]))
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    rows = []
    for seed in range(3):
        chosen = np.random.default_rng(seed).choice(len(y), 4_000, replace=False)
        data = images(x[chosen], y[chosen], seed=seed)
        start = time.process_time()
        found = search(data, Limits(params=LIMIT), top=TOP, seed=seed)
        middle = time.process_time()
        done = fit(found, data, train_top=TOP, epochs=epochs, baselines=("resnet", "linear"), seed=seed)
        seconds = time.process_time() - start - done.rows[1].seconds
        rows.append([row.accuracy for row in done.rows] + [random_search(data, epochs, seed)])
        print(f"seed {seed}: search {middle - start:.1f} CPU-s, with training {seconds:.0f} CPU-s; "
              f"{done.rows[0].architecture} {done.rows[0].architecture.macro}", flush=True)  # fmt: skip
        print(
            ", ".join(
                f"{name} {v:.2f}"
                for name, v in zip(("found", "residual", "linear", "random 10"), rows[-1], strict=True)
            ),
            flush=True,
        )
    mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / len(rows) ** 0.5
    for name, m, e in zip(
        ("found", "residual cell", "linear on features", "best of 10 random"), mean, error, strict=True
    ):
        print(f"{name}: {m:.2f} ± {e:.2f} %")


if __name__ == "__main__":
    main()
