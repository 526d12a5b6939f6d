"""From the text of a file to a `Structure`: gemmi's parsers, then the decisions that `structures` lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from colonnade.structure import residues
from colonnade.structure.structures import CHAIN_NAMES, ResidueId, Structure, StructureError

PEPTIDE_BOND = 2.5
"""C-N distance above which two residues count as not bonded, Å (a bond is 1.33)."""
CA_STEP = 5.0
"""The same for neighbouring CA atoms, where C or N is missing, Å (bonded: 3.8)."""

MAX_MODELS = 100_000
"""Models of a file that is read."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Strings = NDArray[np.str_]


@dataclass
class _Atoms:
    """Per-atom arrays on their way to a `Structure`; a site is a position (chain, number, insertion code)."""

    xyz: NDArray[np.float64]
    element: Strings
    chain: Strings
    resid: Ints
    icode: Strings
    resname: Strings
    atom: Strings
    occupancy: NDArray[np.float64]
    b_factor: NDArray[np.float64]
    altloc: Strings
    hetero: Bools

    def keep(self, mask: Bools) -> _Atoms:
        return _Atoms(**{name: value[mask] for name, value in vars(self).items()})

    def sites(self) -> Ints:
        """(N,) running index of the position of each atom."""
        same = (
            (self.chain[1:] == self.chain[:-1])
            & (self.resid[1:] == self.resid[:-1])
            & (self.icode[1:] == self.icode[:-1])
        )
        index: Ints = np.r_[0, np.cumsum(~same)].astype(np.int64)
        return index


def parse(name: str, text: str) -> tuple[gemmi.Structure, list[str]]:
    """The models of a PDB or mmCIF text, told apart by the content, and notes on the format."""
    lines = (line for line in text.split("\n") if line.strip() and not line.startswith("#"))
    is_mmcif = next(lines, "").lower().startswith("data_")
    try:
        structure = _parse_mmcif(name, text) if is_mmcif else _parse_pdb(name, text)
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, StructureError):
            raise
        kind = "mmCIF" if is_mmcif else "PDB"
        raise StructureError(f"{name} is broken {kind}: {' '.join(str(error).split())}.") from None
    if len(structure) == 0 or sum(model.count_atom_sites() for model in structure) == 0:
        raise StructureError(f"{name} has no atoms.")
    if len(structure) > MAX_MODELS:
        raise StructureError(f"{name} holds {len(structure)} models, more than the {MAX_MODELS} that are read.")
    structure.merge_chain_parts()
    named_mmcif = name.lower().removesuffix(".gz").endswith(("cif",))
    notes = []
    if is_mmcif != named_mmcif:
        notes.append(f"{name} holds {'mmCIF' if is_mmcif else 'PDB'} in spite of its name, and was read as that.")
    if is_mmcif:
        notes += _numbering_notes(structure)
    return structure, notes


def _parse_pdb(name: str, text: str) -> gemmi.Structure:
    found = False
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith(("ATOM", "HETATM")) and "\t" in line[:54]:
            raise StructureError(f"{name} is broken PDB: line {number} has tabs, and PDB goes by columns.")
        if line.startswith(("ATOM  ", "HETATM")):
            found = True
            try:  # gemmi reads what is no number as zero
                float(line[30:38]), float(line[38:46]), float(line[46:54])
            except ValueError:
                raise StructureError(
                    f"{name} is broken PDB: line {number} has no coordinates in columns 31-54."
                ) from None
    if not found:
        raise StructureError(f"{name} is neither PDB nor mmCIF: it has no ATOM or HETATM records.")
    return gemmi.read_pdb_string(text)


def _parse_mmcif(name: str, text: str) -> gemmi.Structure:
    for block in gemmi.cif.read_string(text):
        if block.find_loop("_atom_site.Cartn_x").tag or block.find_value("_atom_site.Cartn_x"):
            return gemmi.make_structure_from_block(block)
    raise StructureError(f"{name} is CIF without atom coordinates (no _atom_site.Cartn_x).")


def _numbering_notes(structure: gemmi.Structure) -> list[str]:
    """Say where the author's chain names are not the label names of the same mmCIF file."""
    pairs = {
        (residue.subchain, chain.name)
        for chain in structure[0]
        for residue in chain
        if residue.subchain and residues.kind(residue.name) == "amino"
    }
    renamed = sorted(f"{label} is {author}" for label, author in pairs if label != author)
    if not renamed:
        return []
    return [f"Chain names are the author's (auth_asym_id); by label_asym_id, chain {', '.join(renamed)}."]


def _strings(codes: Any) -> Strings:
    """Fixed-width C strings, (N, W) int8, as (N,) str."""
    codes = np.ascontiguousarray(codes)
    return np.char.strip(codes.view(f"S{codes.shape[1]}").ravel().astype(str))


def _letters(codes: Any) -> Strings:
    """Single characters, (N,) int8, as (N,) str with blanks and NULs as ``""``."""
    return np.char.strip(np.ascontiguousarray(codes).view("S1").astype(str))


def _arrays(document: gemmi.Structure, model: int) -> _Atoms:
    if len(document) > 1:
        number = document[model - 1].num
        document = document.clone()
        for k in reversed([k for k, other in enumerate(document) if other.num != number]):
            del document[k]
    flat = gemmi.FlatStructure(document)
    return _Atoms(
        xyz=np.array(flat.pos, dtype=np.float64),
        element=np.char.upper(np.asarray(flat.element_names).astype(str)),
        chain=_strings(flat.chain_ids),
        resid=np.asarray(flat.resnums).astype(np.int64),
        icode=_letters(flat.icodes),
        resname=_strings(flat.residue_names),
        atom=_strings(flat.atom_names),
        occupancy=np.asarray(flat.occ).astype(np.float64),
        b_factor=np.asarray(flat.b_iso).astype(np.float64),
        altloc=_letters(flat.altlocs),
        hetero=_letters(flat.het_flags) == "H",
    )


def single_atoms(name: str, text: str, model: int) -> _Atoms:
    """The atoms of one model as they are in the file, modified residues included, with one location each."""
    document, _ = parse(name, text)
    if not 1 <= model <= len(document):
        raise StructureError(f"model: {model} is outside the range of 1 to {len(document)} that {name} has.")
    atoms = _name_chains(_arrays(document, model), [])
    return _one_location_per_atom(_one_residue_per_site(atoms, []), [])


def clean(name: str, document: gemmi.Structure, model: int, notes: Sequence[str]) -> Structure:
    """One model of a parsed file as a `Structure`, with every decision noted."""
    issues = list(notes)
    if len(document) > 1:
        issues.append(f"The file holds {len(document)} models; model {model} is used.")
    atoms = _arrays(document, model)
    if not np.isfinite(atoms.xyz).all():
        raise StructureError(
            f"{name} has {int((~np.isfinite(atoms.xyz)).any(axis=1).sum())} atoms without coordinates."
        )
    atoms = _name_chains(atoms, issues)
    atoms = _one_residue_per_site(atoms, issues)
    atoms = _one_location_per_atom(atoms, issues)
    kind = _kinds(atoms)
    atoms, kind, modified = _read_as_parents(atoms, kind, issues)
    structure = Structure(
        name=name,
        kind=kind,
        residue=atoms.sites(),
        model=model,
        models=len(document),
        modified=modified,
        **{key: value for key, value in vars(atoms).items() if key not in ("altloc", "hetero")},
    )
    issues += _contents(structure) + _gaps(structure) + _missing(structure)
    object.__setattr__(structure, "issues", tuple(issues))
    return structure


def _name_chains(atoms: _Atoms, issues: list[str]) -> _Atoms:
    """Give atoms without a chain name the first free letter."""
    blank = atoms.chain == ""
    if blank.any():
        used = set(atoms.chain.tolist())
        free = next(letter for letter in CHAIN_NAMES if letter not in used)
        atoms.chain = np.where(blank, free, atoms.chain)
        issues.append(f"{int(blank.sum())} atoms have no chain name; they are called chain {free}.")
    return atoms


def _one_residue_per_site(atoms: _Atoms, issues: list[str]) -> _Atoms:
    """Where several residue names share a position (a point mutation), keep the one with most occupancy."""
    site = atoms.sites()
    changes = (site[1:] == site[:-1]) & (atoms.resname[1:] != atoms.resname[:-1])
    keep = np.ones(len(site), dtype=bool)
    for s in np.unique(site[1:][changes]):
        here = np.flatnonzero(site == s)
        weight: Counter[str] = Counter()
        for i in here:
            weight[str(atoms.resname[i])] += atoms.occupancy[i]
        best = max(weight, key=lambda resname: weight[resname])  # the first of equals
        keep[here[atoms.resname[here] != best]] = False
        i = here[0]
        issues.append(
            f"Position {atoms.chain[i]} {atoms.resid[i]}{atoms.icode[i]} holds {' and '.join(weight)}; {best} is used."
        )
    return atoms.keep(keep)


def _one_location_per_atom(atoms: _Atoms, issues: list[str]) -> _Atoms:
    """Of several locations of one atom keep the one with the highest occupancy, the first of equals."""
    site = atoms.sites()
    _, atom_code = np.unique(atoms.atom, return_inverse=True)
    key = site * (int(atom_code.max()) + 1) + atom_code
    order = np.lexsort((np.arange(len(key)), -atoms.occupancy, key))
    best = order[np.r_[True, np.diff(key[order]) != 0]]
    keep = np.zeros(len(key), dtype=bool)
    keep[best] = True
    labelled = atoms.altloc != ""
    if labelled.any():
        count = len(np.unique(site[labelled]))
        issues.append(f"{count} residues have alternate locations; the one with the highest occupancy is used.")
    if repeated := int((~keep & ~labelled).sum()):
        issues.append(f"{repeated} atoms are given twice under the same name; the first is used.")
    return atoms.keep(keep)


def _kinds(atoms: _Atoms) -> Strings:
    """(N,) protein, nucleic, water or ligand; an amino acid in HETATM, bound to nothing, is a ligand."""
    names, code = np.unique(atoms.resname, return_inverse=True)
    kind = np.array([residues.kind(str(name)) for name in names], dtype="U7")[code]
    site = atoms.sites()
    has_ca = np.bincount(site, weights=atoms.atom == "CA") > 0
    bonded = _bonds(atoms, site)
    in_chain = has_ca & (np.r_[False, bonded] | np.r_[bonded, False])
    protein = (kind == "amino") & (~atoms.hetero | in_chain[site])
    return np.where(protein, "protein", np.where(kind == "amino", "ligand", kind)).astype("U7")


def _bonds(atoms: _Atoms | Structure, site: Ints) -> Bools:
    """(S-1,) whether each position is bonded to the next by a peptide bond."""
    count = int(site[-1]) + 1
    place = {name: np.full((count, 3), np.nan) for name in ("N", "CA", "C")}
    for name, table in place.items():
        rows = np.flatnonzero(atoms.atom == name)
        table[site[rows]] = atoms.xyz[rows]
    first = np.flatnonzero(np.r_[True, np.diff(site) != 0])
    same_chain = atoms.chain[first][1:] == atoms.chain[first][:-1]
    c_n = np.linalg.norm(place["C"][:-1] - place["N"][1:], axis=1)
    ca_ca = np.linalg.norm(place["CA"][:-1] - place["CA"][1:], axis=1)
    result: Bools = same_chain & np.where(np.isnan(c_n), ca_ca < CA_STEP, c_n < PEPTIDE_BOND)
    return result


def _read_as_parents(
    atoms: _Atoms, kind: Strings, issues: list[str]
) -> tuple[_Atoms, Strings, tuple[tuple[ResidueId, str], ...]]:
    """Rename modified residues and force-field names to the twenty amino acids, without the extra atoms."""
    protein = kind == "protein"
    hydrogen = np.isin(atoms.element, ["H", "D"])
    keep = np.ones(len(kind), dtype=bool)
    modified: list[tuple[ResidueId, str]] = []
    site = atoms.sites()
    resname, atom, element = atoms.resname.astype("U8"), atoms.atom.astype("U8"), atoms.element.copy()
    stray: Counter[str] = Counter()
    for name in np.unique(atoms.resname[protein]).tolist():
        rows = np.flatnonzero(protein & (atoms.resname == name))
        parent = residues.parent(name)
        if parent is None:
            kind[rows] = "ligand"
            count = len(np.unique(site[rows]))
            issues.append(f"{count} residues {name} have no parent among the twenty amino acids and are left out.")
            continue
        resname[rows] = parent
        known = residues.heavy_atoms(parent) | {"OXT"}
        for old in np.unique(atom[rows[~hydrogen[rows]]]).tolist():
            if old in known:
                continue
            here = rows[atom[rows] == old]
            new = residues.RENAMED_ATOMS.get((parent, old)) or residues.TERMINAL_OXYGENS.get(old)
            if new is None:
                keep[here] = False
                stray[f"{name} {old}"] += len(here)
            else:
                atom[here], element[here] = new, new[0]
        if name != parent:
            starts = rows[np.r_[True, np.diff(site[rows]) != 0]]
            modified += [(_residue_at(atoms, int(i), parent), name) for i in starts]
    atoms.resname, atoms.atom, atoms.element = resname, atom, element
    issues += _modified_note(modified)
    if plain := [key for key in stray if key.split()[0] in residues.AMINO_ACIDS]:
        issues.append(f"Atoms that their residue should not have are left out: {_first_few(plain)}.")
    return atoms.keep(keep), kind[keep], tuple(modified)


def _residue_at(atoms: _Atoms, i: int, name: str) -> ResidueId:
    return ResidueId(str(atoms.chain[i]), int(atoms.resid[i]), str(atoms.icode[i]), name)


def _modified_note(modified: list[tuple[ResidueId, str]]) -> list[str]:
    parts = [f"{name} {r.chain} {r.number}{r.insertion} as {r.name}" for r, name in modified]
    if not parts:
        return []
    few = _first_few(parts)
    return [f"{len(parts)} modified residues are read as their parents, without the extra atoms: {few}."]


def _first_few(items: Iterable[str], limit: int = 5) -> str:
    items = list(items)
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "")


def _contents(structure: Structure) -> list[str]:
    """What is in the file beside protein."""
    first = structure.first
    kind, resname, chain = structure.kind[first], structure.resname[first], structure.chain[first]
    notes = []
    if waters := int((kind == "water").sum()):
        notes.append(f"The file holds {waters} waters.")
    if (kind == "ligand").any():
        counts = Counter(resname[kind == "ligand"].tolist())
        notes.append(f"The file holds ligands or ions: {_first_few(f'{n} ({k})' for n, k in counts.items())}.")
    if (kind == "nucleic").any():
        notes.append(f"Nucleic acid in chain {', '.join(dict.fromkeys(chain[kind == 'nucleic'].tolist()))}.")
    if inserted := int((structure.icode[first][kind == "protein"] != "").sum()):
        notes.append(f"{inserted} residues have insertion codes; they are kept as residues of their own.")
    return notes


def _gaps(structure: Structure) -> list[str]:
    """Breaks of the chain between neighbouring protein residues."""
    protein = structure.protein
    if protein.n_residues < 2:
        return []
    first = protein.first
    broken = ~_bonds(protein, protein.residue) & (protein.chain[first][1:] == protein.chain[first][:-1])
    parts = []
    for r in np.flatnonzero(broken):
        before, after = protein.residue_id(int(r)), protein.residue_id(int(r) + 1)
        parts.append(f"{before.chain} {before.number}{before.insertion}-{after.number}{after.insertion}")
    return [f"{len(parts)} gaps in the chain: {_first_few(parts)}."] if parts else []


def _missing(structure: Structure) -> list[str]:
    """Residues without all their heavy atoms."""
    protein = structure.protein
    if len(protein) == 0:
        return []
    heavy = protein.heavy
    counts = np.bincount(heavy.residue, weights=heavy.atom != "OXT", minlength=heavy.n_residues)
    names = heavy.resname[heavy.first]
    expected = np.array([len(residues.heavy_atoms(str(name))) for name in names])
    short = np.flatnonzero(counts < expected)
    if (counts <= 1).all():
        return ["Only CA atoms are given for the protein."]
    if not len(short):
        return []
    parts = [f"{heavy.residue_id(int(r))} ({int(expected[r] - counts[r])})" for r in short]
    return [f"{len(parts)} residues lack heavy atoms: {_first_few(parts)}."]


def to_gemmi(structure: Structure) -> gemmi.Structure:
    """A gemmi structure with the atoms of `structure`."""
    document = gemmi.Structure()
    document.name = structure.name
    model = gemmi.Model(structure.model)
    ends = np.r_[structure.first[1:], len(structure)]
    chains: dict[str, gemmi.Chain] = {}
    for start, end in zip(structure.first, ends, strict=True):
        name = str(structure.chain[start])
        chain = chains.setdefault(name, gemmi.Chain(name))
        residue = gemmi.Residue()
        residue.name = str(structure.resname[start])
        residue.seqid = gemmi.SeqId(int(structure.resid[start]), str(structure.icode[start]) or " ")
        residue.het_flag = "A" if structure.kind[start] in ("protein", "nucleic") else "H"
        for i in range(int(start), int(end)):
            atom = gemmi.Atom()
            atom.name, atom.element = str(structure.atom[i]), gemmi.Element(str(structure.element[i]))
            atom.pos = gemmi.Position(*structure.xyz[i])
            atom.occ, atom.b_iso = float(structure.occupancy[i]), float(structure.b_factor[i])
            residue.add_atom(atom)
        chain.add_residue(residue)
    for chain in chains.values():
        model.add_chain(chain)
    document.add_model(model)
    document.setup_entities()
    return document
