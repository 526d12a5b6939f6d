"""How much attention each token receives: what decides whether it stays.

With P the attention probabilities [heads, n, n] of a layer over the n tokens alive there, LTP's importance (Kim et al.,
arXiv:2107.00910, eq. 2) is s(j) = mean over heads and rows of P[., i, j]; its mean over tokens is 1/n, so that a
threshold means something else for every length and for every amount of padding. Here r(j) = n s(j): its mean is 1
whatever the length, and at a fixed padded length the two differ by a constant.

Few rows tell nearly as much as all: `rows` takes that many, evenly spread, always with the first. All rows give LTP's
score, one row the attention of the classification token. Whatever the number, the same rows are used in training, when
masking, when removing, and in exported graphs, so that all agree on who survives.

Of short texts most attention goes to the special tokens, by how much differs from text to text, and with it what a
threshold on r means. "relative" divides r by its mean over the tokens that may leave: with the special tokens
protected, a threshold then compares words with words.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TINY = 1e-12  # where every token stays, no matter what
SCORES = ("received", "relative", "random")


def sampled_rows(n: int, rows: int | None) -> Tensor:
    """The ranks of the rows that are looked at: ceil(k n / m) for k < m = min(n, rows)."""
    m = n if rows is None else min(n, rows)
    return (torch.arange(m) * n + m - 1) // m


def row_weights(rank: Tensor, n: Tensor, rows: int | None) -> Tensor:
    """1/m for the sampled rows and 0 for the rest, so that it sums to 1 over the ranks 0 ... n-1 of a text.

    Args:
        rank: place of each token among those alive, [...].
        n: how many are alive, broadcastable to `rank`.
    """
    m = n if rows is None else torch.clamp(n, max=rows)
    return ((rank * m) % n < m) / m


def received(p: Tensor, weights: Tensor, n: Tensor) -> Tensor:
    """r(j) = n Σ_i w_i mean_h P[h, i, j], from probabilities [..., H, n, n] and row weights [..., n]."""
    return n * (weights.unsqueeze(-2) @ p.mean(dim=-3)).squeeze(-2)


def received_by(q: Tensor, k: Tensor, bias: Tensor | None = None) -> Tensor:
    """r of one text from the queries [H, m, e] of the sampled rows and all keys [H, n, e]: [n].

    Costs m/n of the logits, which is what makes it friendly to fused attention kernels that keep no probabilities.
    """
    logits = (q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-1, -2)
    if bias is not None:
        logits = logits + bias
    return logits.softmax(-1).mean(dim=(0, 1)) * k.shape[-2]


def relative(r: Tensor, weights: Tensor) -> Tensor:
    """Scores in units of their mean over the tokens that may leave.

    Args:
        r: scores [..., n].
        weights: 1 for tokens that may leave and 0 for the rest (in soft mode their gates) [..., n].
    """
    total = (r * weights).sum(-1, keepdim=True)
    return r * weights.sum(-1, keepdim=True) / total.clamp(min=TINY)


def pseudo_random(positions: Tensor, ids: Tensor, layer: int, seed: int) -> Tensor:
    """A score that means nothing, of mean 1: the same for the same token at the same place, whatever the batch."""
    mixed = positions * 2654435761 + ids * 40503 + layer * 97531 + seed * 69069 + 12345
    mixed = (mixed ^ (mixed >> 13)) * 1103515245 % 2147483647
    mixed = (mixed ^ (mixed >> 11)) * 69621 % 2147483647
    return mixed.float() * (2 / 2147483647)
