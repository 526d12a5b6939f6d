"""Encoder of directed acyclic graphs: gated recurrent units along and against the edges (Zhang et al.,
arXiv:1904.11088), all graphs of a batch at once.

A cell becomes a graph of eight nodes: its input, the six operations, its output; an operation's predecessors are the
operations on the edges that end where its own begins.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from colonnade.nas import cells

NODES = len(cells.EDGES) + 2
TYPES = len(cells.OPERATIONS) + 2
INPUT, OUTPUT, FIRST = 0, 1, 2  # types: input, output, then the operations


@cache
def topology() -> np.ndarray:
    """Which node feeds which in a cell's graph, bool [8, 8]; row: source, column: target."""
    found = np.zeros((NODES, NODES), dtype=bool)
    for i, (source, target) in enumerate(cells.EDGES):
        if source == 0:
            found[0, i + 1] = True
        if target == cells.NODES - 1:
            found[i + 1, NODES - 1] = True
        for j, (start, _) in enumerate(cells.EDGES):
            if target == start:
                found[i + 1, j + 1] = True
    return found


def node_types(found: np.ndarray) -> Tensor:
    """Types of the eight nodes of cells [n, 6], int64 [n, 8]."""
    types = np.full((len(found), NODES), OUTPUT, dtype=np.int64)
    types[:, 0] = INPUT
    types[:, 1:-1] = np.asarray(found) + FIRST
    return torch.from_numpy(types)


class Recurrence(nn.Module):
    """One direction: a node's state from its type and the gated sum of its predecessors' states and places."""

    def __init__(self, types: int, nodes: int, hidden: int) -> None:
        super().__init__()
        self.hidden, self.nodes = hidden, nodes
        self.cell = nn.GRUCell(types, hidden)
        self.gate = nn.Linear(hidden + nodes, hidden)
        self.map = nn.Linear(hidden + nodes, hidden, bias=False)

    def message(self, state: Tensor, node: int) -> Tensor:
        """What a node in a state [b, hidden] passes on."""
        h = self.hidden
        gate = torch.addmm(self.gate.bias + self.gate.weight[:, h + node], state, self.gate.weight[:, :h].T)
        mapped = torch.addmm(self.map.weight[:, h + node], state, self.map.weight[:, :h].T)
        return torch.sigmoid(gate) * mapped

    def step(self, types: Tensor, received: Tensor) -> Tensor:
        """State [b, hidden] of nodes with types [b] that received [b, hidden]."""
        h = self.hidden
        # A one-hot input times a matrix is a row of it: no product is needed.
        given = self.cell.weight_ih.T[types] + self.cell.bias_ih
        own = torch.addmm(self.cell.bias_hh, received, self.cell.weight_hh.T)
        mixed = torch.sigmoid(given[:, : 2 * h] + own[:, : 2 * h])
        reset, update = mixed[:, :h], mixed[:, h:]
        fresh = torch.tanh(given[:, 2 * h :] + reset * own[:, 2 * h :])
        return fresh + update * (received - fresh)

    def forward(self, types: Tensor, edges: Tensor, backward: bool = False) -> Tensor:
        """States [b, hidden] of the last node in order (the first when `backward`); edges bool [b, n, n] or [n, n]."""
        n = types.shape[1]
        order = range(n - 1, -1, -1) if backward else range(n)
        weights = edges.to(self.map.weight.dtype)
        weights = weights.expand(len(types), n, n) if weights.ndim == 2 else weights
        passed: list[Tensor] = []
        place: list[int] = []
        state = torch.zeros(len(types), self.hidden, dtype=self.map.weight.dtype)
        for node in order:
            received = torch.zeros_like(state)
            if passed:
                row = weights[:, node, place] if backward else weights[:, place, node]
                received = torch.einsum("bp,bph->bh", row, torch.stack(passed, 1))
            state = self.step(types[:, node], received)
            passed.append(self.message(state, node))
            place.append(node)
        return state


class GraphEncoder(nn.Module):
    """Graphs to vectors [b, out]: the output's forward and the input's backward state, brought together linearly."""

    def __init__(self, hidden: int = 64, out: int = 32, types: int = TYPES, nodes: int = NODES) -> None:
        super().__init__()
        self.forwards, self.backwards = Recurrence(types, nodes, hidden), Recurrence(types, nodes, hidden)
        self.unify = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(hidden, out)

    def forward(self, types: Tensor, edges: Tensor | None = None) -> Tensor:
        """Types int64 [b, n], edges bool [b, n, n] or [n, n] for all (default: those of a cell)."""
        edges = torch.from_numpy(topology()) if edges is None else edges
        ends = torch.cat([self.forwards(types, edges), self.backwards(types, edges, backward=True)], 1)
        encoded: Tensor = self.out(self.unify(ends))
        return encoded

    def every_cell(self) -> Tensor:
        """Vectors of all 15,625 cells, [15625, out]: the same numbers as `forward` gives, at a tenth of its work.

        Cells that agree on the operations before a node agree on its state, which is computed once for all of them.
        """
        ends = torch.cat([_shared(self.forwards, False), _shared(self.backwards, True)], 1)
        encoded: Tensor = self.out(self.unify(ends))
        return encoded


@cache
def _sharing(backward: bool) -> list[tuple[list[tuple[int, np.ndarray]], np.ndarray, np.ndarray]]:
    """For each node in order: (source, its row for each state here), the types, and the row of every cell.

    A node has a state for each choice of the operations that it depends on, itself included.
    """
    edges = topology().T if backward else topology()
    types = node_types(cells.every_cell()).numpy()
    order = range(NODES - 1, -1, -1) if backward else range(NODES)
    before: dict[int, set[int]] = {}
    rows: dict[int, np.ndarray] = {}
    plan = []
    for node in order:
        sources = [int(s) for s in np.flatnonzero(edges[:, node])]
        before[node] = {node}.union(*(before[s] for s in sources))
        digits = [place for place in sorted(before[node]) if 0 < place < NODES - 1]
        key = np.zeros(len(types), dtype=np.int64)
        for place in digits:
            key = key * TYPES + types[:, place]
        _, first, rows[node] = np.unique(key, return_index=True, return_inverse=True)
        plan.append(([(source, rows[source][first]) for source in sources], types[first, node], rows[node]))
    return plan


def _shared(recurrence: Recurrence, backward: bool) -> Tensor:
    order = range(NODES - 1, -1, -1) if backward else range(NODES)
    messages: dict[int, Tensor] = {}
    state = torch.empty(0)
    plan = _sharing(backward)
    for node, (sources, types, _) in zip(order, plan, strict=True):
        received = torch.zeros(len(types), recurrence.hidden, dtype=recurrence.map.weight.dtype)
        for source, rows in sources:
            received += messages[source][torch.from_numpy(rows)]
        state = recurrence.step(torch.from_numpy(types), received)
        if node != (0 if backward else NODES - 1):
            messages[node] = recurrence.message(state, node)
    return state[torch.from_numpy(plan[-1][2])]
