"""Learned thresholds against a top-k cascade, thresholds set by hand, and random tokens, at equal FLOPs.

    python scripts/train_pruning_adapters.py --task polarity --method topk --seed 0 --data FOLDER --out FOLDER   # and
    so on python benchmarks/pruning_baselines.py FOLDER

Reads what the training script wrote for each method and seed: the same dense model, the same number of epochs after it.
Prints accuracies and, over seeds and texts, paired bootstrap intervals of learned minus other.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs"))
    args = parser.parse_args()
    runs = defaultdict(dict)
    for path in sorted(args.folder.glob("*.json")):
        found = json.loads(path.read_text())
        if "hard" in found:
            runs[found["task"], found["settings"]["target"]][found["method"], found["seed"]] = found
    if not runs:
        print(f"skipped: no results of scripts/train_pruning_adapters.py in {args.folder}")
    for (task, target), found in runs.items():
        print(f"== {task}, wanted {target:g} times fewer FLOPs")
        for (method, seed), run in sorted(found.items()):
            dense, hard = np.array(run["dense"]["correct"]), np.array(run["hard"]["correct"])
            low, high = interval([hard - dense])
            gap, ratio = hard.mean() - dense.mean(), run["hard"]["ratio"]
            print(
                f"   {method:8s} seed {seed}: dense {dense.mean():.4f}, pruned {hard.mean():.4f} "
                f"({gap:+.4f}, {low:+.4f} to {high:+.4f}), ratio {ratio:.2f}"
            )
        for other in ("topk", "manual", "random"):
            seeds = [seed for method, seed in found if method == other and ("learned", seed) in found]
            if seeds:
                gaps = [
                    np.array(found["learned", s]["hard"]["correct"]) - np.array(found[other, s]["hard"]["correct"])
                    for s in seeds
                ]
                low, high = interval(gaps)
                print(f"   learned minus {other}: {np.mean(gaps):+.4f} ({low:+.4f} to {high:+.4f}), seeds {seeds}")


def interval(gaps, draws=4000):
    """95 % bootstrap interval over texts of the mean over seeds."""
    mean = np.mean(gaps, axis=0)
    chosen = np.random.default_rng(0).integers(len(mean), size=(draws, len(mean)))
    return np.quantile(mean[chosen].mean(axis=1), [0.025, 0.975])


if __name__ == "__main__":
    main()
