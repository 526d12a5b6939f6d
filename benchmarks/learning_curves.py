"""Top against QCD jets: AUC against CPU-seconds of one core, for several models, with intervals.

    python benchmarks/learning_curves.py FOLDER [--budget 600] [--models pfn,graphnet,particlenet-lite]
        [--seeds 1] [--first 0]

FOLDER holds shards of the set top (`colonnade run physics.generate --dataset top --n 100000`, or
`physics.generate("top", 210_000, seed=2026, folder=FOLDER, workers=2)`); it is filled with 210,000 jets when it is
empty, which takes about half an hour. The last 10,000 jets are the test. Results are appended to FOLDER/learning.jsonl.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import torch

from colonnade.physics import Dataset, evaluate, fit, fourvectors, generate, metrics

TEST, SHOWN = 10_000, 4_000  # test jets; those of them that a point along the way is measured on
MARKS = (15, 30, 60, 120, 240, 420)


def mass_window(data: Dataset, cut: int) -> metrics.Interval:
    """The likelihood ratio of the jet mass, histogrammed on the training jets."""
    edges = np.linspace(0, 400, 81)

    def bins(start: int, stop: int | None) -> tuple[np.ndarray, np.ndarray]:
        arrays = data.arrays(["jet", "label"], start=start, stop=stop)
        return np.clip(np.digitize(fourvectors.mass(arrays["jet"].astype(float)), edges) - 1, 0, 79), arrays["label"]

    place, label = bins(0, cut)
    signal, background = (np.bincount(place[label == kind], minlength=80) + 1.0 for kind in (1, 0))
    place, label = bins(cut, None)
    return metrics.bootstrap(metrics.auc, label, (signal / background)[place], rng=np.random.default_rng(0))


def run(data: Dataset, cut: int, model: str, seed: int, budget: float, save: Path) -> dict[str, object]:
    shown = data.arrays(["label"], start=cut, stop=cut + SHOWN)["label"]
    points: list[tuple[float, int, float]] = []

    def watch(trained, spent: float, seen: int) -> None:
        score = trained.predict(data, cut, cut + SHOWN)
        points.append((round(spent), seen, metrics.auc(shown, score)))
        print(f"  {model} seed {seed}: {spent:.0f} s, {seen} jets seen, AUC {points[-1][2]:.4f}", flush=True)

    batch = 256 if model == "pfn" else 128
    marks = [mark for mark in MARKS if mark < budget]
    trained = fit(data, model, budget=budget, seed=seed, stop=cut, nodes=80, batch=batch, watch=watch, marks=marks)
    trained.save(save / f"top-{model}-{seed}.safetensors")
    report = evaluate(trained, data, start=cut, draws=100)
    found = {name: (value.value, value.low, value.high) for name, value in report.measures.items()}
    seen = trained.curve[-1][1]
    return {"model": model, "seed": seed, "seen": seen, "parameters": report.parameters, "points": points} | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--budget", type=float, default=600)
    parser.add_argument("--models", default="pfn,graphnet,particlenet-lite")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    told = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)  # one jet in ten has more than 80 constituents
    if not any(told.folder.glob("part-*.parquet")):
        generate("top", 210_000, seed=2026, folder=told.folder, workers=2)
    data = Dataset(told.folder)
    cut = len(data) - TEST
    window = mass_window(data, cut)
    print(f"{cut} training jets, {TEST} test jets; jet mass alone: AUC {window.value:.4f}", flush=True)
    for seed in range(told.first, told.first + told.seeds):
        for model in told.models.split(","):
            found = run(data, cut, model, seed, told.budget, told.folder) | {"train": cut, "mass": window.value}
            with (told.folder / "learning.jsonl").open("a") as stream:
                stream.write(json.dumps(found) + "\n")
            auc = found["AUC"]
            print(f"{model} seed {seed}: AUC {auc[0]:.4f} ({auc[1]:.4f} to {auc[2]:.4f})", flush=True)


if __name__ == "__main__":
    main()
