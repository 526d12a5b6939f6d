"""One text at a time in ONNX Runtime and OpenVINO: graphs that remove tokens against dense graphs of the same weights.

    python benchmarks/against_dense_engines.py --data FOLDER [--engines onnx onnx-int8 openvino] [--tokens 32 256 512]

One thread; all graphs of an engine run in turn on the same review texts; medians of wall-clock time. "transformers" is
transformers' own model of the same size, exported as it is (SDPA, every token, the whole last layer): what people run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from pruning_setup import opened, parser

from colonnade.pruning import load_tokenizer
from colonnade.pruning.corpora import load_corpus
from colonnade.pruning.deployment import FORMATS, compare, runtime
from colonnade.pruning.export import OPSET, quiet, to_int8, to_openvino


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--engines", nargs="*", default=list(FORMATS), choices=FORMATS)
    arguments.add_argument("--tokens", nargs="*", type=int, default=[16, 32, 64, 128, 256, 512])
    args = arguments.parse_args()
    bench = opened(args)
    if bench is None:
        return
    corpus, tokenizer = load_corpus("reviews", bench.data), load_tokenizer(bench.base)
    model, how = bench.pruned([text for text, _ in corpus.train[::40]], args.target)
    print(how)
    reviews = [text for text, _ in corpus.test[::100]]
    for form in args.engines:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as apart:
            peer = runtime(form, peer_graph(bench, form, Path(apart)))
            result = compare(model, tokenizer, form, Path(folder), args.tokens, args.rounds, texts=reviews, peer=peer)
        print(f"== {form}: largest difference of a logit from the model {result.difference:.1e}")
        for p in result.points:
            print(
                f"   {p.length:4d} tokens: transformers {1000 * p.peer:8.2f} ms, dense {1000 * p.dense:8.2f} ms, "
                f"pruned {1000 * p.pruned:8.2f} ms: {p.peer / p.pruned:.2f} and {p.dense / p.pruned:.2f} times faster "
                f"at {p.ratio:.2f} times fewer FLOPs"
            )


def peer_graph(bench, form, folder):
    """transformers' own classifier as a graph of the format, from the ids of one text of any length."""
    plain = bench.plain(attn_implementation="sdpa")

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.plain = plain

        def forward(self, input_ids):
            return self.plain(input_ids=input_ids).logits

    path = folder / "peer.onnx"
    ids = torch.randint(5, 50, (1, 48))
    length = torch.export.Dim("n", min=3, max=512)
    with quiet(), torch.no_grad():
        torch.onnx.export(
            Logits(), (ids,), str(path), input_names=["input_ids"], output_names=["logits"],
            dynamic_shapes={"input_ids": {1: length}}, opset_version=OPSET, dynamo=True, external_data=False,
        )  # fmt: skip
    if form == "openvino":
        return to_openvino(path, folder / "peer.xml")
    return to_int8(path, folder / "peer-int8.onnx") if form == "onnx-int8" else path


if __name__ == "__main__":
    main()
