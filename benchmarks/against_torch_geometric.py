"""A training step of an edge convolution against torch_geometric's EdgeConv and the naive dense form, same weights.

Jets of at most 50 nodes, 7 neighbours, 64 channels to 64, one dense layer and mean over neighbours (the layer of
arXiv:1801.07829); forward, backward and SGD step; CPU-seconds of one thread, interleaved, one run.
Needs torch_geometric.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.nn import EdgeConv as Peer

from colonnade.physics import graphs
from colonnade.physics.graphs import Graph
from colonnade.physics.layers import edge_mean

BATCH, NODES, K, C = 128, 50, 7, 64


def jets(rng):
    mask = np.arange(NODES) < rng.integers(20, NODES + 1, BATCH)[:, None]
    x = rng.normal(size=(BATCH, NODES, C)).astype(np.float32) * mask[..., None]
    near = graphs.knn(rng.normal(size=(BATCH, NODES, 2)), mask, K)
    return Graph(torch.from_numpy(x), torch.from_numpy(mask), torch.from_numpy(near))


def naive(layer, graph):
    """The layout of the usual dense code: (events, 2 C, nodes, k) of x_i and x_j - x_i, convolved, averaged."""
    x = graph.x.transpose(1, 2)
    near = graph.neighbours.clamp(min=0)
    other = torch.gather(x[:, :, None].expand(-1, -1, NODES, -1), 3, near[:, None].expand(-1, C, -1, -1))
    pairs = torch.cat([x[..., None].expand(-1, -1, -1, K), other - x[..., None]], dim=1)
    edges = F.relu(F.conv2d(pairs, layer.weight[:, :, None, None], layer.bias))
    real = (graph.neighbours >= 0)[:, None]
    mean = (edges * real).sum(dim=3) / real.sum(dim=3).clamp(min=1)
    return mean.transpose(1, 2)[graph.mask]


def main():
    torch.set_num_threads(1)
    graph = jets(np.random.default_rng(0))
    layer = nn.Linear(2 * C, C)
    peer = Peer(nn.Sequential(layer, nn.ReLU()), aggr="mean")
    x, near, index = graph.flat, graph.sparse, graph.edge_index
    target = torch.randn(len(x), C)
    ways = {
        "naive dense": lambda: naive(layer, graph),
        "torch_geometric": lambda: peer(x, index),
        "ours": lambda: edge_mean(x, near, layer),
    }
    answers = {name: way().detach() for name, way in ways.items()}
    for name in ("naive dense", "torch_geometric"):
        print(f"largest difference to {name}: {(answers['ours'] - answers[name]).abs().max():.1e}")
    optimiser = torch.optim.SGD(layer.parameters(), lr=1e-3)
    graph.x.requires_grad_()
    x.requires_grad_()

    def step(way):
        begin = time.process_time()
        for _ in range(3):
            optimiser.zero_grad()
            F.mse_loss(way(), target).backward()
            optimiser.step()
        return time.process_time() - begin

    best = dict.fromkeys(ways, np.inf)
    for _ in range(12):
        for name, way in ways.items():
            best[name] = min(best[name], step(way))
    for name, spent in best.items():
        print(f"{name}: {3 * BATCH / spent:,.0f} jets/CPU-s")
    print(
        f"ours is {best['torch_geometric'] / best['ours']:.2f} times torch_geometric (goal 2), "
        f"{best['naive dense'] / best['ours']:.2f} times the naive form (goal 3.5)"
    )


if __name__ == "__main__":
    main()
