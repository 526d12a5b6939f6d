"""The accessible interaction space of two bodies under distance restraints.

All rotations and translations of the scanning body are searched, as in DisVis (van Zundert & Bonvin,
Bioinformatics 31:3222, 2015): a pose is a *complex* when the bodies touch (interaction volume at least
`min_interaction`) without clashing (overlap at most `max_clash`). Each complex is counted under the exact set
of restraints that it satisfies, so that one search answers for every subset: how many complexes it leaves,
which restraints contradict the others, which largest subset is consistent, and how probable it is that a
restraint is false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colonnade.structure import voxels
from colonnade.structure.restraints import Restraint, RestraintError, resolve
from colonnade.structure.rotations import rotation_set
from colonnade.structure.structures import ResidueId, Structure, StructureError
from colonnade.structure.voxels import DensityMap

if TYPE_CHECKING:
    from colonnade.structure._space_search import Search, Track

Array = NDArray[np.float64]

MAX_RESTRAINTS = 62
"""Restraints of one search: a bit each of a 64-bit integer."""

DENSE_RESTRAINTS = 20
"""Up to here all subsets are tabulated; above, subsets are counted one at a time."""

BOUNDS: dict[str, tuple[float, float, str]] = {
    "angle": (1.0, 90.0, "°"),
    "spacing": (0.5, 4.0, "Å"),
    "interaction_radius": (0.5, 10.0, "Å"),
    "max_clash": (0.0, 10_000.0, "Å³"),
    "min_interaction": (1.0, 10_000.0, "Å³"),
    "contact_distance": (3.0, 20.0, "Å"),
}
"""Allowed values of the settings of `interaction_space`."""

MAX_VOXELS = 40_000_000
"""Largest grid."""


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
        contacts: residue contacts, when they were asked for.
    """

    restraints: tuple[Restraint, ...]
    patterns: NDArray[np.int64]
    weights: Array
    space: DensityMap
    angle: float
    rotations: int
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

        `contacts` are left out, and `space` keeps the counts over all restraints.
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


def interaction_space(
    fixed: Structure,
    scanning: Structure,
    restraints: Sequence[Restraint],
    *,
    angle: float = 9.72,
    spacing: float = 2.0,
    interaction_radius: float = 3.0,
    max_clash: float = 200.0,
    min_interaction: float = 300.0,
    contacts_from: int | None = None,
    contact_distance: float = 10.0,
    device: str = "cpu",
    track: Track | None = None,
) -> InteractionSpace:
    """Count the complexes of two bodies under distance restraints, by an exhaustive search.

    Waters and hydrogens are left out; ligands and nucleic acids count as part of their body.

    Arguments:
        fixed: the body that stays.
        scanning: the body that is moved; its starting place does not matter.
        restraints: at most 62; may be empty.
        angle: covering radius of the rotations in degrees; the nearest of `rotations.angles()` is used.
        spacing: of the grid, Å.
        interaction_radius: thickness of the surface layer of the fixed body, Å.
        max_clash: largest overlap of the bodies, Å³.
        min_interaction: smallest overlap of the scanning body and the surface layer, Å³.
        contacts_from: also count residue contacts, over complexes that satisfy at least this many restraints.
        contact_distance: of CA atoms (P or C3' of nucleotides), Å.
        device: of torch: ``cpu``, ``cuda`` ...
        track: wraps the loop, to show progress: called with the indices and a title.

    Raises:
        StructureError: a body has no atoms, a setting is outside its range, or the grid is too large.
        RestraintError: an atom of a restraint is absent, or there are too many restraints.
    """
    given = {
        "angle": angle,
        "spacing": spacing,
        "interaction_radius": interaction_radius,
        "max_clash": max_clash,
        "min_interaction": min_interaction,
        "contact_distance": contact_distance,
    }
    for name, value in given.items():
        low, high, unit = BOUNDS[name]
        if not low <= value <= high:
            raise StructureError(f"{name}: {value:g} {unit} is outside the range of {low:g} to {high:g} {unit}.")
    if len(restraints) > MAX_RESTRAINTS:
        raise RestraintError(f"restraints: {len(restraints)} are more than the {MAX_RESTRAINTS} of one search.")
    if contacts_from is not None and not 0 <= contacts_from <= len(restraints):
        raise RestraintError(f"contacts_from: {contacts_from} is outside the range of 0 to {len(restraints)}.")
    bodies = (_body(fixed, "fixed"), _body(scanning, "scanning"))
    frame = _Frame.around(bodies, interaction_radius, spacing)
    sites = None if contacts_from is None else (_sites(bodies[0]), _sites(bodies[1]))
    search = _set_up(bodies, restraints, frame, given, sites, contacts_from or 0, device)
    rotations = rotation_set(angle)
    found = search.run(rotations, track)
    result = InteractionSpace(
        restraints=tuple(restraints),
        patterns=found.patterns,
        weights=found.weights,
        space=DensityMap(found.space, spacing, frame.origin),
        angle=rotations.angle,
        rotations=len(rotations),
    )
    if sites is None or found.contacts is None:
        return result
    return replace(result, contacts=_contacts(result, sites, found.contacts))


@dataclass(frozen=True)
class _Frame:
    """The grid: its shape (Z, Y, X), origin and spacing (Å), and the centre of the scanning body."""

    shape: tuple[int, ...]
    origin: Array
    spacing: float
    centre: Array

    @classmethod
    def around(cls, bodies: tuple[Structure, Structure], margin: float, spacing: float) -> _Frame:
        shape, origin = voxels.grid_frame(*bodies, margin, spacing)
        if np.prod(shape) > MAX_VOXELS:
            size = " x ".join(map(str, shape))
            raise StructureError(
                f"spacing: {spacing:g} Å needs a grid of {size} voxels, more than {MAX_VOXELS}; use a wider one."
            )
        return cls(shape, origin, spacing, bodies[1].xyz.mean(axis=0))

    def of_fixed(self, xyz: Array) -> Array:
        """Points of the fixed body in voxels."""
        points: Array = (xyz - self.origin) / self.spacing
        return points

    def of_scanning(self, xyz: Array) -> Array:
        """Points of the scanning body in voxels from its centre."""
        points: Array = (xyz - self.centre) / self.spacing
        return points


def _body(structure: Structure, name: str) -> Structure:
    """The atoms that fill space: no waters, no hydrogens."""
    body = structure.heavy.select(structure.heavy.kind != "water")
    if len(body) == 0:
        raise StructureError(f"{name}: {structure.name} has no atoms but waters and hydrogens.")
    return body


def _set_up(
    bodies: tuple[Structure, Structure],
    restraints: Sequence[Restraint],
    frame: _Frame,
    given: dict[str, float],
    sites: tuple[_Sites, _Sites] | None,
    least: int,
    device: str,
) -> Search:
    from colonnade.structure._space_search import Grids, Pairs, Search

    fixed, scanning = bodies
    spacing = frame.spacing
    core = voxels.radii(fixed) / spacing
    ligand, points = voxels.radii(scanning) / spacing, frame.of_scanning(scanning.xyz)
    grids = Grids(
        core=voxels.fill_spheres(frame.of_fixed(fixed.xyz), core, frame.shape),
        surface=voxels.fill_spheres(
            frame.of_fixed(fixed.xyz), core + given["interaction_radius"] / spacing, frame.shape
        ),
        ligand=voxels.fill_spheres(points, ligand, frame.shape),
        reach=int(np.ceil(np.linalg.norm(points, axis=1).max() + ligand.max())) + 1,
    )
    table = resolve(restraints, fixed, scanning)
    pairs = Pairs(
        first=frame.of_fixed(table.first),
        second=frame.of_scanning(table.second),
        lower=table.lower / spacing,
        upper=table.upper / spacing,
        owner=table.owner,
        count=table.count,
    )
    return Search(
        grids,
        pairs,
        max_clash=given["max_clash"] / spacing**3,
        min_interaction=given["min_interaction"] / spacing**3,
        device=device,
        contact_sites=sites and (frame.of_fixed(sites[0].xyz), frame.of_scanning(sites[1].xyz)),
        contact_distance=given["contact_distance"] / spacing,
        contact_least=least,
    )


@dataclass(frozen=True)
class _Sites:
    residues: tuple[ResidueId, ...]
    xyz: Array


def _sites(body: Structure) -> _Sites:
    """One point for each protein residue (CA) and nucleotide (C3')."""
    atoms = body.select(((body.kind == "protein") & (body.atom == "CA")) | (body.atom == "C3'"))
    return _Sites(tuple(atoms.residue_ids()), atoms.xyz)


def _contacts(result: InteractionSpace, sites: tuple[_Sites, _Sites], counts: Array) -> Contacts:
    """Counts by exact number of restraints -> means over complexes with at least that number."""
    least = result.n + 1 - len(counts)
    cumulative = counts[::-1].cumsum(axis=0)[::-1]
    reached = result.at_least[least:, None, None]
    mean = np.divide(cumulative, reached, out=np.zeros_like(cumulative), where=reached > 0)
    return Contacts(sites[0].residues, sites[1].residues, least, mean)
