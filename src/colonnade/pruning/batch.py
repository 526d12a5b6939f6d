"""Texts without their padding, and what a run through the encoder leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from colonnade.pruning.errors import PruningError


@dataclass(frozen=True)
class Batch:
    """The real tokens of B texts, one text after the other (T tokens in all).

    Attributes:
        ids: token ids [T].
        places: 0, 1, 2 ... within each text [T].
        text: the text that each token belongs to [T].
        slots: where each token stood in the padded input, row by row [T].
        lengths: tokens of each text, B numbers.
        shape: of the padded input (B, N).
        segments: token type ids [T], or None.
    """

    ids: Tensor
    places: Tensor
    text: Tensor
    slots: Tensor
    lengths: list[int]
    shape: tuple[int, int]
    segments: Tensor | None = None

    @classmethod
    def of(cls, ids: Tensor, mask: Tensor | None, segments: Tensor | None) -> Batch:
        """Leave out what the mask hides, wherever it stands (left, right or in between).

        Raises:
            PruningError: shapes disagree, or a text has no token at all.
        """
        if ids.dim() != 2:
            raise PruningError(f"input_ids must have the shape (texts, tokens), but has {tuple(ids.shape)}.")
        texts, width = ids.shape
        if mask is None:
            lengths, slots = [width] * texts, torch.arange(texts * width, device=ids.device)
        else:
            if mask.shape != ids.shape:
                raise PruningError(
                    f"attention_mask must have the shape of input_ids, {tuple(ids.shape)}, but has {tuple(mask.shape)}."
                )
            real = mask.bool()
            lengths, slots = real.sum(1).tolist(), real.flatten().nonzero().squeeze(1)
        if not lengths or min(lengths) < 1:
            raise PruningError("Every text needs at least one token that its attention_mask does not hide.")
        counts = torch.tensor(lengths, device=ids.device)
        text = torch.repeat_interleave(torch.arange(texts, device=ids.device), counts)
        places = torch.arange(len(slots), device=ids.device) - (counts.cumsum(0) - counts)[text]
        chosen = None if segments is None else segments.expand(texts, width).flatten()[slots]
        return cls(ids.flatten()[slots], places, text, slots, lengths, (texts, width), chosen)


@dataclass
class Run:
    """What a run leaves behind.

    Attributes:
        first: last state of each text's first token [B, d].
        states: state of every token when it left or at the end [T, d]; None when only the first is read.
        kept: for each layer, which of the T tokens left it.
    """

    first: Tensor
    states: Tensor | None
    kept: list[Tensor]


def padded_index(lengths: list[int], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Where each text's tokens lie in the packed order [B, longest], and which of these places are real.

    The second is None when all are. Places beyond a text's end point at its last token.
    """
    longest = max(lengths)
    counts = torch.tensor(lengths, device=device).unsqueeze(1)
    starts = counts.cumsum(0) - counts
    if min(lengths) == longest:
        return torch.arange(len(lengths) * longest, device=device).view(-1, longest), None
    steps = torch.arange(longest, device=device).unsqueeze(0)
    return starts + torch.minimum(steps, counts - 1), steps < counts


def starts_of(lengths: list[int]) -> list[int]:
    """Where each text begins in the packed order."""
    found, total = [], 0
    for length in lengths:
        found.append(total)
        total += length
    return found
