"""Rigid-body docking under restraints, without a licence: search by FFT, refinement, clusters.

Every rotation of a covering set and every translation of one body around the other is scored (see `_dock_fields`
for the energy, `_dock_search` for the search); the best placements slide downhill in continuous space with the
restraints as flat-bottomed springs of limited strength, so that a false one costs and does not decide; what
remains is clustered by common contacts. Bodies are rigid: a complex whose parts change shape on binding is found
less well, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.structure import clusters as fcc
from colonnade.structure.capri import Capri, Reference, residue_pairs
from colonnade.structure.restraints import AtomId, PairTable, Restraint, RestraintError, resolve
from colonnade.structure.rotations import rotation_set
from colonnade.structure.structures import Structure, StructureError, join

if TYPE_CHECKING:
    from colonnade.structure._dock_fields import Model
    from colonnade.structure._dock_refine import Refinement
    from colonnade.structure._dock_search import Search

Array = NDArray[np.float64]
Track = Callable[[Sequence[int], str], Iterable[int]]

BOUNDS: dict[str, tuple[float, float, str]] = {
    "angle": (5.0, 65.0, "°"),
    "spacing": (1.0, 3.0, "Å"),
    "keep": (10, 10_000, ""),
    "models": (1, 1000, ""),
    "restraint_weight": (0.0, 100.0, ""),
    "fcc_cutoff": (0.1, 1.0, ""),
}
"""Allowed values of the settings of `dock`."""

RESIDUE_REACH = 3.5
"""What a restraint on a residue as a whole adds to its upper bound for each of its sides, Å: it is taken at CA."""

RESTRAINT_CAP = 10.0
"""Violation beyond which a restraint costs no more, Å."""

MAX_GRID = 160
"""Largest number of voxels along an edge."""

TOP_OF_CLUSTER = 4
"""Models whose scores' spread is that of a cluster."""


@dataclass(frozen=True, eq=False)
class Pose:
    """A placement of the scanning body: x -> R x + t of its coordinates as given.

    Attributes:
        score: energy, the lower the better.
        terms: the parts of the energy: vdw, contact, electrostatic, restraints.
        rotation: (3, 3).
        translation: (3,) Å.
        cluster: number of its cluster, from 1; 0 for none.
        violations: (n,) Å beyond the bounds of each restraint.
        reached: placements of the search that slid into this one.
    """

    score: float
    terms: dict[str, float]
    rotation: Array
    translation: Array
    cluster: int
    violations: Array
    reached: int = 1


@dataclass(frozen=True)
class Cluster:
    """Poses with common contacts: indices into `Docking.poses`, best first; score of its best, spread of its best four.

    Rigid bodies slide into one place from many starts, and those are one pose: a cluster may be a single one.
    """

    number: int
    members: tuple[int, ...]
    score: float
    spread: float


@dataclass(frozen=True, eq=False)
class Docking:
    """Models of a complex.

    Attributes:
        fixed: the body that stayed.
        scanning: the body that moved, where it was given.
        restraints: that were used.
        poses: the best first.
        clusters: the best first.
        rotations: number of rotations that were searched.
        placements: number of placements that were scored.
        spacing: Å.
    """

    fixed: Structure
    scanning: Structure
    restraints: tuple[Restraint, ...]
    poses: tuple[Pose, ...]
    clusters: tuple[Cluster, ...] = field(default=())
    rotations: int = 0
    placements: int = 0
    spacing: float = 0.0

    def placed(self, index: int) -> Structure:
        """The scanning body of a pose."""
        return self.scanning.moved(self.poses[index].rotation, self.poses[index].translation)

    def model(self, index: int) -> Structure:
        """Both bodies of a pose as one structure.

        Raises:
            StructureError: there is no pose of that index.
        """
        if not 0 <= index < len(self.poses):
            raise StructureError(f"index: {index} is outside the range of 0 to {len(self.poses) - 1}.")
        return join([self.fixed, self.placed(index)], f"model_{index + 1}")

    def compared(self, reference: Structure, groups: Sequence[Sequence[str]] | None = None) -> list[Capri]:
        """How near each pose is to a known complex.

        Arguments:
            reference: the known complex.
            groups: its chains for the fixed and the scanning body; None for the same names as in the models.
        """
        own = [chain_names(self.fixed), chain_names(self.scanning)]
        match = Reference(reference, groups or own).match(self.fixed, self.scanning, own)
        return [match.judge(self.fixed.xyz, self.placed(k).xyz) for k in range(len(self.poses))]

    @cached_property
    def best(self) -> tuple[int, ...]:
        """The best pose of each cluster, in the order of the clusters."""
        return tuple(cluster.members[0] for cluster in self.clusters)


def chain_names(structure: Structure) -> list[str]:
    """Names of the chains of protein and nucleic acid, in order."""
    polymer = np.isin(structure.kind, ["protein", "nucleic"])
    return list(dict.fromkeys(structure.chain[polymer].tolist()))


def check_body(structure: Structure, name: str) -> Structure:
    """The atoms that are docked: heavy, without waters.

    Raises:
        StructureError: there are none, or most residues have only a few atoms.
    """
    body = structure.heavy.select(structure.heavy.kind != "water")
    polymer = np.isin(body.kind, ["protein", "nucleic"])
    if not polymer.any():
        raise StructureError(f"{name}: {structure.name} has neither protein nor nucleic acid.")
    atoms = np.bincount(body.residue[polymer])
    if (atoms[atoms > 0] < 4).mean() > 0.5:
        raise StructureError(f"{name}: {structure.name} is a CA-only model; docking needs all heavy atoms.")
    return body


def dock(
    fixed: Structure,
    scanning: Structure,
    restraints: Sequence[Restraint] = (),
    *,
    angle: float = 12.29,
    spacing: float = 1.5,
    keep: int = 1000,
    models: int = 200,
    restraint_weight: float = 1.0,
    fcc_cutoff: float = fcc.CUTOFF,
    refine: bool = True,
    state: Literal["unbound", "bound"] = "unbound",
    device: str = "cpu",
    track: Track | None = None,
) -> Docking:
    """Dock two rigid bodies.

    Waters and hydrogens are left out. The result does not depend on where the bodies stand, but for the
    orientations that are tried, which are relative to those given.

    Arguments:
        fixed: the body that stays, best the larger one.
        scanning: the body that is moved.
        restraints: distances that should hold; an ambiguous one by its nearest pair. May be empty.
        angle: covering radius of the rotations in degrees; the nearest of `rotations.angles()` is used.
        spacing: of the search grid, Å.
        keep: placements that are refined.
        models: of these, how many are given back.
        restraint_weight: energy of each Å of violation.
        fcc_cutoff: share of common contacts of neighbours in a cluster.
        refine: slide placements downhill; otherwise they stay on the grid.
        state: that the bodies were solved in. Those taken from their complex fit exactly, and how well they fit
            decides; surfaces of those solved alone are taken as soft.
        device: of torch.
        track: wraps the search loop, to show progress.

    Raises:
        StructureError: a body has no atoms to dock, or a setting is outside its range.
        RestraintError: an atom of a restraint is absent.
    """
    given = {"angle": angle, "spacing": spacing, "keep": keep, "models": models,
             "restraint_weight": restraint_weight, "fcc_cutoff": fcc_cutoff}  # fmt: skip
    for name, value in given.items():
        low, high, unit = BOUNDS[name]
        if not low <= value <= high:
            limits = f"{low:g} to {high:g} {unit}".rstrip()
            raise StructureError(f"{name}: {value:g} is outside the range of {limits}.")
    bodies = check_body(fixed, "fixed"), check_body(scanning, "scanning")
    if shared := [chain for chain in chain_names(bodies[1]) if chain in chain_names(bodies[0])]:
        raise StructureError(f"chains: both bodies have a chain {', '.join(shared)}; rename those of one.")
    from colonnade.structure._dock_fields import default_model

    run = _Run(
        default_model(state),
        *bodies,
        _allowing(without_hydrogens(restraints), *bodies),
        spacing,
        restraint_weight,
        device,
    )
    rotations = rotation_set(angle)
    found = run.search(keep).run(rotations, track)
    centres = found.centres * spacing + run.origin
    if refine:
        refined = run.refinement().run(found.rotations, centres)
        order = np.argsort(refined.energies, kind="stable")
        turns, centres = refined.rotations[order], refined.centres[order]
    else:
        turns = found.rotations
    distinct = _distinct(run, turns, centres, models)
    poses = [replace(run.pose(turns[k], centres[k]), reached=count) for k, count in distinct.items()]
    result = Docking(
        *bodies,
        restraints=tuple(restraints),
        poses=tuple(sorted(poses, key=lambda pose: pose.score)),
        rotations=len(rotations),
        placements=len(rotations) * run.size**3,
        spacing=spacing,
    )
    return clustered(result, fcc_cutoff)


def _distinct(run: _Run, turns: Array, centres: Array, most: int, apart: float = 0.5) -> dict[int, int]:
    """The first `most` placements that are `apart` (RMSD, Å) from one another, and how many fell onto each."""
    probe = run.probe @ turns.transpose(0, 2, 1) + centres[:, None]  # (M, P, 3)
    chosen: dict[int, int] = {}
    for k in range(len(probe)):
        known = list(chosen)
        gaps = ((probe[known] - probe[k]) ** 2).sum(axis=2).mean(axis=1)
        if known and gaps.min() < apart**2:
            chosen[known[int(gaps.argmin())]] += 1
        elif len(chosen) < most:
            chosen[k] = 1
    return chosen


def clustered(docking: Docking, cutoff: float = fcc.CUTOFF, least: int = 1) -> Docking:
    """The docking with its poses clustered by common contacts; clusters are ranked by their best."""
    contacts = [
        residue_pairs(docking.fixed, docking.placed(k), fcc.CONTACT_DISTANCE) for k in range(len(docking.poses))
    ]
    groups = fcc.cluster(fcc.common_contacts(contacts), cutoff=cutoff, least=least) if contacts else []
    scores = np.array([pose.score for pose in docking.poses])
    ranked = sorted((sorted(group) for group in groups), key=lambda group: float(scores[group].min()))
    found: list[Cluster] = []
    number_of: dict[int, int] = {}
    for number, group in enumerate(ranked, start=1):
        best = sorted(scores[group])[:TOP_OF_CLUSTER]
        found.append(Cluster(number, tuple(group), float(best[0]), float(np.std(best))))
        number_of |= dict.fromkeys(group, number)
    poses = tuple(replace(pose, cluster=number_of.get(k, 0)) for k, pose in enumerate(docking.poses))
    return replace(docking, poses=poses, clusters=tuple(found))


def without_hydrogens(restraints: Sequence[Restraint]) -> list[Restraint]:
    """The restraints between heavy atoms: a hydrogen is left out beside others, and stands for its residue alone."""

    def side(atoms: tuple[AtomId, ...]) -> tuple[AtomId, ...]:
        heavy = tuple(atom for atom in atoms if not atom.atom.lstrip("0123456789").startswith("H"))
        return heavy or tuple(dict.fromkeys(AtomId(a.chain, a.number, "", a.insertion) for a in atoms))

    return [replace(r, first=side(r.first), second=side(r.second), name=str(r)) for r in restraints]


def _allowing(restraints: Sequence[Restraint], fixed: Structure, scanning: Structure) -> PairTable:
    """The restraints as pairs of points, with the reach of residues that are named without an atom."""
    table = resolve(restraints, fixed, scanning)
    blank = np.array(
        [sum(all(not atom.atom for atom in side) for side in (r.first, r.second)) for r in restraints], dtype=float
    )
    upper = table.upper + (RESIDUE_REACH * blank[table.owner] if len(table.owner) else 0.0)
    return replace(table, upper=upper)


class _Run:
    """Two bodies, their restraints and the grid of one docking."""

    def __init__(
        self,
        model: Model,
        fixed: Structure,
        scanning: Structure,
        pairs: PairTable,
        spacing: float,
        weight: float,
        device: str,
    ) -> None:
        from colonnade.structure import _dock_fields as energy
        from colonnade.structure._space_shapes import fast_length

        self.model, self.fixed, self.scanning, self.pairs = model, fixed, scanning, pairs
        self.spacing, self.weight, self.device = spacing, weight, device
        self.centre = scanning.xyz.mean(axis=0)
        self.points = scanning.xyz - self.centre
        self.weights = energy.weights(model, scanning)
        reach = float(np.linalg.norm(self.points, axis=1).max()) + energy.CONTACT[1]
        low, high = fixed.xyz.min(axis=0) - reach, fixed.xyz.max(axis=0) + reach
        self.size = fast_length(int(np.ceil((high - low).max() / spacing)) + 1)
        if self.size > MAX_GRID:
            raise StructureError(
                f"spacing: {spacing:g} Å needs a grid of {self.size} voxels an edge, more than {MAX_GRID}; "
                "use a wider one."
            )
        self.origin = (low + high) / 2.0 - spacing * self.size / 2.0

    @cached_property
    def probe(self) -> Array:
        """A few points that stand for the moving body when placements are compared."""
        spread = self.points.std(axis=0).mean() * np.sqrt(3.0)
        points: Array = np.vstack([np.eye(3), -np.eye(3)]) * spread
        return points

    def search(self, keep: int) -> Search:
        """The FFT search."""
        from colonnade.structure import _dock_fields as energy
        from colonnade.structure._dock_search import Penalties, Search

        h = self.spacing
        shape = (self.size, self.size, self.size)
        grids = energy.fields(self.model, self.fixed, self.origin, h, shape, soft=True)
        penalties = Penalties(
            (self.pairs.first - self.origin) / h,
            (self.pairs.second - self.centre) / h,
            self.pairs.lower / h,
            self.pairs.upper / h,
            self.pairs.owner,
            self.pairs.count,
            self.weight * h,
            RESTRAINT_CAP / h,
        )
        return Search(grids, self.points / h, self.weights, penalties, keep=keep, device=self.device)

    def refinement(self) -> Refinement:
        """The minimiser, around the fixed body."""
        import torch

        from colonnade.structure._dock_refine import Refinement
        from colonnade.structure._dock_search import Penalties

        p = self.pairs
        springs = Penalties(p.first, p.second - self.centre, p.lower, p.upper, p.owner, p.count,
                          self.weight, RESTRAINT_CAP)  # fmt: skip
        threads = torch.get_num_threads()
        return Refinement(self.model, self.fixed, self.scanning, self.centre, springs, threads=threads)

    def violations(self, rotation: Array, translation: Array) -> Array:
        """(n,) Å beyond the bounds of each restraint."""
        p = self.pairs
        distance = np.linalg.norm(p.second @ rotation.T + translation - p.first, axis=1)
        over = np.maximum(np.maximum(distance - p.upper, p.lower - distance), 0.0)
        result = np.full(p.count, np.inf)
        np.minimum.at(result, p.owner, over)
        return result

    def pose(self, rotation: Array, centre: Array) -> Pose:
        """A placement with its energy, computed without a grid."""
        from colonnade.structure import _dock_fields as energy

        translation = centre - rotation @ self.centre
        placed = self.scanning.moved(rotation, translation)
        violations = self.violations(rotation, translation)
        terms = energy.terms(self.model, self.fixed, placed)
        terms["restraints"] = self.weight * float(np.minimum(violations, RESTRAINT_CAP).sum())
        return Pose(sum(terms.values()), terms, rotation, translation, 0, violations)


__all__ = ["Cluster", "Docking", "Pose", "RestraintError", "dock"]
