"""How good a prediction is: ROC and what follows from it, calibration, resolution and bias, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.errors import PhysicsError, between

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Half the width of a 68 % interval."""
        return (self.high - self.low) / 2


def _check(label: NDArray[Any], score: NDArray[Any]) -> tuple[NDArray[np.bool_], Array]:
    label, score = np.asarray(label), np.asarray(score, float)
    if label.shape != score.shape or label.ndim != 1:
        raise PhysicsError(f"score must have the shape of label, {label.shape}, but has {score.shape}.")
    if not np.isin(label, (0, 1)).all():
        raise PhysicsError(f"label must be 0 or 1, but is {label[~np.isin(label, (0, 1))][0]}.")
    if not np.isfinite(score).all():
        raise PhysicsError(f"score must be finite, but holds {int((~np.isfinite(score)).sum())} values that are not.")
    if len(np.unique(label)) < 2:
        raise PhysicsError("label must hold both classes: with one class alone ROC and AUC are not defined.")
    return label.astype(bool), score


def roc(label: NDArray[Any], score: NDArray[Any]) -> tuple[Array, Array]:
    """Background and signal efficiency at every threshold, from (0, 0) to (1, 1); equal scores are one step.

    Raises:
        PhysicsError: one class only, labels other than 0 and 1, or scores that are not finite.
    """
    signal, score = _check(label, score)
    order = np.argsort(-score, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]
    true = np.cumsum(signal[order])[last]
    false = last + 1 - true
    return np.r_[0.0, false / (~signal).sum()], np.r_[0.0, true / signal.sum()]


def auc(label: NDArray[Any], score: NDArray[Any]) -> float:
    """Area under the ROC curve; equal scores count one half."""
    background, signal = roc(label, score)
    return float(np.trapezoid(signal, background))


def rejection(label: NDArray[Any], score: NDArray[Any], efficiency: float) -> float:
    """1 / eps_B at signal efficiency eps_S, interpolated along the ROC curve; infinite when no background passes."""
    between("efficiency", efficiency, 0, 1)
    background, signal = roc(label, score)
    passed = float(np.interp(efficiency, signal, background))
    return 1 / passed if passed > 0 else float("inf")


def accuracy(label: NDArray[Any], score: NDArray[Any], threshold: float = 0.5) -> float:
    """Share of events on the right side of a threshold on the probability."""
    return float(((np.asarray(score) > threshold) == np.asarray(label).astype(bool)).mean())


def bootstrap(
    measure: Callable[..., float],
    *columns: NDArray[Any],
    rng: np.random.Generator,
    draws: int = 200,
    level: float = 0.68,
) -> Interval:
    """A measure of some columns of events and its percentile interval over resampled events.

    Raises:
        PhysicsError: the measure is not defined for these events, or for hardly any resampling of them.
    """
    found = measure(*columns)
    n = len(columns[0])
    values = []
    for _ in range(draws):
        chosen = rng.integers(0, n, n)
        try:
            values.append(measure(*(column[chosen] for column in columns)))
        except PhysicsError:  # a draw of one class alone
            continue
    if not values:
        raise PhysicsError("Too few events of one class for an interval.")
    # A draw itself, not a value between two: a rejection is infinite when no background event is left.
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(found, float(low), float(high))


def calibration(
    label: NDArray[Any], probability: NDArray[Any], bins: int = 10
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Mean probability, share of signal and number of events, in equal bins of the probability."""
    probability = np.asarray(probability, float)
    place = np.clip((probability * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    safe = np.maximum(count, 1)
    mean, share = (np.bincount(place, values, bins) / safe for values in (probability, np.asarray(label, float)))
    return mean, share, count


def resolution(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Standard deviation of predicted - truth."""
    return float(np.std(np.asarray(predicted, float) - np.asarray(truth, float)))


def bias(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Mean of predicted - truth."""
    return float(np.mean(np.asarray(predicted, float) - np.asarray(truth, float)))


def against(
    truth: NDArray[Any], predicted: NDArray[Any], variable: NDArray[Any], bins: int = 6
) -> dict[str, list[float]]:
    """Bias and resolution in bins of another variable that hold equally many events."""
    edges = np.quantile(variable, np.linspace(0, 1, bins + 1))
    place = np.clip(np.searchsorted(edges, variable, side="right") - 1, 0, bins - 1)
    rows: dict[str, list[float]] = {"centre": [], "bias": [], "error": [], "resolution": []}
    for index in np.unique(place):
        chosen = place == index
        rows["centre"].append(float(np.mean(variable[chosen])))
        rows["bias"].append(bias(truth[chosen], predicted[chosen]))
        rows["resolution"].append(resolution(truth[chosen], predicted[chosen]))
        rows["error"].append(rows["resolution"][-1] / float(np.sqrt(chosen.sum())))
    return rows


def divergence(one: NDArray[Any], other: NDArray[Any], bins: int = 30) -> float:
    """Jensen-Shannon divergence, in bits, of two samples' histograms: how much a selection sculpts a variable."""
    low, high = np.quantile(np.concatenate([one, other]), [0.001, 0.999])
    p, q = (np.histogram(sample, bins, (low, high))[0].astype(float) for sample in (one, other))
    p, q = p / max(p.sum(), 1), q / max(q.sum(), 1)
    middle = (p + q) / 2

    def kl(a: Array) -> float:
        real = a > 0
        return float((a[real] * np.log2(a[real] / middle[real])).sum())

    return (kl(p) + kl(q)) / 2
