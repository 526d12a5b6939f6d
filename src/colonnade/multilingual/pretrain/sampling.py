"""How often each language is drawn: by an exponent of its size, or by UniMax.

q_i ∝ p_i^α with p_i = n_i / Σ n (Conneau and Lample 2019, arXiv:1901.07291, eq. 1). UniMax (Chung et al. 2023,
arXiv:2304.09151, algorithm 1) shares a budget out evenly, but never asks a language for more than so many epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import MultilingualError, between, enough


def sampling_probabilities(sizes: Mapping[str, float], alpha: float) -> dict[str, float]:
    """q_i ∝ (n_i / Σ n)^α: 1 draws by size, 0 all alike.

    Raises:
        MultilingualError: α is outside of [0, 1], or a language has nothing.
    """
    between("alpha", alpha, 0, 1)
    counts = _counts(sizes)
    weights = (counts / counts.sum()) ** alpha
    return dict(zip(sizes, (weights / weights.sum()).tolist(), strict=True))


def unimax(sizes: Mapping[str, float], budget: float, epochs: float) -> dict[str, float]:
    """Draw all languages alike, except those that would then be seen more than `epochs` times.

    Args:
        sizes: of each language, in the unit of the budget (sentences here, characters in the paper).
        budget: what is drawn in all.
        epochs: most passes over a language.

    Raises:
        MultilingualError: a language has nothing, or budget or epochs are not above 0.
    """
    counts = _counts(sizes)
    if budget <= 0 or epochs <= 0:
        raise MultilingualError(f"budget is {budget:g} and epochs {epochs:g}; both must be above 0")
    left, share = float(budget), np.empty(len(counts))
    order = np.argsort(counts, kind="stable")
    for rank, index in enumerate(order):
        share[index] = min(left / (len(order) - rank), counts[index] * epochs)
        left -= share[index]
    return dict(zip(sizes, (share / share.sum()).tolist(), strict=True))


@dataclass(frozen=True)
class Mixing:
    """What a sampler does to each language: its share of the data, its share of the draws, and its epochs."""

    languages: tuple[str, ...]
    sizes: tuple[int, ...]
    shares: tuple[float, ...]
    drawn: tuple[float, ...]
    epochs: tuple[float, ...]

    @property
    def warnings(self) -> list[str]:
        """Languages that are repeated so often that they are rather learnt by heart (more than 100 epochs)."""
        return [
            f"{name} is seen {times:.0f} times; lower alpha means more repetition of small languages"
            for name, times in zip(self.languages, self.epochs, strict=True)
            if times > 100
        ]


def mixing(sizes: Mapping[str, int], probabilities: Mapping[str, float], draws: float) -> Mixing:
    """Report a sampler before it runs: `draws` is the number of sentences that will be drawn."""
    total = sum(sizes.values())
    return Mixing(
        tuple(sizes),
        tuple(sizes.values()),
        tuple(size / total for size in sizes.values()),
        tuple(probabilities[name] for name in sizes),
        tuple(draws * probabilities[name] / size for name, size in sizes.items()),
    )


def _counts(sizes: Mapping[str, float]) -> FloatArray:
    enough("languages", len(sizes), 1, "sampling")
    for name, size in sizes.items():
        if not size > 0:
            raise MultilingualError(f"language {name} has {size:g} sentences; leave it out")
    return np.array(list(sizes.values()), np.float64)
