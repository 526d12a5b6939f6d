"""Real languages on Bibles: does a small model become multilingual with, and without, translations among its rows?

    python benchmarks/real_languages.py --bibles eng=kjv.json spa=rvr.json [por=.. fin=..] [--tags FOLDER] [--seeds 0]

Settings: `mlm` masks pieces of one verse at a time, `tlm` half of the steps those of a verse and its translation,
`monolingual` masks English alone. All are judged on the last verses, which are held out, beside the same model
untrained, bags of the pieces that the languages share, and bags of character n-grams. With --tags (a folder of
en_ewt-ud-dev.conllu and {code}_pud-ud-test.conllu) a linear probe of tags is trained on English and tested on the
others: zero-shot transfer. Started again, it goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from fake_english import add, load, plan_of, read, save

from colonnade.multilingual import tokens
from colonnade.multilingual.data import Parallel, read_bible, read_conllu
from colonnade.multilingual.encoders import NgramEncoder, TransformerEncoder, random_twin
from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.evaluate import retrieval, tag_transfer
from colonnade.multilingual.pretrain import PackedBert, encode, save_folder, train

OBJECTIVES = {"mlm": {"mlm": 1.0}, "tlm": {"mlm": 1.0, "tlm": 1.0}, "monolingual": {"mlm": 1.0}}
PUD = {"eng": "en", "spa": "es", "por": "pt", "fin": "fi", "deu": "de", "hin": "hi"}


def main():
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    text = read_bible({code: Path(path) for code, _, path in (one.partition("=") for one in args.bibles)})
    cut = len(text) - args.held_out
    kept, held = (
        Parallel({code: lines[part] for code, lines in text.sentences.items()})
        for part in (slice(cut), slice(cut, None))
    )
    tokenizer = tokens.train_bpe([line for one in kept.sentences.values() for line in one], args.vocabulary)
    plan = plan_of(args)
    done = {(row["setting"], row["seed"]) for row in read(args.out / "rows.jsonl")}
    for seed in args.seeds:
        for name in args.settings:
            if (name, seed) not in done:
                own = replace(plan, seed=seed, objectives=OBJECTIVES[name])
                run(name, own, {text.codes[0]: kept.sentences[text.codes[0]]} if name == "monolingual" else kept, held,
                    tokenizer, args)  # fmt: skip


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bibles", nargs="+", required=True, help="code=file, JSON or lines; English first")
    parser.add_argument("--tags", type=Path)
    parser.add_argument("--held-out", type=int, default=500)
    parser.add_argument("--settings", nargs="*", default=list(OBJECTIVES), choices=list(OBJECTIVES))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--shape", nargs=4, type=int, default=[4, 64, 1, 256])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--judge", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("runs/real-languages"))
    return parser.parse_args()


def run(name, plan, text, held, tokenizer, args):
    corpus, begun = encode(tokenizer, text), time.process_time()
    model, who = PackedBert(plan, corpus.vocabulary), {"setting": name, "seed": plan.seed}
    folder = args.out / f"{name}-{plan.seed}"
    kept = args.out / f"{name}-{plan.seed}.npz"

    def judged(layers):
        save_folder(model.eval(), tokenizer, folder)
        encoder = TransformerEncoder.from_folder(folder)
        return encoder, retrieval(encoder, held, layers=range(layers), centred=True)

    def progress(step, loss):
        if step % args.judge == 0:
            row = who | {"step": step, "loss": round(loss, 3), "CPU-s": round(time.process_time() - begun)}
            add(args.out / "curve.jsonl", row | {"P@1": judged(plan.layers + 1)[1].curve})
            model.train()

    found = train(plan, corpus, model=model, resume=load(kept), checkpoint=lambda state: save(kept, state),
                  every=args.judge, progress=progress)  # fmt: skip
    spent = round(time.process_time() - begun)
    encoder, after = judged(plan.layers + 1)
    twin = random_twin(encoder, plan.seed)
    before = retrieval(twin, held, layers=range(plan.layers + 1), centred=True)
    row = who | {"tokens": found.tokens, "CPU-s": spent, "languages": held.codes, "P@1": after.curve}
    row |= {"untrained": before.curve, "n-grams": retrieval(NgramEncoder(), held).curve[0]}
    row |= {"shared pieces": retrieval(Bags(tokenizer), held).curve[0], "chance": after.chance}
    if args.tags:
        row |= {
            "tags": zero_shot(encoder, held.codes, args.tags),
            "tags untrained": zero_shot(twin, held.codes, args.tags),
        }
    add(args.out / "rows.jsonl", row)
    kept.unlink(missing_ok=True)


class Bags(Encoder):
    """The control that knows nothing but which pieces two languages share."""

    def __init__(self, tokenizer):
        super().__init__()
        self.name, self.depth, self.dimension = "bags of pieces", 0, tokenizer.get_vocab_size()
        self.tokenizer = tokenizer

    def _sentences(self, texts, layers):
        found = np.zeros((len(texts), self.dimension), np.float32)
        for row, one in enumerate(self.tokenizer.encode_batch(list(texts), add_special_tokens=False)):
            np.add.at(found[row], one.ids, 1)
        return dict.fromkeys(layers, found)


def zero_shot(encoder, codes, folder):
    """Accuracy by language at the best layer; 1,000 training sentences, 300 of each test."""
    train_on = read_conllu(folder / "en_ewt-ud-dev.conllu")[:1000]
    tests = {code: read_conllu(folder / f"{PUD[code]}_pud-ud-test.conllu")[:300] for code in codes}
    found = tag_transfer(encoder, train_on, tests, source=codes[0], layers=range(encoder.depth + 1))
    return {row.language: round(row.score.value, 4) for row in found.at(found.best)} | {"layer": found.best}


if __name__ == "__main__":
    main()
