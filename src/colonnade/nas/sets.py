"""Pieces of set transformers (arXiv:1810.00825) and the two-level encoder of a data set (arXiv:2107.00860, 3.3).

A data set is a set of classes, each a set of images: attention within each class makes one prototype of it, attention
among prototypes one vector of the whole. Neither order matters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multihead attention block: queries [b, q, d_q] look at keys [b, k, d_k]; gives [b, q, hidden].

    With projections Q, K, V and heads of hidden / heads features each: O = Q + softmax(Q K^T / sqrt(hidden)) V,
    then O + relu(W O). The scale is the square root of the whole width, as in the authors' code of set transformers.
    """

    def __init__(self, queries: int, keys: int, hidden: int, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.hidden = heads, hidden
        self.query, self.key, self.value = nn.Linear(queries, hidden), nn.Linear(keys, hidden), nn.Linear(keys, hidden)
        self.out = nn.Linear(hidden, hidden)

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """`mask` [b, k] is false for keys that are not there."""
        q = self.query(queries)
        split = (self._split(q), self._split(self.key(keys)), self._split(self.value(keys)))
        bias = None if mask is None else torch.where(mask, 0.0, -torch.inf).to(q.dtype)[:, None, None, :]
        seen = F.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=bias, scale=self.hidden**-0.5)
        made = q + seen.transpose(1, 2).reshape(q.shape)
        result: Tensor = made + F.relu(self.out(made))
        return result

    def _split(self, t: Tensor) -> Tensor:
        return t.view(*t.shape[:2], self.heads, -1).transpose(1, 2)


class SetPool(nn.Module):
    """Sets [b, n, d] to one vector each, [b, out]: two self-attentions, one learned query, a linear layer."""

    def __init__(self, inputs: int, hidden: int, out: int, heads: int = 4) -> None:
        super().__init__()
        self.first = Attention(inputs, inputs, hidden, heads)
        self.second = Attention(hidden, hidden, hidden, heads)
        self.seed = nn.Parameter(torch.empty(1, 1, hidden))
        nn.init.xavier_uniform_(self.seed)
        self.pool = Attention(hidden, hidden, hidden, heads)
        self.linear = nn.Linear(hidden, out)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.first(x, x, mask)
        x = self.second(x, x, mask)
        pooled: Tensor = self.linear(self.pool(self.seed.expand(len(x), -1, -1), x, mask)[:, 0])
        return pooled


class SetEncoder(nn.Module):
    """Features of images [classes, samples, d] of one data set, or a padded batch of data sets, to vectors [b, out]."""

    def __init__(self, inputs: int, hidden: int = 32, out: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.within = SetPool(inputs, hidden, hidden, heads)
        self.among = SetPool(hidden, hidden, out, heads)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features [b, classes, samples, d] (or [classes, samples, d]); `mask` [b, classes] is false for padding."""
        if features.ndim == 3:
            features = features[None]
        b, classes = features.shape[:2]
        prototypes = self.within(features.flatten(0, 1)).view(b, classes, -1)
        encoded: Tensor = self.among(prototypes, mask)
        return encoded


def pad(sets: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Data sets [classes_i, samples, d] as one batch [b, classes, samples, d] with its mask [b, classes]."""
    most = max(len(item) for item in sets)
    batch = sets[0].new_zeros(len(sets), most, *sets[0].shape[1:])
    mask = torch.zeros(len(sets), most, dtype=torch.bool)
    for row, item in enumerate(sets):
        batch[row, : len(item)] = item
        mask[row, : len(item)] = True
    return batch, mask
