"""Word alignment from the similarity of contextual vectors.

Argmax and itermax: Jalili Sabet et al. 2020 (arXiv:2004.08728); two-way softmax: Dou and Neubig 2021
(arXiv:2101.08231); entropic: optimal transport with uniform marginals by Sinkhorn's iteration (Cuturi 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from colonnade.multilingual._types import BoolArray, FloatArray
from colonnade.multilingual.align.sentences import unit
from colonnade.multilingual.errors import between, one_of

Links = set[tuple[int, int]]


def argmax_links(similarity: FloatArray) -> BoolArray:
    """Pairs that are each other's best, as a matrix (m, n) of booleans; of equals the first is best."""
    forward, backward = similarity.argmax(axis=1), similarity.argmax(axis=0)
    found = np.zeros(similarity.shape, bool)
    rows = np.flatnonzero(backward[forward] == np.arange(len(forward)))
    found[rows, forward[rows]] = True
    return found


def itermax_links(similarity: FloatArray, rounds: int = 2, discount: float = 0.9) -> BoolArray:
    """Argmax again among what is not aligned on both sides yet; what is aligned on one side counts `discount` times.

    Sentences of one or two tokens get one round only, as in the authors' implementation.
    """
    found = argmax_links(similarity)
    if min(similarity.shape) <= 2:
        return found
    for _ in range(rounds - 1):
        rows, columns = np.any(found, axis=1), np.any(found, axis=0)
        if rows.all() or columns.all():
            break
        taken = rows[:, None] & columns[None, :]
        half = rows[:, None] ^ columns[None, :]
        weighted = np.where(taken, 0, np.where(half, similarity * similarity.dtype.type(discount), similarity))
        added = argmax_links(weighted) & ~taken
        if not added.any():
            break
        found |= added
    return found


def softmax_links(similarity: FloatArray, threshold: float = 1e-3, temperature: float = 1.0) -> BoolArray:
    """Pairs whose probability is above `threshold` by softmax over rows and over columns.

    `similarity` is the dot product of vectors here, not a cosine: probabilities of cosines are all alike.
    """
    between("threshold", threshold, 0, 1)
    scaled = similarity.astype(np.float64) / temperature
    rows = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    columns = np.exp(scaled - scaled.max(axis=0, keepdims=True))
    return np.asarray(
        (rows / rows.sum(axis=1, keepdims=True) > threshold)
        & (columns / columns.sum(axis=0, keepdims=True) > threshold)
    )


def transport(similarity: FloatArray, regularisation: float = 0.05, rounds: int = 500) -> FloatArray:
    """The entropic transport plan (m, n) between uniform marginals that gains most similarity; it sums to 1."""
    between("regularisation", regularisation, 1e-3, 10)
    m, n = similarity.shape
    scaled = similarity.astype(np.float64) / regularisation
    kernel = np.exp(scaled - scaled.max())
    u, v = np.ones(m), np.ones(n)
    for _ in range(rounds):
        before = u
        u = 1 / (m * np.maximum(kernel @ v, 1e-300))
        v = 1 / (n * np.maximum(kernel.T @ u, 1e-300))
        if np.allclose(u, before, rtol=1e-9):
            break
    return np.asarray(u[:, None] * kernel * v[None, :])


def entropic_links(similarity: FloatArray, regularisation: float = 0.05, share: float = 0.5) -> BoolArray:
    """Pairs that carry at least `share` of what the plan moves from their row, or to their column, and that are the
    most of the other."""
    between("share", share, 0, 1)
    plan = transport(similarity, regularisation)
    m, n = plan.shape
    best_row = plan == plan.max(axis=1, keepdims=True)
    best_column = plan == plan.max(axis=0, keepdims=True)
    return np.asarray(((plan * m >= share) & best_column) | ((plan * n >= share) & best_row))


METHODS: dict[str, Callable[[FloatArray], BoolArray]] = {
    "argmax": argmax_links,
    "itermax": itermax_links,
    "entropic": entropic_links,
    "softmax": softmax_links,
}


def links(source: FloatArray, target: FloatArray, method: str = "argmax") -> BoolArray:
    """Links between two sentences' vectors, (m, d) and (n, d), as a matrix of booleans."""
    one_of("method", method, METHODS)
    if method == "softmax":
        return softmax_links(source @ target.T)
    # (1 + cosine) / 2: itermax discounts similarities, which must not be negative for that
    return METHODS[method]((unit(source) @ unit(target).T + 1) / 2)


def word_links(
    source: FloatArray,
    target: FloatArray,
    source_words: Sequence[int],
    target_words: Sequence[int],
    method: str = "argmax",
    level: str = "subword",
) -> Links:
    """Links between words, from vectors of their pieces.

    Args:
        source, target: (pieces, d).
        source_words, target_words: the word of each piece.
        method: one of `METHODS`.
        level: "subword": words are linked when any of their pieces are; "word": each word is the mean of its pieces.
    """
    one_of("level", level, ("subword", "word"))
    if not len(source) or not len(target):
        return set()
    if level == "word":
        source, source_words = _means(source, source_words)
        target, target_words = _means(target, target_words)
    rows, columns = np.nonzero(links(source, target, method))
    return {(source_words[i], target_words[j]) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)}


def _means(vectors: FloatArray, words: Sequence[int]) -> tuple[FloatArray, list[int]]:
    there, inverse, counts = np.unique(np.asarray(words), return_inverse=True, return_counts=True)
    sums = np.zeros((len(there), vectors.shape[1]), vectors.dtype)
    np.add.at(sums, inverse, vectors)
    return sums / counts[:, None].astype(vectors.dtype), there.tolist()
