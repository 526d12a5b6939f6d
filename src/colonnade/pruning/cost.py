"""What a run costs: FLOPs by the paper's formula and as executed here, ratios, and Pareto fronts.

A layer takes n tokens in and lets m out. By the paper (arXiv:2107.00910, and its program) its multiply-accumulates are
4 d² n + 2 d n² + 2 d f m: projections and attention at the old length, the feed-forward block (inner width f) at the
new. Here queries and attention output are made for survivors only (`packed`), so that it is 2 d² (n + m) + 2 d n m + 2
d f m, and s d² + s d n for the s sampled rows. FLOPs are twice the multiply-accumulates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """What the cost of an encoder depends on: its layers, width d, and inner width f of the feed-forward block."""

    layers: int
    width: int
    inner: int

    @classmethod
    def of(cls, config: Any) -> Shape:
        """The shape of a body's configuration."""
        inner = getattr(config, "intermediate_size", None) or config.hidden_dim
        return cls(config.num_hidden_layers, config.hidden_size, inner)


def layer_flops(entering: Any, leaving: Any, shape: Shape) -> Any:
    """FLOPs of a layer by the paper's formula; numbers, arrays or tensors of token counts."""
    d = shape.width
    return 2 * (4 * d * d * entering + 2 * d * entering * entering + 2 * d * shape.inner * leaving)


def executed_flops(entering: Any, leaving: Any, shape: Shape, sampled: Any = 0) -> Any:
    """FLOPs of a layer as `packed` runs it on texts longer than its padded attention takes."""
    d = shape.width
    own = 2 * d * d * (entering + leaving) + 2 * d * entering * leaving + 2 * d * shape.inner * leaving
    return 2 * (own + sampled * d * d + sampled * d * entering)


def flops(survivors: Any, lengths: Any, shape: Shape) -> Floats:
    """FLOPs of each text by the paper's formula.

    Args:
        survivors: tokens that leave each layer [B, L].
        lengths: tokens of each text [B].
    """
    leaving = np.asarray(survivors, dtype=float)
    entering = np.concatenate([np.asarray(lengths, dtype=float)[:, None], leaving[:, :-1]], axis=1)
    total: Floats = layer_flops(entering, leaving, shape).sum(axis=1)
    return total


def dense_flops(lengths: Any, shape: Shape) -> Floats:
    """FLOPs of each text when nothing is pruned, by the paper's formula."""
    n = np.asarray(lengths, dtype=float)
    return np.asarray(shape.layers * layer_flops(n, n, shape), dtype=float)


def ratio(survivors: Any, lengths: Any, shape: Shape) -> float:
    """Dense FLOPs of all texts over theirs when pruned."""
    return float(dense_flops(lengths, shape).sum() / flops(survivors, lengths, shape).sum())


def soft_share(mass: Tensor, lengths: Tensor, shape: Shape) -> Tensor:
    """FLOPs with soft gates over dense FLOPs, a differentiable number.

    Args:
        mass: tokens that leave each layer of each text, as soft gates count them [L, B].
        lengths: tokens of each text [B].
    """
    n = lengths.to(mass.dtype)
    entering = torch.cat([n[None], mass[:-1]])
    dense = shape.layers * layer_flops(n, n, shape).sum()
    share: Tensor = layer_flops(entering, mass, shape).sum() / dense
    return share


def share_at_rates(rates: Sequence[float], lengths: Any, shape: Shape) -> float:
    """FLOPs over dense FLOPs when the share `rates[l]` of each text leaves layer l."""
    n = np.asarray(lengths, dtype=float)[:, None]
    leaving = np.maximum(1, n * np.asarray(rates)[None])
    return float(flops(leaving, n[:, 0], shape).sum() / dense_flops(n[:, 0], shape).sum())


def predicted_gain(length: int, rates: Sequence[float], shape: Shape, overhead: float, speed: float) -> float:
    """Time of a dense text over its time when pruned, from FLOPs and a fixed price of deciding.

    Args:
        length: tokens of the text.
        rates: share of the tokens that leaves each layer.
        shape: of the encoder.
        overhead: seconds a layer spends on deciding who stays.
        speed: FLOPs a second of this machine.
    """
    dense = float(dense_flops([length], shape)[0]) / speed
    leaving = np.maximum(1.0, length * np.asarray(rates))
    entering = np.concatenate([[float(length)], leaving[:-1]])
    pruned = float(np.sum(executed_flops(entering, leaving, shape))) / speed + overhead * shape.layers
    return dense / pruned


def bypass_length(
    rates: Sequence[float], shape: Shape, overhead: float, speed: float, gain: float = 1.05, longest: int = 512
) -> int:
    """The shortest text that is worth pruning: below it the predicted gain is less than `gain`."""
    for length in range(1, longest + 1):
        if predicted_gain(length, rates, shape, overhead, speed) >= gain:
            return length
    return longest + 1


def pareto(points: Iterable[tuple[float, float]]) -> list[int]:
    """Which of the (gain, quality) points no other point beats in both, by rising gain."""
    listed = list(points)
    order = sorted(range(len(listed)), key=lambda k: (-listed[k][0], -listed[k][1]))
    found, best = [], -np.inf
    for k in order:
        if listed[k][1] > best:
            found.append(k)
            best = listed[k][1]
    return found[::-1]
