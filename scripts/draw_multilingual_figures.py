"""Draw docs/figures/multilingual_*.svg from what benchmarks/fake_english.py and multilingual.transfer measured.

    python scripts/draw_multilingual_figures.py [--curves FOLDER/curve.jsonl ...] [--layers RUN/results.json]

Copies the numbers to docs/figures/multilingual.json; without files, these are drawn again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parents[1] / "docs/figures"
COLOURS = {"original": "#4477AA", "monolingual": "#EE6677", "all three": "#228833"}
NAMES = {"original": "English and its copy", "monolingual": "English alone", "all three": "nothing shared at all"}
mpl.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "multilingual"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--curves", nargs="*", type=Path, default=[])
    parser.add_argument("--layers", type=Path, help="JSON: language -> accuracy by layer")
    args = parser.parse_args()
    numbers = FOLDER / "multilingual.json"
    kept = json.loads(numbers.read_text()) if numbers.exists() else {}
    if args.curves:
        kept["fake English"] = [run for path in args.curves for run in runs(path)]
    if args.layers:
        kept["tags by layer"] = json.loads(args.layers.read_text())
    numbers.write_text(json.dumps(kept, indent=1) + "\n")
    draw_fake_english(kept["fake English"])
    if "tags by layer" in kept:
        draw_layers(kept["tags by layer"])


def runs(path: Path) -> list[dict]:
    """Best P@1 of any layer by step, a run each."""
    found: dict[tuple[str, int], dict] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        run = found.setdefault((row["setting"], row["seed"]), {"setting": row["setting"], "seed": row["seed"]})
        run.setdefault("points", []).append([row["step"], max(row["retrieval"]), row["score"]])
    return list(found.values())


def draw_fake_english(found: list[dict]) -> None:
    figure, axes = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
    seen = set()
    for run in found:
        steps, p1, _ = zip(*run["points"], strict=True)
        label = None if run["setting"] in seen else NAMES[run["setting"]]
        seen.add(run["setting"])
        axes.plot(steps, p1, "o-", color=COLOURS[run["setting"]], ms=3, lw=1.2, label=label)
    axes.axhline(0.01, color="#8a8a8a", lw=1, ls="--", label="untrained")
    axes.set(xlabel="steps of 2,048 pieces", ylabel="retrieval of the copy's sentences, P@1", ylim=(0, 1))
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(FOLDER / "multilingual_fake_english.svg", metadata={"Date": None})


def draw_layers(found: dict) -> None:
    figure, axes = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
    for name, values in found["languages"].items():
        axes.plot(found["layers"], values, "o-", ms=3, lw=1.2)
        axes.annotate(name, (found["layers"][-1], values[-1]), xytext=(5, -3), textcoords="offset points")
    axes.set(xlabel="layer of e5", ylabel="accuracy of tags, trained on English", xticks=found["layers"])
    figure.savefig(FOLDER / "multilingual_layers.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
