"""Texts a second, one thread: transformers' padded SDPA, the same sorted by length, and ours dense and pruned.

    python benchmarks/against_padded_transformers.py --data FOLDER [--adapter minilm-sentences] [--accuracy 500]

Real texts, and an adapter that comes along (else thresholds calibrated without training). The reviews of `imdb` have
the lengths that reviews have; those of `reviews` are nearly all longer than the cut.
All ways run in turn in one process; medians of CPU time. The sorted baseline tells what unpadding gains from what
pruning gains; ours dense, what the last layer's shortcut and packing gain.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from pruning_setup import opened, parser

from colonnade.pruning import encode, load_tokenizer
from colonnade.pruning.corpora import IMDB, load_corpus
from colonnade.pruning.cost import Shape, ratio
from colonnade.pruning.evaluation import evaluate, race
from colonnade.pruning.prediction import count_survivors

CASES = {"imdb": (512, 16, 64), "reviews": (512, 16, 32), "polarity": (128, 32, 320)}  # cut, batch, texts


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


def race_on(bench, case, args):
    cut, batch, usual = CASES[case]
    count = args.texts or usual
    corpus, tokenizer = load_corpus(case, bench.data), load_tokenizer(bench.base)
    chosen = np.random.default_rng(0).permutation(len(corpus.test))[:count]
    texts = encode(tokenizer, [corpus.test[k][0] for k in chosen], cut)
    unlabelled = [text for text, _ in (corpus.train or corpus.test)][:: max(1, len(corpus.train or corpus.test) // 64)]
    model, how = bench.pruned(unlabelled, args.target)
    eager = bench.plain().config.model_type == "mpnet"  # which transformers runs in no other way
    plain = bench.plain(attn_implementation="eager" if eager else "sdpa")
    given, by_length = list(range(count)), sorted(range(count), key=lambda k: -texts.lengths[k])
    ways = {
        "transformers, padded": peer(plain, texts, batch, given),
        "transformers, sorted by length": peer(plain, texts, batch, by_length),
        "ours, every token": ours(model, texts, batch, given, 0.0),
        "ours, pruned": ours(model, texts, batch, given, bench.dial),
    }
    timed = race(ways, args.rounds, clock=time.process_time)
    gained = ratio(count_survivors(model, texts).numpy(), texts.lengths, Shape.of(model.encoder.config))
    places = sum(max(texts.lengths[k] for k in given[b : b + batch]) * len(given[b : b + batch])
                 for b in range(0, count, batch))  # fmt: skip
    print(f"== {case}: {count} texts, cut {cut}, batch {batch}, mean {np.mean(texts.lengths):.0f} tokens, "
          f"{1 - sum(texts.lengths) / places:.0%} of the places padding; {how}")  # fmt: skip
    print(f"   dense FLOPs / pruned FLOPs {gained:.2f}")
    for name, seconds in timed.seconds.items():
        gain = [timed.gain(other, name) for other in list(ways)[:3]]
        print(f"   {name:32s} {count / seconds:8.1f} texts/s   {gain[0]:.2f}x padded  {gain[1]:.2f}x sorted  "
              f"{gain[2]:.2f}x ours dense")  # fmt: skip
    if args.accuracy:
        some = np.random.default_rng(7).permutation(len(corpus.test))[: args.accuracy].tolist()
        whole = encode(tokenizer, [corpus.test[k][0] for k in some], cut)
        quality = evaluate(model, whole, [corpus.test[k][1] for k in some])
        print(f"   {len(whole)} texts: accuracy dense {quality.dense:.2%} pruned {quality.pruned:.2%} "
              f"({quality.interval[0]:+.2%} to {quality.interval[1]:+.2%}), p {quality.p:.2g}, "
              f"same answer {quality.agreement:.2%}, FLOPs ratio {quality.ratio:.2f}")  # fmt: skip


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    arguments.add_argument("--texts", type=int, default=None, help="how many, in place of each case's own number")
    arguments.add_argument("--accuracy", type=int, default=0, help="also test on so many test texts (minutes)")
    args = arguments.parse_args()
    bench = opened(args)
    for case in args.cases if bench else ():
        if case == IMDB and not (bench.data / "aclImdb").is_dir():
            print(f"== imdb: skipped, there is no aclImdb in {bench.data}")
            continue
        race_on(bench, case, args)


if __name__ == "__main__":
    main()
