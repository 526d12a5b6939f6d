"""English and Fake-English on a Bible (Dufter and Schütze 2020): is a small model multilingual, and what makes it so?

    python benchmarks/fake_english.py --text kjv.tsv [--settings original monolingual] [--steps 5000] [--out FOLDER]

The text is lines of book, chapter, verse, text; Mark is held out. Seeds are taken in turn, and in each all settings, so
that whatever was reached when a run is stopped is whole; started again, it goes on from its checkpoint. Every run is
judged beside three controls: the same model untrained (random initialisation), bags of the pieces that both languages
share (shared tokens only), and, as a setting of its own, a model of English alone (monolingual).

Writes curve.jsonl (a score every `--judge` steps), rows.jsonl (a row a finished run) and prints what it writes.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from colonnade.multilingual import tokens
from colonnade.multilingual.align.sentences import retrieve, unit
from colonnade.multilingual.data.lines import rows
from colonnade.multilingual.pretrain import (
    SETTINGS,
    PackedBert,
    Plan,
    Specials,
    controlled,
    held_out_loss,
    judge,
    train,
)


def main():
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    cells = rows(args.text, 4, "a verse")
    text = [row[3] for row in cells if row[0] != args.held_out]
    tokenizer = tokens.train_bpe(text, args.vocabulary)
    lines = [one.ids for one in tokenizer.encode_batch(text, add_special_tokens=False)]
    other = [row[3] for row in cells if row[0] == args.held_out]
    held = [one.ids for one in tokenizer.encode_batch(other, add_special_tokens=False)]
    plan = plan_of(args)
    done = {(row["setting"], row["seed"]) for row in read(args.out / "rows.jsonl")}
    for seed in args.seeds:
        for name in args.settings:
            if (name, seed) not in done:
                run(name, replace(plan, seed=seed), lines, held, tokenizer, args)


def plan_of(args):
    shape = dict(zip(("layers", "hidden", "heads", "feedforward"), args.shape, strict=True))
    return Plan(**shape, width=args.width, tokens=args.tokens, steps=args.steps, rate=args.rate, share=args.share,
                alpha=1.0)  # fmt: skip


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--held-out", default="Mark")
    parser.add_argument("--settings", nargs="*", default=["original", "monolingual"], choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument(
        "--shape", nargs=4, type=int, default=[12, 64, 1, 256], help="layers, hidden, heads, feedforward"
    )
    parser.add_argument("--width", type=int, default=128, help="pieces a line; longer ones are cut")
    parser.add_argument("--share", type=float, default=0.15, help="of pieces to predict")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--tokens", type=int, default=4096, help="a step")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--judge", type=int, default=500, help="steps between two scores")
    parser.add_argument("--out", type=Path, default=Path("runs/fake-english"))
    return parser.parse_args()


def run(name, plan, lines, held, tokenizer, args):
    size = tokenizer.get_vocab_size()
    made = controlled(lines, held, size, Specials.of(tokenizer), SETTINGS[name], width=plan.width, seed=plan.seed)
    own = made.plan(plan)
    model = PackedBert(own, made.corpus.vocabulary, own.width + max(one.offset for one in made.held_out))
    before, begun = judge(model.eval(), made), time.process_time()
    kept = args.out / f"{name.replace(' ', '-')}-{plan.seed}.npz"
    who = {"setting": name, "seed": plan.seed}

    def progress(step, loss):
        if step % args.judge == 0:
            row = who | {"step": step, "loss": round(loss, 3), "CPU-s": round(time.process_time() - begun)}
            add(args.out / "curve.jsonl", row | figures(judge(model.eval(), made)))
            model.train()

    found = train(own, made.corpus, model=model, resume=load(kept), checkpoint=lambda state: save(kept, state),
                  every=args.judge, progress=progress)  # fmt: skip
    row = who | {"tokens": found.tokens, "CPU-s": round(time.process_time() - begun), "plan": vars(own)}
    row["held-out loss"] = [held_out_loss(model, one, own, made.corpus.alphabet) for one in made.held_out]
    row |= {"after": figures(judge(model, made)), "untrained": figures(before), "shared pieces": bags(made)}
    add(args.out / "rows.jsonl", row)
    kept.unlink(missing_ok=True)


def figures(found):
    return {"score": found.score} | vars(found)


def bags(made, sentences=500):
    """P@1 of bags of pieces, the control that knows nothing but which pieces are the same; a tie of t counts 1 / t."""
    language, copy = made.held_out
    chosen = [i for i in range(len(language)) if len(language.line(i)) >= 3][:sentences]
    x, y = (np.zeros((len(chosen), made.corpus.vocabulary), np.float32) for _ in range(2))
    for row, i in enumerate(chosen):
        np.add.at(x[row], language.line(i), 1)
        np.add.at(y[row], copy.line(i), 1)
    if not (x @ y.T).any():
        return 1 / len(chosen)
    return float((retrieve(unit(x), unit(y))[0] == np.arange(len(chosen))).mean())


def load(path):
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return json.loads(str(stored["json"])) | {key: stored[key] for key in stored.files if key != "json"}


def save(path, state):
    arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    rest = {key: value for key, value in state.items() if key not in arrays}
    draft = path.with_name("draft.npz")
    np.savez(draft, json=json.dumps(rest), **arrays)
    draft.replace(path)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add(path, row):
    print(json.dumps(row), flush=True)
    with path.open("a") as stream:
        stream.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
