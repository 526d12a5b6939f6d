"""Binding affinity of a small molecule to a protein, from the atoms that it comes near.

PRODIGY-LIG (Vangone et al., Bioinformatics 35:1585, 2019; Kurkcuoglu et al., J. Comput. Aided Mol. Des. 32:175, 2018)
counts pairs of a ligand atom and a protein atom within 10.5 Å by their elements, carbon, nitrogen, oxygen and the
others that drugs hold, and is linear in these counts. With the electrostatic energy of a HADDOCK refinement it has a
second model and a score for ranking.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.structure.structures import ResidueId, StructureError

Engine = Literal["fast", "prodigy-lig"]

DISTANCE = 10.5
"""Largest distance of a contact that the model was fitted with, Å."""
ELEMENTS = ("C", "N", "O", "F", "CL", "BR", "S", "P")
"""Elements that count; those behind O are one class, X."""
CLASSES = ("CC", "CN", "CO", "CX", "NN", "NO", "NX", "OO", "OX", "XX")
"""Classes of contacts, by the elements of both atoms."""

# Weights of the published models, as in the authors' program, version 1.1.4 (kcal/mol).
PLAIN = {"NN": 0.0354707, "XX": -0.1277895, "CN": -0.0072166, "": -5.1923181}
CHARGED = {"elec": 0.0115148, "CC": -0.0014852, "NN": 0.0057097, "XX": -0.1301806, "": -5.1002233}
SCORE = {"elec": 0.343794, "CC": -0.037597, "NN": 0.138738, "OO": 0.160043, "XX": -3.088861, "": 187.011384}

BACKBONE = ("N", "CA", "C", "O")
COMMON_IONS = {
    "NA", "CL", "K", "MG", "CA", "ZN", "MN", "FE", "CU", "NI", "CO", "SO4", "PO4", "GOL", "EDO", "ACT", "PEG", "DMS",
}  # fmt: skip
"""Ions and additives of crystallisation, which are hardly ever the ligand that is meant."""


@dataclass(frozen=True)
class LigandContact:
    """A protein residue near the ligand: the number of atom pairs within the distance, and the closest, Å."""

    residue: ResidueId
    pairs: int
    closest: float


@dataclass(frozen=True, eq=False)
class LigandAffinity:
    """A prediction of PRODIGY-LIG.

    Attributes:
        ligand: the small molecule.
        delta_g: free energy of binding without electrostatics, kcal/mol.
        delta_g_elec: with electrostatics, kcal/mol; None without that energy.
        score: for ranking poses and ligands, arbitrary units; None without electrostatics.
        electrostatics: energy of the HADDOCK refinement, kcal/mol, or None.
        contacts: number of atom pairs by class, one of `CLASSES`.
        near: protein residues near the ligand, the closest first.
        distance: of a contact, Å.
        notes: what was left out or is outside the model's ground.
    """

    ligand: ResidueId
    delta_g: float
    delta_g_elec: float | None
    score: float | None
    electrostatics: float | None
    contacts: dict[str, int]
    near: tuple[LigandContact, ...]
    distance: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"ligand {self.ligand}", f"ΔG {self.delta_g:.2f} kcal/mol (without electrostatics)"]
        if self.delta_g_elec is not None and self.score is not None:
            lines += [f"ΔG {self.delta_g_elec:.2f} kcal/mol (with electrostatics)", f"score {self.score:.2f}"]
        return "\n".join([*lines, *(f"{kind} contacts {count}" for kind, count in self.contacts.items())])


@dataclass
class _Complex:
    """Atoms of one model with the highest occupancy, and the text of its file."""

    name: str
    text: str
    xyz: NDArray[np.float64]
    element: NDArray[np.str_]
    chain: NDArray[np.str_]
    resid: NDArray[np.int64]
    icode: NDArray[np.str_]
    resname: NDArray[np.str_]
    atom: NDArray[np.str_]
    hetero: NDArray[np.bool_]
    water: NDArray[np.bool_] = field(init=False)
    guessed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from colonnade.structure import residues

        names, code = np.unique(self.resname, return_inverse=True)
        self.water = np.array([residues.kind(str(name)) == "water" for name in names], dtype=bool)[code]

    def guess_elements(self) -> None:
        """Where a PDB file names no element, take the one that the authors' program takes.

        It goes by the atom's name and reads CL16 as carbon; the stored predictions, and whatever was published with
        that program, rest on it. `guessed` has the atoms that it reads otherwise than their names suggest.
        """
        written = {
            (line[17:20].strip(), line[12:16].strip()): line[12:16]
            for line in self.text.split("\n")
            if line.startswith(("ATOM", "HETATM")) and not line[76:78].strip()
        }
        if not written:
            return
        elements = self.element.astype("U4")
        for i, key in enumerate(zip(self.resname.tolist(), self.atom.tolist(), strict=True)):
            if key in written:
                elements[i] = _guessed_element(written[key])
                if elements[i] != self.element[i] and not self._is_hydrogen(i):
                    self.guessed[f"{key[0]} {key[1]}"] = str(elements[i])
        self.element = elements

    def _is_hydrogen(self, i: int) -> bool:
        """Whether atom i is a hydrogen, which counts for nothing whatever it is taken for."""
        return str(self.element[i]) in ("H", "D")

    def residue(self, i: int) -> ResidueId:
        """The residue of atom i."""
        return ResidueId(str(self.chain[i]), int(self.resid[i]), str(self.icode[i]), str(self.resname[i]))

    def mask(self, residue: ResidueId) -> NDArray[np.bool_]:
        """(N,) atoms of this residue."""
        mask: NDArray[np.bool_] = (
            (self.chain == residue.chain) & (self.resid == residue.number) & (self.icode == residue.insertion)
        )
        return mask

    @property
    def ligands(self) -> list[ResidueId]:
        """Small molecules: neither water nor part of a chain, at least six heavy atoms."""
        part = self.part_of_chain
        found: Counter[ResidueId] = Counter()
        for i in np.flatnonzero(~self.water & ~part & ~np.isin(self.element, ["H", "D"])):
            found[self.residue(int(i))] += 1
        return [residue for residue, atoms in found.items() if atoms >= 6 and residue.name not in COMMON_IONS]

    @property
    def part_of_chain(self) -> NDArray[np.bool_]:
        """(N,) atoms of residues of a protein or nucleic acid: by the table of residues, or three backbone atoms."""
        from colonnade.structure import residues

        key = np.char.add(np.char.add(np.char.add(self.chain, "/"), self.resid.astype(str)), self.icode)
        _, code = np.unique(key, return_inverse=True)
        backbone = np.isin(self.atom, BACKBONE)
        names, name_code = np.unique(self.resname, return_inverse=True)
        polymer = np.array([residues.kind(str(name)) in ("amino", "nucleic") for name in names], dtype=bool)[name_code]
        chain: NDArray[np.bool_] = (np.bincount(code, backbone)[code] >= 3) | polymer
        return chain


def ligand_affinity(
    path: str | Path,
    chains: str = "",
    ligand: str = "",
    *,
    electrostatics: float | None = None,
    distance: float = DISTANCE,
    model: int = 1,
    engine: Engine = "fast",
) -> LigandAffinity:
    """Predict the binding free energy of a small molecule to a protein.

    Arguments:
        path: PDB or mmCIF file of the complex, gzip-compressed or not.
        chains: chains of the protein, as in ``"A"`` or ``"A,B"``; empty for all that hold amino acids.
        ligand: ``"B:IMZ"`` (chain and residue name), or ``"B:IMZ:201"`` where there are several; empty for the only
            one there is.
        electrostatics: energy of the HADDOCK water refinement, kcal/mol; None takes it from the remarks of a HADDOCK
            file, where it is.
        distance: of a contact, Å; the models were fitted with 10.5.
        model: of a file with several, counted from 1.
        engine: ``"fast"`` is this package's own (gemmi and a k-d tree), ``"prodigy-lig"`` the authors' program.

    Raises:
        StructureError: the file cannot be read, a chain or the ligand is not there, or nothing is in contact.

    >>> from colonnade.structure.examples import example
    >>> found = ligand_affinity(example("1T4E"), "A", "B:DIZ")
    >>> print(f"{found.delta_g:.2f} kcal/mol, {found.contacts['CC']} CC contacts")
    -9.56 kcal/mol, 2401 CC contacts
    """
    if not 1.0 <= distance <= 30.0:
        raise StructureError(f"distance: {distance:g} Å is outside the range of 1 to 30 Å.")
    atoms = _read(Path(path), model)
    small = _ligand(atoms, ligand)
    names = _chains(atoms, chains)
    if electrostatics is None:
        electrostatics = stored_electrostatics(atoms.text)
    near, counts = _contacts(atoms, names, small, distance)
    if engine == "prodigy-lig":
        from colonnade.structure._affinity_engines import prodigy_lig

        counts = prodigy_lig(atoms.text, names, small, distance)
    if not near:
        raise StructureError(f"No contacts found: {small} is further than {distance:g} Å from chain {','.join(names)}.")
    return LigandAffinity(
        ligand=small,
        delta_g=_linear(PLAIN, counts),
        delta_g_elec=None if electrostatics is None else _linear(CHARGED, counts, electrostatics),
        score=None if electrostatics is None else _linear(SCORE, counts, electrostatics),
        electrostatics=electrostatics,
        contacts=counts,
        near=tuple(near),
        distance=distance,
        notes=tuple(_notes(atoms, names, small, distance)),
    )


def small_molecules(path: str | Path, model: int = 1) -> list[ResidueId]:
    """The small molecules of a file, without waters, ions and common additives."""
    return _read(Path(path), model).ligands


def stored_electrostatics(text: str) -> float | None:
    """The electrostatic energy in the remarks of a HADDOCK model, kcal/mol; None where there is none."""
    for line in text.split("\n"):
        if line.startswith("ATOM"):
            return None
        if line.startswith("REMARK energies:"):
            try:
                return float(line.partition(":")[2].split(",")[6])
            except (IndexError, ValueError):
                return None
    return None


def _guessed_element(written: str) -> str:
    """Element from the four characters of an atom's name in a PDB file: two letters only where no number follows.

    >>> [_guessed_element(name) for name in (" CA ", "CL16", "ZN  ", "HE21", " BR1", "1HB ")]
    ['C', 'C', 'ZN', 'H', 'B', 'H']
    """
    import gemmi

    name = written.strip()
    guess = name[1:2] if name[0].isdigit() else name[0]
    if written[0].isalpha() and not written[2:].isdigit():
        guess = name
    return guess if len(guess) <= 2 and gemmi.Element(guess).atomic_number > 0 else "X"


def _linear(weights: dict[str, float], counts: dict[str, int], electrostatics: float = 0.0) -> float:
    terms = {**counts, "elec": electrostatics, "": 1.0}
    return sum(weight * terms[name] for name, weight in weights.items())


def _read(path: Path, model: int) -> _Complex:
    from colonnade.structure._reading import single_atoms
    from colonnade.structure.structures import read_text

    text = read_text(path)
    atoms = single_atoms(path.name, text, model)
    arrays = {name: value for name, value in vars(atoms).items() if name not in ("occupancy", "b_factor", "altloc")}
    found = _Complex(name=path.name, text=text, **arrays)
    if not text.lstrip().lower().startswith("data_"):
        found.guess_elements()
    return found


def _ligand(atoms: _Complex, wanted: str) -> ResidueId:
    there = [f"{r.chain}:{r.name}:{r.number}{r.insertion}" for r in atoms.ligands]
    listed = f"the small molecules of the file are {', '.join(there)}" if there else "the file has no small molecules"
    if not wanted.strip():
        if len(there) == 1:
            return atoms.ligands[0]
        raise StructureError(f"ligand: name one, as in 'B:LIG'; {listed}.")
    match = re.fullmatch(r"\s*([^:\s]+):([^:\s]+)(?::(-?\d+)([A-Za-z]?))?\s*", wanted)
    if match is None:
        raise StructureError(f"ligand: {wanted!r} is not a chain and a residue name as in 'B:LIG'; {listed}.")
    chosen = (atoms.chain == match[1]) & (atoms.resname == match[2])
    if match[3]:
        chosen &= (atoms.resid == int(match[3])) & (atoms.icode == match[4])
    found = list(dict.fromkeys(atoms.residue(int(i)) for i in np.flatnonzero(chosen)))
    if not found:
        raise StructureError(f"ligand: there is no {match[2]} in chain {match[1]}; {listed}.")
    if len(found) > 1:
        numbers = ", ".join(f"{r.chain}:{r.name}:{r.number}{r.insertion}" for r in found)
        raise StructureError(f"ligand: chain {match[1]} holds {len(found)} {match[2]}; say which: {numbers}.")
    return found[0]


def _chains(atoms: _Complex, wanted: str) -> list[str]:
    there = list(dict.fromkeys(atoms.chain[atoms.atom == "CA"].tolist()))
    names = wanted.replace(",", " ").split() or there
    if absent := [name for name in names if name not in there]:
        raise StructureError(f"chains: there is no protein chain {', '.join(absent)}; there are {', '.join(there)}.")
    if not names:
        raise StructureError(f"chains: {atoms.name} has no protein.")
    return list(dict.fromkeys(names))


def _contacts(
    atoms: _Complex, chains: list[str], ligand: ResidueId, distance: float
) -> tuple[list[LigandContact], dict[str, int]]:
    """Protein residues near the ligand, and the numbers of pairs by class."""
    from scipy.spatial import cKDTree

    counted = np.isin(atoms.element, ELEMENTS)
    small = np.flatnonzero(counted & atoms.mask(ligand))
    polymer = ~atoms.hetero | atoms.part_of_chain
    body = np.isin(atoms.chain, chains) & polymer & ~atoms.water & (atoms.resname != ligand.name)
    large = np.flatnonzero(counted & body)
    counts = dict.fromkeys(CLASSES, 0)
    if not len(small) or not len(large):
        return [], counts
    found = cKDTree(atoms.xyz[small]).query_ball_tree(cKDTree(atoms.xyz[large]), distance * (1 + 1e-6))
    first = np.repeat(small, [len(row) for row in found])
    second = large[np.concatenate([np.array(row, dtype=np.int64) for row in found])]
    # Distances as the authors' program has them, in single precision: pairs on the very edge fall the same way.
    apart = atoms.xyz[first].astype(np.float32) - atoms.xyz[second].astype(np.float32)
    length = np.sqrt((apart * apart).sum(axis=1))
    first, second, length = (a[length <= distance] for a in (first, second, length))
    letter = np.select([atoms.element == name for name in "CNO"], [0, 1, 2], 3)
    low, high = np.minimum(letter[first], letter[second]), np.maximum(letter[first], letter[second])
    table = np.bincount(4 * low + high, minlength=16)
    counts = {kind: int(table[4 * "CNOX".index(kind[0]) + "CNOX".index(kind[1])]) for kind in CLASSES}
    near: dict[ResidueId, tuple[int, float]] = {}
    for i, apart_by in zip(second.tolist(), length.tolist(), strict=True):
        pairs_before, closest = near.get(residue := atoms.residue(i), (0, np.inf))
        near[residue] = (pairs_before + 1, min(closest, apart_by))
    rows = [LigandContact(residue, n, round(d, 3)) for residue, (n, d) in near.items()]
    return sorted(rows, key=lambda row: (row.closest, row.residue)), counts


def _notes(atoms: _Complex, chains: list[str], ligand: ResidueId, distance: float) -> list[str]:
    notes = []
    mine = {name: element for name, element in atoms.guessed.items() if name.split()[0] == ligand.name}
    if mine:
        read = ", ".join(f"{name.split()[1]} as {element}" for name, element in mine.items())
        notes.append(
            f"The file names no elements. As the authors' program, this reads {read}; write them into columns 77-78 "
            "for a prediction with the right ones."
        )
    others = [r for r in atoms.ligands if r != ligand]
    if others:
        notes.append(f"Other small molecules are left out: {', '.join(map(str, others[:5]))}.")
    if waters := len({atoms.residue(int(i)) for i in np.flatnonzero(atoms.water)}):
        notes.append(f"{waters} waters are left out.")
    strange = sorted(set(atoms.element[atoms.mask(ligand)].tolist()) - {*ELEMENTS, "H", "D"})
    if strange:
        notes.append(f"The model has no contacts of {', '.join(strange)}; these atoms of {ligand.name} do not count.")
    if distance != DISTANCE:
        notes.append(f"The model was fitted with contacts within {DISTANCE:g} Å, not {distance:g} Å.")
    heavy = int((~np.isin(atoms.element, ["H", "D"]) & atoms.mask(ligand)).sum())
    if not 6 <= heavy <= 80:
        notes.append(f"{ligand.name} has {heavy} heavy atoms; the model is for drug-like molecules.")
    absent = set(atoms.chain.tolist()) - {*chains, ligand.chain}
    if absent:
        notes.append(f"Chains outside the selection are left out: {', '.join(sorted(absent))}.")
    return notes
