"""One text at a time in ONNX Runtime and OpenVINO: graphs that remove tokens against dense graphs of the same weights.

    python benchmarks/against_dense_engines.py --data FOLDER [--engines onnx onnx-int8 openvino] [--tokens 32 256 512]

One thread; all graphs of an engine run in turn on the same review texts; medians of wall-clock time.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from colonnade.pruning import calibrate, encode, load_tokenizer, minilm_folder, prune
from colonnade.pruning.adapters import load_adapter, quiet_loading
from colonnade.pruning.corpora import load_corpus
from colonnade.pruning.deployment import FORMATS, compare


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parent.parent.parent / "shared" / "data" / "text")
    parser.add_argument("--adapter", type=Path, default=Path("runs/minilm-reviews.safetensors"))
    parser.add_argument("--engines", nargs="*", default=list(FORMATS))
    parser.add_argument("--tokens", nargs="*", type=int, default=[16, 32, 64, 128, 256, 512])
    parser.add_argument("--target", type=float, default=2.7)
    parser.add_argument("--rounds", type=int, default=9)
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
    corpus, tokenizer = load_corpus("reviews", args.data), load_tokenizer(base)
    if args.adapter.is_file():
        model = load_adapter(args.adapter, base)
        print(f"adapter {args.adapter.name}")
    else:
        with quiet_loading():
            model = prune(AutoModelForSequenceClassification.from_pretrained(base).eval())
        found = calibrate(model, encode(tokenizer, [text for text, _ in corpus.train[::40]], 512), args.target)
        print(f"thresholds calibrated without training for {found.ratio:.2f} times fewer FLOPs")
    reviews = [text for text, _ in corpus.test[::100]]
    for form in args.engines:
        with tempfile.TemporaryDirectory() as folder:
            result = compare(model, tokenizer, form, Path(folder), args.tokens, args.rounds, texts=reviews)
        print(f"== {form}: largest difference of a logit from the model {result.difference:.1e}")
        for p in result.points:
            print(f"   {p.length:4d} tokens: dense {1000 * p.dense:8.2f} ms, pruned {1000 * p.pruned:8.2f} ms: "
                  f"{p.dense / p.pruned:.2f} times faster at {p.ratio:.2f} times fewer FLOPs")  # fmt: skip


if __name__ == "__main__":
    main()
