"""What the weights trained on all five sets together gain over fresh ones, where events and time are few.

    python benchmarks/shared_network.py FOLDER [--events 400] [--budget 5] [--seeds 4] [--datasets belle,airshower]

New events of each set (seed 1234, which the shared weights never saw) are generated in FOLDER; `graphnet` is tuned
on the first of them for the budget, from fresh and from shared weights, and measured on 1,500 others (eos and
spinodal: 400). Each seed takes other training events. Prints means over the seeds with their standard errors.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from colonnade.physics import Dataset, evaluate, fit, generate, shared_weights
from colonnade.physics.budget import events_for

TESTS = {"spinodal": 400, "eos": 400}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=400)
    parser.add_argument("--budget", type=float, default=5)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--datasets", default="top,belle,airshower,spinodal,eos")
    told = parser.parse_args()
    torch.set_num_threads(1)
    for name in told.datasets.split(","):
        test = data_of(name, TESTS.get(name, 1500), 1234, told.folder / f"{name}-test")
        found: dict[str, list[float]] = {"fresh": [], "shared": []}
        for seed in range(told.seeds):
            train = data_of(name, told.events, 2000 + seed, told.folder / f"{name}-{told.events}-{seed}")
            seen = events_for(told.budget, "graphnet", name)
            for kind, begin in (("fresh", None), ("shared", shared_weights(name))):
                tuned = fit(train, "graphnet", start=begin, events=seen, seed=seed, nodes=60, batch=32)
                measured = evaluate(tuned, test, draws=2).measures
                found[kind].append(measured.get("AUC", measured.get("resolution")).value)
        gain = np.subtract(found["shared"], found["fresh"])
        means = ", ".join(f"{kind} {np.mean(values):.4f}" for kind, values in found.items())
        error = np.std(gain, ddof=1) / np.sqrt(len(gain))
        print(f"{name}: {means}; shared - fresh {np.mean(gain):+.4f} +- {error:.4f}", flush=True)


def data_of(name: str, n: int, seed: int, folder: Path) -> Dataset:
    return Dataset(folder) if any(folder.glob("part-*.parquet")) else generate(name, n, seed=seed, folder=folder)


if __name__ == "__main__":
    main()
