"""The mechanisms of chemistry worlds: the conditional law of each variable given its parents.

A mechanism is the random two-layer network of Ke et al. (arXiv:2107.00848, section 4.2): one-hot parents -> 4n ReLU
units -> C logits -> softmax, orthogonal weights of gain 3.5, biases uniform in (-2.1, 2.1). It is kept as the exact
table of its values while that table is small, else evaluated where it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.errors import CausalError
from colonnade.causal.graph import Graph

Floats = NDArray[np.float64]

GAIN = 3.5
BIAS = 2.1
MAX_TABLE = 1_000_000  # entries of one variable's table; a larger one stays a network
ATTEMPTS = 400  # redraws of one mechanism for its edges to become as strong as asked
CHUNK = 4096


@dataclass(frozen=True)
class Mechanism:
    """P(variable | parents) over `colors` values.

    Attributes:
        parents: ascending.
        lags: of each parent's edge.
        colors: number of values of every variable.
        table: (colors ** len(parents), colors) probabilities, first parent varying slowest; None when too large.
        first, bias1, second, bias2: the network: (parents, colors, hidden), (hidden,), (hidden, colors), (colors,).
    """

    parents: tuple[int, ...]
    lags: tuple[int, ...]
    colors: int
    table: Floats | None
    first: Floats
    bias1: Floats
    second: Floats
    bias2: Floats

    @property
    def strides(self) -> tuple[int, ...]:
        """What a step of each parent's value adds to the table's row number."""
        return tuple(self.colors ** (len(self.parents) - 1 - k) for k in range(len(self.parents)))

    def law(self, values: NDArray[np.integer]) -> Floats:
        """(rows, colors) conditional probabilities for (rows, len(parents)) parent values."""
        if self.table is not None:
            rows = values.astype(np.int64) @ np.asarray(self.strides, np.int64).reshape(-1)
            return np.asarray(self.table[rows])
        # Sums run parent by parent and unit by unit, so that a row's result does not depend on its neighbours.
        hidden = np.broadcast_to(self.bias1, (len(values), len(self.bias1))).copy()
        for k in range(len(self.parents)):
            hidden += self.first[k, values[:, k]]
        np.maximum(hidden, 0, out=hidden)
        logits = np.broadcast_to(self.bias2, (len(values), self.colors)).copy()
        for unit in range(hidden.shape[1]):
            logits += hidden[:, unit, None] * self.second[unit]
        logits -= logits.max(1, keepdims=True)
        weight = np.exp(logits)
        total = weight[:, 0].copy()
        for value in range(1, self.colors):
            total += weight[:, value]
        return np.asarray(weight / total[:, None])


def draw_mechanisms(graph: Graph, colors: int, min_edge_tv: float, seed: int) -> tuple[Mechanism, ...]:
    """One mechanism for each variable of `graph`; variable 0 and roots have constant laws (variable 0: uniform).

    Args:
        graph: whose parents and lags they follow.
        colors: number of values.
        min_edge_tv: least strength (see `edge_strength`) of each edge; mechanisms are redrawn until they have it.
        seed: decides all of them.

    Raises:
        CausalError: no mechanism that strong was found; names the variable and the strongest one.
    """
    return tuple(_draw(graph, node, colors, min_edge_tv, seed) for node in range(graph.nodes))


def _draw(graph: Graph, node: int, colors: int, min_edge_tv: float, seed: int) -> Mechanism:
    parents = graph.parents(node)
    rng = np.random.default_rng(np.random.SeedSequence([seed, node, colors]))
    best, weakest = None, -1.0
    for attempt in range(ATTEMPTS):
        # Stronger weights from the 50th draw on: with many parents the paper's own gain may never reach the bound.
        made = _network(rng, graph, node, colors, GAIN * 1.02 ** max(0, attempt - 50))
        strength = min((edge_strength(made, k) for k in range(len(parents))), default=1.0)
        if strength > weakest:
            best, weakest = made, strength
        if strength >= min_edge_tv:
            return made
    assert best is not None
    raise CausalError(
        f"min_edge_tv must be at most {weakest:.3f} for variable {node} with {len(parents)} parents and "
        f"{colors} colors (the strongest of {ATTEMPTS} mechanisms), but is {min_edge_tv:g}."
    )


def _network(rng: np.random.Generator, graph: Graph, node: int, colors: int, gain: float) -> Mechanism:
    parents, hidden = graph.parents(node), 4 * graph.nodes
    first = _orthogonal(rng, graph.nodes * colors, hidden, gain).reshape(graph.nodes, colors, hidden)
    bias1, bias2 = rng.uniform(-BIAS, BIAS, hidden), rng.uniform(-BIAS, BIAS, colors)
    second = _orthogonal(rng, hidden, colors, gain)
    if node == graph.order[0]:
        second, bias2 = np.zeros_like(second), np.zeros_like(bias2)
    lags = tuple(int(graph.lags[parent, node]) for parent in parents)
    bare = Mechanism(parents, lags, colors, None, first[list(parents)], bias1, second, bias2)
    if colors ** (len(parents) + 1) > MAX_TABLE:
        return bare
    rows = np.indices((colors,) * len(parents)).reshape(len(parents), -1).T if parents else np.zeros((1, 0), np.int64)
    table = np.concatenate([bare.law(rows[k : k + CHUNK]) for k in range(0, len(rows), CHUNK)])
    return Mechanism(parents, lags, colors, table, first[list(parents)], bias1, second, bias2)


def _orthogonal(rng: np.random.Generator, rows: int, columns: int, gain: float) -> Floats:
    """A (rows, columns) matrix with orthonormal rows or columns (whichever are fewer), times `gain`."""
    flat = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diag(r))
    return np.ascontiguousarray(gain * (q if rows >= columns else q.T))


def edge_strength(mechanism: Mechanism, k: int, samples: int = 20_000) -> float:
    """How much the `k`-th parent matters: mean total variation between P(v | all parents) and the law without it.

    The mean runs over uniform parents; 0 means that no data can show the edge. For a mechanism without a table it is
    taken over `samples` random rows.
    """
    blocks = _blocks(mechanism, k, samples)
    return float(np.abs(blocks - blocks.mean(1, keepdims=True)).sum(2).mean() / 2)


def edge_information(mechanism: Mechanism, k: int, samples: int = 20_000) -> float:
    """Conditional mutual information (nats) of the `k`-th parent and the variable, all parents uniform."""
    blocks = _blocks(mechanism, k, samples)
    mean = blocks.mean(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(blocks > 0, blocks * np.log(blocks / mean), 0.0)
    return float(terms.sum(2).mean())


def _blocks(mechanism: Mechanism, k: int, samples: int) -> Floats:
    """(other parents' configurations, values of parent k, colors) conditional probabilities."""
    colors, count = mechanism.colors, len(mechanism.parents)
    if mechanism.table is not None:
        cube = mechanism.table.reshape((colors,) * count + (colors,))
        return np.moveaxis(cube, k, -2).reshape(-1, colors, colors)
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.integers(colors, size=(samples // colors, count)), colors, axis=0)
    rows[:, k] = np.tile(np.arange(colors), samples // colors)
    return mechanism.law(rows).reshape(-1, colors, colors)
