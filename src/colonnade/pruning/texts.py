"""Texts as the encoder takes them: token ids without padding, and batches of like lengths."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colonnade.pruning.errors import PruningError

CHUNK = 512  # texts that are tokenized at once


@dataclass(frozen=True)
class Encoded:
    """Texts as token ids.

    Attributes:
        ids: token ids of each text, with the special tokens.
        cut: how many texts were longer than allowed and lost their end.
        pad: id of the padding token.
    """

    ids: list[list[int]]
    cut: int
    pad: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.ids]

    def take(self, chosen: Sequence[int]) -> Encoded:
        """Some of the texts."""
        return Encoded([self.ids[k] for k in chosen], self.cut, self.pad)

    def tensors(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Padded ids and mask [B, N] of some texts."""
        longest = max(len(self.ids[k]) for k in chosen)
        ids = torch.full((len(chosen), longest), self.pad)
        mask = torch.zeros(len(chosen), longest, dtype=torch.long)
        for row, k in enumerate(chosen):
            n = len(self.ids[k])
            ids[row, :n] = torch.tensor(self.ids[k])
            mask[row, :n] = 1
        return ids, mask


def load_tokenizer(folder: str | Path) -> Any:
    """The tokenizer of a folder; nothing is ever downloaded.

    Raises:
        PruningError: the folder holds none.
    """
    from transformers import AutoTokenizer

    if not Path(folder).is_dir():
        raise PruningError(f"{str(folder)!r} is no folder with a model; give a local path, as nothing is downloaded.")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # forked jobs, and one thread is what a job has
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise PruningError(f"{str(folder)!r} holds no tokenizer: {str(error).splitlines()[0][:200]}") from None


def encode(tokenizer: Any, texts: Sequence[str], max_tokens: int = 512) -> Encoded:
    """Token ids of texts, each cut at `max_tokens`; `cut` counts those that were longer.

    Raises:
        PruningError: there is no text, or one is empty.
    """
    if not texts:
        raise PruningError("At least one text is needed.")
    for number, text in enumerate(texts):
        if not text.strip():
            raise PruningError(f"Text {number + 1} is empty; every text needs at least one word.")
    found: list[list[int]] = []
    cut = 0
    for start in range(0, len(texts), CHUNK):
        rows = tokenizer(list(texts[start : start + CHUNK]), truncation=True, max_length=max_tokens, verbose=False)
        full = [len(row) >= max_tokens for row in rows["input_ids"]]
        cut += sum(_longer(tokenizer, texts[start + k], max_tokens) for k, whole in enumerate(full) if whole)
        found.extend(rows["input_ids"])
    return Encoded(found, cut, tokenizer.pad_token_id or 0)


def _longer(tokenizer: Any, text: str, max_tokens: int) -> bool:
    return len(tokenizer(text, verbose=False)["input_ids"]) > max_tokens


def batches(lengths: Sequence[int], size: int, rng: np.random.Generator | None = None) -> Iterator[list[int]]:
    """Batches of texts of like length: longest first, or (with `rng`) in an order of chance for training."""
    if rng is None:
        order = sorted(range(len(lengths)), key=lambda k: -lengths[k])
        yield from (order[start : start + size] for start in range(0, len(order), size))
        return
    shuffled = rng.permutation(len(lengths)).tolist()
    pool = 16 * size
    groups: list[list[int]] = []
    for start in range(0, len(shuffled), pool):
        near = sorted(shuffled[start : start + pool], key=lambda k: lengths[k])
        groups.extend(near[k : k + size] for k in range(0, len(near), size))
    yield from (groups[k] for k in rng.permutation(len(groups)))
