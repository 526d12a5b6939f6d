"""Draw docs/figures/multilingual_*.svg, a figure for each area of the survey, from what was measured.

    python scripts/draw_multilingual_figures.py [--curves fake-english/curve.jsonl ...]
        [--rows real-languages/rows.jsonl ...] [--tags RUN] [--similarity RUN] [--adapt name=RUN ...]

RUN is the folder of a run of multilingual.transfer, .similarity or .adapt. The numbers are copied to
docs/figures/multilingual.json; without files, these are drawn again.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parents[1] / "docs/figures"
BLUE, RED, GREEN, GREY = "#4477AA", "#EE6677", "#228833", "#8a8a8a"
COLOURS = {"original": BLUE, "monolingual": RED, "all three": GREEN}
NAMES = {
    "original": "English and its copy",
    "monolingual": "English alone",
    "all three": "a copy with own specials and positions, none random",
}
LANGUAGES = {"eng": "English", "deu": "German", "spa": "Spanish", "por": "Portuguese", "fin": "Finnish", "hin": "Hindi"}
mpl.rcParams |= {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "multilingual",
    "figure.facecolor": "white",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--curves", nargs="*", type=Path, default=[])
    parser.add_argument("--rows", nargs="*", type=Path, default=[])
    parser.add_argument("--tags", type=Path)
    parser.add_argument("--similarity", type=Path)
    parser.add_argument("--adapt", nargs="*", default=[])
    args = parser.parse_args()
    numbers = FOLDER / "multilingual.json"
    kept = json.loads(numbers.read_text()) if numbers.exists() else {}
    if args.curves:
        kept["fake English"] = [run for path in args.curves for run in runs(path)]
    if args.rows:
        kept["real languages"] = [json.loads(line) for path in args.rows for line in path.read_text().splitlines()]
    if args.tags:
        curve = json.loads((args.tags / "files/curve.json").read_text())["data"]
        by_layer = {one["name"]: [round(value, 4) for value in one["y"]] for one in curve}
        kept["tags"] = {"layers": curve[0]["x"], "by layer": by_layer, "table": table(args.tags / "files/table.csv")}
    if args.similarity:
        kept["neutral"] = table(args.similarity / "files/neutral.csv")
    if args.adapt:
        pairs = (one.split("=", 1) for one in args.adapt)
        kept["adapt"] = {name: table(Path(folder) / "files/table.csv") for name, folder in pairs}
    numbers.write_text(json.dumps(kept, indent=1) + "\n")
    for name, draw in DRAWN.items():
        figure = draw(kept)
        figure.savefig(FOLDER / f"multilingual_{name}.svg", metadata={"Date": None})


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def runs(path: Path) -> list[dict]:
    """Best P@1 of any layer by step, a run each."""
    found: dict[tuple[str, int], dict] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        run = found.setdefault((row["setting"], row["seed"]), {"setting": row["setting"], "seed": row["seed"]})
        run["depth"] = len(row["retrieval"]) - 1
        run.setdefault("points", []).append([row["step"], round(max(row["retrieval"]), 4), round(row["score"], 4)])
    return list(found.values())


def figure_of(panels: int = 1, width: float = 5.2, height: float = 3.2):
    return plt.subplots(1, panels, figsize=(width, height), layout="constrained")


def fake_english(kept: dict):
    """Building models: what makes a small model multilingual."""
    figure, axes = figure_of(width=5.6)
    seen = set()
    for run in kept["fake English"]:
        steps, p1, _ = zip(*run["points"], strict=True)
        deep = run["depth"] > 4
        label = NAMES[run["setting"]] + (", 12 layers" if deep else "")
        style = "s:" if deep else "o-"
        colour = COLOURS[run["setting"]]
        axes.plot(steps, p1, style, color=colour, ms=3, lw=1.2, label=None if label in seen else label)
        seen.add(label)
    axes.axhline(0.01, color=GREY, lw=1, ls="--", label="untrained")
    axes.set(xlabel="steps of 2,048 pieces", ylabel="retrieval of the copy's sentences, P@1", ylim=(0, 1))
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def real_languages(kept: dict):
    """Building models: English and Spanish, English with three others, beside the controls."""
    rows = kept["real languages"]
    groups = sorted({len(row["languages"]) for row in rows})
    figure, panels = figure_of(len(groups), 7.2)
    for axes, count in zip([panels] if len(groups) == 1 else panels, groups, strict=True):
        own = [row for row in rows if len(row["languages"]) == count]
        bars: dict[str, list[float]] = {}
        for key, name in (("tlm", "half with\ntranslations"), ("mlm", "no trans-\nlations"),
                          ("monolingual", "English\nalone")):  # fmt: skip
            values = [max(row["P@1"]) for row in own if row["setting"] == key]
            if values:
                bars[name] = values
        bars["untrained"] = [max(row["untrained"]) for row in own if row["setting"] == "mlm"]
        bars["shared\npieces"] = [own[0]["shared pieces"]]
        bars["character\nn-grams"] = [own[0]["n-grams"]]
        means = [mean(values) for values in bars.values()]
        trained = [BLUE if "trans" in name else GREY for name in bars]
        axes.bar(range(len(bars)), means, color=trained, width=0.7)
        for place, values in enumerate(bars.values()):
            axes.plot([place] * len(values), values, "k.", ms=4)
        axes.set_xticks(range(len(bars)), bars, fontsize=7)
        axes.set(ylabel="P@1 of 500 verses, best layer", title=f"{count} languages")
    return figure


def zero_shot(kept: dict):
    """Benchmarks: accuracy by language with its interval."""
    figure, axes = figure_of(height=2.8)
    rows = sorted(kept["tags"]["table"], key=lambda row: -float(row["score"]))
    for place, row in enumerate(rows):
        score, low, high = (float(row[key]) for key in ("score", "from", "to"))
        axes.barh(place, score, color=GREY if row["language"] == "eng" else BLUE, height=0.65)
        axes.plot([low, high], [place, place], color="black", lw=1.5)
        axes.plot(float(row["majority"]), place, "|", color=RED, ms=13, mew=2.5)
    axes.set_yticks(range(len(rows)), [LANGUAGES[row["language"]] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="accuracy of tags, probe trained on English (mark: the majority's)", xlim=(0, 1))
    return figure


def gap(kept: dict):
    """Comparisons: the gap against the distance, and English beside ever more languages."""
    from colonnade.multilingual.analyse import distance

    figure, (left, right) = figure_of(2, 7.2)
    for row in kept["tags"]["table"]:
        if row["language"] != "eng":
            x = distance("eng", row["language"], "syntactic")
            low, high = float(row["gap from"]), float(row["gap to"])
            left.plot([x, x], [low, high], color=BLUE, lw=1)
            left.plot(x, float(row["gap"]), "o", color=BLUE, ms=4)
            left.annotate(LANGUAGES[row["language"]], (x, float(row["gap"])), xytext=(-6, 3), ha="right",
                          textcoords="offset points", fontsize=8)  # fmt: skip
    left.set(xlabel="syntactic distance from English (URIEL)", ylabel="gap in accuracy of tags (e5)", xlim=(0.15, 0.65))
    shown = {"1": [], "2": [], "4": []}
    for row in kept["real languages"]:
        if row["setting"] in ("mlm", "monolingual"):
            count = "1" if row["setting"] == "monolingual" else str(len(row["languages"]))
            shown[count].append(row["tags"]["eng"])
    shown = {count: values for count, values in shown.items() if values}
    for place, values in enumerate(shown.values()):
        right.plot([place] * len(values), values, "o", color=BLUE, ms=4)
    right.plot(range(len(shown)), [mean(values) for values in shown.values()], color=BLUE, lw=1)
    right.set_xticks(range(len(shown)), shown)
    right.set(xlabel="languages, at equal size and steps", ylabel="accuracy of tags in English",
              xlim=(-0.4, len(shown) - 0.6))  # fmt: skip
    return figure


def patterns(kept: dict):
    """Universal patterns: tags by layer; retrieval with the language taken out."""
    figure, (left, right) = figure_of(2, 7.2)
    for name, values in kept["tags"]["by layer"].items():
        left.plot(
            kept["tags"]["layers"],
            values,
            "o-",
            ms=3,
            lw=1.2,
            label=LANGUAGES[name],
            color=GREY if name == "eng" else None,
        )
    left.legend(frameon=False, fontsize=7, loc="lower center", ncols=2)
    left.set(xlabel="layer of e5", ylabel="accuracy of tags", xticks=kept["tags"]["layers"], ylim=(0, 1))
    rows = kept["neutral"]
    places = range(len(rows))
    right.bar([p - 0.19 for p in places], [float(row["P@1"]) for row in rows], width=0.36, color=BLUE, label="P@1")
    right.bar([p + 0.19 for p in places], [float(row["language probe"]) for row in rows], width=0.36, color=RED,
              label="language probe")  # fmt: skip
    right.set_xticks(places, [row["space"] for row in rows], fontsize=8)
    right.set(ylabel="share right, 12 languages", ylim=(0, 1.25), yticks=[0, 0.2, 0.4, 0.6, 0.8, 1])
    right.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    return figure


def capacity(kept: dict):
    """Adding capacity: P@1 of held-out sentences before and after."""
    figure, axes = figure_of(height=2.4 + 0.2 * len(kept["adapt"]))
    for place, rows in enumerate(kept["adapt"].values()):
        for row, shift, colour in zip(rows, (-0.17, 0.17), (GREY, BLUE), strict=True):
            axes.barh(place + shift, float(row["P@1"]), color=colour, height=0.3, label=row[""] if place == 0 else None)
            axes.plot([float(row["from"]), float(row["to"])], [place + shift] * 2, color="black", lw=1.2)
    axes.set_yticks(range(len(kept["adapt"])), kept["adapt"])
    axes.invert_yaxis()
    axes.set(xlabel="P@1 between English and Kabyle, 100 held-out sentences", xlim=(0, 1))
    axes.legend(frameon=False, loc="lower right")
    return figure


def mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept)


DRAWN = {
    "fake_english": fake_english,
    "real_languages": real_languages,
    "zero_shot": zero_shot,
    "gap": gap,
    "patterns": patterns,
    "capacity": capacity,
}

if __name__ == "__main__":
    main()
