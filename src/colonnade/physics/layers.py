"""Layers over graphs, written for the real nodes only."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F


def neighbour_sum(x: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
    """Sum over neighbours: x (nodes, channels), near (nodes, most) with the number of nodes standing for none."""
    padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
    return F.embedding_bag(near, padded, mode="sum", padding_idx=len(x))


class SimpleGCN(nn.Module):
    """relu(A (X W + b)): the graph convolution of arXiv:2107.00656; with `normalise` A's rows sum to 1."""

    def __init__(self, inputs: int, outputs: int, normalise: bool = False) -> None:
        super().__init__()
        self.dense, self.normalise = nn.Linear(inputs, outputs), normalise

    def forward(self, x: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        total = neighbour_sum(self.dense(x), near)
        if self.normalise:
            total = total / (near < len(x)).sum(dim=1, keepdim=True).clamp(min=1)
        return F.relu(total)


class EdgeConv(nn.Module):
    """Edge convolution (arXiv:1801.07829) of two layers with a shortcut, mean over neighbours.

    The first layer acts on (x_i, x_j - x_i); it is linear before its activation, so W (x_i, x_j - x_i) is
    (W1 - W2) x_i + W2 x_j: two products a node in place of one an edge.
    """

    def __init__(self, inputs: int, outputs: int, norm: bool = True) -> None:
        super().__init__()
        self.centre = nn.Linear(inputs, outputs)
        self.other = nn.Linear(inputs, outputs, bias=False)
        self.second = nn.Linear(outputs, outputs)
        self.shortcut = nn.Linear(inputs, outputs)
        self.norm: nn.Module = nn.BatchNorm1d(outputs) if norm else nn.Identity()

    def forward(self, x: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        """x (nodes, inputs), near (nodes, k) -> (nodes, outputs)."""
        real = near < len(x)
        # (W1 - W2) x_i and W2 x_j
        here, there = self.centre(x), self.other(x)
        edges = F.relu(here[:, None] + F.embedding(near.clamp(max=max(len(x) - 1, 0)), there))
        messages = F.relu(self.second(edges)) * real[..., None]
        mean = messages.sum(dim=1) / real.sum(dim=1, keepdim=True).clamp(min=1)
        return F.relu(self.norm(mean + self.shortcut(x)))


def mlp(*widths: int, norm: bool = False, dropout: float = 0.0) -> nn.Sequential:
    """Dense layers with ReLU after each."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if norm else []), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers)
