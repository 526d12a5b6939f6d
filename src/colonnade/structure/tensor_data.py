"""Files of residual dipolar couplings and pseudocontact shifts, and their nuclei in a structure.

A line of couplings names two atoms, a value and its error, a line of shifts one atom, a value and its error:

    A 12 N  A 12 H  -8.31 0.5        chain, residue, atom twice, Hz, error in Hz
    A 12 H  0.231 0.02               chain, residue, atom, ppm, error in ppm

The error may be left out, and so may the chain where the structure has only one protein chain. Commas are blanks, and
what follows a # is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colonnade.structure.restraints import AtomId
from colonnade.structure.structures import Structure
from colonnade.structure.tensor import GYROMAGNETIC, Tensor, TensorError, dipolar_maximum, fit_pcs, fit_rdc

Array = NDArray[np.float64]

MAX_DATA = 5_000
"""Largest number of couplings or shifts of one file."""

AMIDE_LENGTH = 1.02
"""N-H bond that couplings are usually reduced to, Å; one with averaged vibrations is 1.04 Å."""


@dataclass(frozen=True)
class Datum:
    """One measured value: a coupling between two atoms (Hz), or the shift of one (ppm)."""

    atoms: tuple[AtomId, ...]
    value: float
    error: float | None = None

    def __str__(self) -> str:
        return " – ".join(map(str, self.atoms))


@dataclass(frozen=True, eq=False)
class TensorFit:
    """A tensor fitted to a structure.

    Attributes:
        kind: ``"rdc"`` or ``"pcs"``.
        data: the values that were used.
        tensor: the fit.
        bootstrap: (B, 3) axial and rhombic component and Q factor of fits to resampled data.
        notes: what was left out, and what to mind.
    """

    kind: str
    data: tuple[Datum, ...]
    tensor: Tensor
    bootstrap: Array
    notes: tuple[str, ...] = ()

    def interval(self, column: int) -> tuple[float, float]:
        """95 % interval of the axial (0) or rhombic (1) component, or Q (2), over the resampled data."""
        low, high = np.quantile(self.bootstrap[:, column], [0.025, 0.975])
        return float(low), float(high)


def parse_data(text: str, kind: str) -> list[Datum]:
    """Couplings (``"rdc"``) or shifts (``"pcs"``) from the lines of a file.

    Raises:
        TensorError: naming every line at fault.

    >>> parse_data("A 12 N A 12 H -8.31 0.5", "rdc")[0].value
    -8.31
    >>> str(parse_data("12 H 0.231", "pcs")[0])
    '12 H'
    """
    found, faults = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            found.append(_datum(words, 2 if kind == "rdc" else 1))
        except TensorError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        raise TensorError("; ".join(faults[:10]) + (" and more" if len(faults) > 10 else "") + ".")
    if not found:
        raise TensorError("The file holds no data.")
    if len(found) > MAX_DATA:
        raise TensorError(f"The file holds {len(found)} values, more than the {MAX_DATA} that are taken.")
    return found


def _datum(words: list[str], count: int) -> Datum:
    atoms, rest = [], list(words)
    for _ in range(count):
        width = 2 if rest and re.fullmatch(r"-?\d+[A-Za-z]?", rest[0]) and not _is_atom(rest, 3) else 3
        part, rest = rest[:width], rest[width:]
        match = re.fullmatch(r"(-?\d+)([A-Za-z]?)", part[-2]) if len(part) == width else None
        if match is None:
            kind = "two atoms" if count == 2 else "an atom"
            raise TensorError(f"expected {kind} (chain, residue, atom), a value and its error, got {' '.join(words)!r}")
        atoms.append(AtomId(part[0] if width == 3 else "", int(match[1]), part[-1].upper(), match[2]))
    try:
        numbers = [float(word) for word in rest]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not np.isfinite(numbers).all():
        raise TensorError(f"expected a value and perhaps its error, got {' '.join(rest)!r}")
    if len(numbers) == 2 and numbers[1] <= 0:
        raise TensorError(f"the error {numbers[1]:g} must be above zero")
    return Datum(tuple(atoms), numbers[0], numbers[1] if len(numbers) == 2 else None)


def _is_atom(words: list[str], width: int) -> bool:
    """Whether an atom of this many words starts the line: with a chain, its second word is a residue number and its
    third an atom name.
    """
    third = words[width - 1] if len(words) >= width else ""
    return bool(re.fullmatch(r"-?\d+[A-Za-z]?", words[1] if len(words) > 1 else "")) and bool(
        re.match(r"[A-Za-z]", third)
    )


def fit_tensor(
    structure: Structure,
    data: Sequence[Datum],
    kind: str,
    *,
    metal: Array | None = None,
    move: bool = False,
    bond: float | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> TensorFit:
    """Fit an alignment tensor (couplings) or a susceptibility anisotropy (shifts) to a structure.

    Amide hydrogens that the structure lacks are put 1.02 Å from N, in the plane of the peptide bond.

    Arguments:
        structure: with the nuclei.
        data: couplings or shifts.
        kind: ``"rdc"`` or ``"pcs"``.
        metal: (3,) position of the metal, Å, for shifts.
        move: fit the metal's position as well.
        bond: length that the couplings are taken at, Å; None for the distance in the structure.
        resamples: number of fits to resampled data.
        seed: of the resampling.

    Raises:
        TensorError: an atom is not there (all are named), or the tensor is undetermined.
    """
    chains = structure.chains
    placed = [_located(datum, chains[0] if len(chains) == 1 else "") for datum in data]
    points = {atom: xyz for datum in placed for atom in datum.atoms if (xyz := _position(structure, atom)) is not None}
    absent = list(dict.fromkeys(str(a) for datum in placed for a in datum.atoms if a not in points))
    if absent:
        more = f" and {len(absent) - 20} more" if len(absent) > 20 else ""
        raise TensorError(f"The data name atoms that are not there: {', '.join(absent[:20])}{more}.")
    built = sum(1 for atom in points if atom.atom in ("H", "HN") and not _there(structure, atom))
    notes = []
    if built:
        notes.append(f"{built} amide hydrogens are not in the structure; they are put {AMIDE_LENGTH} Å from N.")
    values = np.array([datum.value for datum in placed])
    given = [datum.error for datum in placed if datum.error is not None]
    if given and len(given) < len(placed):
        raise TensorError(f"{len(placed) - len(given)} values have no error; give one to all or to none.")
    errors = np.array(given) if given else None
    if not given:
        notes.append("The data have no errors: all weigh the same, and the errors of the tensor come from the misfit.")
    places = [np.array([points[datum.atoms[k]] for datum in placed]) for k in range(len(placed[0].atoms))]
    tensor = _fit(kind, places, placed, values, errors, metal, move, bond)
    rng = np.random.default_rng(seed)
    rows = np.array([_resampled(kind, places, placed, values, errors, tensor, bond, rng) for _ in range(resamples)])
    if kind == "pcs" and not move:
        notes.append("The metal stays where it was put; an error in its place goes into the tensor.")
    return TensorFit(kind, tuple(placed), tensor, rows, tuple(notes))


def _fit(
    kind: str,
    xyz: list[Array],
    data: Sequence[Datum],
    values: Array,
    errors: Array | None,
    metal: Array | None,
    move: bool,
    bond: float | None,
) -> Tensor:
    if kind == "rdc":
        vectors = xyz[1] - xyz[0]
        lengths = np.linalg.norm(vectors, axis=1) if bond is None else np.full(len(vectors), bond)
        maximum = np.array([_maximum(d, float(r)) for d, r in zip(data, lengths, strict=True)])
        return fit_rdc(vectors, values, maximum, errors)
    if metal is None:
        raise TensorError("metal: shifts need the position of the metal.")
    return fit_pcs(xyz[0], values, metal, errors, move=move)


def _maximum(datum: Datum, length: float) -> float:
    nuclei = [atom.atom.lstrip("0123456789")[:1] for atom in datum.atoms]
    unknown = [name for name in nuclei if name not in GYROMAGNETIC]
    if unknown:
        raise TensorError(f"{datum}: couplings are of {', '.join(GYROMAGNETIC)}, not of {unknown[0]}.")
    return dipolar_maximum(nuclei[0], nuclei[1], length)


def _resampled(
    kind: str,
    xyz: list[Array],
    data: Sequence[Datum],
    values: Array,
    errors: Array | None,
    fit: Tensor,
    bond: float | None,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Axial and rhombic component and Q of a fit to data drawn with replacement."""
    while True:
        pick = rng.integers(0, len(values), len(values))
        try:
            tensor = _fit(
                kind,
                [points[pick] for points in xyz],
                [data[int(i)] for i in pick],
                values[pick],
                None if errors is None else errors[pick],
                fit.origin,
                False,
                bond,
            )
        except TensorError:  # too few different values were drawn
            continue
        return tensor.axial, tensor.rhombic, tensor.q_factor


def _located(datum: Datum, chain: str) -> Datum:
    if all(atom.chain for atom in datum.atoms):
        return datum
    if not chain:
        raise TensorError(f"{datum}: name the chain, as the structure has several.")
    atoms = tuple(AtomId(atom.chain or chain, atom.number, atom.atom, atom.insertion) for atom in datum.atoms)
    return Datum(atoms, datum.value, datum.error)


def _there(structure: Structure, atom: AtomId) -> Array | None:
    rows = np.flatnonzero(
        (structure.chain == atom.chain)
        & (structure.resid == atom.number)
        & (structure.icode == atom.insertion)
        & np.isin(structure.atom, ("H", "HN") if atom.atom in ("H", "HN") else (atom.atom,))
    )
    return structure.xyz[rows[0]] if len(rows) else None


def _position(structure: Structure, atom: AtomId) -> Array | None:
    """Coordinates of an atom; an amide hydrogen that is missing is built from its neighbours."""
    found = _there(structure, atom)
    if found is not None or atom.atom not in ("H", "HN"):
        return found

    def neighbour(number: int, name: str) -> Array | None:
        return _there(structure, AtomId(atom.chain, number, name, atom.insertion if number == atom.number else ""))

    n, ca, before = neighbour(atom.number, "N"), neighbour(atom.number, "CA"), neighbour(atom.number - 1, "C")
    if n is None or ca is None or before is None or np.linalg.norm(before - n) > 2.0:
        return None
    away = sum((n - other) / np.linalg.norm(n - other) for other in (ca, before))
    built: Array = n + AMIDE_LENGTH * away / np.linalg.norm(away)
    return built
