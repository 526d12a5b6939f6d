"""Zero-shot parts of speech with e5 and a linear probe: best layer, and gaps against typological distance.

    python benchmarks/zero_shot_tags.py --text FOLDER [--train 1000] [--test 300]

FOLDER holds en_ewt-ud-dev.conllu and {code}_pud-ud-test.conllu (Universal Dependencies). One encode of each sentence
gives all layers. The time is that of everything from loading the encoder on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from colonnade.multilingual import load_encoder
from colonnade.multilingual.analyse import distance
from colonnade.multilingual.data import read_conllu
from colonnade.multilingual.evaluate import tag_transfer

PUD = {"eng": "en", "deu": "de", "spa": "es", "por": "pt", "fin": "fi", "hin": "hi"}
GOAL = 120  # seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    wall, cpu = time.perf_counter(), time.process_time()
    train = read_conllu(args.text / "en_ewt-ud-dev.conllu")[: args.train]
    tests = {name: read_conllu(args.text / f"{code}_pud-ud-test.conllu")[: args.test] for name, code in PUD.items()}
    encoder = load_encoder("e5")
    found = tag_transfer(encoder, train, tests, source="eng", layers=range(encoder.depth + 1))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    others = [name for name in PUD if name != "eng"]
    print(f"{len(train)} training sentences, {args.test} test sentences a language, {args.threads} thread(s)")
    print("layer  eng   mean of the others")
    for layer in found.layers:
        print(f"{layer:5d}  {scores(found, layer)['eng']:.3f} {mean_of(found, layer, others):.3f}")
    gaps = [scores(found, found.best)["eng"] - scores(found, found.best)[name] for name in others]
    for kind in ("syntactic", "genetic"):
        far = [distance("eng", name, kind) for name in others]
        ordered = sorted(zip(others, far, gaps, strict=True), key=lambda row: row[1])
        shown = ", ".join(f"{name} {apart:.2f} {gap:.3f}" for name, apart, gap in ordered)
        print(f"gap at layer {found.best} by {kind} distance: {shown}; Spearman {spearmanr(far, gaps).statistic:.2f}")
    reached = wall < GOAL and 0 < found.best < encoder.depth
    print(
        f"goal: a middle layer is best, in < {GOAL} s: layer {found.best} of {encoder.depth}, {wall:.0f} s "
        f"({cpu:.0f} CPU-s), {'reached' if reached else 'missed'}"
    )


def scores(found, layer):
    return {row.language: row.score.value for row in found.at(layer)}


def mean_of(found, layer, names):
    return float(np.mean([scores(found, layer)[name] for name in names]))


if __name__ == "__main__":
    main()
