"""Layers over graphs, written for the real nodes only."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numba import njit
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


def edge_mean(x: torch.Tensor, near: torch.Tensor, dense: nn.Linear) -> torch.Tensor:
    """Mean over neighbours j of relu(W (x_i, x_j - x_i) + b), the edge convolution of one layer (arXiv:1801.07829).

    What is inside is linear before its activation: W (x_i, x_j - x_i) = (W1 - W2) x_i + W2 x_j, two products a node in
    place of one an edge.

    Args:
        x: (nodes, channels).
        near: (nodes, k) neighbours, the number of nodes standing for none.
        dense: from 2 x channels.
    """
    one, two = dense.weight[:, : x.shape[1]], dense.weight[:, x.shape[1] :]
    here, there = F.linear(x, one - two, dense.bias), F.linear(x, two)
    found: torch.Tensor = _EdgeMean.apply(here, there, near)  # type: ignore[no-untyped-call]
    return found


class _EdgeMean(torch.autograd.Function):
    """Mean over neighbours of relu(here_i + there_j), one pass over memory each way; compiled."""

    @staticmethod
    def forward(ctx: Any, here: torch.Tensor, there: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(here)
        _mean_of_edges(here.detach().numpy(), there.detach().numpy(), near.numpy(), out.numpy())
        ctx.save_for_backward(here, there, near)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        here, there, near = ctx.saved_tensors
        at_here, at_there = torch.zeros_like(here), torch.zeros_like(there)
        arrays = [tensor.detach().numpy() for tensor in (here, there, near, grads[0].contiguous(), at_here, at_there)]
        _mean_of_edges_backward(*arrays)
        return at_here, at_there, None


@njit(cache=True, fastmath=True)
def _mean_of_edges(here, there, near, out):  # type: ignore[no-untyped-def]
    nodes, channels = here.shape
    for i in range(nodes):
        count = 0
        out[i] = 0
        for s in range(near.shape[1]):
            j = near[i, s]
            if j < nodes:
                count += 1
                for c in range(channels):
                    out[i, c] += max(here[i, c] + there[j, c], 0)
        if count > 1:
            for c in range(channels):
                out[i, c] /= count


@njit(cache=True, fastmath=True)
def _mean_of_edges_backward(here, there, near, grad, at_here, at_there):  # type: ignore[no-untyped-def]
    nodes, channels = here.shape
    part = np.empty(channels, here.dtype)
    for i in range(nodes):
        count = 0
        for s in range(near.shape[1]):
            count += near[i, s] < nodes
        for c in range(channels):
            part[c] = grad[i, c] / max(count, 1)
        for s in range(near.shape[1]):
            j = near[i, s]
            if j < nodes:
                for c in range(channels):
                    passed = part[c] if here[i, c] + there[j, c] > 0 else 0
                    at_here[i, c] += passed
                    at_there[j, c] += passed


class EdgeConv(nn.Module):
    """Edge convolution (arXiv:1801.07829) with a shortcut: a mean of messages over neighbours, then a dense layer.

    The published ParticleNet has two more dense layers on every edge; here the second one follows the mean, which
    costs a node what there costs an edge.
    """

    def __init__(self, inputs: int, outputs: int, norm: bool = True) -> None:
        super().__init__()
        self.message = nn.Linear(2 * inputs, outputs)
        self.second = nn.Linear(outputs, outputs)
        self.shortcut = nn.Linear(inputs, outputs)
        self.norm: nn.Module = nn.BatchNorm1d(outputs) if norm else nn.Identity()

    def forward(self, x: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        """x (nodes, inputs), near (nodes, k) -> (nodes, outputs)."""
        return F.relu(self.norm(self.second(edge_mean(x, near, self.message)) + self.shortcut(x)))


def mlp(*widths: int, norm: bool = False, dropout: float = 0.0) -> nn.Sequential:
    """Dense layers with ReLU after each."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if norm else []), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers)
