"""Who stays: thresholds learned or given, top-k cascades, and the tokens that always stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from colonnade.pruning.errors import PruningError, between

RULES = ("threshold", "topk")


def soft_gate(r: Tensor, threshold: Tensor, temperature: float) -> Tensor:
    """M = σ((r − θ)/T), the differentiable stand-in for r ≥ θ (arXiv:2107.00910, eq. 5)."""
    return torch.sigmoid((r - threshold) / temperature)


def hard_gate(r: Tensor, threshold: Tensor | float) -> Tensor:
    """Whether a token stays: r ≥ θ."""
    return r >= threshold


def top_k(r: Tensor, alive: Tensor, count: Tensor) -> Tensor:
    """The `count` best of each text, ties by place.

    Args:
        r: scores [B, n].
        alive: which are tokens still there [B, n].
        count: how many stay of each text [B].
    """
    order = r.masked_fill(~alive, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(r.shape[1], device=r.device).expand_as(order))
    return alive & (rank < count.unsqueeze(1))


def linear_rates(layers: int, last: float, untouched: float = 0.15) -> list[float]:
    """The keep rates of a top-k cascade: 1 in the first layers, then falling linearly to `last`.

    The first max(1, untouched · layers) layers keep all (SpAtten, as used as a baseline in arXiv:2107.00910).
    """
    between("last keep rate", last, 0.0, 1.0)
    first = min(max(1, math.ceil(untouched * layers)), layers)
    falling = [1 + (last - 1) * (k + 1) / (layers - first) for k in range(layers - first)]
    return [1.0] * first + falling


def check_thresholds(values: Sequence[float], layers: int) -> list[float]:
    """Thresholds as floats.

    Raises:
        PruningError: their number is wrong, or one is negative or no number.
    """
    if len(values) != layers:
        raise PruningError(f"thresholds must be {layers} numbers, one a layer, but are {len(values)}.")
    for layer, value in enumerate(values):
        if not value >= 0 or math.isinf(value):
            raise PruningError(f"thresholds must be at least 0 and finite, but that of layer {layer + 1} is {value}.")
    return [float(value) for value in values]


def check_rates(values: Sequence[float], layers: int) -> list[float]:
    """Keep rates as floats: one a layer, in (0, 1], never rising.

    Raises:
        PruningError: one sentence on what is wrong.
    """
    if len(values) != layers:
        raise PruningError(f"keep_rates must be {layers} numbers, one a layer, but are {len(values)}.")
    for layer, value in enumerate(values):
        if not 0 <= value <= 1:
            raise PruningError(f"keep_rates must be from 0 to 1, but that of layer {layer + 1} is {value}.")
    if any(later > earlier for earlier, later in pairwise(values)):
        raise PruningError("keep_rates must not rise: a token that is gone does not come back.")
    return [float(value) for value in values]
