"""A linear probe: softmax regression on frozen vectors, fitted to the optimum, so that no seed and no rate matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray, IntArray
from colonnade.multilingual.errors import MultilingualError, enough


@dataclass(frozen=True)
class Probe:
    """`weight` is (d + 1, classes) on standardised vectors, the last row the offsets; `labels` names the classes."""

    labels: tuple[str, ...]
    weight: FloatArray
    mean: FloatArray
    deviation: FloatArray

    def logits(self, vectors: FloatArray) -> FloatArray:
        """(n, classes).

        Raises:
            MultilingualError: the vectors are of another width than those of the training.
        """
        if vectors.shape[1] != len(self.mean):
            width = vectors.shape[1]
            raise MultilingualError(f"the probe reads {len(self.mean)} dimensions, but these vectors have {width}")
        return np.asarray((vectors - self.mean) / self.deviation @ self.weight[:-1] + self.weight[-1])

    def predict(self, vectors: FloatArray) -> list[str]:
        """The most probable label of each row."""
        return [self.labels[i] for i in self.logits(vectors).argmax(axis=1)]


def fit_probe(vectors: FloatArray, labels: Sequence[str], penalty: float = 1.0, rounds: int = 150) -> Probe:
    """Fit by L-BFGS; `penalty` / 2 times the squared weights is added to the summed negative log likelihood.

    Args:
        vectors: (n, d).
        labels: one a row.
        penalty: of weights on standardised dimensions.
        rounds: most iterations.

    Raises:
        MultilingualError: numbers of rows and labels differ, one label only, or broken vectors.
    """
    from scipy.optimize import minimize

    if len(vectors) != len(labels):
        raise MultilingualError(f"there are {len(vectors)} vectors but {len(labels)} labels")
    names = tuple(sorted(set(labels)))
    enough("different labels", len(names), 2, "a classifier")
    if not np.isfinite(vectors).all():
        raise MultilingualError("vectors hold NaN or infinite values; the encoder is broken")
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    deviation = np.where(deviation > 1e-8, deviation, 1)
    x = np.concatenate([(vectors - mean) / deviation, np.ones((len(vectors), 1))], axis=1).astype(np.float32)
    y: IntArray = np.searchsorted(np.array(names), np.array(labels))
    rows = np.arange(len(y))

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        weight = flat.reshape(x.shape[1], len(names))
        logits = x @ weight.astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        exponentials = np.exp(logits)
        total = exponentials.sum(axis=1, keepdims=True)
        likelihood = float((logits[rows, y] - np.log(total[:, 0])).sum(dtype=np.float64))
        exponentials /= total
        exponentials[rows, y] -= 1
        gradient = (x.T @ exponentials).astype(np.float64)
        gradient[:-1] += penalty * weight[:-1]
        value = -likelihood + penalty / 2 * float((weight[:-1] ** 2).sum())
        return value / len(y), gradient.ravel() / len(y)

    start = np.zeros(x.shape[1] * len(names))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": rounds, "ftol": 1e-9})
    return Probe(names, found.x.reshape(x.shape[1], len(names)), mean, deviation)
