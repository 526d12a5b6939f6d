"""English and Fake-English on a Bible (Dufter and Schütze 2020): is a small model multilingual, and what makes it so?

    python benchmarks/fake_english.py --text kjv.tsv [--settings original monolingual] [--steps 1500] [--out FOLDER]

The text is lines of book, chapter, verse, text; Mark is held out. Every run is judged beside itself untrained, and goes
on from its checkpoint when it is started again. One row of JSON a run.
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
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--held-out", default="Mark")
    parser.add_argument("--settings", nargs="*", default=["original", "monolingual"], choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument(
        "--shape", nargs=4, type=int, default=[12, 64, 1, 256], help="layers, hidden, heads, feedforward"
    )
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--out", type=Path, default=Path("runs/fake-english"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    cells = rows(args.text, 4, "a verse")
    text = [row[3] for row in cells if row[0] != args.held_out]
    tokenizer = tokens.train_bpe(text, args.vocabulary)
    lines = [one.ids for one in tokenizer.encode_batch(text, add_special_tokens=False)]
    mark = [row[3] for row in cells if row[0] == args.held_out]
    held = [one.ids for one in tokenizer.encode_batch(mark, add_special_tokens=False)]
    shape = dict(zip(("layers", "hidden", "heads", "feedforward"), args.shape, strict=True))
    plan = Plan(**shape, tokens=args.tokens, steps=args.steps, rate=args.rate, alpha=1.0)
    for name in args.settings:
        for seed in args.seeds:
            run(name, seed, lines, held, tokenizer, plan, args.out)


def run(name, seed, lines, held, tokenizer, plan, out):
    made = controlled(lines, held, tokenizer.get_vocab_size(), Specials.of(tokenizer), SETTINGS[name], seed=seed)
    own = made.plan(replace(plan, seed=seed))
    positions = own.width + max(one.offset for one in made.held_out)
    model = PackedBert(own, made.corpus.vocabulary, positions)
    before, begun = judge(model.eval(), made), time.process_time()
    kept = out / f"{name.replace(' ', '-')}-{seed}.npz"

    def checkpoint(state):
        arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
        rest = {key: value for key, value in state.items() if key not in arrays}
        np.savez(out / "draft.npz", json=json.dumps(rest), **arrays)
        (out / "draft.npz").replace(kept)

    def progress(step, loss):
        if step % 100 == 0:
            done = judge(model.eval(), made, sentences=200, words=200) if step % 500 == 0 else None
            model.train()
            said = f" {done.score:.4f} {[round(x, 3) for x in done.retrieval]}" if done else ""
            print(
                f"{name} {seed} step {step} loss {loss:.3f} CPU-s {time.process_time() - begun:.0f}{said}", flush=True
            )

    state = None
    if kept.exists():
        with np.load(kept, allow_pickle=False) as stored:
            state = json.loads(str(stored["json"])) | {key: stored[key] for key in stored.files if key != "json"}
    found = train(own, made.corpus, model=model, resume=state, checkpoint=checkpoint, every=100, progress=progress)
    after = judge(model, made)
    losses = [held_out_loss(model, one, own, made.corpus.alphabet) for one in made.held_out]
    row = {"setting": name, "seed": seed, "tokens": found.tokens, "CPU-s": round(time.process_time() - begun),
           "held-out loss": losses, "score": after.score, "score untrained": before.score,
           "after": vars(after), "before": vars(before)}  # fmt: skip
    print(json.dumps(row), flush=True)
    with (out / "rows.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
