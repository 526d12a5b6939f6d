"""A tree of languages from distances between their representations, beside the family tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray, IntArray
from colonnade.multilingual.errors import MultilingualError, enough


@dataclass(frozen=True)
class Tree:
    """An average-linkage tree. `linkage` is (N-1, 4) as scipy writes it, `order` the leaves from left to right."""

    names: tuple[str, ...]
    linkage: FloatArray
    order: tuple[str, ...]

    @property
    def newick(self) -> str:
        """The tree in Newick's format, with branch lengths."""
        from scipy.cluster.hierarchy import to_tree

        def write(node, above: float) -> str:  # type: ignore[no-untyped-def]
            length = max(above - node.dist, 0)
            if node.is_leaf():
                return f"{self.names[node.id]}:{length:.4f}"
            return f"({write(node.left, node.dist)},{write(node.right, node.dist)}):{length:.4f}"

        root = to_tree(self.linkage)
        return f"({write(root.left, root.dist)},{write(root.right, root.dist)});"


def language_tree(distances: FloatArray, names: Sequence[str]) -> Tree:
    """Join the closest languages first, groups by their mean distance (UPGMA).

    Raises:
        MultilingualError: the matrix is no distance matrix of these languages, or there are fewer than three.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    enough("languages", len(names), 3, "a tree")
    flat = _condensed(distances, len(names))
    joined = optimal_leaf_ordering(linkage(flat, "average"), flat)
    return Tree(tuple(names), joined, tuple(names[i] for i in leaves_list(joined)))


def family_agreement(
    distances: FloatArray, reference: FloatArray, seed: int = 0, permutations: int = 2000
) -> tuple[float, float]:
    """Rank correlation of two distance matrices, and its p-value by permuting the languages of one (Mantel's test).

    Raises:
        MultilingualError: fewer than four languages, or matrices of different size.
    """
    from scipy.stats import rankdata

    n = len(distances)
    enough("languages", n, 4, "a test of agreement")
    first, second = rankdata(_condensed(distances, n)), _condensed(reference, n)
    upper = np.triu_indices(n, 1)
    full = np.zeros((n, n))
    full[upper] = rankdata(second)
    full += full.T

    def correlation(order: IntArray) -> float:
        return float(np.corrcoef(first, full[np.ix_(order, order)][upper])[0, 1])

    seen = correlation(np.arange(n))
    rng = np.random.default_rng(seed)
    higher = sum(correlation(rng.permutation(n)) >= seen - 1e-12 for _ in range(permutations))
    return seen, (higher + 1) / (permutations + 1)


def _condensed(distances: FloatArray, n: int) -> FloatArray:
    if distances.shape != (n, n) or not np.allclose(distances, distances.T, atol=1e-6):
        raise MultilingualError(f"a matrix of shape {distances.shape} holds no distances between {n} languages")
    return np.asarray(np.maximum((distances + distances.T)[np.triu_indices(n, 1)] / 2, 0))
