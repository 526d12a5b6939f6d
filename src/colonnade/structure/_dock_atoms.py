"""What an atom is to rigid-body docking: its type, its charge, and whether the surface shows it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from colonnade.structure import residues
from colonnade.structure.structures import Structure

Array = NDArray[np.float64]

TYPES = (
    "backbone N", "backbone O", "backbone C", "aliphatic C", "aromatic C", "polar C", "hydroxyl O", "amide O",
    "amide N", "carboxylate O", "ammonium N", "guanidinium N", "ring N", "sulphur",
)  # fmt: skip
"""Types of heavy atoms that the contact potential tells apart."""

_POLAR_CARBONS = {
    ("LYS", "CD"), ("LYS", "CE"), ("ARG", "CG"), ("ARG", "CD"), ("ARG", "CZ"), ("ASP", "CB"), ("ASP", "CG"),
    ("GLU", "CG"), ("GLU", "CD"), ("ASN", "CB"), ("ASN", "CG"), ("GLN", "CG"), ("GLN", "CD"), ("SER", "CB"),
    ("THR", "CB"),
}  # fmt: skip
_AROMATIC = {"PHE", "TYR", "TRP", "HIS"}

_CHARGES = {
    ("ARG", "NH1"): 0.5, ("ARG", "NH2"): 0.5, ("LYS", "NZ"): 1.0, ("ASP", "OD1"): -0.5, ("ASP", "OD2"): -0.5,
    ("GLU", "OE1"): -0.5, ("GLU", "OE2"): -0.5,
}  # fmt: skip
_BACKBONE_CHARGES = {"N": 0.5, "O": -0.5}  # Gabb, Jackson & Sternberg, J. Mol. Biol. 272:106 (1997), table 1


@cache
def _type_of(resname: str, atom: str) -> int:
    name = _type_name(resname, atom)
    return TYPES.index(name)


def _type_name(resname: str, atom: str) -> str:
    element = atom.lstrip("0123456789")[:1]
    if resname not in residues.AMINO_ACIDS:
        return _other_type_name(atom, element)
    if atom in residues.BACKBONE or element == "S":
        return "sulphur" if element == "S" else f"backbone {element}"
    if element == "C":
        ring = resname in _AROMATIC and atom != "CB"
        return "aromatic C" if ring else "polar C" if (resname, atom) in _POLAR_CARBONS else "aliphatic C"
    if element == "N":
        names = {"LYS": "ammonium N", "ARG": "guanidinium N", "ASN": "amide N", "GLN": "amide N"}
        return names.get(resname, "ring N")
    acid = resname in ("ASP", "GLU") or atom == "OXT"
    return "carboxylate O" if acid else "amide O" if resname in ("ASN", "GLN") else "hydroxyl O"


def _other_type_name(atom: str, element: str) -> str:
    """Nucleotides and ligands, by likeness: the potential was not fitted on them."""
    if element == "P" or atom in ("OP1", "OP2", "O1P", "O2P"):
        return "carboxylate O"
    sugar = atom.endswith(("'", "*"))
    if element == "O":
        return "hydroxyl O" if sugar else "amide O"
    if element == "N":
        return "ring N"
    return "sulphur" if element == "S" else "polar C" if sugar else "aromatic C"


def types(structure: Structure) -> NDArray[np.int64]:
    """(N,) index into `TYPES` of each heavy atom."""
    pairs = zip(structure.resname.tolist(), structure.atom.tolist(), strict=True)
    return np.array([_type_of(resname, atom) for resname, atom in pairs], dtype=np.int64)


def charges(structure: Structure) -> Array:
    """(N,) charges of heavy atoms, in elementary charges; -0.5 for each free oxygen of a phosphate."""
    table = []
    for resname, atom, kind in zip(
        structure.resname.tolist(), structure.atom.tolist(), structure.kind.tolist(), strict=True
    ):
        if kind == "protein":
            backbone = 0.0 if resname == "PRO" and atom == "N" else _BACKBONE_CHARGES.get(atom, 0.0)
            table.append(_CHARGES.get((resname, atom), -0.5 if atom == "OXT" else backbone))
        else:
            table.append(-0.5 if atom in ("OP1", "OP2", "O1P", "O2P") else 0.0)
    return np.array(table)


def exposed(structure: Structure, least: float = 1.0) -> NDArray[np.bool_]:
    """(N,) whether an atom has at least `least` Å² of accessible surface."""
    from colonnade.structure.surface import atom_areas
    from colonnade.structure.voxels import radii

    areas: NDArray[np.bool_] = atom_areas(structure.xyz, radii(structure), slices=10) >= least
    return areas
