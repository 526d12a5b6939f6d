"""Bringing two languages together inside an encoder, from parallel text: by a rotation, or by contrast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.align.maps import procrustes
from colonnade.multilingual.align.sentences import unit
from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.encoders.transformer import TransformerEncoder, cut, means, padded
from colonnade.multilingual.errors import MultilingualError, enough


class Mapped(Encoder):
    """An encoder for text of one language, whose vectors it centres and rotates onto another language's."""

    def __init__(self, encoder: Encoder, maps: dict[int, tuple[FloatArray, FloatArray, FloatArray]]) -> None:
        super().__init__()
        self.encoder, self.maps = encoder, maps
        self.name, self.depth, self.dimension = f"{encoder.name}, rotated", encoder.depth, encoder.dimension

    def _sentences(self, texts: Sequence[str], layers: Sequence[int]) -> dict[int, FloatArray]:
        found = self.encoder.sentences(texts, layers)
        for layer in layers:
            if layer not in self.maps:
                raise MultilingualError(f"layer {layer} has no map; fitted were {', '.join(map(str, self.maps))}")
            ours, w, theirs = self.maps[layer]
            found[layer] = (unit(found[layer]) - ours) @ w + theirs
        return found


def align_by_procrustes(
    encoder: Encoder, source: Sequence[str], target: Sequence[str], layers: Sequence[int] = (-1,), keep: float = 0.5
) -> Mapped:
    """The rotation that brings `source` sentences onto their translations `target`, for new text of the source.

    Args:
        encoder: any.
        source, target: translations.
        layers: to map.
        keep: share of the identity mixed into the cross-covariance, against fitting what few pairs happen to have: 0 is
            plain Procrustes.

    Raises:
        MultilingualError: unequal numbers of lines, or fewer than two.
    """
    if len(source) != len(target):
        raise MultilingualError(f"there are {len(source)} and {len(target)} lines; translations come in pairs")
    enough("pairs of sentences", len(source), 2, "a rotation")
    numbers = encoder.numbers(layers)
    xs, ys = encoder.sentences(source, numbers), encoder.sentences(target, numbers)
    maps = {}
    for layer in numbers:
        x, y = unit(xs[layer]), unit(ys[layer])
        mx, my = x.mean(axis=0), y.mean(axis=0)
        # rows of a scaled identity are pairs that ask each axis to stay: a prior in the same least squares
        spread = float(np.sqrt(keep * np.trace((x - mx).T @ (y - my)).clip(0) / x.shape[1]))
        anchor = spread * np.eye(x.shape[1], dtype=x.dtype)
        maps[layer] = (mx, procrustes(np.vstack([x - mx, anchor]), np.vstack([y - my, anchor])).astype(x.dtype), my)
    return Mapped(encoder, maps)


def align_by_contrast(
    encoder: TransformerEncoder,
    source: Sequence[str],
    target: Sequence[str],
    parameters: Sequence[Any],
    *,
    epochs: int = 3,
    batch: int = 16,
    rate: float = 1e-3,
    margin: float = 0.1,
    scale: float = 20.0,
    seed: int = 0,
    longest: int = 64,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> list[float]:
    """Train some parameters of an encoder (an adapter's, LoRA's) so that translations are nearest (arXiv:2007.01852).

    The target language's vectors are those of the encoder as it was, and stay: only the source language moves.

    Returns:
        The loss of every step.

    Raises:
        MultilingualError: unequal numbers of lines, or fewer than two.
    """
    import torch
    from torch.nn import functional

    if len(source) != len(target):
        raise MultilingualError(f"there are {len(source)} and {len(target)} lines; translations come in pairs")
    enough("pairs of sentences", len(source), 2, "contrast")
    truth = torch.from_numpy(unit(encoder.sentences(target)[encoder.depth]).astype(np.float32))
    ids = [cut(one.ids, min(longest, encoder.longest)) for one in encoder.encode(source)]
    chosen = [value for value in parameters if value.requires_grad]
    optimiser = torch.optim.AdamW(chosen, lr=rate, fused=True)
    losses: list[float] = []
    encoder.model.train()
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(ids))
        for start in range(0, len(order), batch):
            rows = [int(i) for i in order[start : start + batch]]
            if len(rows) < 2:
                continue
            block, mask = padded([ids[i] for i in rows], encoder.pad)
            states = encoder.model(input_ids=block, attention_mask=mask).last_hidden_state
            vectors = functional.normalize(means(states, mask), dim=1)
            scores = scale * (vectors @ truth[rows].T - margin * torch.eye(len(rows)))
            right = torch.arange(len(rows))
            loss = (functional.cross_entropy(scores, right) + functional.cross_entropy(scores.T, right)) / 2
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            progress(len(losses), losses[-1])
    encoder.model.eval()
    return losses
