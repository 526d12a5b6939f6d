"""What a search of the interaction space gives: complexes by the exact set of restraints that they satisfy.

One table of patterns and weights answers for every subset of restraints: how many complexes it leaves, which
restraints contradict the others, which largest subset is consistent, and how probable it is that a restraint is
false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.structure.restraints import Restraint, RestraintError
from colonnade.structure.structures import ResidueId, Structure
from colonnade.structure.voxels import DensityMap

Array = NDArray[np.float64]

DENSE_RESTRAINTS = 20
"""Up to here all subsets are tabulated; above, subsets are counted one at a time."""


@dataclass(frozen=True)
class Placement:
    """One complex of the search: the scanning body after x -> R x + t.

    Attributes:
        rotation: (3, 3) R.
        translation: (3,) t, Å.
        satisfied: number of restraints that hold.
        interaction: overlap with the surface layer of the fixed body, Å³.
    """

    rotation: Array
    translation: Array
    satisfied: int
    interaction: float

    def of(self, scanning: Structure) -> Structure:
        """The scanning body where this complex has it."""
        return scanning.moved(self.rotation, self.translation)


@dataclass(frozen=True)
class Contacts:
    """How often residues touch in the complexes that satisfy at least some number of restraints.

    Attributes:
        fixed: residues of the fixed body, F of them.
        scanning: residues of the scanning body, S of them.
        least: the smallest number of restraints that was followed, k0.
        matrix: (n + 1 - k0, F, S); row k - k0 is the mean number of contacts (0..1) of a residue pair over
            the complexes that satisfy at least k restraints.
    """

    fixed: tuple[ResidueId, ...]
    scanning: tuple[ResidueId, ...]
    least: int
    matrix: Array

    def of_fixed(self, restraints: int) -> Array:
        """(F,) mean number of scanning residues that each fixed residue touches."""
        result: Array = self.matrix[restraints - self.least].sum(axis=1)
        return result

    def of_scanning(self, restraints: int) -> Array:
        """(S,) mean number of fixed residues that each scanning residue touches."""
        result: Array = self.matrix[restraints - self.least].sum(axis=0)
        return result


@dataclass(frozen=True, eq=False)
class InteractionSpace:
    """Numbers of complexes by the restraints that they satisfy.

    Attributes:
        restraints: the n restraints.
        patterns: (P,) sets of restraints as bits (bit i for restraint i) that some complex satisfies exactly.
        weights: (P,) weighted number of complexes of each pattern. A rotation counts with its weight in the
            set.
        space: for each position of the scanning body's centre the largest number of restraints that a complex
            there satisfies.
        angle: covering radius of the rotation set that was searched, degrees.
        rotations: number of rotations.
        best: the complex with most restraints and, of those, the largest interaction volume; None when there is no
            complex.
        contacts: residue contacts, when they were asked for.
    """

    restraints: tuple[Restraint, ...]
    patterns: NDArray[np.int64]
    weights: Array
    space: DensityMap
    angle: float
    rotations: int
    best: Placement | None = None
    contacts: Contacts | None = None

    @property
    def n(self) -> int:
        """Number of restraints."""
        return len(self.restraints)

    @cached_property
    def _members(self) -> NDArray[np.bool_]:
        """(P, n) whether a pattern holds a restraint."""
        bits = (self.patterns[:, None] >> np.arange(self.n)[None, :]) & 1
        members: NDArray[np.bool_] = bits.astype(bool)
        return members

    @property
    def total(self) -> float:
        """Weighted number of all complexes, whatever they satisfy."""
        return float(self.weights.sum())

    @cached_property
    def complexes(self) -> Array:
        """(n + 1,) weighted number of complexes that satisfy exactly k restraints."""
        return np.bincount(self._members.sum(axis=1), self.weights, minlength=self.n + 1).astype(float)

    @cached_property
    def at_least(self) -> Array:
        """(n + 1,) weighted number of complexes that satisfy k restraints or more."""
        return self.complexes[::-1].cumsum()[::-1]

    @cached_property
    def violations(self) -> Array:
        """(n, n) [k - 1, i]: share of the complexes satisfying k restraints or more that violate restraint i.

        Rows that no complex reaches are NaN.
        """
        size = self._members.sum(axis=1)
        exactly = np.zeros((self.n + 1, self.n))
        np.add.at(exactly, size, np.where(self._members, 0.0, self.weights[:, None]))
        cumulative = exactly[::-1].cumsum(axis=0)[::-1][1:]
        reached = self.at_least[1:, None]
        rows: Array = np.divide(cumulative, reached, out=np.full_like(cumulative, np.nan), where=reached > 0)
        return rows

    @property
    def consistent(self) -> int:
        """The largest number of restraints that one complex satisfies."""
        return int(np.flatnonzero(self.complexes > 0)[-1]) if self.total > 0 else 0

    @cached_property
    def mean_violation(self) -> Array:
        """(n,) mean over the reached rows of `violations`."""
        rows = self.violations[: self.consistent]
        return rows.mean(axis=0) if len(rows) else np.full(self.n, np.nan)

    @cached_property
    def z_scores(self) -> Array:
        """(n,) how far a restraint's mean violation is above that of the others, in standard deviations.

        DisVis calls a restraint suspect from z = 1. Zeros where all are violated equally often.
        """
        mean = self.mean_violation
        spread = mean.std()
        return (mean - mean.mean()) / spread if spread > 0 else np.zeros_like(mean)

    def suspects(self, threshold: float = 1.0) -> list[int]:
        """Indices of the restraints with a z-score of at least `threshold`, the worst first."""
        order = np.argsort(-self.z_scores, kind="stable")
        return [int(i) for i in order if self.z_scores[i] >= threshold]

    @cached_property
    def joint(self) -> Array:
        """(2^n,) weighted number of complexes satisfying exactly the restraints whose bits are set.

        Raises:
            RestraintError: there are more than 20 restraints; use `patterns` and `weights`.
        """
        if self.n > DENSE_RESTRAINTS:
            raise RestraintError(
                f"A table over all subsets of {self.n} restraints is too large; up to {DENSE_RESTRAINTS} have one."
            )
        table = np.zeros(1 << self.n)
        table[self.patterns] = self.weights
        return table

    @cached_property
    def superset_counts(self) -> Array:
        """(2^n,) weighted number of complexes satisfying all restraints whose bits are set, and perhaps
        others.
        """
        table = self.joint.copy().reshape((2,) * self.n) if self.n else self.joint.copy()
        for axis in range(self.n):
            without, having = (slice(None),) * axis + (0,), (slice(None),) * axis + (1,)
            table[without] += table[having]
        return table.reshape(-1)

    def count(self, subset: Sequence[int]) -> float:
        """Weighted number of complexes that satisfy all restraints of `subset` (indices)."""
        if any(not 0 <= i < self.n for i in subset):
            raise RestraintError(f"subset: {list(subset)} has an index outside the range of 0 to {self.n - 1}.")
        return float(self.weights[self._members[:, list(subset)].all(axis=1)].sum())

    def restricted(self, subset: Sequence[int]) -> InteractionSpace:
        """The result with only the restraints of `subset` (indices), without searching again.

        `contacts` and `best` are left out, and `space` keeps the counts over all restraints.
        """
        kept = list(dict.fromkeys(subset))
        self.count(kept)  # checks the indices
        bits = self._members[:, kept] @ (1 << np.arange(len(kept), dtype=np.int64))
        patterns, place = np.unique(bits, return_inverse=True)
        return replace(
            self,
            restraints=tuple(self.restraints[i] for i in kept),
            patterns=patterns,
            weights=np.bincount(place, self.weights, minlength=len(patterns)).astype(float),
            best=None,
            contacts=None,
        )

    def leave_one_out(self) -> Array:
        """(n,) weighted number of complexes that satisfy all restraints but possibly restraint i."""
        everything = range(self.n)
        return np.array([self.count([j for j in everything if j != i]) for i in everything])

    def best_subset(self, size: int | None = None) -> tuple[tuple[int, ...], float]:
        """The subset of this size that leaves most complexes, and how many.

        Arguments:
            size: number of restraints; None for the largest that any complex satisfies.

        Raises:
            RestraintError: the size is not in 0..n, or the exact answer needs too many subsets.
        """
        size = self.consistent if size is None else size
        if not 0 <= size <= self.n:
            raise RestraintError(f"size: {size} is outside the range of 0 to {self.n}.")
        if size == self.consistent:  # then a subset's complexes satisfy it exactly
            return self._best_of_size(self.patterns[self._members.sum(axis=1) == size], size)
        if self.n > DENSE_RESTRAINTS:
            raise RestraintError(f"size: for {self.n} restraints only the largest consistent size is searched.")
        masks = np.arange(1 << self.n)
        return self._best_of_size(masks[np.bitwise_count(masks) == size], size)

    def _best_of_size(self, masks: NDArray[np.int64], size: int) -> tuple[tuple[int, ...], float]:
        if not len(masks):
            return tuple(range(size)), 0.0
        if self.n <= DENSE_RESTRAINTS:
            counts = self.superset_counts[masks]
        else:
            counts = np.array([self.weights[(self.patterns & mask) == mask].sum() for mask in masks])
        best = int(counts.argmax())
        return tuple(i for i in range(self.n) if int(masks[best]) >> i & 1), float(counts[best])

    def false_positive_probability(self, prior: float = 0.1, tolerance: float = 0.02) -> Array:
        """Posterior probability of each restraint to be false, over all complexes and all sets of false
        restraints.

        A pose is any complex, equally likely beforehand. A false restraint joins residues at random, so its
        satisfaction says nothing; a true one is satisfied, but for a share `tolerance` of cases (flexibility,
        a model that is not exact). Against the chance q_i that a random complex satisfies restraint i, a
        satisfied true restraint weighs (1 - tolerance) / q_i and a violated one tolerance / (1 - q_i). With p
        the prior, complexes of pattern S then have the weight w_S times the product over i of p + (1 - p)
        r_i(S), and the posterior of i being false is the weighted mean of p / (p + (1 - p) r_i(S)).

        Arguments:
            prior: probability of any restraint to be false before looking.
            tolerance: probability of a true restraint to be violated by the nearest pose of the rigid bodies.

        Returns:
            (n,) probabilities.

        Raises:
            RestraintError: prior or tolerance is not between 0 and 1.
        """
        for name, value in (("prior", prior), ("tolerance", tolerance)):
            if not 0.0 < value < 1.0:
                raise RestraintError(f"{name}: {value:g} is outside the range of 0 to 1, both excluded.")
        if self.total == 0:
            return np.full(self.n, prior)
        chance = np.array([self.count([i]) for i in range(self.n)]) / self.total
        tiny = 0.5 / self.total  # a restraint that no complex satisfies, or every one
        chance = np.clip(chance, tiny, 1.0 - tiny)
        ratio = np.where(self._members, (1.0 - tolerance) / chance, tolerance / (1.0 - chance))
        mixed = prior + (1.0 - prior) * ratio
        log_weight = np.log(self.weights) + np.log(mixed).sum(axis=1)
        weight = np.exp(log_weight - log_weight.max())
        posterior: Array = (weight[:, None] * (prior / mixed)).sum(axis=0) / weight.sum()
        return posterior

    def summary(self) -> list[dict[str, Any]]:
        """One row per restraint: name, z-score, mean violation, false-positive probability, and what it
        leaves.
        """
        left, false = self.leave_one_out(), self.false_positive_probability()
        return [
            {
                "restraint": str(restraint),
                "alone": self.count([i]) / self.total if self.total else 0.0,
                "mean_violation": float(self.mean_violation[i]),
                "z": float(self.z_scores[i]),
                "false_positive": float(false[i]),
                "without": float(left[i]),
            }
            for i, restraint in enumerate(self.restraints)
        ]
