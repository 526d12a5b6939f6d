"""The table of a transfer: scores by language and layer, gaps to the source, their intervals and p-values.

The gap of a target is the source's score minus its own (Hu et al. 2020, sec. 5); intervals by the bootstrap over test
sentences, p-values corrected by Holm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.data.leaks import find_leaks
from colonnade.multilingual.errors import MultilingualError, enough
from colonnade.multilingual.evaluate.statistics import Interval, bootstrap, holm


@dataclass(frozen=True)
class TransferRow:
    """One test language at one layer: accuracy (of entities and answers F1), gap to the source and its p-value.

    `majority` is the score of always giving the most frequent label; `exact`, of answers, the share that is right to
    the letter.
    """

    language: str
    layer: int
    score: Interval
    gap: Interval
    p_value: float
    majority: float
    items: int
    exact: float | None = None


@dataclass(frozen=True)
class Transfer:
    """All rows; `best` is the layer with the highest mean over targets; `notes` warn of leaks, cuts, unseen labels.

    `losses` are those of the training's steps, where an encoder or a head was trained by steps.
    """

    source: str
    rows: tuple[TransferRow, ...]
    notes: tuple[str, ...]
    losses: tuple[float, ...] = ()

    @property
    def layers(self) -> list[int]:
        return sorted({row.layer for row in self.rows})

    @property
    def best(self) -> int:
        means = {
            layer: np.mean([row.score.value for row in self.rows if row.layer == layer and row.language != self.source])
            for layer in self.layers
        }
        return max(means, key=lambda layer: (means[layer], -layer))

    def at(self, layer: int) -> list[TransferRow]:
        """Rows of one layer, the source first."""
        return sorted((r for r in self.rows if r.layer == layer), key=lambda r: (r.language != self.source, r.language))


@dataclass(frozen=True)
class Scored:
    """One language: of each sentence what is right and of how much (a score is the ratio of their sums).

    `majority`, `items` and `exact` as in `TransferRow`.
    """

    right: FloatArray
    total: FloatArray
    majority: float
    items: int
    exact: float | None = None

    @property
    def score(self) -> float:
        """0 where nothing is there: no span, neither in the gold tags nor predicted."""
        return float(self.right.sum() / max(self.total.sum(), 1e-12))

    def draws(self, seed: int, count: int = 2000) -> FloatArray:
        """Scores of bootstrapped test sets."""
        rng, n = np.random.default_rng(seed), len(self.right)
        found = np.empty(count)
        for start in range(0, count, 250):
            weights = rng.multinomial(n, np.full(n, 1 / n), 250)
            found[start : start + 250] = weights @ self.right / np.maximum(weights @ self.total, 1e-12)
        return found


def warnings(train: Sequence[str], tests: Mapping[str, Sequence[str]]) -> list[str]:
    """Notes on leaks and on test sets that are too small to rank.

    Raises:
        MultilingualError: fewer than 10 sentences to train on, or 2 to test on.
    """
    enough("training sentences", len(train), 10, "a probe")
    found = []
    for name, lines in tests.items():
        enough(f"test sentences of {name}", len(lines), 2, "an interval")
        warning = find_leaks(train, lines).warning
        if warning:
            found.append(f"{name}: {warning}")
        if len(lines) < 30:
            found.append(f"{name}: {len(lines)} test sentences are too few to rank it; look at the interval")
    return found


def with_source(tests: Mapping[str, object], source: str) -> None:
    """Refuse tests of which none is in the source language.

    Raises:
        MultilingualError: so it is.
    """
    if source not in tests:
        raise MultilingualError(f"there is no test in the source language {source}; without one there is no gap")


def rows(scored: Mapping[str, Scored], source: str, layer: int, seed: int) -> list[TransferRow]:
    """The rows of a layer."""
    draws = {name: one.draws(seed + i) for i, (name, one) in enumerate(scored.items())}
    gaps, p_values = {}, {}
    for name, one in scored.items():
        difference = draws[source] - draws[name] if name != source else np.zeros(1)
        low, high = np.quantile(difference, [0.025, 0.975])
        gaps[name] = Interval(scored[source].score - one.score, float(low), float(high))
        # two-sided, by how often the bootstrapped difference lies on the other side of no gap
        other = min((difference <= 0).mean(), (difference >= 0).mean())
        p_values[name] = 1.0 if name == source else min(1.0, 2 * max(float(other), 1 / len(difference)))
    targets = [name for name in scored if name != source]
    corrected = dict(zip(targets, holm([p_values[name] for name in targets]), strict=True)) | {source: 1.0}
    return [
        TransferRow(
            name,
            layer,
            bootstrap(one.right, one.total, seed=seed),
            gaps[name],
            corrected[name],
            one.majority,
            one.items,
            one.exact,
        )
        for name, one in scored.items()
    ]
