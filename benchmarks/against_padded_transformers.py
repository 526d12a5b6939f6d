"""Texts a second, one thread: transformers' padded SDPA, the same sorted by length, and ours dense and pruned.

    python benchmarks/against_padded_transformers.py --data FOLDER [--adapters FOLDER]

Real texts and a trained model where an adapter is there (else thresholds calibrated without training).
All ways run in turn in one process; medians of CPU time. The sorted baseline tells what unpadding gains from what
pruning gains; ours dense, what the last layer's shortcut and packing gain.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

from colonnade.pruning import calibrate, encode, load_tokenizer, minilm_folder, prune
from colonnade.pruning.adapters import load_adapter, quiet_loading, read_details
from colonnade.pruning.corpora import load_corpus
from colonnade.pruning.cost import Shape, ratio
from colonnade.pruning.evaluation import evaluate, race
from colonnade.pruning.prediction import count_survivors

CASES = {"reviews": (512, 16, 32, 2.7), "polarity": (128, 32, 320, 2.3)}  # cut, batch, texts, target without adapter


def peer(model, texts, batch, order):
    """A model of transformers on padded batches in this order."""
    ready = [texts.tensors(order[k : k + batch]) for k in range(0, len(order), batch)]

    def run():
        with torch.inference_mode():
            for ids, mask in ready:
                model(input_ids=ids, attention_mask=mask)

    return run


def ours(model, texts, batch, order, dial):
    """Ours on the same batches, in the same order."""
    plain = peer(model, texts, batch, order)

    def run():
        with model.encoder.set(dial=dial):
            plain()

    return run


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parent.parent.parent / "shared" / "data" / "text")
    parser.add_argument("--adapters", type=Path, default=Path("runs"))
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--accuracy", action="store_true", help="also test on all test texts (minutes)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not args.data.is_dir():
        print(f"skipped: there are no corpora in {args.data}")
        return
    try:
        base = minilm_folder()
    except ValueError as error:
        print(f"skipped: {error}")
        return
    for case in args.cases:
        cut, batch, count, target = CASES[case]
        corpus, tokenizer = load_corpus(case, args.data), load_tokenizer(base)
        chosen = np.random.default_rng(0).permutation(len(corpus.test))[:count]
        texts = encode(tokenizer, [corpus.test[k][0] for k in chosen], cut)
        with quiet_loading():
            plain = AutoModelForSequenceClassification.from_pretrained(base, attn_implementation="sdpa").eval()
            own = AutoModelForSequenceClassification.from_pretrained(base).eval()
        found = args.adapters / f"minilm-{case}.safetensors"
        if found.is_file():
            model, how = load_adapter(found, base), f"adapter {read_details(found)}"
        else:
            model, how = prune(own), f"thresholds calibrated without training for {target} times fewer FLOPs"
            calibrate(
                model,
                encode(tokenizer, [text for text, _ in corpus.train[:: max(1, len(corpus.train) // 64)]], cut),
                target,
            )
        given, by_length = list(range(count)), sorted(range(count), key=lambda k: -texts.lengths[k])
        ways = {
            "transformers, padded": peer(plain, texts, batch, given),
            "transformers, sorted by length": peer(plain, texts, batch, by_length),
            "ours, every token": ours(model, texts, batch, given, 0.0),
            "ours, pruned": ours(model, texts, batch, given, 1.0),
        }
        timed = race(ways, args.rounds, clock=time.process_time)
        gained = ratio(count_survivors(model, texts).numpy(), texts.lengths, Shape.of(model.encoder.config))
        print(f"== {case}: {count} texts, cut {cut}, batch {batch}, mean {np.mean(texts.lengths):.0f} tokens; {how}")
        print(f"   dense FLOPs / pruned FLOPs {gained:.2f}")
        for name, seconds in timed.seconds.items():
            gain = [timed.gain(other, name) for other in list(ways)[:3]]
            print(f"   {name:32s} {count / seconds:8.1f} texts/s   {gain[0]:.2f}x padded  {gain[1]:.2f}x sorted  "
                  f"{gain[2]:.2f}x ours dense")  # fmt: skip
        if args.accuracy:
            whole = encode(tokenizer, [text for text, _ in corpus.test], cut)
            quality = evaluate(model, whole, [label for _, label in corpus.test])
            print(f"   accuracy dense {quality.dense:.4f} pruned {quality.pruned:.4f} "
                  f"({quality.interval[0]:+.4f} to {quality.interval[1]:+.4f}), p {quality.p:.2g}, "
                  f"same answer {quality.agreement:.4f}, FLOPs ratio {quality.ratio:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
