"""Graphs over the particles, pixels, stations or decays of an event; one representation for all of them.

A batch of graphs has `nodes` places for the nodes of each event, of which a mask tells the real ones. Neighbours are
lists of indices, -1 where there is none: a padded place is never a neighbour and never has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from colonnade.physics.errors import PhysicsError, between

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """A batch of graphs.

    Attributes:
        x: (events, nodes, features) node features, 0 at padding.
        mask: (events, nodes) real nodes.
        neighbours: (events, nodes, most) indices within the event, -1 for none; also (nodes, most), the same for all.
        p4: (events, nodes, 4) E, px, py, pz in GeV where the nodes are particles.
    """

    x: torch.Tensor
    mask: torch.Tensor
    neighbours: torch.Tensor
    p4: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def event(self) -> torch.Tensor:
        """(real nodes,) the event that each belongs to."""
        return self.mask.nonzero()[:, 0]

    @cached_property
    def counts(self) -> torch.Tensor:
        """(events, 1) real nodes, at least 1 so that means of empty events are 0."""
        return self.mask.sum(dim=1, keepdim=True).clamp(min=1)

    @cached_property
    def flat(self) -> torch.Tensor:
        """(real nodes, features): the sparse view's nodes."""
        return self.x[self.mask]

    @cached_property
    def sparse(self) -> torch.Tensor:
        """(real nodes, most) neighbours as indices among the real nodes; their number where there is none."""
        total = int(self.mask.sum())
        place = torch.full(self.mask.shape, total, dtype=torch.long)
        place[self.mask] = torch.arange(total)
        near = self.neighbours.expand(len(self.mask), -1, -1) if self.neighbours.dim() == 2 else self.neighbours
        mine = near[self.mask].long()
        found = place[self.event[:, None], mine.clamp(min=0)]
        return torch.where(mine >= 0, found, total)

    @property
    def edge_index(self) -> torch.Tensor:
        """(2, edges) from neighbour to node, among the real nodes: the convention of PyTorch Geometric."""
        node, slot = (self.sparse < len(self.event)).nonzero(as_tuple=True)
        return torch.stack([self.sparse[node, slot], node])

    @property
    def adjacency(self) -> torch.Tensor:
        """(events, nodes, nodes) dense view: 1 where column is a neighbour of row."""
        events, nodes = self.mask.shape
        near = self.neighbours.expand(events, -1, -1) if self.neighbours.dim() == 2 else self.neighbours
        matrix = torch.zeros(events, nodes, nodes + 1)
        matrix.scatter_(2, torch.where(near >= 0, near, nodes).long(), 1.0)
        return matrix[..., :nodes] * self.mask[:, :, None] * self.mask[:, None]

    def pool(self, values: torch.Tensor, mean: bool = True) -> torch.Tensor:
        """Sum or mean over the real nodes of each event of (real nodes, channels)."""
        total = values.new_zeros(len(self), values.shape[1]).index_add_(0, self.event, values)
        return total / self.counts if mean else total


def knn(points: NDArray[Any], mask: NDArray[np.bool_], k: int, self_loops: bool = False) -> Indices:
    """The `k` nearest real nodes of each real node.

    Args:
        points: (events, nodes, dimensions) coordinates.
        mask: (events, nodes) real nodes.
        k: how many neighbours; a node of a smaller event has all the others.
        self_loops: put the node itself first.

    Returns:
        (events, nodes, k or k + 1), nearest first, equal distances by index; -1 for none.
    """
    between("k", k, 1, 1000)
    found = np.full((*mask.shape, k + self_loops), -1, np.int64)
    _knn(np.ascontiguousarray(points), mask, k, self_loops, found)
    return found


@njit(cache=True)
def _knn(points, mask, k, self_loops, found):  # type: ignore[no-untyped-def]
    events, nodes = mask.shape
    size = points.shape[2]
    real = np.empty(nodes, np.int64)
    place = np.empty((size, nodes), points.dtype)  # of the real nodes, one coordinate after the other
    row = np.empty(nodes, points.dtype)
    best, who = np.empty(k, points.dtype), np.empty(k, np.int64)
    for event in range(events):
        count = 0
        for node in range(nodes):
            if mask[event, node]:
                real[count] = node
                for d in range(size):
                    place[d, count] = points[event, node, d]
                count += 1
        for a in range(count):
            for b in range(count):  # a loop without branches, of which the compiler makes vector instructions
                step = place[0, a] - place[0, b]
                row[b] = step * step
            for d in range(1, size):
                for b in range(count):
                    step = place[d, a] - place[d, b]
                    row[b] += step * step
            row[a] = np.inf
            kept = _smallest(row[:count], best, who)
            i = real[a]
            if self_loops:
                found[event, i, 0] = i
            for slot in range(kept):
                found[event, i, slot + self_loops] = real[who[slot]]


@njit(cache=True)
def _smallest(row, best, who):  # type: ignore[no-untyped-def]
    """The smallest values of a row, rising, into `best`, and their places into `who`; how many there are."""
    k = len(best)
    kept, worst = 0, np.inf
    for b in range(len(row)):
        distance = row[b]
        if distance >= worst or distance == np.inf:
            continue
        at = min(kept, k - 1)
        while at > 0 and best[at - 1] > distance:
            best[at], who[at] = best[at - 1], who[at - 1]
            at -= 1
        best[at], who[at] = distance, b
        kept = min(kept + 1, k)
        if kept == k:
            worst = best[k - 1]
    return kept


def radius(points: NDArray[Any], mask: NDArray[np.bool_], limit: float, most: int = 64) -> Indices:
    """All real nodes within `limit`, the nearest `most` of them."""
    between("limit", limit, 1e-12, 1e12)
    found = knn(points, mask, min(most, points.shape[1]))
    far = np.take_along_axis(points[:, None], np.maximum(found, 0)[..., None], axis=2) - points[:, :, None]
    return np.where((found >= 0) & ((far**2).sum(axis=-1) <= limit**2), found, -1)


def full(mask: NDArray[np.bool_]) -> Indices:
    """Every real node is every other's neighbour."""
    nodes = mask.shape[1]
    index = np.arange(nodes)
    linked = mask[:, :, None] & mask[:, None] & (index[:, None] != index)
    return np.where(linked, index, -1)


@lru_cache(maxsize=16)
def grid(side: int, diagonal: bool = True) -> Indices:
    """The 8 (or 4) neighbours of each pixel of a square image, row by row: (side², 8 or 4)."""
    between("side", side, 1, 4096)
    steps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0) and (diagonal or not a * b)]
    row, column = np.divmod(np.arange(side * side), side)
    found = []
    for down, right in steps:
        inside = (row + down >= 0) & (row + down < side) & (column + right >= 0) & (column + right < side)
        found.append(np.where(inside, (row + down) * side + column + right, -1))
    return np.stack(found, axis=1)


def tree(mother: NDArray[Any], present: NDArray[np.bool_], self_loops: bool = True) -> Indices:
    """Mother and daughters of each particle.

    Args:
        mother: (events, nodes) index of the mother, -1 for none.
        present: (events, nodes) real particles.
        self_loops: put the node itself first.
    """
    if mother.shape != present.shape:
        raise PhysicsError(f"mother must have the shape {present.shape}, but has {mother.shape}.")
    event, child = np.nonzero((mother >= 0) & present)
    above = mother[event, child].astype(np.int64)
    order = np.lexsort((child, above, event))
    event, child, above = event[order], child[order], above[order]
    first = np.r_[True, (np.diff(event) != 0) | (np.diff(above) != 0)] if len(event) else np.zeros(0, bool)
    rank = (
        np.arange(len(event)) - np.maximum.accumulate(np.where(first, np.arange(len(event)), 0))
        if len(event)
        else event
    )
    base = 1 + self_loops
    found = np.full((*mother.shape, base + (int(rank.max()) + 1 if len(rank) else 0)), -1, np.int64)
    if self_loops:
        found[..., 0] = np.where(present, np.arange(mother.shape[1]), -1)
    found[event, child, int(self_loops)] = above
    found[event, above, base + rank] = child
    return found


def dynamic_knn(x: torch.Tensor, graph: Graph, k: int) -> torch.Tensor:
    """(real nodes, k) nearest real nodes of the same event in the space of the features `x` (real nodes, channels)."""
    events, nodes = graph.mask.shape
    dense = x.new_zeros(events, nodes, x.shape[1])
    dense[graph.mask] = x.detach()
    apart = torch.cdist(dense, dense)
    apart.masked_fill_(~graph.mask[:, None], float("inf"))
    apart.diagonal(dim1=1, dim2=2).fill_(float("inf"))
    distance, near = apart.topk(min(k, nodes), dim=2, largest=False)
    near = torch.where(torch.isfinite(distance), near, -1)
    return Graph(graph.x, graph.mask, near).sparse
