"""Draw the survivors' picture of docs/pruning.md: which words of two film reviews live to which layer.

python scripts/draw_pruning_survivors.py [--model minilm-sentences] [--out docs/figures/pruning_survivors.svg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap

from colonnade.pruning import open_named, survival
from colonnade.pruning.prediction import run_all
from colonnade.pruning.texts import encode
from colonnade.pruning.zoo import NAMES

TEXTS = (
    "a gripping , funny and deeply humane film whose quiet last scene stays with you for days .",
    "the plot makes no sense , the jokes are stale and the leads look bored .",
)
mpl.use("svg")
mpl.rcParams |= {"svg.hashsalt": "colonnade", "svg.fonttype": "none", "font.family": "sans-serif"}
GONE, HERE = "#e8edf3", "#1f4e79"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=NAMES, default="minilm-sentences" if len(NAMES) > 1 else "demo")
    parser.add_argument("--out", type=Path, default=Path("docs/figures/pruning_survivors.svg"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    opened = open_named(args.model)
    figure, panels = plt.subplots(len(TEXTS), 1, figsize=(8.4, 2.3 * len(TEXTS)), layout="constrained")
    for text, panel in zip(TEXTS, panels, strict=True):
        found = survival(opened.model, opened.tokenizer, text)
        logits, _ = run_all(opened.model, encode(opened.tokenizer, [text]))
        chance = logits.softmax(-1)[0]
        panel.pcolormesh(found.kept.T, cmap=ListedColormap([GONE, HERE]), vmin=0, vmax=1, edgecolors="white")
        panel.invert_yaxis()
        panel.set_xticks([k + 0.5 for k in range(len(found.words))], found.words, rotation=55, ha="right", fontsize=8)
        panel.set_yticks([k + 0.5 for k in range(found.layers)], [str(k + 1) for k in range(found.layers)], fontsize=8)
        panel.set_ylabel("layer", fontsize=9)
        panel.set_title(f"{opened.classes[int(chance.argmax())]} ({float(chance.max()):.2f})", fontsize=9, loc="left")
        panel.tick_params(length=0)
        for side in panel.spines.values():
            side.set_visible(False)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, metadata={"Date": None})
    print(f"{args.out}: {opened.name}")


if __name__ == "__main__":
    main()
