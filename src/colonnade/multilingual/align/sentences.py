"""Scores between sentence vectors of two languages (cosine, CSLS, margin), retrieval and mining, block by block.

CSLS: Conneau et al. 2018 (arXiv:1710.04087); margins: Artetxe and Schwenk 2019 (arXiv:1811.01136).
Nothing of size n x n is held: memory grows with block x n.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from colonnade.multilingual._types import FloatArray, IntArray
from colonnade.multilingual.errors import MultilingualError, between, one_of

METRICS = ("cosine", "csls", "margin", "margin_distance")
BLOCK = 1024


def unit(vectors: FloatArray) -> FloatArray:
    """Rows of length one; a row of zeros stays zero.

    Raises:
        MultilingualError: the vectors hold NaN or infinities, or are no matrix.
    """
    if vectors.ndim != 2:
        raise MultilingualError(f"vectors have {vectors.ndim} axes; a matrix of one row a sentence is needed")
    if not np.isfinite(vectors).all():
        raise MultilingualError("vectors hold NaN or infinite values; the encoder is broken")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1))


def neighbour_means(x: FloatArray, y: FloatArray, k: int = 4, block: int = BLOCK) -> tuple[FloatArray, FloatArray]:
    """Mean cosine of each row of x with its k nearest rows of y, and of each row of y with its k nearest of x."""
    x, y = _pair(x, y)
    between("k", k, 1, min(len(x), len(y)))
    ours = np.empty(len(x), x.dtype)
    best = np.full((len(y), k), -np.inf, x.dtype)
    for start, cosines in _blocks(x, y, block):
        ours[start : start + len(cosines)] = np.partition(cosines, -k, axis=1)[:, -k:].mean(axis=1)
        best = np.partition(np.concatenate([best, cosines.T], axis=1), -k, axis=1)[:, -k:]
    return ours, best.mean(axis=1)


def scores(x: FloatArray, y: FloatArray, metric: str = "cosine", k: int = 4) -> FloatArray:
    """The whole matrix of scores (n, m); for a few thousand rows."""
    one_of("metric", metric, METRICS)
    x, y = _pair(x, y)
    means = None if metric == "cosine" else neighbour_means(x, y, k)
    return _rescale(x @ y.T, means, slice(None), metric)


def retrieve(
    x: FloatArray, y: FloatArray, metric: str = "cosine", k: int = 4, block: int = BLOCK
) -> tuple[IntArray, FloatArray]:
    """For each row of x, the row of y with the highest score (of equals the first), and that score.

    Args:
        x, y: (n, d) and (m, d).
        metric: one of `METRICS`.
        k: neighbourhood of CSLS and margins.
        block: rows of x at a time.
    """
    one_of("metric", metric, METRICS)
    x, y = _pair(x, y)
    means = None if metric == "cosine" else neighbour_means(x, y, k, block)
    found, best = np.empty(len(x), np.int64), np.empty(len(x), x.dtype)
    for start, cosines in _blocks(x, y, block):
        rows = slice(start, start + len(cosines))
        rescaled = _rescale(cosines, means, rows, metric)
        found[rows] = rescaled.argmax(axis=1)
        best[rows] = rescaled.max(axis=1)
    return found, best


def mine(
    x: FloatArray, y: FloatArray, metric: str = "margin", k: int = 4, threshold: float = -np.inf
) -> list[tuple[int, int, float]]:
    """Bitext mining: pairs (row of x, row of y, score), best first, each row used once.

    Candidates are the best of each direction (Artetxe and Schwenk's "max" strategy), taken from the highest score
    down; pairs below `threshold` are left.
    """
    forward, forward_score = retrieve(x, y, metric, k)
    backward, backward_score = retrieve(y, x, metric, k)
    candidates = {(i, int(j)): float(s) for i, (j, s) in enumerate(zip(forward, forward_score, strict=True))}
    candidates |= {(int(i), j): float(s) for j, (i, s) in enumerate(zip(backward, backward_score, strict=True))}
    used_x, used_y, found = set(), set(), []
    for (i, j), score in sorted(candidates.items(), key=lambda item: (-item[1], item[0])):
        if score < threshold:
            break
        if i not in used_x and j not in used_y:
            used_x.add(i)
            used_y.add(j)
            found.append((i, j, score))
    return found


def _pair(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    if x.ndim == 2 and y.ndim == 2 and x.shape[1] != y.shape[1]:
        raise MultilingualError(f"vectors have {x.shape[1]} and {y.shape[1]} dimensions; both must come from one model")
    return unit(x), unit(y)


def _blocks(x: FloatArray, y: FloatArray, block: int) -> Iterator[tuple[int, FloatArray]]:
    for start in range(0, len(x), block):
        yield start, x[start : start + block] @ y.T


def _rescale(cosines: FloatArray, means: tuple[FloatArray, FloatArray] | None, rows: slice, metric: str) -> FloatArray:
    if means is None:
        return cosines
    ours, theirs = means[0][rows, None], means[1][None, :]
    if metric == "csls":
        return 2 * cosines - ours - theirs
    if metric == "margin_distance":
        return cosines - (ours + theirs) / 2
    return cosines / ((ours + theirs) / 2)
