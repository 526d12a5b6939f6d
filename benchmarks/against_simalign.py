"""Word alignment: sentences a second and AER of simalign and of ours, same model (e5), layer, method and thread.

    python benchmarks/against_simalign.py --text FOLDER [--languages eng-GB deu] [--pairs 200] [--rounds 3]

FOLDER holds lines of parallel text in files that end in `.CODE.txt` (NTREX-128). AER is of the five gold pairs carried.
Links must be equal on all pairs; both sides take turns; medians of CPU time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from colonnade.multilingual import load_encoder
from colonnade.multilingual.align import aer, read_gold, word_links
from colonnade.multilingual.data import read_aligned

EXAMPLES = Path(__file__).parents[1] / "src/colonnade/multilingual/services/examples"
LAYER = 8


def main():
    from simalign import SentenceAligner

    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--languages", nargs=2, default=["eng-GB", "deu"])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sides = [next(args.text.glob(f"*.{code}.txt")).read_text().split("\n")[: args.pairs] for code in args.languages]
    pairs = [(a.split(), b.split()) for a, b in zip(*sides, strict=True)]
    encoder = load_encoder("e5")
    with tempfile.TemporaryDirectory() as folder:
        save(encoder, Path(folder))
        peer = SentenceAligner(model=folder, token_type="bpe", matching_methods="i", layer=LAYER)
    gold = read_aligned(EXAMPLES / "europarl5.tsv")
    sample = list(zip(*([line.split() for line in lines] for lines in gold.sentences.values()), strict=True))
    truth = read_gold(EXAMPLES / "europarl5.gold", 0 if "0-0" in (EXAMPLES / "europarl5.gold").read_text() else 1)
    for name, way in (("simalign", lambda p: theirs(peer, p)), ("ours", lambda p: ours(encoder, p))):
        print(f"AER on 5 gold pairs, {name:9s}{aer(way(sample), truth).aer:.4f}")
    speeds = {"simalign": [], "ours": []}
    for _ in range(args.rounds):
        for name, way in (("simalign", lambda p: theirs(peer, p)), ("ours", lambda p: ours(encoder, p))):
            begun = time.process_time()
            found = way(pairs)
            speeds[name].append(len(pairs) / (time.process_time() - begun))
            if name == "simalign":
                reference = found
    same = sum(a == b for a, b in zip(reference, found, strict=True))
    print(f"{same} of {len(pairs)} pairs have the same links ({' '.join(args.languages)}, itermax, layer {LAYER})")
    median = {name: float(np.median(one)) for name, one in speeds.items()}
    for name, one in speeds.items():
        print(f"{name:9s}{median[name]:8.1f} pairs/CPU-s ({min(one):.1f} to {max(one):.1f})")
    ratio = median["ours"] / median["simalign"]
    print(f"goal: 5 x simalign's speed: {ratio:.2f} x, {'reached' if ratio >= 5 else 'missed'}")


def save(encoder, folder):
    """The model as a folder that transformers reads."""
    from transformers import PreTrainedTokenizerFast

    encoder.model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=encoder.tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        model_max_length=512,
    ).save_pretrained(folder)  # fmt: skip


def theirs(peer, pairs):
    return [set(peer.get_word_aligns(a, b)["itermax"]) for a, b in pairs]


def ours(encoder, pairs):
    sides = [encoder.words([pair[i] for pair in pairs], [LAYER])[LAYER] for i in (0, 1)]
    return [word_links(a.vectors, b.vectors, a.words, b.words, "itermax") for a, b in zip(*sides, strict=True)]


if __name__ == "__main__":
    main()
