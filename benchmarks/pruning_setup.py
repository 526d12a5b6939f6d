"""What the benchmarks of token pruning share: arguments, corpora, base models, trained or calibrated models."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from colonnade.pruning import calibrate, encode, load_tokenizer, minilm_folder, prune, zoo
from colonnade.pruning.adapters import load_adapter, quiet_loading


@dataclass
class Bench:
    """Where things are.

    Attributes:
        data: folder of the corpora.
        base: folder of the base model.
        adapter: name of the carried adapter of that base, or None.
        dial: scales the thresholds.
    """

    data: Path
    base: Path
    adapter: str | None
    dial: float

    def plain(self, **settings):
        """The base model with a new head, as transformers runs it."""
        with quiet_loading():
            return AutoModelForSequenceClassification.from_pretrained(self.base, **settings).eval()

    def pruned(self, texts, target):
        """A pruned model, and how it came about: the carried adapter, else thresholds from `texts`."""
        if self.adapter is not None:
            model = load_adapter(zoo.ADAPTERS[self.adapter], self.base)
            model.set_dial(self.dial)
            return model, f"trained adapter {self.adapter}, dial {self.dial:g}"
        tokenizer = load_tokenizer(self.base)
        model = prune(self.plain(), score="relative", protect=[tokenizer.sep_token_id])
        found = calibrate(model, encode(tokenizer, texts, 512), target)
        return model, f"thresholds calibrated without training for {found.ratio:.2f} times fewer FLOPs"


def parser(text: str) -> argparse.ArgumentParser:
    """Arguments that all take."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(__file__).parents[2] / "shared" / "data" / "text"
    made.add_argument("--data", type=Path, default=shared, help="folder of the corpora")
    made.add_argument("--base", type=Path, default=None, help="folder of another base model than all-MiniLM-L6-v2")
    made.add_argument("--adapter", choices=list(zoo.ADAPTERS), help="a trained one; else thresholds are calibrated")
    made.add_argument("--dial", type=float, default=1.0, help="scales the thresholds of the adapter")
    made.add_argument("--target", type=float, default=2.7, help="FLOPs ratio that thresholds are calibrated for")
    made.add_argument("--rounds", type=int, default=7)
    return made


def opened(args: argparse.Namespace) -> Bench | None:
    """What the arguments name, on one thread; None, and why in print, when it is not there."""
    torch.set_num_threads(1)
    if not args.data.is_dir():
        print(f"skipped: there are no corpora in {args.data}")
        return None
    try:
        base = args.base or minilm_folder()
    except ValueError as error:
        print(f"skipped: {error}")
        return None
    return Bench(args.data, base, args.adapter, args.dial)
