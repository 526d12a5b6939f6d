"""Structures: PDB and mmCIF files in, as arrays, with what was not straightforward in plain sentences.

Reading is gemmi's. What this module adds are decisions, each reported in `Structure.issues`: one model, one
alternate location, one residue per position; modified residues read as their parents; and what else is in the
file (waters, ligands, nucleic acids, gaps, missing atoms). Chain names and residue numbers are always the
author's.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import gemmi

EXTENSIONS = (".pdb", ".ent", ".cif", ".mmcif")
"""Extensions of structure files; each may be followed by ``.gz``."""

MAX_BYTES = 256 * 2**20
"""Largest file that is read, after decompression (a bound against decompression bombs)."""

MAX_ATOMS = 99_999
"""Atoms of a structure that a portal takes: what the numbers of a PDB file count."""

CHAIN_NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz"
"""Names that a PDB file has room for."""

Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]


class StructureError(ValueError):
    """A structure, or what was asked of it, cannot be used; the message is one plain sentence."""


@dataclass(frozen=True, order=True)
class ResidueId:
    """A residue by its author numbering, as in ``A 100B HIS``."""

    chain: str
    number: int
    insertion: str = ""
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.chain} {self.number}{self.insertion} {self.name}".rstrip()


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms of one model as arrays of equal length N.

    Attributes:
        name: stem of the file's name.
        xyz: (N, 3) coordinates, Å.
        element: (N,) element symbols, in capitals.
        chain: (N,) author chain names.
        resid: (N,) author residue numbers.
        icode: (N,) insertion codes, ``""`` when there is none.
        resname: (N,) residue names, with modified residues under their parent's name.
        atom: (N,) atom names.
        occupancy: (N,) in 0..1.
        b_factor: (N,) Å².
        kind: (N,) one of ``protein``, ``nucleic``, ``water``, ``ligand``.
        residue: (N,) running index of the residue that each atom is in.
        model: number of the model that was read, from 1.
        models: how many models the file has.
        modified: residues that were read as a parent, with their name in the file.
        issues: what was not straightforward in the file, in plain sentences.
    """

    name: str
    xyz: NDArray[np.float64]
    element: Strings
    chain: Strings
    resid: NDArray[np.int64]
    icode: Strings
    resname: Strings
    atom: Strings
    occupancy: NDArray[np.float64]
    b_factor: NDArray[np.float64]
    kind: Strings
    residue: NDArray[np.int64]
    model: int = 1
    models: int = 1
    modified: tuple[tuple[ResidueId, str], ...] = ()
    issues: tuple[str, ...] = ()

    @classmethod
    def of_points(cls, name: str, xyz: NDArray[np.float64], chains: Sequence[str], resname: str) -> Structure:
        """Dummy atoms X at (N, 3) places, a residue each, in (N,) chains: for viewers that draw only molecules."""
        n = len(xyz)
        return cls(
            name=name,
            xyz=xyz,
            element=np.full(n, "X"),
            chain=np.array(chains, dtype=str),
            resid=np.arange(1, n + 1),
            icode=np.full(n, "", dtype="U1"),
            resname=np.full(n, resname),
            atom=np.full(n, "X"),
            occupancy=np.ones(n),
            b_factor=np.zeros(n),
            kind=np.full(n, "ligand"),
            residue=np.arange(n),
        )

    def __len__(self) -> int:
        return len(self.xyz)

    def __repr__(self) -> str:
        chains = ", ".join(self.chains) or "none"
        size = f"{len(self)} atoms, {self.n_residues} residues"
        return f"Structure({self.name!r}, {size}, protein chains {chains})"

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """(R,) index of the first atom of each residue."""
        if len(self) == 0:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(np.r_[True, np.diff(self.residue) != 0])

    @property
    def n_residues(self) -> int:
        """Number of residues of every kind."""
        return len(self.first)

    @cached_property
    def chains(self) -> tuple[str, ...]:
        """Names of the chains that hold protein, in the order of the file."""
        return tuple(dict.fromkeys(self.chain[self.kind == "protein"].tolist()))

    @property
    def protein(self) -> Structure:
        """Only the protein atoms, hydrogens included."""
        return self.select(self.kind == "protein")

    @property
    def heavy(self) -> Structure:
        """Without hydrogen and deuterium."""
        return self.select(~np.isin(self.element, ["H", "D"]))

    def in_chains(self, chains: Sequence[str]) -> Structure:
        """Only the atoms of these chains."""
        return self.select(np.isin(self.chain, list(chains)))

    def select(self, mask: Bools) -> Structure:
        """The atoms where `mask` (N,) is true; `issues` and `modified` are kept."""
        _, residue = np.unique(self.residue[mask], return_inverse=True)
        parts = {name: getattr(self, name)[mask] for name in ATOM_ARRAYS}
        return replace(self, **parts, residue=residue.astype(np.int64))

    def moved(self, rotation: NDArray[np.float64], translation: NDArray[np.float64]) -> Structure:
        """The structure after x -> R x + t, with `rotation` (3, 3) and `translation` (3,) in Å."""
        return replace(self, xyz=self.xyz @ np.asarray(rotation).T + np.asarray(translation))

    def residue_id(self, index: int) -> ResidueId:
        """The author's name of residue `index`."""
        i = int(self.first[index])
        return ResidueId(str(self.chain[i]), int(self.resid[i]), str(self.icode[i]), str(self.resname[i]))

    def residue_ids(self) -> Iterator[ResidueId]:
        """The author's names of all residues, in order."""
        return (self.residue_id(r) for r in range(self.n_residues))

    def to_gemmi(self) -> gemmi.Structure:
        """The same atoms as a gemmi structure, to write or to hand to another program."""
        from colonnade.structure._reading import to_gemmi

        return to_gemmi(self)

    def to_pdb(self) -> str:
        """The text of a PDB file. Raises `StructureError` where the format has no room (long chain names)."""
        if any(len(chain) > 1 for chain in set(self.chain.tolist())) or len(self) > 99_999:
            raise StructureError(
                f"{self.name} does not fit the PDB format (one-letter chain names, at most 99999 atoms); use mmCIF."
            )
        return str(self.to_gemmi().make_pdb_string())

    def to_mmcif(self) -> str:
        """The text of an mmCIF file."""
        return str(self.to_gemmi().make_mmcif_document().as_string())


ATOM_ARRAYS = (
    "xyz",
    "element",
    "chain",
    "resid",
    "icode",
    "resname",
    "atom",
    "occupancy",
    "b_factor",
    "kind",
)
"""Names of the per-atom arrays of `Structure`, without `residue`."""


def read_structure(path: str | Path, *, model: int = 1) -> Structure:
    """Read a PDB or mmCIF file, gzip-compressed or not.

    The format is told from the content, not from the extension. Alternate locations: the one with the highest
    occupancy is kept, the first of equals. Insertion codes are kept. Modified residues (MSE, SEP, NEP ...)
    are read as their parents, without the atoms that the parent does not have. Waters, ligands, ions and
    nucleic acids stay in the arrays under their `kind`.

    Arguments:
        path: file to read; one of `EXTENSIONS`, with or without ``.gz``.
        model: which of several models, counted from 1.

    Raises:
        StructureError: the file is missing, empty, of another kind, broken, or has no such model.
    """
    from colonnade.structure._reading import clean, parse

    path = Path(path)
    document, notes = parse(path.name, read_text(path))
    models = len(document)
    if not 1 <= model <= models:
        raise StructureError(f"model: {model} is outside the range of 1 to {models} that {path.name} has.")
    return clean(_stem(path), document, model, notes)


def read_models(path: str | Path) -> list[Structure]:
    """Read every model of a file, for example of an NMR bundle or an ensemble; see `read_structure`."""
    from colonnade.structure._reading import clean, parse

    path = Path(path)
    document, notes = parse(path.name, read_text(path))
    return [clean(_stem(path), document, k + 1, notes) for k in range(len(document))]


def join(structures: Sequence[Structure], name: str) -> Structure:
    """Several structures as one, in this order.

    A chain whose name is taken by an earlier structure gets the first free letter; `issues` says so.
    """
    taken: set[str] = set()
    parts, renamed = [], []
    for structure in structures:
        chain = structure.chain.astype("U8")
        for old in dict.fromkeys(structure.chain.tolist()):
            if old in taken:
                used = taken | set(chain.tolist())
                new = next(letter for letter in CHAIN_NAMES if letter not in used)
                chain[structure.chain == old] = new
                renamed.append(f"Chain {old} of {structure.name} is called {new} beside the other structures.")
        taken |= set(chain.tolist())
        parts.append(replace(structure, chain=chain))
    counts = np.cumsum([0, *(part.n_residues for part in parts)])
    arrays: dict[str, Any] = {array: np.concatenate([getattr(part, array) for part in parts]) for array in ATOM_ARRAYS}
    residue = np.concatenate([part.residue + start for part, start in zip(parts, counts[:-1], strict=True)])
    return Structure(name=name, residue=residue, issues=tuple(renamed), **arrays)


def check_structure_file(path: str | Path) -> None:
    """Raise `StructureError` with one plain sentence unless the file is a structure with protein in it.

    Used before a job is queued: empty file, another kind of file behind a right extension, no protein atoms.
    """
    path = Path(path)
    if not path.name.lower().removesuffix(".gz").endswith(EXTENSIONS):
        raise StructureError(
            f"{path.name} is not named like a structure file; expected one of {', '.join(EXTENSIONS)}, also with .gz."
        )
    structure = read_structure(path)
    check_size(structure, path.name)
    if not structure.chains:
        raise StructureError(f"{path.name} has no protein atoms; it holds {describe_kinds(structure)}.")


def check_size(structure: Structure, name: str) -> None:
    """Raise `StructureError` when there are more atoms than a portal takes."""
    if len(structure) > MAX_ATOMS:
        raise StructureError(f"{name} has {len(structure)} atoms, more than the {MAX_ATOMS} that are taken here.")


def describe_kinds(structure: Structure) -> str:
    """What a structure holds by kind, in words."""
    kinds = structure.kind[structure.first].tolist()
    words = {
        "protein": "protein residues",
        "nucleic": "nucleotides",
        "water": "waters",
        "ligand": "ligand or ion residues",
    }
    return ", ".join(f"{kinds.count(kind)} {word}" for kind, word in words.items() if kind in kinds) or "no atoms"


def _stem(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).stem


def read_text(path: Path) -> str:
    """The file's text: decompressed, decoded, with plain line ends and no byte-order mark."""
    if not path.is_file():
        raise StructureError(f"{path.name}: there is no such file.")
    with path.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if packed else open
    try:
        with opener(path, "rb") as handle:
            data: bytes = handle.read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        raise StructureError(f"{path.name} cannot be read: {error}.") from None
    if not data.strip():
        raise StructureError(f"{path.name} is empty.")
    if len(data) > MAX_BYTES:
        raise StructureError(f"{path.name} is larger than {MAX_BYTES // 2**20} MiB, the largest that is read.")
    if b"\x00" in data:
        raise StructureError(f"{path.name} is not a text file, so neither PDB nor mmCIF.")
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
