"""Pretraining, one thread: ours, transformers' BERT with logits at every position, and a bare loop of our maths.

    python benchmarks/multilingual_pretrain.py [--text kjv.tsv] [--rounds 5]

The same shape, vocabulary, sentences, optimiser; no dropout. transformers gets batches of padded lines by
its own DataCollatorForLanguageModeling, in the order drawn, and again sorted by length (its group_by_length). The bare
loop steps through batches made beforehand. All run in turn; medians of CPU time; tokens are pieces that are no padding.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

from colonnade.multilingual import tokens
from colonnade.multilingual.data.lines import rows
from colonnade.multilingual.pretrain import PackedBert, Plan, encode, to_transformers, train
from colonnade.multilingual.pretrain.batches import Batches

EXAMPLE = Path(__file__).parents[1] / "src/colonnade/multilingual/services/examples/flores-eng-deu.tsv"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--text", type=Path, help="lines of book, chapter, verse, text; else the FLORES sentences carried"
    )
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    text = [row[3] for row in rows(args.text, 4, "a verse")] if args.text else flores()
    tokenizer = tokens.train_bpe(text, args.vocabulary)
    corpus = encode(tokenizer, {"text": text})
    plan = Plan(layers=4, hidden=128, heads=2, feedforward=512, tokens=4096, steps=args.steps, alpha=1.0)
    print(f"{len(text)} lines, {corpus.tokens / len(text):.1f} pieces each, vocabulary {corpus.vocabulary}, "
          f"{plan.layers} layers x {plan.hidden}, {plan.tokens} pieces a step, {plan.steps} steps a round")  # fmt: skip
    ways = {
        "transformers, padded": lambda: theirs(corpus, plan, tokenizer, False),
        "transformers, by length": lambda: theirs(corpus, plan, tokenizer, True),
        "bare loop of our maths": lambda: bare(corpus, plan),
        "ours": lambda: ours(corpus, plan),
    }
    speeds = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, way in ways.items():
            speeds[name].append(way())
    median = {name: float(np.median(one)) for name, one in speeds.items()}
    for name, one in speeds.items():
        ratio = median["ours"] / median[name]
        print(
            f"{name:26s} {median[name]:9.0f} tokens/CPU-s ({min(one):.0f} to {max(one):.0f})   ours / this {ratio:.2f}"
        )
    goals = (("transformers, padded", 2.0), ("bare loop of our maths", 0.85))
    for name, goal in goals:
        ratio = median["ours"] / median[name]
        print(f"goal: ours / {name} >= {goal}: {ratio:.2f}, {'reached' if ratio >= goal else 'missed'}")


def flores():
    lines = EXAMPLE.read_text(encoding="utf-8").rstrip("\n").split("\n")[1:]
    return [cell for line in lines for cell in line.split("\t")]


def ours(corpus, plan):
    start = time.process_time()
    found = train(plan, corpus)
    return found.tokens / (time.process_time() - start)


def bare(corpus, plan):
    made = Batches(corpus, plan)
    ready = [made.batch(step) for step in range(plan.steps)]
    start = time.process_time()
    model = PackedBert(plan, corpus.vocabulary)
    step(model, [lambda b=b: model.loss(b) for b in ready])
    return sum(b.tokens for b in ready) / (time.process_time() - start)


def theirs(corpus, plan, tokenizer, sort):
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    collate = DataCollatorForLanguageModeling(wrapped, mlm_probability=plan.share)
    one = corpus.languages[0]
    # as many lines a step as ours draws
    size = max(1, round(plan.tokens / (corpus.tokens / len(one) + 2)))
    order = np.random.default_rng(plan.seed).permutation(len(one))[: size * plan.steps]
    order = sorted(order, key=lambda i: len(one.line(i))) if sort else order
    begin, end = one.specials.begin, one.specials.end
    lines = [[begin, *one.line(i)[: plan.width - 2].tolist(), end] for i in order]
    start = time.process_time()
    model = to_transformers(PackedBert(plan, corpus.vocabulary)).train()
    parts = [lines[k : k + size] for k in range(0, len(lines), size)]
    step(model, [lambda p=p: model(**collate([{"input_ids": line} for line in p])).loss for p in parts])
    return sum(map(len, lines)) / (time.process_time() - start)


def step(model, losses):
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for loss in losses:
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        value.item()


if __name__ == "__main__":
    main()
