"""Orthogonal maps between the spaces of two languages.

Procrustes: Schönemann 1966; refinement by induced dictionaries: Conneau et al. 2018 (arXiv:1710.04087).
"""

from __future__ import annotations

import numpy as np

from colonnade.multilingual._types import FloatArray, IntArray
from colonnade.multilingual.align.sentences import retrieve
from colonnade.multilingual.errors import MultilingualError, enough


def procrustes(x: FloatArray, y: FloatArray) -> FloatArray:
    """The orthogonal W (d, d) with the least ||x W - y||, from rows that belong together.

    Raises:
        MultilingualError: the matrices differ in shape or have a single row.
    """
    if x.shape != y.shape or x.ndim != 2:
        raise MultilingualError(f"matrices of shape {x.shape} and {y.shape} have no rows that belong together")
    enough("pairs of rows", len(x), 2, "Procrustes")
    left, _, right = np.linalg.svd(x.T.astype(np.float64) @ y.astype(np.float64))
    return np.asarray(left @ right)


def induce_dictionary(x: FloatArray, y: FloatArray, k: int = 10) -> tuple[IntArray, IntArray]:
    """Rows of x and y that are each other's best by CSLS: indices into both."""
    k = min(k, len(x), len(y))
    forward, backward = retrieve(x, y, "csls", k)[0], retrieve(y, x, "csls", k)[0]
    mutual = np.flatnonzero(backward[forward] == np.arange(len(x)))
    return mutual, forward[mutual]


def refine(x: FloatArray, y: FloatArray, w: FloatArray, rounds: int = 5, k: int = 10) -> FloatArray:
    """Improve a map by fitting it again and again to the dictionary that it induces; stops when that stays the same.

    Raises:
        MultilingualError: the map induces fewer than two pairs.
    """
    before = np.empty((0, 2), np.int64)
    for _ in range(rounds):
        left, right = induce_dictionary(x @ w, y, k)
        enough("mutual nearest neighbours", len(left), 2, "refining a map")
        pairs = np.stack([left, right], axis=1)
        if np.array_equal(pairs, before):
            break
        w, before = procrustes(x[left], y[right]), pairs
    return w
