"""Static vectors of a vocabulary from raw text: where pieces are alike in use, their vectors are near.

FOCUS and WECHSEL use fastText for this. Here it is positive pointwise mutual information, factored by a truncated SVD:
nearly what skip-gram factors implicitly (Levy and Goldberg 2014; context smoothing 0.75, Levy et al. 2015), without a
further engine and without random weights. Own vectors can be given in their place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import between, enough


def static_vectors(
    lines: Sequence[Sequence[int]], vocabulary: int, *, dimension: int = 64, window: int = 4, seed: int = 0
) -> FloatArray:
    """Vectors (vocabulary, dimension) of pieces; those that never occur are zero.

    Args:
        lines: ids.
        vocabulary: number of ids.
        dimension: at most the number of pieces less one.
        window: neighbours on each side.
        seed: of the SVD's start.

    Raises:
        MultilingualError: fewer than two pieces in the text.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import svds

    between("window", window, 1, 50)
    flat = np.concatenate([np.asarray(line, np.int64) for line in lines] or [np.empty(0, np.int64)])
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    enough("pieces", len(flat), 2, "static vectors")
    pairs = []
    for distance in range(1, min(window, len(flat) - 1) + 1):
        same = owner[distance:] == owner[:-distance]
        a, b = flat[:-distance][same], flat[distance:][same]
        pairs += [(a, b), (b, a)]
    rows, columns = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
    counts = coo_array((np.ones(len(rows)), (rows, columns)), shape=(vocabulary, vocabulary)).tocsr().tocoo()
    total = counts.data.sum()
    own = np.bincount(counts.row, counts.data, vocabulary) / total
    context = np.bincount(counts.col, counts.data, vocabulary) ** 0.75
    context /= context.sum()
    information = np.log(counts.data / total / (own[counts.row] * context[counts.col]))
    positive = coo_array((np.maximum(information, 0), (counts.row, counts.col)), shape=counts.shape).tocsr()
    k = max(1, min(dimension, len(np.unique(flat)) - 1, vocabulary - 1))
    start = np.random.default_rng(seed).normal(size=vocabulary)
    left, values, _ = svds(positive, k=k, v0=start)
    return np.asarray(left * np.sqrt(values))
