"""Trains pruned classifiers on all-MiniLM-L6-v2 and writes their adapters, predictions and figures.

    pip install 'colonnade[pruning,pruning-models]' peft
    python scripts/train_pruning_adapters.py --task polarity --seed 0 --data FOLDER --out FOLDER

Each stage is kept, so that a stopped run goes on where it was. `--method` trains what is compared: learned thresholds,
and at the same FLOPs and with the same number of epochs a top-k cascade, thresholds rising by hand, random tokens.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

from colonnade.pruning import prune
from colonnade.pruning.adapters import fingerprint, minilm_folder, save_adapter
from colonnade.pruning.calibration import fit_dial, rates_for
from colonnade.pruning.corpora import load_corpus
from colonnade.pruning.cost import Shape, ratio
from colonnade.pruning.lora import add_lora, merge_lora, take_lora
from colonnade.pruning.prediction import count_survivors, predict
from colonnade.pruning.texts import Encoded, encode, load_tokenizer
from colonnade.pruning.training import Plan, train

SETTINGS = {
    "polarity": {"cut": 128, "batch": 32, "dense": 3, "soft": 2, "hard": 2, "target": 2.3, "dense_cut": 128},
    "reviews": {"cut": 512, "batch": 8, "dense": 3, "soft": 2, "hard": 2, "target": 2.7, "dense_cut": 512},
}
RANK = 16


def say(stage, step, steps, trace):
    if step % 10 == 0 or step == steps:
        share = trace.share[-1]
        print(
            f"{time.strftime('%X')} {stage} {step}/{steps} loss {np.mean(trace.loss[-10:]):.3f} share {share:.3f}",
            flush=True,
        )


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=SETTINGS, required=True)
    parser.add_argument("--method", choices=("learned", "topk", "manual", "random"), default="learned")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", type=Path, default=None)
    parser.add_argument("--target", type=float, default=None)
    parser.add_argument("--limit", type=int, default=None, help="texts to learn from")
    for name in ("dense", "soft", "hard", "dense_cut"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=None)
    return parser.parse_args()


def main():  # noqa: PLR0915 (one experiment, step after step)
    args = arguments()
    torch.set_num_threads(1)
    base = args.base or minilm_folder()
    given = {k: v for k, v in vars(args).items() if k in SETTINGS[args.task] and v is not None}
    settings = SETTINGS[args.task] | given
    args.out.mkdir(parents=True, exist_ok=True)
    corpus, tokenizer = load_corpus(args.task, args.data), load_tokenizer(base)
    rng = np.random.default_rng(1000 + args.seed)
    chosen = rng.permutation(len(corpus.train))[: args.limit].tolist()
    texts, labels = zip(*(corpus.train[k] for k in chosen), strict=True)
    learn = encode(tokenizer, texts, settings["cut"])
    test = encode(tokenizer, [text for text, _ in corpus.test], settings["cut"])
    truth = np.array([label for _, label in corpus.test])

    torch.manual_seed(args.seed)
    names = dict(enumerate(corpus.classes))
    model = prune(AutoModelForSequenceClassification.from_pretrained(base, id2label=names, num_labels=len(names)))
    trained = add_lora(model, RANK, dropout=0.05)
    print(f"{trained} parameters are trained on {len(learn)} texts of {np.mean(learn.lengths):.0f} tokens", flush=True)
    common = {"batch_size": settings["batch"], "seed": args.seed, "target": settings["target"]}
    dense = args.out / f"{args.task}-{args.seed}-dense.pt"
    if dense.exists():
        load(model, dense)
    else:
        short = Encoded([row[: settings["dense_cut"]] for row in learn.ids], 0, learn.pad)
        train(model, short, labels, Plan(("dense",), (settings["dense"],), (5e-4,), **common), say)
        keep(model, dense)
    result = {
        "task": args.task,
        "method": args.method,
        "seed": args.seed,
        "settings": settings,
        "base": fingerprint(base),
    }
    with model.encoder.set(dial=0):
        result["dense"] = measure(model, test, truth, "dense")

    shape, target = Shape.of(model.encoder.config), settings["target"]
    hard = settings["hard"]
    if args.method == "learned":
        soft = args.out / f"{args.task}-{args.seed}-soft-{target:g}.pt"
        if soft.exists():
            load(model, soft)
        else:
            plan = Plan(("soft",), (settings["soft"],), (3e-4,), threshold_lr=1e-2, **common)
            trace = train(model, learn, labels, plan, say)
            result["share"] = trace.share[::5]
            keep(model, soft)
        result["soft"] = measure(model, test, truth, "soft, hard gates")
    else:
        hard += settings["soft"]  # the same number of epochs
        rates = rates_for(target, shape, learn.lengths)
        if args.method == "manual":
            model.set_thresholds([(k + 1) / shape.layers for k in range(shape.layers)])
            fit_dial(model, learn.take(range(min(256, len(learn)))), target)
        else:
            model.set_rule(rule="topk", keep_rates=rates, score="random" if args.method == "random" else "received")
        result["untrained"] = measure(model, test, truth, f"{args.method}, untrained")
    train(model, learn, labels, Plan(("hard",), (hard,), (3e-4,), **common), say)
    result["hard"] = measure(model, test, truth, "hard")
    updates = take_lora(model)
    stem = f"{args.task}-{args.seed}-{args.method}-{target:g}"
    details = {
        "task": args.task, "seed": args.seed, "texts": len(learn), "cut": settings["cut"], "target": target,
        "dense accuracy": result["dense"]["accuracy"], "accuracy": result["hard"]["accuracy"],
        "flops ratio": result["hard"]["ratio"], "rates": result["hard"]["rates"],
    }  # fmt: skip
    save_adapter(args.out / f"{stem}.safetensors", model, updates, base, details)
    merge_lora(model)
    (args.out / f"{stem}.json").write_text(json.dumps(result))
    print("done", stem, flush=True)


def measure(model, test, truth, name):
    """Accuracy, FLOPs ratio and predictions on the test texts."""
    logits = predict(model, test).numpy()
    found = count_survivors(model, test).numpy()
    accuracy = float((logits.argmax(1) == truth).mean())
    gained = ratio(found, test.lengths, Shape.of(model.encoder.config))
    rates = (found.sum(0) / sum(test.lengths)).round(4).tolist()
    print(f"{time.strftime('%X')} {name}: accuracy {accuracy:.4f} ratio {gained:.3f} kept {rates}", flush=True)
    print(f"  thresholds {[round(t, 3) for t in model.thresholds.tolist()]}", flush=True)
    return {
        "accuracy": accuracy, "ratio": gained, "rates": rates, "thresholds": model.thresholds.tolist(),
        "correct": (logits.argmax(1) == truth).astype(int).tolist(), "predicted": logits.argmax(1).tolist(),
    }  # fmt: skip


def keep(model, path):
    torch.save({name: p.detach() for name, p in model.named_parameters() if p.requires_grad}, path)


def load(model, path):
    stored = torch.load(path, weights_only=True)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name in stored:
                p.copy_(stored[name])


if __name__ == "__main__":
    main()
