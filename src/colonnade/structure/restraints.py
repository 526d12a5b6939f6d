"""Distance restraints: crosslinks, ambiguous interaction restraints, and the files that DisVis and CNS read.

A restraint says that two sites are between `lower` and `upper` Å apart. A site is one atom, or several of
which any may fulfil it (an *ambiguous* restraint). The first site is on the fixed partner and the second on
the scanning one, or wherever their chains are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.structure.structures import Structure

MAX_DISTANCE = 200.0
"""Largest distance of a restraint, Å."""

CROSSLINKERS: dict[str, tuple[float, float]] = {
    "DSS": (0.0, 30.0),
    "BS3": (0.0, 30.0),
    "DSSO": (0.0, 30.0),
    "ADH": (0.0, 23.0),
    "ZL": (0.0, 26.0),
}
"""CA-CA distances that crosslinks allow, Å: the lysine linkers DSS, BS3 and DSSO (Merkley et al., Protein
Sci. 23:747, 2014), and ADH and zero-length coupling between acidic residues and lysines (Leitner et al., PNAS
111:9455,
2014), as used in the DisVis studies."""


class RestraintError(ValueError):
    """A restraint cannot be read or does not fit the structures; the message is one plain sentence."""


@dataclass(frozen=True, order=True)
class AtomId:
    """An atom by its author numbering; without `atom`, the CA (or C3', P) of the residue."""

    chain: str
    number: int
    atom: str = ""
    insertion: str = ""

    def __str__(self) -> str:
        return f"{self.chain} {self.number}{self.insertion} {self.atom}".strip()


@dataclass(frozen=True)
class Restraint:
    """`lower` <= distance <= `upper` (Å) between one of `first` and one of `second`.

    Raises:
        RestraintError: a bound is negative, above 200 Å, not a number, or the lower one above the upper one.
    """

    first: tuple[AtomId, ...]
    second: tuple[AtomId, ...]
    lower: float
    upper: float
    name: str = ""

    def __post_init__(self) -> None:
        for field, value in (("lower", self.lower), ("upper", self.upper)):
            if not 0.0 <= value <= MAX_DISTANCE:
                raise RestraintError(
                    f"{self}: {field} bound {value:g} Å is outside the range of 0 to {MAX_DISTANCE:g} Å."
                )
        if self.lower > self.upper:
            raise RestraintError(f"{self}: the lower bound {self.lower:g} Å is above the upper bound {self.upper:g} Å.")
        if not self.first or not self.second:
            raise RestraintError("A restraint needs at least one atom on each side.")

    @property
    def ambiguous(self) -> bool:
        """Whether one of several pairs of atoms may fulfil it."""
        return len(self.first) * len(self.second) > 1

    def __str__(self) -> str:
        if self.name:
            return self.name
        more = ("", " …")
        sides = (f"{side[0]}{more[len(side) > 1]}" for side in (self.first, self.second))
        return " – ".join(sides)


def crosslink(first: str | AtomId, second: str | AtomId, linker: str | float = "DSS") -> Restraint:
    """A crosslink between the CA atoms of two residues.

    Arguments:
        first: residue as ``"A 27"`` (chain and author number), or an `AtomId`.
        second: the same on the other partner.
        linker: one of `CROSSLINKERS`, or the largest distance in Å.

    >>> link = crosslink("A 27", "B 18", "ADH")
    >>> print(link, link.lower, link.upper)
    A 27 CA – B 18 CA 0.0 23.0
    """
    if isinstance(linker, str):
        if linker.upper() not in CROSSLINKERS:
            raise RestraintError(f"linker: {linker!r} is not one of {', '.join(CROSSLINKERS)}.")
        lower, upper = CROSSLINKERS[linker.upper()]
    else:
        lower, upper = 0.0, float(linker)
    return Restraint((_atom(first),), (_atom(second),), lower, upper)


def _atom(text: str | AtomId) -> AtomId:
    if isinstance(text, AtomId):
        return text
    match = re.fullmatch(r"\s*(\S+)[\s:]+(-?\d+)([A-Za-z]?)(?:[\s:]+(\S+))?\s*", text)
    if match is None:
        raise RestraintError(f"{text!r} is not a residue such as 'A 27' or an atom such as 'A 27 CB'.")
    return AtomId(match[1], int(match[2]), match[4] or "CA", match[3])


def interface_restraints(
    active: Sequence[str],
    passive: Sequence[str],
    partner_active: Sequence[str],
    partner_passive: Sequence[str],
    upper: float = 2.0,
) -> list[Restraint]:
    """Ambiguous interaction restraints from residues that are (active) or may be (passive) in the interface.

    Each active residue of either partner must touch one of the active or passive residues of the other: the
    AIRs of HADDOCK (Dominguez, Boelens & Bonvin, JACS 125:1731, 2003), with `upper` on the effective
    distance.

    Arguments:
        active: residues as ``"A 38"``.
        passive: neighbours of the active residues, in the same form.
        partner_active: active residues of the other partner.
        partner_passive: passive residues of the other partner.
        upper: Å.
    """
    here, there = [_residue(r) for r in active], [_residue(r) for r in partner_active]
    all_here = tuple(here + [_residue(r) for r in passive])
    all_there = tuple(there + [_residue(r) for r in partner_passive])
    if (here and not all_there) or (there and not all_here):
        raise RestraintError("Active residues on one partner need active or passive residues on the other.")
    result = [Restraint((residue,), all_there, 0.0, upper) for residue in here]
    return result + [Restraint(all_here, (residue,), 0.0, upper) for residue in there]


def _residue(text: str) -> AtomId:
    atom = _atom(text)
    return AtomId(atom.chain, atom.number, "", atom.insertion)


def read_restraints(path: str | Path) -> list[Restraint]:
    """Read a restraint file, told apart by its content: CNS ``.tbl`` (``assign ...``) or DisVis.

    Raises:
        RestraintError: naming every line at fault.
    """
    path = Path(path)
    if not path.is_file():
        raise RestraintError(f"{path.name}: there is no such file.")
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    return parse_restraints(text)


def parse_restraints(text: str) -> list[Restraint]:
    """The restraints of a text in CNS or DisVis format; see `read_restraints`."""
    from colonnade.structure._cns import parse_tbl

    plain = re.sub(r"[!#{].*", "", text)
    result = parse_tbl(text) if re.search(r"^\s*assi", plain, re.MULTILINE | re.IGNORECASE) else parse_disvis(text)
    if not result:
        raise RestraintError("The restraint file holds no restraints.")
    return result


def parse_disvis(text: str) -> list[Restraint]:
    """DisVis lines ``chain residue atom chain residue atom lower upper``, for example ``A 27 CA B 18 CA 0
    23``.
    """
    result, faults = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = re.sub(r"(^|\s)#.*", "", line).replace(",", " ").split()  # HB# is an atom name
        if not words:
            continue
        try:
            result.append(_disvis_line(words))
        except RestraintError as error:
            faults.append(f"line {number}: {str(error).rstrip('.')}")
    if faults:
        raise RestraintError("; ".join(faults[:10]) + (" and more" if len(faults) > 10 else "") + ".")
    return result


def _disvis_line(words: list[str]) -> Restraint:
    if len(words) != 8:
        raise RestraintError(
            f"expected chain, residue, atom twice and two distances, got {len(words)} words ({' '.join(words)!r})"
        )
    try:
        lower, upper = float(words[6]), float(words[7])
    except ValueError:
        raise RestraintError(f"distances {words[6]!r} and {words[7]!r} are not both numbers") from None
    first, second = (_atom(" ".join(words[i : i + 3])) for i in (0, 3))
    return Restraint((first,), (second,), lower, upper)


def format_disvis(restraints: Iterable[Restraint]) -> str:
    """The text of a DisVis restraint file.

    Raises:
        RestraintError: a restraint is ambiguous; the format has no room for it.
    """
    lines = []
    for r in restraints:
        if r.ambiguous:
            raise RestraintError(f"{r}: the DisVis format holds no ambiguous restraints; write a .tbl file.")
        a, b = r.first[0], r.second[0]
        sites = (f"{s.chain} {s.number}{s.insertion} {s.atom or 'CA'}" for s in (a, b))
        lines.append(f"{' '.join(sites)} {r.lower:g} {r.upper:g}")
    return "\n".join(lines) + "\n"


def format_tbl(restraints: Iterable[Restraint], *, segids: bool = True) -> str:
    """The text of a CNS ``.tbl`` file, ``assign (...) (...) distance minus plus``, for HADDOCK or CNS.

    Arguments:
        restraints: to write; the chain becomes the segid.
        segids: False leaves the segids out.
    """
    lines = []
    for r in restraints:
        # A line each: CNS reads no more than 264 characters of one.
        sides = ("\n    or ".join(_cns_atom(atom, segids) for atom in side) for side in (r.first, r.second))
        first, second = (f"({side})" for side in sides)
        lines.append(f"assign {first} {second} {r.upper:.3f} {r.upper - r.lower:.3f} 0.000")
    return "\n".join(lines) + "\n"


def _cns_atom(atom: AtomId, segids: bool) -> str:
    parts = [f"resid {atom.number}{atom.insertion}"]
    parts += [f"segid {atom.chain}"] if segids and atom.chain else []
    parts += [f"name {atom.atom}"] if atom.atom else []
    return f"({' and '.join(parts)})"


@dataclass(frozen=True)
class PairTable:
    """Restraints resolved to coordinates: P pairs of points, pair p belonging to restraint `owner[p]`.

    `first` and `second` are (P, 3) in Å; `lower` and `upper` are (P,) in Å; `owner` is (P,) in 0..n-1.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    owner: NDArray[np.int64]
    count: int


def resolve(restraints: Sequence[Restraint], fixed: Structure, scanning: Structure) -> PairTable:
    """Look up the atoms of restraints, the first sites in `fixed` and the second in `scanning`.

    A restraint written the other way round is turned when its chains leave no doubt.

    Raises:
        RestraintError: an atom is absent; all absent ones are named.
    """
    tables = (_atom_table(fixed), _atom_table(scanning))
    chains = tuple({atom.chain for atom in table} for table in tables)
    rows: list[tuple[Any, Any, float, float, int]] = []
    absent: list[str] = []
    for n, restraint in enumerate(restraints):
        sides = (restraint.first, restraint.second)
        if _turned(sides, chains):
            sides = (restraint.second, restraint.first)
        points = []
        for side, table, structure in zip(sides, tables, (fixed, scanning), strict=True):
            found = [table[key] for atom in side if (key := _key(atom, table)) is not None]
            lost = [str(atom) for atom in side if _key(atom, table) is None]
            absent += [f"{atom} in {structure.name}" for atom in lost]
            points.append(found)
        rows += [(a, b, restraint.lower, restraint.upper, n) for a in points[0] for b in points[1]]
    if absent:
        unique = list(dict.fromkeys(absent))
        more = f" and {len(unique) - 20} more" if len(unique) > 20 else ""
        raise RestraintError(f"Restraints name atoms that are not there: {', '.join(unique[:20])}{more}.")
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    return PairTable(
        first=np.array(columns[0], dtype=float).reshape(-1, 3),
        second=np.array(columns[1], dtype=float).reshape(-1, 3),
        lower=np.array(columns[2], dtype=float),
        upper=np.array(columns[3], dtype=float),
        owner=np.array(columns[4], dtype=np.int64),
        count=len(restraints),
    )


def _turned(sides: tuple[tuple[AtomId, ...], tuple[AtomId, ...]], chains: tuple[set[str], ...]) -> bool:
    first, second = ({atom.chain for atom in side} for side in sides)
    straight = first <= chains[0] and second <= chains[1]
    return not straight and first <= chains[1] and second <= chains[0]


def _atom_table(structure: Structure) -> dict[AtomId, NDArray[np.float64]]:
    keys = zip(
        structure.chain.tolist(), structure.resid.tolist(), structure.atom.tolist(), structure.icode.tolist(),
        strict=True,
    )  # fmt: skip
    return {AtomId(*key): xyz for key, xyz in zip(keys, structure.xyz, strict=True)}


def _key(atom: AtomId, table: dict[AtomId, NDArray[np.float64]]) -> AtomId | None:
    """The atom's key in the table; for a residue without an atom name its CA, C3' or P."""
    names = (atom.atom,) if atom.atom else ("CA", "C3'", "P")
    keys = (AtomId(atom.chain, atom.number, name, atom.insertion) for name in names)
    return next((key for key in keys if key in table), None)


def distances(restraints: Sequence[Restraint], fixed: Structure, scanning: Structure) -> NDArray[np.float64]:
    """(n,) distance of each restraint in a complex, Å: of the closest pair when it is ambiguous."""
    pairs = resolve(restraints, fixed, scanning)
    length = np.linalg.norm(pairs.first - pairs.second, axis=1)
    result = np.full(pairs.count, np.inf)
    np.minimum.at(result, pairs.owner, length)
    return result
