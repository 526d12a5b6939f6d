"""Does the generator earn its place where nothing can be scored whole? Equal calls of the predictor, larger space.

    python benchmarks/nas_generator.py tasks.npz [CALLS] [SEEDS]

`tasks.npz` is made by scripts/collect_nas_tasks.py. On the three tasks of the family that no carried model has seen
(CIFAR), each way of proposing candidates may have as many of them scored; what it ranks first is told by the
predictor's own standing, and trained twice for as long as the networks of the meta-database. Limits: 50,000 parameters
and the 600,000 multiply-adds of the largest network of the database.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from colonnade.nas import describe, train
from colonnade.nas.ensemble import carried
from colonnade.nas.metadb import LARGEST, Tasks
from colonnade.nas.proposing import METHODS, propose, within

TASKS = ("cifar10", "cifar_animals", "cifar_rotation")


def main() -> None:
    torch.set_num_threads(1)
    tasks, model = Tasks(sys.argv[1]), carried(space="mobilenet")
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    told: dict[str, list[float]] = {method: [] for method in METHODS}
    true: dict[str, list[float]] = {method: [] for method in METHODS}
    spent = dict.fromkeys(METHODS, 0.0)
    for name in TASKS:
        data = tasks[name]
        description = describe(data)
        fits = within(50_000, LARGEST, data.channels, data.classes)
        for seed in range(seeds):
            for method in METHODS:
                start = time.process_time()
                found = propose(method, model, description, calls, fits, seed)
                standing = model.predict(found, description).standing
                spent[method] += time.process_time() - start
                first = found[int(standing.argmax())]
                told[method].append(float(standing.max()))
                true[method].append(float(np.mean([train(first, data, seed=s).accuracy for s in (0, 1)])))
        print(f"{name} is done", flush=True)
    best = np.array([true[method] for method in METHODS])
    for row, method in zip(best - best.mean(0), METHODS, strict=True):
        error = row.std(ddof=1) / len(row) ** 0.5
        print(
            f"{method}: standing of the first {np.mean(told[method]):.2f}; trained {np.mean(true[method]):.2f} %, "
            f"{row.mean():+.2f} ± {error:.2f} points about the mean of the methods; "
            f"{spent[method] / len(row):.1f} CPU-s for {calls:,} calls"
        )


if __name__ == "__main__":
    main()
