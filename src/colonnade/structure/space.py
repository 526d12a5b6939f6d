"""The accessible interaction space of two bodies under distance restraints.

All rotations and translations of the scanning body are searched, as in DisVis (van Zundert & Bonvin,
Bioinformatics 31:3222, 2015): a pose is a *complex* when the bodies touch (interaction volume at least
`min_interaction`) without clashing (overlap at most `max_clash`). Each complex is counted under the exact set of
restraints that it satisfies, so that one search answers for every subset of them (see `space_result`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from colonnade.structure import voxels
from colonnade.structure.restraints import PairTable, Restraint, RestraintError, resolve
from colonnade.structure.rotations import RotationSet, rotation_set
from colonnade.structure.space_result import Contacts, InteractionSpace, Placement
from colonnade.structure.structures import ResidueId, Structure, StructureError
from colonnade.structure.voxels import DensityMap

if TYPE_CHECKING:
    from colonnade.structure._space_search import Pose, Search, Track

Array = NDArray[np.float64]

MAX_RESTRAINTS = 62
"""Restraints of one search: a bit each of a 64-bit integer."""

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

TOUCHING = 8.0
"""CA atoms of residues in contact are up to about this far apart, Å."""


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
        StructureError: a body has no atoms or only CA atoms, a setting is outside its range, or the grid is too
            large.
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
    return SearchPlan.of(fixed, scanning, restraints, given, contacts_from).run(device, track)


@dataclass(frozen=True)
class SearchPlan:
    """What a search is about to do, checked: nothing in it takes long to find out."""

    bodies: tuple[Structure, Structure]
    restraints: tuple[Restraint, ...]
    pairs: PairTable
    settings: dict[str, float]
    frame: _Frame
    rotations: RotationSet
    sites: tuple[_Sites, _Sites] | None
    contacts_from: int

    @classmethod
    def of(
        cls,
        fixed: Structure,
        scanning: Structure,
        restraints: Sequence[Restraint],
        settings: dict[str, float],
        contacts_from: int | None = None,
    ) -> SearchPlan:
        """Check bodies, restraints and settings (those of `BOUNDS`); raises as `interaction_space` does."""
        for name, value in settings.items():
            low, high, unit = BOUNDS[name]
            if not low <= value <= high:
                raise StructureError(f"{name}: {value:g} {unit} is outside the range of {low:g} to {high:g} {unit}.")
        if len(restraints) > MAX_RESTRAINTS:
            raise RestraintError(f"restraints: {len(restraints)} are more than the {MAX_RESTRAINTS} of one search.")
        if contacts_from is not None and not 0 <= contacts_from <= len(restraints):
            raise RestraintError(f"contacts_from: {contacts_from} is outside the range of 0 to {len(restraints)}.")
        bodies = (_body(fixed, "fixed"), _body(scanning, "scanning"))
        return cls(
            bodies=bodies,
            restraints=tuple(restraints),
            settings=settings,
            pairs=resolve(restraints, *bodies),
            frame=_Frame.around(bodies, settings["interaction_radius"], settings["spacing"]),
            rotations=rotation_set(settings["angle"]),
            sites=None if contacts_from is None else (_sites(bodies[0]), _sites(bodies[1])),
            contacts_from=contacts_from or 0,
        )

    @property
    def work(self) -> float:
        """Voxels times rotations, to which the time of a search is proportional: about 10 ns of one core each."""
        return float(np.prod(self.frame.shape)) * len(self.rotations)

    def run(self, device: str = "cpu", track: Track | None = None) -> InteractionSpace:
        """Search; see `interaction_space`."""
        found = self._search(device).run(self.rotations, track)
        result = InteractionSpace(
            restraints=self.restraints,
            patterns=found.patterns,
            weights=found.weights,
            space=DensityMap(found.space, self.frame.spacing, self.frame.origin),
            angle=self.rotations.angle,
            rotations=len(self.rotations),
            best=None if found.best is None else self.frame.placement(found.best),
        )
        if self.sites is None or found.contacts is None:
            return result
        return replace(result, contacts=_contacts(result, self.sites, found.contacts))

    def _search(self, device: str) -> Search:
        """The search on grids."""
        from colonnade.structure._space_counting import ContactCounts
        from colonnade.structure._space_search import Grids, Pairs, Search

        (fixed, scanning), settings = self.bodies, self.settings
        frame, spacing = self.frame, self.frame.spacing
        core = voxels.radii(fixed) / spacing
        layer = core + settings["interaction_radius"] / spacing
        ligand, points = voxels.radii(scanning) / spacing, frame.of_scanning(scanning.xyz)
        grids = Grids(
            core=voxels.fill_spheres(frame.of_fixed(fixed.xyz), core, frame.shape),
            surface=voxels.fill_spheres(frame.of_fixed(fixed.xyz), layer, frame.shape),
            ligand=voxels.fill_spheres(points, ligand, frame.shape),
            reach=int(np.ceil(np.linalg.norm(points, axis=1).max() + ligand.max())) + 1,
        )
        table = self.pairs
        pairs = Pairs(
            first=frame.of_fixed(table.first),
            second=frame.of_scanning(table.second),
            lower=table.lower / spacing,
            upper=table.upper / spacing,
            owner=table.owner,
            count=table.count,
        )
        contacts = self.sites and ContactCounts(
            frame.of_fixed(self.sites[0].xyz),
            frame.of_scanning(self.sites[1].xyz),
            settings["contact_distance"] / spacing,
            self.contacts_from,
            table.count + 1 - self.contacts_from,
        )
        return Search(
            grids,
            pairs,
            max_clash=settings["max_clash"] / spacing**3,
            min_interaction=settings["min_interaction"] / spacing**3,
            device=device,
            contacts=contacts,
        )


def advice(restraints: Sequence[Restraint]) -> list[str]:
    """What to mind about restraints before a search of rigid bodies, in plain sentences."""
    tight = [
        r for r in restraints if r.upper < TOUCHING and (r.ambiguous or not all(a.atom for a in r.first + r.second))
    ]
    if not tight:
        return []
    return [
        f"{len(tight)} restraints between residues have an upper distance below {TOUCHING:g} Å ({tight[0]}: "
        f"{tight[0].upper:g} Å). Here it is the distance of CA atoms, which for residues in contact is up to about "
        f"{TOUCHING:g} Å; the 2 Å of HADDOCK's ambiguous restraints are an effective distance over all atoms. Use a "
        "wider upper distance."
    ]


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

    def placement(self, pose: Pose) -> Placement:
        """A pose of the grid as a motion of the scanning body, in Å."""
        return Placement(
            rotation=pose.rotation,
            translation=self.origin + self.spacing * pose.translation - pose.rotation @ self.centre,
            satisfied=pose.satisfied,
            interaction=pose.touch * self.spacing**3,
        )


def _body(structure: Structure, name: str) -> Structure:
    """The atoms that fill space: no waters, no hydrogens."""
    body = structure.heavy.select(structure.heavy.kind != "water")
    if len(body) == 0:
        raise StructureError(f"{name}: {structure.name} has no atoms but waters and hydrogens.")
    if (body.atom == "CA").all():
        raise StructureError(f"{name}: {structure.name} has only CA atoms; the search needs all heavy atoms.")
    return body


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
