"""From a data set to ranked networks: score all of them (or those the generator draws), keep what fits, re-rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from colonnade.nas import cells, proxies
from colonnade.nas.data import Images
from colonnade.nas.ensemble import MetaModel, Predicted, carried
from colonnade.nas.errors import NasError
from colonnade.nas.features import Description, describe
from colonnade.nas.metadb import LARGEST
from colonnade.nas.network import AnyNetwork, build
from colonnade.nas.proposing import SMALLEST, propose, within
from colonnade.nas.space import Architecture, Macro, macros, macs, params
from colonnade.nas.spaces import CELLS, MOBILENET, Design, Space
from colonnade.nas.timing import latency

RERANKS = {"none": (), "naswot": ("naswot",), "synflow": ("synflow",), "ensemble": ("naswot", "synflow")}
SHORTLIST = 48  # networks that a re-ranking looks at
CALLS, FEW = 2_000, 50  # of the predictor in the larger space; networks that are too few to choose from
MEASURED = 60  # networks whose latency is measured at most when there is a bound on it


@dataclass(frozen=True)
class Limits:
    """What a network may take at most.

    Attributes:
        params: trainable parameters.
        macs: multiply-adds of one image.
        latency_ms: measured time of one image on one core of this machine.
    """

    params: float = float("inf")
    macs: float = float("inf")
    latency_ms: float = float("inf")


@dataclass(frozen=True)
class Candidate:
    """A network and what is known of it.

    Attributes:
        accuracy, lower, upper: predicted test accuracy after a short training and its 90 % interval, in %.
        standing: predicted, in standard deviations among all networks on this data set.
        params, macs: its size.
        latency_ms: median time of one image on one core, or None when it was not measured.
    """

    architecture: Design
    accuracy: float
    lower: float
    upper: float
    standing: float
    params: int
    macs: int
    latency_ms: float | None = None

    @property
    def arch(self) -> str:
        """The cell as NAS-Bench-201 writes it, or the blocks of a network of the larger space."""
        return str(self.architecture)

    def build(self, classes: int, in_channels: int) -> AnyNetwork:
        """The network as a `torch.nn.Module`, untrained."""
        return build(self.architecture, in_channels, classes)


@dataclass(frozen=True)
class Search:
    """The outcome of a search.

    Attributes:
        ranked: best first.
        front: networks that no smaller one (in multiply-adds) is predicted to beat, smallest first.
        scored: how many networks were scored, and how many of them fit.
        distance: of the data set from the training tasks; above 1 it is outside their domain.
        description: of the data set.
        warnings: one sentence each.
    """

    ranked: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    scored: tuple[int, int]
    distance: float
    description: Description
    warnings: tuple[str, ...] = field(default=())

    @property
    def best(self) -> Candidate:
        return self.ranked[0]


@dataclass(frozen=True)
class _Pool:
    """Networks that were scored, as arrays."""

    architectures: Sequence[Design]
    predicted: Predicted
    params: np.ndarray
    macs: np.ndarray
    space: Space = CELLS

    def order(self, chosen: np.ndarray) -> np.ndarray:
        """Best first; standings that differ by rounding only do not decide."""
        standing = np.round(self.predicted.standing[chosen], 4)
        code = np.array([self.space.code(self.architectures[i]) for i in chosen])
        return chosen[np.lexsort((code, self.macs[chosen], -standing))]

    def candidate(self, i: int, latency: float | None = None) -> Candidate:
        p = self.predicted
        return Candidate(
            self.architectures[i], float(p.accuracy[i]), float(p.lower[i]), float(p.upper[i]), float(p.standing[i]),
            int(self.params[i]), int(self.macs[i]), latency,
        )  # fmt: skip


def search(
    data: Images,
    limits: Limits | None = None,
    *,
    top: int = 10,
    rerank: str = "none",
    choices: Sequence[Macro] | None = None,
    generate: int = 0,
    timed: bool = True,
    model: MetaModel | None = None,
    space: str = "cells",
    seed: int = 0,
) -> Search:
    """Rank networks for a data set without training any.

    Args:
        limits: what they may take at most.
        top: how many to give back.
        rerank: order the first ones by the mean of the predicted rank and the ranks by proxies (`RERANKS`).
        choices: macro networks; by default those of the meta-database.
        generate: score this many networks drawn by the generator instead of all of them; of the larger space, which
            nothing can score whole, always (by default `CALLS`).
        timed: measure the latency of those that are given back.
        model: by default the one that comes with the package.
        space: `cells`, or `mobilenet` for the larger one.
        seed: of the sample of images, the generator and the proxies' weights.

    Raises:
        NasError: no network keeps within the limits; says how small they get.
    """
    if rerank not in RERANKS:
        raise NasError(f"rerank must be one of {', '.join(RERANKS)}, but is {rerank!r}.")
    limits, model = limits or Limits(), model or carried(space=space)
    description = describe(data, model.encoder, seed=seed)
    if model.space is MOBILENET:
        pool = _proposed(data, description, model, limits, generate or CALLS, seed)
    elif generate:
        pool = _drawn(data, description, model, generate, seed)
    else:
        pool = _everything(data, description, model, choices or macros())
    fitting = np.flatnonzero((pool.params <= limits.params) & (pool.macs <= limits.macs))
    if not len(fitting):
        raise NasError(_unsatisfiable(pool, limits))
    order = pool.order(fitting)
    if RERANKS[rerank]:
        order = _reranked(pool, order, data, rerank, seed)
    distance = model.distance(description)
    warnings = list(data.warnings)
    if distance > 1:
        warnings.append(
            f"These images are unlike those that the predictor was trained on (distance {distance:.1f}, known to 1.0): "
            "intervals are wider by that factor, and the order deserves less trust; try rerank ensemble."
        )
    ranked = _timed(pool, order, limits, top, data, timed)
    beyond = max(candidate.macs for candidate in ranked) / LARGEST
    if beyond > 1:
        warnings.append(
            f"Networks of up to {beyond * LARGEST:,.0f} multiply-adds are listed, {beyond:.2g} times the largest that "
            "the predictor was trained on: their order is extrapolated; set the most multiply-adds, or try nas.fit."
        )
    front = tuple(pool.candidate(i) for i in pareto(pool.predicted.standing, pool.macs, order))
    return Search(ranked, front, (len(pool.architectures), len(fitting)), distance, description, tuple(warnings))


def _everything(data: Images, description: Description, model: MetaModel, choices: Sequence[Macro]) -> _Pool:
    numbers = cells.searchable()
    grid = cells.every_cell()[numbers]
    predicted = model.predict_all(choices, description, numbers)
    sizes = [
        np.concatenate([count(grid, macro, data.channels, data.classes) for macro in choices])
        for count in (params, macs)
    ]
    architectures = _Product(numbers.tolist(), list(choices))
    return _Pool(architectures, predicted, sizes[0], sizes[1])


class _Product(Sequence[Architecture]):
    """All cells in all macro networks, made when they are asked for."""

    def __init__(self, numbers: list[int], choices: list[Macro]) -> None:
        self.numbers, self.choices = numbers, choices

    def __len__(self) -> int:
        return len(self.numbers) * len(self.choices)

    def __getitem__(self, place: int) -> Architecture:  # type: ignore[override]
        macro, cell = divmod(int(place), len(self.numbers))
        return Architecture(self.numbers[cell], self.choices[macro])


def _drawn(data: Images, description: Description, model: MetaModel, n: int, seed: int) -> _Pool:
    drawn = [a for a in model.draw(description, n, seed=seed).architectures() if isinstance(a, Architecture)]
    found = sorted({Architecture(cells.to_index(cells.simplify(cells.from_index(a.cell))), a.macro) for a in drawn})
    found = [a for a in found if cells.connected(cells.from_index(a.cell))]
    if not found:
        raise NasError("the generator drew no network that is connected; draw more.")
    return pool_of(found, data, description, model)


def _proposed(data: Images, description: Description, model: MetaModel, limits: Limits, calls: int, seed: int) -> _Pool:
    """Of the larger space: what the generator draws. Evolution on predictions finds what these overrate (measured in
    `benchmarks/nas_generator.py`); it helps out only where the generator draws hardly anything within the limits."""
    fits = within(limits.params, limits.macs, data.channels, data.classes)
    found = propose("generator", model, description, calls, fits, seed)
    if len(found) < FEW:
        found = propose("generator and evolution", model, description, calls, fits, seed)
    return pool_of(sorted(found) or [SMALLEST], data, description, model)


def pool_of(found: Sequence[Design], data: Images, description: Description, model: MetaModel) -> _Pool:
    """Score given networks."""
    sizes = model.space.sizes(found, data.channels, data.classes)
    return _Pool(found, model.predict(found, description), *sizes, model.space)


def _unsatisfiable(pool: _Pool, limits: Limits) -> str:
    asked = [
        f"at most {value:,.0f} {name}"
        for name, value in (("parameters", limits.params), ("multiply-adds", limits.macs))
        if value != float("inf")
    ]
    least = int(pool.params.argmin()), int(pool.macs.argmin())
    return (
        f"no network has {' and '.join(asked)}: the fewest parameters are {pool.params[least[0]]:,} (with "
        f"{pool.macs[least[0]]:,} multiply-adds), the fewest multiply-adds {pool.macs[least[1]]:,} (with "
        f"{pool.params[least[1]]:,} parameters)."
    )


def _reranked(pool: _Pool, order: np.ndarray, data: Images, rerank: str, seed: int) -> np.ndarray:
    first = order[:SHORTLIST]
    ranks = [np.arange(len(first))]
    for name in RERANKS[rerank]:
        values = proxies.scores([pool.architectures[i] for i in first], data, name, seed)
        ranks.append(np.argsort(np.argsort(-values, kind="stable"), kind="stable"))
    return np.concatenate([first[np.argsort(np.mean(ranks, axis=0), kind="stable")], order[SHORTLIST:]])


def _timed(
    pool: _Pool, order: np.ndarray, limits: Limits, top: int, data: Images, timed: bool
) -> tuple[Candidate, ...]:
    """The first `top`, with their measured latency, those that are too slow left out."""
    if limits.latency_ms == float("inf"):
        first = (pool.candidate(i) for i in order[:top])
        return tuple(with_latency(candidate, data) if timed else candidate for candidate in first)
    kept: list[Candidate] = []
    fastest = float("inf")
    small = order[np.argsort(pool.macs[order], kind="stable")[:3]]
    for i in [*order[:MEASURED], *order[MEASURED :: max(1, len(order) // 40)], *small]:
        measured = latency(pool.architectures[i], data)
        fastest = min(fastest, measured)
        if measured <= limits.latency_ms and all(pool.architectures[i] != c.architecture for c in kept):
            kept.append(pool.candidate(i, measured))
        if len(kept) == top:
            break
    if not kept:
        raise NasError(
            f"no network answers within {limits.latency_ms:g} ms on this machine: the fastest took {fastest:.2g} ms."
        )
    return tuple(kept)


def pareto(value: np.ndarray, cost: np.ndarray, chosen: np.ndarray) -> list[int]:
    """Of the chosen ones, those that none as cheap exceeds, cheapest first."""
    order = chosen[np.lexsort((-value[chosen], cost[chosen]))]
    reached = np.maximum.accumulate(value[order])
    first = np.concatenate([[True], value[order][1:] > reached[:-1]])
    return [int(i) for i in order[first]]


def with_latency(candidate: Candidate, data: Images) -> Candidate:
    """The same with its latency measured."""
    return replace(candidate, latency_ms=latency(candidate.architecture, data))
