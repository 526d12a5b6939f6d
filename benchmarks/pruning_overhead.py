"""What deciding costs: a pruned encoder that prunes nothing against the dense one, and scoring against a layer.

    python benchmarks/pruning_overhead.py

BERT of six layers of 384, one thread, CPU time, ways in turn; medians. `first_only` is off, so that the last layer's
shortcut hides nothing.
"""

from __future__ import annotations

import argparse
import time

import torch
from transformers import BertConfig, BertModel

from colonnade.pruning import Rule, prune
from colonnade.pruning.evaluation import race
from colonnade.pruning.score import received_by, sampled_rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cases", nargs="*", default=["1x32", "1x128", "1x256", "1x512", "16x256", "32x32"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = 6
    config = BertConfig(
        vocab_size=1000, hidden_size=384, num_hidden_layers=layers, num_attention_heads=12, intermediate_size=1536
    )
    body = BertModel(config, add_pooling_layer=False).eval()
    dense, none = prune(body), prune(body, [1e-9] * layers)
    print("batch x tokens   transformers   ours dense   ours, scored, nothing pruned   overhead   scoring / layer")
    for case in args.cases:
        batch, n = map(int, case.split("x"))
        ids = torch.randint(5, 1000, (batch, n))

        def way(model, ids=ids):
            def run():
                with torch.inference_mode():
                    model(input_ids=ids)

            return run

        timed = race({"peer": way(body), "dense": way(dense), "none": way(none)}, args.rounds, time.process_time)
        share = score_share(body.encoder.layer[0], n, timed.seconds["dense"] / layers / batch, args.rounds)
        peer, ours, scored = (1000 * timed.seconds[name] for name in ("peer", "dense", "none"))
        print(f"{case:>14}   {peer:9.2f} ms {ours:9.2f} ms {scored:18.2f} ms {scored / ours - 1:18.1%} {share:14.1%}")


def score_share(layer, n, seconds, rounds):
    """Time of one text's scores (query of the sampled rows, logits, softmax, mean) over time of its layer."""
    x, block = torch.randn(n, 384), layer.attention.self
    with torch.inference_mode():
        keys = block.key(x).view(n, 12, 32).transpose(0, 1)

        def score():
            rows = sampled_rows(n, Rule().rows)
            received_by(block.query(x[rows]).view(len(rows), 12, 32).transpose(0, 1), keys)

        return race({"score": score}, 5 * rounds, time.process_time).seconds["score"] / seconds


if __name__ == "__main__":
    main()
