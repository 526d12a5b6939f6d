"""Intervals by the bootstrap, paired tests by permuting signs, Holm's correction for many tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray, IntArray
from colonnade.multilingual.errors import MultilingualError, between, enough


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval."""

    value: float
    low: float
    high: float


def bootstrap(
    counts: FloatArray,
    totals: FloatArray | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a mean, or of a ratio of sums, by drawing sentences with replacement.

    Args:
        counts: (n,) a score for each sentence, e.g. right tags in it.
        totals: (n,) what each is out of, e.g. its words; None: 1 each.
        level: of the interval.
        draws: bootstrap samples.
        seed: of the draws.

    Raises:
        MultilingualError: fewer than two sentences.
    """
    enough("test sentences", len(counts), 2, "an interval")
    between("level", level, 0.5, 0.999)
    counts = np.asarray(counts, np.float64)
    totals = np.ones(len(counts)) if totals is None else np.asarray(totals, np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    for start in range(0, draws, 250):  # memory: 250 x n
        weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), min(250, draws - start))
        means[start : start + len(weights)] = weights @ counts / np.maximum(weights @ totals, 1e-12)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(counts.sum() / max(totals.sum(), 1e-12)), float(low), float(high))


def bootstrap_statistic(
    n: int, statistic: Callable[[IntArray], float], *, level: float = 0.95, draws: int = 500, seed: int = 0
) -> Interval:
    """The same for any statistic of the indices drawn (with repetition), such as a span F1."""
    enough("test sentences", n, 2, "an interval")
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, n, n)) for _ in range(draws)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(np.arange(n))), float(low), float(high))


def paired_test(a: FloatArray, b: FloatArray, *, permutations: int = 5000, seed: int = 0) -> float:
    """Two-sided p-value for no difference of means between paired scores, by permuting the sign of each difference.

    Raises:
        MultilingualError: the scores are not of the same sentences, or there are fewer than two.
    """
    if len(a) != len(b):
        raise MultilingualError(f"{len(a)} and {len(b)} scores are no pairs; a paired test needs the same sentences")
    enough("paired scores", len(a), 2, "a paired test")
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    difference = difference[difference != 0]
    if not len(difference):
        return 1.0
    seen = abs(difference.sum())
    rng = np.random.default_rng(seed)
    more = 0
    for start in range(0, permutations, 500):
        signs = rng.integers(0, 2, (min(500, permutations - start), len(difference)), np.int8) * 2 - 1
        more += int((np.abs(signs @ difference) >= seen - 1e-9).sum())
    return (more + 1) / (permutations + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: the chance of any false finding stays below the level."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted.tolist()
