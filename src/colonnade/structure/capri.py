"""How near a model of a complex is to the known one: the measures of CAPRI, and DockQ.

Lensink, Mendez & Wodak, Proteins 69:704 (2007) define fnat, irmsd and lrmsd; Basu & Wallner, PLoS ONE 11:e0161879
(2016), eq. 1-2, join them to DockQ. Figures equal those of the DockQ program (see docs/structure.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from colonnade.structure.structures import Structure, StructureError

Array = NDArray[np.float64]
Group = tuple[str, ...]

CONTACT_DISTANCE = 5.0
"""Of heavy atoms of two residues in contact, Å."""

INTERFACE_DISTANCE = 10.0
"""Of heavy atoms of an interface residue from the partner, Å."""

BACKBONE = frozenset(("N", "CA", "C", "O")) | frozenset(
    ("P", "OP1", "OP2", "O2'", "O3'", "O4'", "O5'", "C1'", "C2'", "C3'", "C4'", "C5'")
)
"""Atoms that are superimposed: the backbone of protein, sugar and phosphate of nucleic acids."""

_OLD_NAMES = {"O1P": "OP1", "O2P": "OP2"}


@dataclass(frozen=True)
class Capri:
    """Likeness of a model to the known complex.

    Attributes:
        fnat: share of the known complex's residue contacts that the model has.
        irmsd: RMSD of the interface's backbone after superposition on it, Å.
        lrmsd: RMSD of the second body's backbone after superposition of the first, Å.
        dockq: 0 (unlike) to 1 (the same).
    """

    fnat: float
    irmsd: float
    lrmsd: float
    dockq: float

    @property
    def quality(self) -> str:
        """``high``, ``medium``, ``acceptable`` or ``incorrect``, at DockQ of 0.80, 0.49 and 0.23."""
        bounds = ((0.80, "high"), (0.49, "medium"), (0.23, "acceptable"))
        return next((name for bound, name in bounds if self.dockq >= bound), "incorrect")


def dockq(fnat: float, irmsd: float, lrmsd: float) -> float:
    """DockQ of the three measures.

    >>> round(dockq(1.0, 0.0, 0.0), 3), round(dockq(0.5, 1.5, 8.5), 3)
    (1.0, 0.5)
    """
    return (fnat + 1.0 / (1.0 + (irmsd / 1.5) ** 2) + 1.0 / (1.0 + (lrmsd / 8.5) ** 2)) / 3.0


def capri(
    model: Structure, reference: Structure, groups: Sequence[Sequence[str]], *, in_model: Sequence[Sequence[str]] = ()
) -> Capri:
    """Compare one model with the known complex; see `Reference` for many models.

    Arguments:
        model: the complex to judge.
        reference: the known complex.
        groups: the two bodies, each its chain names in the reference; the first is the one to superimpose.
        in_model: their chain names in the model, in the same order, where they differ.
    """
    bodies = [model.in_chains(list(names)) for names in (in_model or groups)]
    return Reference(reference, groups).compare(bodies[0], bodies[1], in_model or groups)


class Reference:
    """A known complex, made ready to judge many models of it."""

    def __init__(self, reference: Structure, groups: Sequence[Sequence[str]]) -> None:
        if len(groups) != 2 or not all(groups):
            raise StructureError("groups: a comparison is of two bodies, each of one chain or more.")
        absent = [chain for group in groups for chain in group if chain not in reference.chain]
        if absent:
            raise StructureError(f"groups: chain {', '.join(absent)} is not in {reference.name}.")
        self.groups = [list(group) for group in groups]
        polymer = np.isin(reference.kind, ["protein", "nucleic"])
        atoms = reference.select(polymer).heavy
        self.bodies = [atoms.in_chains(group) for group in self.groups]
        self._matches: dict[tuple[object, ...], _Match] = {}

    @cached_property
    def contacts(self) -> NDArray[np.int64]:
        """(C, 2) residue indices, in the two bodies, of the contacts."""
        return residue_pairs(self.bodies[0], self.bodies[1], CONTACT_DISTANCE)

    @cached_property
    def interface(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Residue indices of the interface in the two bodies."""
        pairs = residue_pairs(self.bodies[0], self.bodies[1], INTERFACE_DISTANCE)
        return np.unique(pairs[:, 0]), np.unique(pairs[:, 1])

    def match(self, first: Structure, second: Structure, groups: Sequence[Sequence[str]] = ()) -> _Match:
        """Which atoms and residues of two bodies are which of the reference's; reusable while they only move."""
        if not len(self.contacts):
            raise StructureError("The two bodies of the known complex are not in contact.")
        return _Match.of(self, (first, second), [list(group) for group in groups] or self.groups)

    def compare(self, first: Structure, second: Structure, groups: Sequence[Sequence[str]] = ()) -> Capri:
        """Judge a model given as its two bodies."""
        return self.match(first, second, groups).judge(first.xyz, second.xyz)


@dataclass(frozen=True, eq=False)
class _Match:
    """Atoms of two bodies set against those of the reference.

    `atoms` and `known` are, for each body, the indices of paired backbone atoms in the body and their coordinates in
    the reference; `interface` tells which of these pairs are of the interface; `heavy` are the indices of heavy atoms
    and `residue` their residue in the reference, -1 where it has none; `contacts` are the reference's that both
    bodies have residues for.
    """

    reference: Reference
    atoms: tuple[NDArray[np.int64], NDArray[np.int64]]
    known: tuple[Array, Array]
    interface: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    heavy: tuple[NDArray[np.int64], NDArray[np.int64]]
    residue: tuple[NDArray[np.int64], NDArray[np.int64]]

    @classmethod
    def of(cls, reference: Reference, bodies: tuple[Structure, Structure], groups: list[list[str]]) -> _Match:
        parts = [
            _pair(body, known, groups[side], reference.groups[side], reference.interface[side])
            for side, (body, known) in enumerate(zip(bodies, reference.bodies, strict=True))
        ]
        return cls(reference, *zip(*parts, strict=True))

    def judge(self, first: Array, second: Array) -> Capri:
        """The measures for these coordinates, (N, 3) each, of the two bodies."""
        model = [xyz[atoms] for xyz, atoms in zip((first, second), self.atoms, strict=True)]
        inside = [np.concatenate([part[flag] for part, flag in zip(side, self.interface, strict=True)])
                  for side in (model, self.known)]  # fmt: skip
        if len(inside[0]) < 3 or len(model[0]) < 3:
            raise StructureError("The model shares too few residues with the known complex to be compared with it.")
        irmsd = _rmsd(superimposed(inside[0], *superposition(inside[0], inside[1])), inside[1])
        lrmsd = _rmsd(superimposed(model[1], *superposition(model[0], self.known[0])), self.known[1])
        fnat = self._fnat(first, second)
        return Capri(fnat, irmsd, lrmsd, dockq(fnat, irmsd, lrmsd))

    def _fnat(self, first: Array, second: Array) -> float:
        wanted = self.reference.contacts
        near = _atom_pairs(first[self.heavy[0]], second[self.heavy[1]], CONTACT_DISTANCE)
        width = self.reference.bodies[1].n_residues
        a, b = self.residue[0][near[:, 0]], self.residue[1][near[:, 1]]
        known = (a >= 0) & (b >= 0)
        here = np.unique(a[known] * width + b[known])
        return float(np.isin(wanted[:, 0] * width + wanted[:, 1], here).mean())


def _pair(
    body: Structure, known: Structure, chains: list[str], known_chains: list[str], interface: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    partner = _residue_map(body, known, chains, known_chains)  # residue of body -> residue of known, or -1
    names = np.array([_OLD_NAMES.get(name, name) for name in known.atom.tolist()])
    table = {(r, n): i for i, (r, n) in enumerate(zip(known.residue.tolist(), names.tolist(), strict=True))}
    own = [_OLD_NAMES.get(name, name) for name in body.atom.tolist()]
    rows = [
        (i, j)
        for i, (r, n) in enumerate(zip(partner[body.residue].tolist(), own, strict=True))
        if r >= 0 and n in BACKBONE and (j := table.get((r, n))) is not None
    ]
    pairs = np.array(rows, dtype=np.int64).reshape(-1, 2)
    heavy = np.flatnonzero(~np.isin(body.element, ["H", "D"]))
    inside = np.isin(known.residue[pairs[:, 1]], interface)
    return pairs[:, 0], known.xyz[pairs[:, 1]], inside, heavy, partner[body.residue[heavy]]


def _residue_map(body: Structure, known: Structure, chains: list[str], known_chains: list[str]) -> NDArray[np.int64]:
    """(R,) the known residue of each residue: by author number where the names agree, else by sequence alignment."""
    result = np.full(body.n_residues, -1, dtype=np.int64)
    for chain, other in zip(chains, known_chains, strict=True):
        mine = np.flatnonzero(body.chain[body.first] == chain)
        theirs = np.flatnonzero(known.chain[known.first] == other)
        result[mine] = _by_number(body, mine, known, theirs)
        matched = result[mine] >= 0
        names = body.resname[body.first[mine[matched]]], known.resname[known.first[result[mine[matched]]]]
        agree = float((names[0] == names[1]).mean()) if matched.any() else 0.0
        if agree < 0.9 or matched.sum() < 0.5 * min(len(mine), len(theirs)):
            result[mine] = _by_sequence(body, mine, known, theirs)
    return result


def _by_number(
    body: Structure, mine: NDArray[np.int64], known: Structure, theirs: NDArray[np.int64]
) -> NDArray[np.int64]:
    def keys(structure: Structure, rows: NDArray[np.int64]) -> list[tuple[int, str]]:
        first = structure.first[rows]
        return list(zip(structure.resid[first].tolist(), structure.icode[first].tolist(), strict=True))

    table = dict(zip(keys(known, theirs), theirs.tolist(), strict=True))
    return np.array([table.get(key, -1) for key in keys(body, mine)], dtype=np.int64)


def _by_sequence(
    body: Structure, mine: NDArray[np.int64], known: Structure, theirs: NDArray[np.int64]
) -> NDArray[np.int64]:
    import gemmi

    a = body.resname[body.first[mine]].tolist()
    b = known.resname[known.first[theirs]].tolist()
    result = np.full(len(mine), -1, dtype=np.int64)
    if not a or not b:
        return result
    alignment = gemmi.align_string_sequences(a, b, [])
    i = j = 0
    for count, kind in _cigar(alignment.cigar_str()):
        if kind == "M":
            result[i : i + count] = theirs[j : j + count]
        i += count if kind in "MI" else 0
        j += count if kind in "MD" else 0
    return result


def _cigar(text: str) -> list[tuple[int, str]]:
    import re

    return [(int(number), kind) for number, kind in re.findall(r"(\d+)([MID])", text)]


def residue_pairs(first: Structure, second: Structure, distance: float) -> NDArray[np.int64]:
    """(P, 2) pairs of residue indices with heavy atoms at most `distance` Å apart, sorted."""
    a, b = (np.flatnonzero(~np.isin(body.element, ["H", "D"])) for body in (first, second))
    near = _atom_pairs(first.xyz[a], second.xyz[b], distance)
    pairs = np.column_stack([first.residue[a[near[:, 0]]], second.residue[b[near[:, 1]]]])
    unique: NDArray[np.int64] = np.unique(pairs, axis=0)
    return unique


def _atom_pairs(first: Array, second: Array, distance: float) -> NDArray[np.int64]:
    from scipy.spatial import cKDTree

    found = cKDTree(first).sparse_distance_matrix(cKDTree(second), distance, output_type="ndarray")
    return np.column_stack([found["i"], found["j"]]).astype(np.int64)


def superposition(moving: Array, fixed: Array) -> tuple[Array, Array]:
    """Rotation (3, 3) and translation (3,) that bring `moving` (N, 3) onto `fixed` (N, 3) with least squares."""
    a, b = moving.mean(axis=0), fixed.mean(axis=0)
    u, _, vt = np.linalg.svd((moving - a).T @ (fixed - b))
    turn = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ vt)))])
    rotation: Array = (u @ turn @ vt).T
    return rotation, b - rotation @ a


def superimposed(xyz: Array, rotation: Array, translation: Array) -> Array:
    """x -> R x + t for (N, 3) points."""
    result: Array = xyz @ rotation.T + translation
    return result


def _rmsd(a: Array, b: Array) -> float:
    return float(np.sqrt(((a - b) ** 2).sum(axis=1).mean()))
