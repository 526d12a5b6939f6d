"""Times of random encoders of a shape, dense and pruned, by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from colonnade.pruning.cost import Shape, bypass_length, dense_flops, executed_flops
from colonnade.pruning.evaluation import race
from colonnade.pruning.gate import linear_rates
from colonnade.pruning.model import prune


@dataclass(frozen=True)
class Point:
    """Seconds of a batch of texts of one length, and what the executed FLOPs allow."""

    length: int
    transformers: float
    dense: float
    scored: float
    pruned: float
    ratio: float

    @property
    def gain(self) -> float:
        return self.dense / self.pruned


@dataclass(frozen=True)
class Profile:
    """Points by length, FLOPs a second when dense, seconds of scoring a layer, and the shortest text worth pruning."""

    points: list[Point]
    speed: float
    overhead: float
    bypass: int


def profile_shape(
    *,
    layers: int,
    width: int,
    heads: int,
    inner: int,
    lengths: Sequence[int],
    batch: int = 1,
    left: float = 0.1,
    rows: int | None = 64,
    rounds: int = 5,
    seed: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> Profile:
    """Time a BERT of random weights: transformers' own, packed dense, with scores only, and pruned by a cascade."""
    from transformers import BertConfig, BertModel

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=1000,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=max(lengths),
    )
    body = BertModel(config, add_pooling_layer=False).eval()
    rates = linear_rates(layers, left)
    dense = prune(body, rows=rows)
    scored = prune(body, [1e-9] * layers, rows=rows)
    pruned = prune(body, rule="topk", keep_rates=rates, rows=rows)
    shape, points = Shape(layers, width, inner), []
    for done, length in enumerate(lengths):
        ids = torch.randint(5, 1000, (batch, length))
        mask = torch.ones_like(ids)
        seconds = race(
            {
                "transformers": _way(body, ids, mask),
                "dense": _way(dense, ids, mask),
                "scored": _way(scored, ids, mask),
                "pruned": _way(pruned, ids, mask),
            },
            rounds=rounds,
        ).seconds
        points.append(Point(length=length, ratio=_ratio(length, rates, shape, rows), **seconds))
        progress(done + 1)
    last = points[-1]
    speed = batch * float(dense_flops([last.length], shape)[0]) / last.dense
    overhead = max(1e-6, (last.scored - last.dense) / layers / batch)
    return Profile(points, speed, overhead, bypass_length(rates, shape, overhead, speed, longest=max(lengths)))


def _way(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=mask)

    return run


def _ratio(length: int, rates: Sequence[float], shape: Shape, rows: int | None) -> float:
    """Dense over pruned FLOPs, as executed."""
    leaving = np.maximum(1, np.ceil(length * np.asarray(rates) - 1e-6))
    entering = np.concatenate([[length], leaving[:-1]])
    sampled = np.minimum(entering, rows or length) * (np.asarray(rates) < 1)
    executed = float(executed_flops(entering, leaving, shape, sampled).sum())
    return float(dense_flops([length], shape)[0]) / executed
