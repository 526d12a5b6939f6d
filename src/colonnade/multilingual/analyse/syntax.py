"""The structural probe: a projection under which squared distances between words are distances in the tree.

Hewitt and Manning 2019 (N19-1419), trained on one language and tested on others as Chi et al. 2020 (arXiv:2005.04511).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import MultilingualError, between, enough


@dataclass(frozen=True)
class StructuralProbe:
    """`projection` is (rank, d); the predicted distance of words i and j is ||B (h_i - h_j)||^2."""

    projection: FloatArray

    def distances(self, words: FloatArray) -> FloatArray:
        """Predicted tree distances (n, n) of one sentence's words (n, d)."""
        mapped = words @ self.projection.T
        squares = (mapped**2).sum(axis=1)
        return np.asarray(np.maximum(squares[:, None] + squares[None] - 2 * mapped @ mapped.T, 0))

    def score(self, sentences: Sequence[FloatArray], heads: Sequence[Sequence[int]]) -> tuple[float, float]:
        """UUAS (share of the tree's edges in the minimum spanning tree) and the mean Spearman correlation of distances.

        Sentences of fewer than three words are left out: their tree is known without looking.

        Raises:
            MultilingualError: no sentence has three words, or words and heads differ in number.
        """
        from scipy.sparse.csgraph import minimum_spanning_tree
        from scipy.stats import spearmanr

        hits = edges = 0
        correlations = []
        for words, tree in zip(sentences, heads, strict=True):
            if len(tree) < 3:
                continue
            gold, predicted = tree_distances(tree), self.distances(words)
            _same_length(words, tree)
            spanning = minimum_spanning_tree(predicted + 1e-9)  # 0 would be no edge
            found = {frozenset(map(int, pair)) for pair in zip(*spanning.nonzero(), strict=True)}
            true = {frozenset((i, head)) for i, head in enumerate(tree) if head >= 0}
            hits, edges = hits + len(found & true), edges + len(true)
            upper = np.triu_indices(len(tree), 1)
            if len(set(gold[upper].tolist())) > 1:
                correlations.append(spearmanr(gold[upper], predicted[upper]).statistic)
        enough("edges in sentences of three words and more", edges, 1, "a score of the probe")
        return hits / edges, float(np.mean(correlations)) if correlations else 0.0


def tree_distances(heads: Sequence[int]) -> FloatArray:
    """Number of edges between every two words (n, n), from the head of each (-1: the root).

    Raises:
        MultilingualError: the heads are no tree.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    n = len(heads)
    edges = [(i, head) for i, head in enumerate(heads) if head >= 0]
    graph = csr_array((np.ones(len(edges)), tuple(np.array(edges, int).reshape(-1, 2).T)), shape=(n, n))
    found = shortest_path(graph, directed=False, unweighted=True)
    if len(edges) != n - 1 or not np.isfinite(found).all():
        raise MultilingualError(f"{n} words with {len(edges)} edges are no tree: each word but one has a head")
    return np.asarray(found)


def fit_structural_probe(
    sentences: Sequence[FloatArray],
    heads: Sequence[Sequence[int]],
    rank: int = 64,
    steps: int = 30,
    rate: float = 0.02,
    seed: int = 0,
) -> StructuralProbe:
    """Fit B by Adam to the absolute error of distances, each sentence weighing as its pairs' mean.

    Args:
        sentences: vectors of words (n, d) by sentence.
        heads: of the same sentences.
        rank: rows of B, at most d.
        steps: passes over all sentences.
        rate: of Adam.
        seed: of the start.

    Raises:
        MultilingualError: fewer than ten sentences of two words and more, or words and heads differ in number.
    """
    kept = [(w.astype(np.float64), tree_distances(h)) for w, h in zip(sentences, heads, strict=True) if len(h) > 1]
    enough("sentences of two words and more", len(kept), 10, "a structural probe")
    for words, gold in kept:
        _same_length(words, gold)
    width = kept[0][0].shape[1]
    between("rank", rank, 1, width)
    rng = np.random.default_rng(seed)
    scale = 1 / np.sqrt(np.mean([words.var(axis=0).sum() for words, _ in kept]) + 1e-12)
    b = rng.normal(0, scale / np.sqrt(rank), (rank, width)) * np.sqrt(rank)
    rate = rate * scale
    first, second, count = np.zeros_like(b), np.zeros_like(b), 0
    for _ in range(steps):
        for start in range(0, len(kept), 20):
            gradient = sum(_gradient(b, *kept[i]) for i in range(start, min(start + 20, len(kept)))) / 20
            count += 1
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            step = first / (1 - 0.9**count) / (np.sqrt(second / (1 - 0.999**count)) + 1e-12)
            b = b - rate * step
    return StructuralProbe(b)


def _gradient(b: FloatArray, words: FloatArray, gold: FloatArray) -> FloatArray:
    """Of the mean over pairs of |distance - gold|: the sum of s_ij (h_i - h_j)(h_i - h_j)' is a graph Laplacian."""
    sign = np.sign(StructuralProbe(b).distances(words) - gold) / len(words) ** 2
    laplacian = np.diag(sign.sum(axis=1)) - sign
    return np.asarray(4 * (b @ words.T) @ laplacian @ words)


def _same_length(words: FloatArray, heads: Sequence[int] | FloatArray) -> None:
    if len(words) != len(heads):
        raise MultilingualError(f"a sentence has {len(words)} word vectors but {len(heads)} heads")
