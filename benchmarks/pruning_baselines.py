"""Learned thresholds against a top-k cascade, thresholds set by hand, and random tokens, at equal FLOPs.

    for SEED in 0 1 2; do
        python scripts/train_pruning_adapters.py --task polarity --seed $SEED --data FOLDER --out runs \
            --methods learned topk manual random dense
    done
    python benchmarks/pruning_baselines.py runs

Reads what the training script wrote for each method and seed: the same dense model, the same number of epochs after
it, and each seed a fifth of the sentences of its own to test on. Prints accuracies, McNemar's exact test of each pruned
model against its dense one, and for learned minus other the paired bootstrap interval over texts and seeds.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from colonnade.pruning.evaluation import mcnemar

METHODS = ("learned", "topk", "manual", "random", "dense")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
        first = next(iter(found.values()))
        print(f"== {task}, wanted {target:g} times fewer FLOPs, {len(first['dense']['correct'])} test texts")
        against_dense(found)
        against_others(found)


def against_dense(found):
    """Each method's accuracy beside that of the dense model it was made of."""
    for method in METHODS:
        seeds = [seed for kind, seed in sorted(found) if kind == method]
        gaps = []
        for seed in seeds:
            run = found[method, seed]
            dense, pruned = answers(run, "dense"), answers(run, "hard")
            gaps.append(pruned - dense)
            print(f"   {method:8s} seed {seed}: dense {dense.mean():.2%}, after {pruned.mean():.2%} "
                  f"({gaps[-1].mean():+.2%}), ratio {run['hard']['ratio']:.2f}, p {mcnemar(pruned > 0, dense > 0):.2g}"
                  )  # fmt: skip
        if seeds:
            print(f"   {method:8s} minus dense: {said(gaps)}")


def against_others(found):
    """Learned thresholds minus each other method, on the seeds that both have."""
    for other in METHODS[1:]:
        seeds = [seed for method, seed in sorted(found) if method == other and ("learned", seed) in found]
        if seeds:
            gaps = [answers(found["learned", s], "hard") - answers(found[other, s], "hard") for s in seeds]
            print(f"   learned minus {other}: {said(gaps)}, seeds {seeds}")


def answers(run, stage):
    """1 for each test text that was answered rightly."""
    return np.array(run[stage]["correct"])


def said(gaps):
    low, high = interval(gaps)
    pooled = np.concatenate(gaps)
    return f"{pooled.mean():+.2%} ({low:+.2%} to {high:+.2%}), p {mcnemar(pooled > 0, pooled < 0):.2g}"


def interval(gaps, draws=4000):
    """95 % bootstrap interval of the mean of gaps, seeds and each seed's own texts drawn anew."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(draws):
        chosen = [gaps[k] for k in rng.integers(len(gaps), size=len(gaps))]
        means.append(np.concatenate([gap[rng.integers(len(gap), size=len(gap))] for gap in chosen]).mean())
    return np.quantile(means, [0.025, 0.975])


if __name__ == "__main__":
    main()
