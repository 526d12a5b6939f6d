"""Train the graph network that `colonnade.physics` carries for all five data sets together.

    python scripts/train_physics_shared.py FOLDER [--rounds 450]

Generates the events in FOLDER unless they are there (seed 77), trains on them (seed 0) for about five minutes of one
core, and writes src/colonnade/physics/weights/shared-graphnet.safetensors.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from colonnade.physics import Dataset, generate, pretrain
from colonnade.physics.multitask import CARRIED

EVENTS = {"top": 20_000, "belle": 8_000, "airshower": 4_000, "spinodal": 1_500, "eos": 800}
SEED = 77


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=450)
    told = parser.parse_args()
    torch.set_num_threads(1)
    data = {}
    for name, n in EVENTS.items():
        folder, begin = told.folder / name, time.process_time()
        there = any(folder.glob("part-*.parquet"))
        data[name] = Dataset(folder) if there else generate(name, n, seed=SEED, folder=folder)
        print(f"{name}: {len(data[name])} events, {time.process_time() - begin:.0f} CPU-s", flush=True)
    begin, shown = time.process_time(), 0

    def say(share: float, _: float) -> None:
        nonlocal shown
        if int(20 * share) > shown:
            shown = int(20 * share)
            print(f"{share:.0%}, {time.process_time() - begin:.0f} CPU-s", flush=True)

    network = pretrain(data, rounds=told.rounds, batch=48, seed=0, progress=say)
    network.save(CARRIED)
    for name, curve in network.curve.items():
        print(name, *(f"{loss:.3f}" for loss in curve))


if __name__ == "__main__":
    main()
