"""N-way retrieval: one encode of each language, and the pair after pair of mteb; and encoding by sentence-transformers.

    python benchmarks/against_pairwise_retrieval.py --text FOLDER [--languages 20] [--sentences 1000] [--encoder use]

FOLDER holds lines of parallel text in files that end in `.CODE.txt` (NTREX-128). Pair after pair, both sides of every
direction are encoded anew, as mteb's bitext mining does where a task lists its pairs; a sample of `--pairs` directions
is timed and scaled to all of them. P@1 of the sample must be equal. CPU time, one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from against_simalign import save

from colonnade.multilingual import load_encoder
from colonnade.multilingual.data import Parallel
from colonnade.multilingual.evaluate import retrieval


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--languages", type=int, default=20)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--encoder", default="use", choices=["use", "e5", "ngrams"])
    parser.add_argument("--throughput", type=int, default=200, help="sentences of the encoding benchmark (e5), 0: none")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted(args.text.glob("*.*.txt"))[: args.languages]
    lines = {one.name.split(".")[-2]: one.read_text().split("\n")[: args.sentences] for one in files}
    all_pairs(load_encoder(args.encoder), lines, args.pairs)
    if args.throughput:
        throughput(lines, args.throughput, args.rounds)


def all_pairs(encoder, lines, sample):
    begun = time.process_time()
    found = retrieval(encoder, Parallel(lines))
    ours = time.process_time() - begun
    n = len(lines)
    chosen = np.random.default_rng(0).permutation([(i, j) for i in range(n) for j in range(n) if i != j])[:sample]
    codes, begun, same = list(lines), time.process_time(), True
    for i, j in chosen:
        x, y = (encoder.sentences(lines[codes[k]])[encoder.depth] for k in (i, j))
        x, y = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (x, y))
        p1 = ((x @ y.T).argmax(axis=1) == np.arange(len(x))).mean()
        same &= abs(p1 - found.p1[-1, i, j]) <= 0.001 + repeated(lines[codes[j]])
    theirs = (time.process_time() - begun) / len(chosen) * n * (n - 1)
    ratio = theirs / ours
    print(f"{n} languages x {len(next(iter(lines.values())))} sentences, {encoder.name}, all {n * (n - 1)} directions")
    print(
        f"ours {ours:.1f} CPU-s; pair after pair {theirs:.0f} CPU-s (from {len(chosen)} directions); same P@1: {same}"
    )
    print(f"goal: 8 x less time: {ratio:.1f} x, {'reached' if ratio >= 8 else 'missed'}")


def repeated(lines):
    """Share of lines that stand twice: ours counts a hit on an equal line as found."""
    return 1 - len(set(lines)) / len(lines)


def throughput(lines, count, rounds):
    from sentence_transformers import SentenceTransformer, models

    encoder = load_encoder("e5")
    mixed = [one for row in zip(*lines.values(), strict=True) for one in row][:count]
    with tempfile.TemporaryDirectory() as folder:
        save(encoder, Path(folder))
        transformer = models.Transformer(folder, max_seq_length=512)
        peer = SentenceTransformer(modules=[transformer, models.Pooling(encoder.dimension)], device="cpu")
    written = [encoder.prefix + one for one in mixed]
    ways = {
        "sentence-transformers": lambda: peer.encode(written, show_progress_bar=False),
        "ours": lambda: encoder.sentences(mixed)[encoder.depth],
    }
    speeds, vectors = {name: [] for name in ways}, {}
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.process_time()
            vectors[name] = way()
            speeds[name].append(len(mixed) / (time.process_time() - begun))
    print(f"largest difference of vectors {np.abs(vectors['ours'] - vectors['sentence-transformers']).max():.1e}")
    median = {name: float(np.median(one)) for name, one in speeds.items()}
    for name, one in speeds.items():
        print(f"{name:22s}{median[name]:8.1f} sentences/CPU-s ({min(one):.1f} to {max(one):.1f})")
    ratio = median["ours"] / median["sentence-transformers"]
    print(f"goal: 1.5 x sentence-transformers: {ratio:.2f} x, {'reached' if ratio >= 1.5 else 'missed'}")


if __name__ == "__main__":
    main()
