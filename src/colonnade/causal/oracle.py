"""What can be known at best: exact laws of the next state, entropies, likelihoods, and what data can identify.

The worlds are known, so the ceiling of every metric can be computed. All functions take chemistry worlds without
delayed edges unless said otherwise; physics is deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.errors import CausalError, check_range
from colonnade.causal.graph import Edge, Graph
from colonnade.causal.mechanism import edge_information, edge_strength
from colonnade.causal.world import ChemistryWorld, PhysicsWorld, World, chemistry, graph_of

Array = NDArray[Any]
MAX_CONFIGURATIONS = 1_000_000
SAMPLES = 50_000  # used where the exact sum would have more terms


def prompt(world: World) -> tuple[ChemistryWorld, Graph]:
    """The chemistry world and its graph.

    Raises:
        CausalError: it is a physics world, or has delayed edges.
    """
    checked = chemistry(world)
    if checked.structure.max_lag:
        raise CausalError("graph must have no delayed edges for the exact laws of one step.")
    return checked, checked.structure


def reacting(graph: Graph, variable: int) -> list[int]:
    """The variables that an intervention on one redraws, in order: its descendants."""
    return [node for node in graph.order if graph.reach[variable, node]]


def log_likelihood(world: World, before: Array, action: Array, after: Array) -> Array:
    """(rows,) exact log P(after | before, do(action)) in nats; minus infinity for what cannot happen.

    Args:
        world: chemistry.
        before, after: (rows, n) colours.
        action: (rows,).
    """
    world, graph = prompt(world)
    target, colour = np.divmod(np.asarray(action, np.int64), world.colors)
    out = np.zeros(len(target))
    for variable in range(world.slots):
        rows = np.flatnonzero(target == variable)
        redrawn = reacting(graph, variable)
        same = np.ones(world.slots, bool)
        same[[variable, *redrawn]] = False
        possible = (before[rows][:, same] == after[rows][:, same]).all(1) & (after[rows, variable] == colour[rows])
        total = np.where(possible, 0.0, -np.inf)
        for node in redrawn:
            mechanism = world.mechanisms[node]
            law = mechanism.law(after[rows][:, list(mechanism.parents)])
            with np.errstate(divide="ignore"):
                total += np.log(law[np.arange(len(rows)), after[rows, node]])
        out[rows] = total
    return out


@dataclass(frozen=True)
class NextState:
    """The law of the state after an action.

    Attributes:
        marginals: (rows, n, colors) probability of each colour of each variable.
        entropy: (rows,) of the whole state, in nats.
        exact: false where the sum was too long and was sampled.
    """

    marginals: Array
    entropy: Array
    exact: bool


def next_state(world: World, before: Array, action: Array, seed: int = 0) -> NextState:
    """The exact law after do(action) in states `before` (rows, n); see `NextState`."""
    world, graph = prompt(world)
    before = np.asarray(before, np.int64)
    target, colour = np.divmod(np.asarray(action, np.int64), world.colors)
    marginals, entropy, exact = np.zeros((*before.shape, world.colors)), np.zeros(len(before)), True
    rng = np.random.default_rng(seed)
    for variable in range(world.slots):
        redrawn = reacting(graph, variable)
        rows = np.flatnonzero(target == variable)
        size = max(1, MAX_CONFIGURATIONS // min(MAX_CONFIGURATIONS, world.colors ** len(redrawn)))
        for at in (rows[k : k + size] for k in range(0, len(rows), size)):
            start = before[at]
            start[:, variable] = colour[at]
            marginals[at], entropy[at], sure = _propagate(world, start, redrawn, rng)
            exact &= sure
    return NextState(marginals, entropy, exact)


def _propagate(
    world: ChemistryWorld, start: Array, redrawn: list[int], rng: np.random.Generator
) -> tuple[Array, Array, bool]:
    """Sum over all values of the redrawn variables, in order; resample where that would be too many."""
    count, colors, exact = len(start), world.colors, True
    values, weight, owner = start.copy(), np.ones(count), np.arange(count)
    entropy = np.zeros(count)
    for node in redrawn:
        if len(values) * colors > MAX_CONFIGURATIONS:
            exact = False
            if len(values) > SAMPLES:
                kept = rng.choice(len(values), SAMPLES, p=weight / weight.sum())
                values, owner = values[kept], owner[kept]
                weight = 1.0 / np.bincount(owner, minlength=count)[owner]
        mechanism = world.mechanisms[node]
        law = mechanism.law(values[:, list(mechanism.parents)])
        with np.errstate(divide="ignore", invalid="ignore"):
            surprise = np.where(law > 0, -law * np.log(law), 0.0).sum(1)
        entropy += np.bincount(owner, weight * surprise, count)
        values = np.repeat(values, colors, axis=0)
        values[:, node] = np.tile(np.arange(colors), len(law))
        weight, owner = (weight[:, None] * law).ravel(), np.repeat(owner, colors)
    marginals = np.zeros((count, world.slots, colors))
    for node in range(world.slots):
        np.add.at(marginals[:, node], (owner, values[:, node]), weight)
    return marginals, entropy, exact


def interventional(world: World, variable: int | None = None, value: int = 0) -> Array:
    """(n, colors) marginals of a fresh episode, under do(variable = value) when one is named."""
    world, graph = prompt(world)
    if variable is not None:
        check_range("variable", variable, 0, world.slots - 1)
        check_range("value", value, 0, world.colors - 1)
    start = np.zeros((1, world.slots), np.int64)
    if variable is not None:
        start[0, variable] = value
    redrawn = [node for node in graph.order if node != variable]
    return np.asarray(_propagate(world, start, redrawn, np.random.default_rng(0))[0][0])


def expected_match(world: World, before: Array, action: Array, goal: Array) -> Array:
    """(rows,) exact expected share of variables that have their goal's colour after the action."""
    law = next_state(world, before, action).marginals
    return np.asarray(np.take_along_axis(law, np.asarray(goal, np.int64)[:, :, None], 2)[:, :, 0].mean(1))


@dataclass(frozen=True)
class EdgeCertificate:
    """Whether one edge can be found.

    Attributes:
        edge: which.
        strength: total variation that the parent makes (see `edge_strength`).
        information: conditional mutual information in nats; NaN in physics, where a contact shows the edge for sure.
        rows_needed: rows, with all parents varied evenly, for a likelihood-ratio test at `alpha` to have the asked
            power; infinite when the edge makes no difference at all.
        identifiable: whether there are that many.
    """

    edge: Edge
    strength: float
    information: float
    rows_needed: float
    identifiable: bool


def certificate(world: World, rows: int, alpha: float = 0.01, power: float = 0.9) -> list[EdgeCertificate]:
    """For each edge, whether `rows` interventional rows can show it.

    The likelihood-ratio statistic of an edge with information I over N rows is about non-central chi-square with
    non-centrality 2 N I (Wilks; e.g. Agresti 2013, section 6.6), which gives the rows that a power needs. In physics
    every edge shows at the first push, so the rows are those that hold one with that probability.
    """
    check_range("rows", rows, 1, 1e12)
    check_range("alpha", alpha, 1e-12, 0.5)
    check_range("power", power, 0.5, 0.999)
    if isinstance(world, PhysicsWorld):
        return _physics_certificate(world, rows, power)
    checked = chemistry(world)
    out = []
    for edge in graph_of(checked).edges:
        mechanism = checked.mechanisms[edge.child]
        k = mechanism.parents.index(edge.parent)
        strength, information = edge_strength(mechanism, k), edge_information(mechanism, k)
        degrees = (checked.colors - 1) ** 2 * checked.colors ** (len(mechanism.parents) - 1)
        needed = rows_needed(information, degrees, alpha, power)
        out.append(EdgeCertificate(edge, strength, information, needed, rows >= needed))
    return out


def certificate_columns(edges: list[EdgeCertificate]) -> dict[str, list[Any]]:
    """A certificate as columns of a table."""
    return {
        "cause": [e.edge.parent for e in edges],
        "effect": [e.edge.child for e in edges],
        "lag": [e.edge.lag for e in edges],
        "strength": [round(e.strength, 4) for e in edges],
        "information": [None if np.isnan(e.information) else round(e.information, 4) for e in edges],
        "rows needed": [None if np.isinf(e.rows_needed) else int(e.rows_needed) for e in edges],
        "identifiable": [e.identifiable for e in edges],
    }


@lru_cache(maxsize=4096)
def rows_needed(information: float, degrees: float, alpha: float, power: float = 0.9) -> float:
    """Rows with which a likelihood-ratio test finds this much information (nats) with this power."""
    from scipy.optimize import brentq
    from scipy.stats import chi2, ncx2

    if information < 1e-9:
        return float("inf")
    critical = chi2.isf(alpha, degrees)
    top = 10 * (critical + 100)
    noncentrality = brentq(lambda x: ncx2.sf(critical, degrees, x) - power, 1e-6, top)
    return float(np.ceil(noncentrality / (2 * information)))


def _physics_certificate(world: PhysicsWorld, rows: int, power: float) -> list[EdgeCertificate]:
    from colonnade.causal.data import collect
    from colonnade.causal.events import HELD, PUSHED

    data = collect(world, 500, 100, seed=0)
    episode, step = data.index.T
    contacts = np.isin(data.events[episode, step], [PUSHED, HELD]).mean()
    chance = contacts / (world.objects * (world.objects - 1))  # of one ordered pair in one random step
    needed = float(np.ceil(np.log(1 - power) / np.log1p(-chance)))
    return [EdgeCertificate(edge, 1.0, float("nan"), needed, rows >= needed) for edge in world.graph.edges]
