"""Few-shot refinement: a handful of short trainings on the user's own images correct the prediction.

What the predictor gets wrong on one data set is alike for like networks: a Gaussian process over the members' standings
and the sizes takes what the trainings show and spreads it. It stops when no further training promises enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from colonnade.nas.data import Images
from colonnade.nas.ensemble import Predicted
from colonnade.nas.errors import between
from colonnade.nas.predictor import from_logit, logit
from colonnade.nas.searching import Candidate
from colonnade.nas.spaces import Design
from colonnade.nas.training import SHORT, Diverged, Schedule, train

LEVEL_SPREAD, SHAPE_SPREAD, NOISE = (
    1.0,
    0.45,
    0.2,
)  # of residuals on the scale of logits: common, by network, of a training
LENGTH = 1.5  # of the kernel, in standard deviations of what describes a network


@dataclass(frozen=True)
class Refined:
    """What the trainings taught.

    Attributes:
        trained: places of the networks that were trained, in order.
        accuracies: of these, in %.
        logits, spread: mean and standard deviation of the logit accuracies of all networks now, float64 [n].
        stopped: why there were no more trainings.
    """

    trained: tuple[int, ...]
    accuracies: tuple[float, ...]
    logits: np.ndarray
    spread: np.ndarray
    stopped: str

    @property
    def order(self) -> np.ndarray:
        """Places of the networks, best first."""
        return np.argsort(-self.logits, kind="stable")

    def interval(self, place: int) -> tuple[float, float]:
        """90 % interval of a network's accuracy after a short training, in %."""
        low, high = self.logits[place] + np.array([-1.645, 1.645]) * self.spread[place]
        return float(from_logit(low)), float(from_logit(high))


def refine(
    architectures: Sequence[Design],
    predicted: Predicted,
    sizes: np.ndarray,
    data: Images,
    *,
    trainings: int = 12,
    worth: float = 0.2,
    schedule: Schedule = SHORT,
    seed: int = 0,
    evaluate: Callable[[Design], float] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Refined:
    """Train a few networks for a short time, each the one that promises most, and learn from each.

    Args:
        architectures: to choose from; a few hundred.
        predicted: of them.
        sizes: numbers that describe them, float [n, k]; on any scale.
        trainings: at most this many.
        worth: stop when the best further training promises less than this, in points of accuracy.
        evaluate: instead of a short training, gives an accuracy in %.
    """
    between("trainings", trainings, 1, 64)
    found = np.column_stack([predicted.standing, sizes])
    found = (found - found.mean(0)) / (found.std(0) + 1e-9)
    kernel = LEVEL_SPREAD**2 + SHAPE_SPREAD**2 * np.exp(-0.5 * _squares(found) / LENGTH**2)
    run = evaluate or (lambda a: train(a, data, schedule, seed).accuracy)
    trained: list[int] = []
    accuracies: list[float] = []
    failed: set[int] = set()
    mean, spread, stopped = predicted.logits.copy(), np.sqrt(np.diag(kernel)), f"all {trainings} trainings were run"
    for number in range(trainings):
        promise = _improvement(mean, spread, trained, failed)
        place = int(promise.argmax())
        if len(trained) >= 4:
            gain = promise[place] * _slope(mean[place])
            if gain < worth:
                stopped = f"after {len(trained)} trainings a further one promised {gain:.2f} points only"
                break
        try:
            accuracies.append(run(architectures[place]))
        except Diverged:
            failed.add(place)
            continue
        trained.append(place)
        mean, spread = _posterior(kernel, predicted.logits, trained, logit(np.array(accuracies)))
        if progress is not None:
            progress(number + 1)
    return Refined(tuple(trained), tuple(accuracies), mean, spread, stopped)


def updated(candidates: Sequence[Candidate], learned: Refined) -> tuple[Candidate, ...]:
    """The candidates in their new order, with what the trainings taught of their accuracies."""
    found = []
    for place in learned.order.tolist():
        low, high = learned.interval(place)
        value = float(from_logit(learned.logits[place]))
        found.append(replace(candidates[place], accuracy=value, lower=low, upper=high))
    return tuple(found)


def _squares(found: np.ndarray) -> np.ndarray:
    return np.asarray(((found[:, None] - found[None]) ** 2).sum(2) / found.shape[1])


def _posterior(
    kernel: np.ndarray, prior: np.ndarray, trained: list[int], seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    across = kernel[:, trained]
    inside = kernel[np.ix_(trained, trained)] + NOISE**2 * np.eye(len(trained))
    weights = np.linalg.solve(inside, across.T).T
    mean = prior + weights @ (seen - prior[trained])
    variance = np.diag(kernel) - (weights * across).sum(1)
    return mean, np.sqrt(np.maximum(variance, 1e-9) + NOISE**2)


def _improvement(mean: np.ndarray, spread: np.ndarray, trained: list[int], failed: set[int]) -> np.ndarray:
    """Expected gain over the best mean of those that were trained, on the scale of logits."""
    if not trained:
        return np.asarray(mean - mean.min() + 1)
    best = mean[trained].max()
    own = np.sqrt(np.maximum(spread**2 - NOISE**2, 1e-9))
    z = (mean - best) / own
    found = own * (z * norm.cdf(z) + norm.pdf(z))
    found[[*trained, *failed]] = -1
    return np.asarray(found)


def _slope(value: float) -> float:
    """Points of accuracy for a unit of the logit."""
    share = from_logit(np.array(value)) / 100
    return float(100 * share * (1 - share))
