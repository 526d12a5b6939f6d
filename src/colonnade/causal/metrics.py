"""Metrics of world models: ranking, interactions, counterfactuals, identification of the true variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.errors import CausalError
from colonnade.causal.simulation import kernels

Array = NDArray[Any]
BLOCK = 128  # rows of the distance matrix held at a time


@dataclass(frozen=True)
class Ranking:
    """Ranks of one's own prediction among all predictions, by distance to the true next state.

    Attributes:
        rank: (rows,) how many predictions are strictly nearer (ties count in favour, as in Ke et al.).
        tied: (rows,) how many predictions made for a different true state are exactly as near.
        distinct: how many different true states there are; with one, H@1 is 100 whatever the model does.
    """

    rank: Array
    tied: Array
    distinct: int

    def hits(self, k: int = 1) -> float:
        """Percentage of rows whose own prediction is among the `k` nearest, ties in favour (H@k of the paper)."""
        return float((self.rank < k).mean() * 100)

    def strict_hits(self, k: int = 1) -> float:
        """The same with ties against: a constant prediction no longer wins."""
        return float((self.rank + self.tied < k).mean() * 100)

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank in percent."""
        return float((1 / (self.rank + 1.0)).mean() * 100)


def ranking(predicted: Array, true: Array, codes: Array | None = None) -> Ranking:
    """Rank each prediction; exact, ties included, whatever the rounding of fast products.

    Distances come from one float32 product for each block of rows; pairs too close for it to tell are settled in
    float64 by the difference itself. Equal predictions are looked at once, so that duplicates cost nothing.

    Args:
        predicted: (rows, d) predictions.
        true: (rows, d) encodings of the true next states.
        codes: (rows,) which true state each row has; by default equal rows of `true` are one state.

    Raises:
        CausalError: shapes differ, there are no rows, or a value is not finite.
    """
    p, t = _flat(predicted), _flat(true)
    if p.shape != t.shape or len(p) == 0:
        raise CausalError(f"predictions and true states must have one shape and a row, but have {p.shape}, {t.shape}.")
    if not (np.isfinite(p).all() and np.isfinite(t).all()):
        raise CausalError("predictions and true states must be finite, but hold NaN or infinity.")
    state = _groups(t) if codes is None else np.unique(np.asarray(codes), return_inverse=True)[1].ravel()
    column_of = _groups(p)
    _, first = np.unique(column_of, return_index=True)
    candidates, count = p[first], np.bincount(column_of).astype(np.int32)
    pairs = _groups(np.stack([state, _groups(t), column_of], 1).astype(np.float64))
    asked, where = np.unique(pairs, return_index=True)
    # How many of a column's predictions were made for a given state.
    made = np.unique(np.stack([column_of, state], 1), axis=0, return_counts=True)
    by_state = dict(zip(map(tuple, made[0].tolist()), made[1].tolist(), strict=True))
    rank, tied = np.zeros(len(asked), np.int64), np.zeros(len(asked), np.int64)
    centre = candidates.mean(0)
    shifted = candidates - centre
    norm = (shifted**2).sum(1)
    c32 = np.concatenate([-2 * shifted, norm[:, None]], 1).astype(np.float32)
    for start in range(0, len(asked), BLOCK):
        rows = where[start : start + BLOCK]
        _rank_block(
            t[rows], column_of[rows], state[rows], candidates, c32, norm, centre, count, by_state,
            rank[start : start + BLOCK], tied[start : start + BLOCK],
        )  # fmt: skip
    return Ranking(rank[pairs], tied[pairs], len(np.unique(state)))


def _rank_block(
    t: Array, own: Array, state: Array, candidates: Array, c32: Array, norm: Array, centre: Array, count: Array,
    by_state: dict[tuple[int, int], int], rank: Array, tied: Array,
) -> None:  # fmt: skip
    shifted = (t - centre).astype(np.float32)
    distance = np.concatenate([shifted, np.ones((len(t), 1), np.float32)], 1) @ c32.T  # less the row's own norm
    exact = ((t - candidates[own]) ** 2).sum(1)
    own_norm = ((t - centre) ** 2).sum(1)
    base = exact - own_norm
    # Rounding of a product of d terms is below d eps times the norms: of float32 there, of float64 in `base`.
    terms = 4 * (t.shape[1] + 8)
    slack = (np.sqrt(norm.max() * own_norm) + norm.max() + np.abs(base)) * (terms * np.finfo(np.float32).eps)
    slack += own_norm * (terms * np.finfo(np.float64).eps)
    low, high = (base - slack).astype(np.float32), (base + slack).astype(np.float32)
    within = np.empty(len(t), np.int64)
    kernels().count_nearer(distance, low, high, count, rank, within)
    several = np.flatnonzero(within > 1)  # one is the row's own prediction
    row, column = np.nonzero((distance[several] >= low[several, None]) & (distance[several] <= high[several, None]))
    row = several[row]
    for part in (slice(k, k + 1_000_000) for k in range(0, len(row), 1_000_000)):
        r, c = row[part], column[part]
        found = ((t[r] - candidates[c]) ** 2).sum(1)
        np.add.at(rank, r[found < exact[r]], count[c[found < exact[r]]])
        even = found == exact[r]
        np.add.at(tied, r[even], count[c[even]])
        for i, j in zip(r[even].tolist(), c[even].tolist(), strict=True):
            tied[i] -= by_state.get((j, int(state[i])), 0)
    alone = within == 1
    tied[alone] = [
        count[j] - by_state.get((j, i), 0) for i, j in zip(state[alone].tolist(), own[alone].tolist(), strict=True)
    ]


def _flat(values: Array) -> Array:
    array = np.asarray(values, np.float64)
    return array.reshape(len(array), int(np.prod(array.shape[1:])))


def _groups(rows: Array) -> Array:
    """(rows,) number of each row's group of equal rows."""
    contiguous = np.ascontiguousarray(rows) + 0.0  # -0 and 0 are equal but differ in their bytes
    view = contiguous.view(np.dtype((np.void, contiguous.dtype.itemsize * contiguous.shape[1])))
    return np.unique(view.ravel(), return_inverse=True)[1].ravel()


def nearer_share(predicted: Array, true: Array, negatives: list[Array]) -> float:
    """Percentage of rows whose prediction is strictly nearer to the truth than to every negative; NaN without rows.

    Args:
        predicted, true: (rows, ...).
        negatives: arrays of that shape; rows where a negative equals the truth do not count against.
    """
    p, t = _flat(predicted), _flat(true)
    if len(p) == 0:
        return float("nan")
    best = ((p - t) ** 2).sum(1)
    won = np.ones(len(p), bool)
    for negative in negatives:
        other = _flat(negative)
        won &= (best < ((p - other) ** 2).sum(1)) | (other == t).all(1)
    return float(won.mean() * 100)


@dataclass(frozen=True)
class Identification:
    """How well slots hold the true variables.

    Attributes:
        r2: (slots, variables) share of each variable's variance that one slot predicts linearly, on held-out rows.
        mcc: mean over variables of the matched slot's correlation, sqrt(r2), under the best one-to-one matching.
        matched: (variables,) slot matched to each variable.
        off: largest r2 of any other slot, mean over variables; small when variables are apart.
    """

    r2: Array
    mcc: float
    matched: Array
    off: float


def identification(slots: Array, variables: Array) -> Identification:
    """Match slots (rows, n, d) to true variables (rows, n, e) by ridge regression (Khemakhem et al. 2020; CITRIS).

    Raises:
        CausalError: fewer than 20 rows.
    """
    from scipy.optimize import linear_sum_assignment

    if len(slots) < 20:
        raise CausalError(f"identification needs at least 20 rows, but has {len(slots)}.")
    half = len(slots) // 2
    count = variables.shape[1]
    r2 = np.zeros((slots.shape[1], count))
    for i in range(slots.shape[1]):
        x = np.concatenate([slots[:, i], np.ones((len(slots), 1))], 1).astype(np.float64)
        gram = x[:half].T @ x[:half] + 1e-3 * np.eye(x.shape[1])
        for j in range(count):
            y = variables[:, j].astype(np.float64)
            guess = x[half:] @ np.linalg.solve(gram, x[:half].T @ y[:half])
            total = ((y[half:] - y[:half].mean(0)) ** 2).sum()
            r2[i, j] = max(0.0, 1 - ((y[half:] - guess) ** 2).sum() / total) if total > 0 else 0.0
    row, column = linear_sum_assignment(-r2)
    matched = row[np.argsort(column)]
    others = r2.copy()
    others[matched, np.arange(count)] = -np.inf
    return Identification(
        r2, float(np.sqrt(r2[matched, np.arange(count)]).mean()), matched, float(others.max(0).mean())
    )


def bootstrap_interval(values: Array, seed: int = 0, level: float = 0.95, draws: int = 2000) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values`; a single value has no width."""
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return float(values.mean()), float(values.mean())
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
