"""What explains the gap of zero-shot transfer, and what a language without test data would score.

Factors as in Lauscher et al. 2020 (arXiv:2005.00633): overlap of vocabularies, typological distances, size of the
pretraining text. With tens of languages at most, a ridge regression judged by leaving one language out; intervals by
jackknife+ (Barber et al. 2021, arXiv:1905.02928), which cover at least 1 - 2a of
cases, and about 1 - a as a rule (77 % measured at level 0.8 with 15 languages and one factor that matters).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import MultilingualError, between, enough
from colonnade.multilingual.evaluate.statistics import holm

_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class FactorReport:
    """What each factor has to do with a score.

    Attributes:
        factors: names.
        correlation: Spearman's, of each factor alone.
        p_value: of each correlation by permutation, corrected by Holm.
        coefficient: of the ridge regression, per standard deviation of the factor, in units of the score.
        r2: share of variance that the regression explains in languages left out; below 0: worse than the mean.
    """

    factors: tuple[str, ...]
    correlation: tuple[float, ...]
    p_value: tuple[float, ...]
    coefficient: tuple[float, ...]
    r2: float
    languages: int


@dataclass(frozen=True)
class Prediction:
    """A predicted score with its interval at `level`."""

    value: float
    low: float
    high: float
    level: float


def vocabulary_overlap(a: Sequence[str], b: Sequence[str]) -> float:
    """Jaccard's overlap of the sets of pieces that two texts are made of, 0 to 1."""
    first, second = set(a), set(b)
    enough("pieces", len(first | second), 1, "an overlap")
    return len(first & second) / len(first | second)


def explain_gap(
    scores: Mapping[str, float], factors: Mapping[str, Mapping[str, float]], seed: int = 0, permutations: int = 5000
) -> FactorReport:
    """Relate a score by language (or a gap) to factors by language.

    Args:
        scores: by language, at least six.
        factors: name of the factor -> value by language.
        seed: of the permutations.
        permutations: their number.

    Raises:
        MultilingualError: too few languages, a factor lacks one, or is the same for all.
    """
    from scipy.stats import rankdata

    names = list(scores)
    enough("languages", len(names), 6, "an analysis of factors")
    x, y = _table(names, factors), np.array([scores[name] for name in names], float)
    ranks = rankdata(x, axis=0)
    ranks = (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)
    target = rankdata(y) - rankdata(y).mean()
    enough("different scores", len(set(y.tolist())), 2, "an analysis of factors")
    target = target / target.std()
    seen = ranks.T @ target / len(y)
    rng = np.random.default_rng(seed)
    shuffled = np.stack([rng.permutation(target) for _ in range(permutations)])
    more = (np.abs(shuffled @ ranks / len(y)) >= np.abs(seen) - 1e-12).sum(axis=0)
    weight, _ = _ridge(x, y)
    spread = y.var()
    error = np.mean([(y[i] - _leave_out(x, y, i)) ** 2 for i in range(len(y))])
    baseline = np.mean([(y[i] - np.delete(y, i).mean()) ** 2 for i in range(len(y))])
    return FactorReport(
        tuple(factors),
        tuple(map(float, seen)),
        tuple(holm([(count + 1) / (permutations + 1) for count in more.tolist()])),
        tuple(map(float, weight)),
        float(1 - error / baseline) if spread > 0 else 0.0,
        len(names),
    )


def predict_transfer(
    scores: Mapping[str, float],
    factors: Mapping[str, Mapping[str, float]],
    language: str,
    level: float = 0.9,
) -> Prediction:
    """Predict the score of a language that has factors but no score.

    Raises:
        MultilingualError: as `explain_gap`; fewer languages than the level needs; the language has a score already.
    """
    between("level", level, 0.5, 0.99)
    if language in scores:
        raise MultilingualError(f"{language} has a score already; leave it out of the scores to predict it")
    names = list(scores)
    enough("languages", len(names), max(6, int(np.ceil(1 / (1 - level))) - 1), f"an interval at {level:g}")
    x, y = _table(names, factors), np.array([scores[name] for name in names], float)
    new = _table([language], factors, varies=False)[0]
    low, high = [], []
    for i in range(len(y)):
        keep = np.arange(len(y)) != i
        residual = abs(y[i] - _predict(x[keep], y[keep], x[i]))
        centre = _predict(x[keep], y[keep], new)
        low.append(centre - residual)
        high.append(centre + residual)
    rank = int(np.ceil(level * (len(y) + 1)))
    return Prediction(
        float(_predict(x, y, new)),
        float(-np.sort(-np.array(low))[min(rank, len(y)) - 1]),
        float(np.sort(high)[min(rank, len(y)) - 1]),
        level,
    )


def _table(names: Sequence[str], factors: Mapping[str, Mapping[str, float]], varies: bool = True) -> FloatArray:
    enough("factors", len(factors), 1, "an analysis of factors")
    for factor, values in factors.items():
        for name in names:
            if name not in values or not np.isfinite(values[name]):
                raise MultilingualError(f"factor {factor!r} has no value for {name}")
        if varies and len({values[name] for name in names}) == 1:
            raise MultilingualError(f"factor {factor!r} is the same for all languages and explains nothing")
    return np.array([[values[name] for values in factors.values()] for name in names], float)


def _ridge(x: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Weights per standard deviation, and the strength that leaves the least error when one row is left out."""
    deviation = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    centred = y - y.mean()
    best: tuple[float, FloatArray, float] | None = None
    for strength in _STRENGTHS:
        inverse = np.linalg.solve(z.T @ z + strength * np.eye(z.shape[1]), z.T)
        weight = inverse @ centred
        hat = (z * inverse.T).sum(axis=1) + 1 / len(y)
        error = float((((centred - z @ weight) / np.maximum(1 - hat, 1e-6)) ** 2).mean())
        if best is None or error < best[0]:
            best = (error, weight, strength)
    assert best is not None
    return best[1], best[2]


def _predict(x: FloatArray, y: FloatArray, new: FloatArray) -> float:
    deviation = x.std(axis=0)
    weight, _ = _ridge(x, y)
    return float(y.mean() + ((new - x.mean(axis=0)) / np.where(deviation > 0, deviation, 1)) @ weight)


def _leave_out(x: FloatArray, y: FloatArray, i: int) -> float:
    keep = np.arange(len(y)) != i
    return _predict(x[keep], y[keep], x[i])
