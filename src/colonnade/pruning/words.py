"""Which words of a text survive to which layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.pruning.encoder import kept_mask


@dataclass(frozen=True)
class Survival:
    """The fate of a text's words.

    Attributes:
        words: as written; the special tokens in their own notation.
        depth: how many layers each word outlives, 0 to L.
        kept: whether each word is alive after each layer [words, L].
        layers: L, the layers that decide (the last one of a classifier keeps the first token only).
    """

    words: list[str]
    depth: NDArray[np.int64]
    kept: NDArray[np.bool_]
    layers: int


def survival(model: Any, tokenizer: Any, text: str, max_tokens: int = 512) -> Survival:
    """Run one text and follow its words; a word is alive while one of its pieces is."""
    rows = tokenizer(text, truncation=True, max_length=max_tokens, return_offsets_mapping=True, verbose=False)
    ids = rows["input_ids"]
    with torch.inference_mode():
        model(input_ids=torch.tensor([ids]))
    kept = kept_mask(*model.encoder.last)[0].T.numpy()  # [tokens, L]
    if model.encoder.first_only:
        kept = kept[:, :-1]
    words: list[str] = []
    alive: list[NDArray[np.bool_]] = []
    before: int | None = None
    for token, (word, span) in enumerate(zip(rows.word_ids(), rows["offset_mapping"], strict=True)):
        if word is not None and word == before:
            words[-1] += text[span[0] : span[1]]
            alive[-1] = alive[-1] | kept[token]
        else:
            words.append(tokenizer.convert_ids_to_tokens(ids[token]) if word is None else text[span[0] : span[1]])
            alive.append(kept[token])
        before = word
    table = np.array(alive)
    return Survival(words, table.sum(axis=1), table, table.shape[1])
