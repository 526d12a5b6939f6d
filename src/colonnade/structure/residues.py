"""Facts about amino-acid residues: their atoms, parents, chemical classes and accessible surfaces.

Everything here is a table or a look-up in one. Sources: the wwPDB chemical component dictionary (atom names,
and parents of modified residues through gemmi's tabulated components), NACCESS (radii and the ALA-X-ALA
reference surfaces), and Vangone & Bonvin, eLife 4:e07454 (2015) for the two classifications used by PRODIGY.
"""

from __future__ import annotations

from functools import cache
from typing import Final

BACKBONE: Final = ("N", "CA", "C", "O")

SIDE_CHAIN: Final[dict[str, tuple[str, ...]]] = {
    "ALA": ("CB",),
    "ARG": ("CB", "CG", "CD", "NE", "CZ", "NH1", "NH2"),
    "ASN": ("CB", "CG", "OD1", "ND2"),
    "ASP": ("CB", "CG", "OD1", "OD2"),
    "CYS": ("CB", "SG"),
    "GLN": ("CB", "CG", "CD", "OE1", "NE2"),
    "GLU": ("CB", "CG", "CD", "OE1", "OE2"),
    "GLY": (),
    "HIS": ("CB", "CG", "ND1", "CD2", "CE1", "NE2"),
    "ILE": ("CB", "CG1", "CG2", "CD1"),
    "LEU": ("CB", "CG", "CD1", "CD2"),
    "LYS": ("CB", "CG", "CD", "CE", "NZ"),
    "MET": ("CB", "CG", "SD", "CE"),
    "PHE": ("CB", "CG", "CD1", "CD2", "CE1", "CE2", "CZ"),
    "PRO": ("CB", "CG", "CD"),
    "SER": ("CB", "OG"),
    "THR": ("CB", "OG1", "CG2"),
    "TRP": ("CB", "CG", "CD1", "CD2", "NE1", "CE2", "CE3", "CZ2", "CZ3", "CH2"),
    "TYR": ("CB", "CG", "CD1", "CD2", "CE1", "CE2", "CZ", "OH"),
    "VAL": ("CB", "CG1", "CG2"),
}
"""Side-chain heavy atoms of the twenty amino acids, outwards from the backbone."""

AMINO_ACIDS: Final = frozenset(SIDE_CHAIN)

ONE_LETTER: Final = dict(zip(SIDE_CHAIN, "ARNDCQEGHILKMFPSTWYV", strict=True))
"""One-letter codes of the twenty amino acids."""

# Names that force fields give to protonation states; they are not in the component dictionary.
_FORCE_FIELD_NAMES: Final = {
    "HID": "HIS", "HIE": "HIS", "HIP": "HIS", "HSD": "HIS", "HSE": "HIS", "HSP": "HIS", "CYX": "CYS",
    "CYM": "CYS", "ASH": "ASP", "GLH": "GLU", "LYN": "LYS",
}  # fmt: skip

# Selenocysteine and pyrrolysine have one-letter codes of their own; their nearest of the twenty:
_RARE: Final = {"SEC": "CYS", "PYL": "LYS"}

RENAMED_ATOMS: Final[dict[tuple[str, str], str]] = {
    ("MET", "SE"): "SD",  # selenomethionine
    ("CYS", "SE"): "SG",  # selenocysteine
    ("ILE", "CD"): "CD1",  # CHARMM and GROMACS
}
"""Atom names that change when a residue is read as its parent: (parent, atom in the file) -> atom."""

TERMINAL_OXYGENS: Final = {
    "OT1": "O",
    "OT2": "OXT",
    "O1": "O",
    "O2": "OXT",
    "OT": "O",
    "OC1": "O",
    "OC2": "OXT",
}
"""Names that force fields give to the two oxygens at a C terminus."""

CONTACT_CLASS: Final[dict[str, str]] = {
    **dict.fromkeys(("ALA", "CYS", "GLY", "PHE", "ILE", "MET", "LEU", "PRO", "TRP", "VAL", "TYR"), "A"),
    **dict.fromkeys(("ASN", "GLN", "SER", "THR"), "P"),
    **dict.fromkeys(("GLU", "ASP", "HIS", "LYS", "ARG"), "C"),
}
"""Apolar (A), polar (P) or charged (C), as PRODIGY classifies a residue that is in a contact."""

SURFACE_CLASS: Final = CONTACT_CLASS | {"CYS": "P", "HIS": "P", "TRP": "P", "TYR": "P"}
"""The same for a residue of the surface outside the interface (Kastritis et al., JMB 426:2632, 2014)."""

REFERENCE_SURFACE: Final = {
    "ALA": 107.95, "CYS": 134.28, "ASP": 140.39, "GLU": 172.25, "PHE": 199.48, "GLY": 80.10, "HIS": 182.88,
    "ILE": 175.12, "LYS": 200.81, "LEU": 178.63, "MET": 194.15, "ASN": 143.94, "PRO": 136.13, "GLN": 178.50,
    "ARG": 238.76, "SER": 116.50, "THR": 139.27, "VAL": 151.44, "TRP": 249.36, "TYR": 212.76,
}  # fmt: skip
"""Accessible surface of residue X in an extended ALA-X-ALA peptide, Å² (NACCESS)."""

_ALIPHATIC, _TRIGONAL, _AMIDE, _AMMONIUM, _OXYGEN, _SULPHUR = 1.87, 1.76, 1.65, 1.50, 1.40, 1.85
_TRIGONAL_SIDE_CHAIN: Final = {
    "ARG": {"CZ"},
    "ASN": {"CG"},
    "ASP": {"CG"},
    "GLN": {"CD"},
    "GLU": {"CD"},
    "HIS": {"CG", "CD2", "CE1"},
    "PHE": {"CG", "CD1", "CD2", "CE1", "CE2", "CZ"},
    "TRP": {"CG", "CD1", "CD2", "CE2", "CE3", "CZ2", "CZ3", "CH2"},
    "TYR": {"CG", "CD1", "CD2", "CE1", "CE2", "CZ"},
}


@cache
def radius(resname: str, atom: str) -> float:
    """Van der Waals radius of a heavy atom of one of the twenty amino acids, Å (NACCESS; Chothia, 1976).

    >>> radius("LYS", "NZ"), radius("PHE", "CZ"), radius("GLY", "CA")
    (1.5, 1.76, 1.87)
    """
    if atom[0] == "O":
        return _OXYGEN
    if atom[0] == "S":
        return _SULPHUR
    if atom[0] == "N":
        return _AMMONIUM if (resname, atom) == ("LYS", "NZ") else _AMIDE
    return _TRIGONAL if atom == "C" or atom in _TRIGONAL_SIDE_CHAIN.get(resname, ()) else _ALIPHATIC


@cache
def heavy_atoms(resname: str) -> frozenset[str]:
    """Names of the heavy atoms that one of the twenty amino acids has inside a chain (so without OXT)."""
    return frozenset(BACKBONE + SIDE_CHAIN[resname])


@cache
def kind(resname: str) -> str:
    """What a residue of this name is: ``amino``, ``nucleic``, ``water`` or ``ligand``."""
    import gemmi

    if resname in AMINO_ACIDS or resname in _FORCE_FIELD_NAMES:
        return "amino"
    entry = gemmi.find_tabulated_residue(resname)
    if entry.is_amino_acid() or entry.kind == gemmi.ResidueKind.AAD:
        return "amino"
    if entry.is_nucleic_acid():
        return "nucleic"
    return "water" if entry.is_water() or resname in ("TIP3", "TIP", "SPC", "SOL") else "ligand"


@cache
def parent(resname: str) -> str | None:
    """The one of the twenty amino acids that a (modified) residue derives from; None when there is none.

    >>> parent("NEP"), parent("MSE"), parent("SEP"), parent("HIE"), parent("ALA"), parent("UNK")
    ('HIS', 'MET', 'SER', 'HIS', 'ALA', None)
    """
    import gemmi

    if resname in AMINO_ACIDS:
        return resname
    if resname in _FORCE_FIELD_NAMES or resname in _RARE:
        return _FORCE_FIELD_NAMES.get(resname) or _RARE[resname]
    code = gemmi.find_tabulated_residue(resname).one_letter_code.upper()
    return next((name for name, letter in ONE_LETTER.items() if letter == code), None)
