"""Draw docs/figures/physics_learning.svg from what benchmarks/learning_curves.py measured.

    python scripts/draw_physics_figures.py FOLDER/learning.jsonl

Copies the numbers to docs/figures/physics_learning.json; without a file, these are drawn again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parents[1] / "docs/figures"
COLOURS = {"pfn": "#4477AA", "graphnet": "#228833", "particlenet-lite": "#EE6677"}
mpl.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "physics"}


def main() -> None:
    numbers = FOLDER / "physics_learning.json"
    if len(sys.argv) > 1:
        runs = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
        numbers.write_text(json.dumps(runs, indent=1) + "\n")
    runs = json.loads(numbers.read_text())
    figure, axes = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
    axes.axhline(runs[0]["mass"], color="#8a8a8a", lw=1, ls="--")
    axes.text(600, runs[0]["mass"] - 0.0028, "jet mass alone", color="#8a8a8a", ha="right")
    for run in runs:
        value, low, high = run["AUC"]
        seconds, _, auc = zip(*run["points"], strict=True)
        colour = COLOURS[run["model"]]
        name = run["model"] if run["seed"] == 0 else None
        axes.plot([*seconds, 600], [*auc, value], "o-", color=colour, ms=3, lw=1.2, label=name)
        axes.errorbar([600], [value], [[value - low], [high - value]], color=colour, capsize=2)
    axes.set(xscale="log", ylim=(0.92, 0.99), xlabel="CPU-seconds of one core", ylabel="AUC, top against QCD jets")
    axes.set_xticks([15, 30, 60, 120, 240, 600], labels=["15", "30", "60", "120", "240", "600"])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(FOLDER / "physics_learning.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
