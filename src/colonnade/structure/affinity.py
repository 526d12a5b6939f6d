"""Binding affinity of a protein-protein complex from its contacts and its surface: PRODIGY.

Vangone & Bonvin, "Contacts-based prediction of binding affinity in protein-protein complexes", eLife 4:e07454
(2015), eq. 1, with the coefficients of the PRODIGY program: ΔG is linear in the numbers of residue contacts
between charged, polar and apolar residues and in the make-up of the surface outside the interface.
Two engines give the same result: the authors' program (`prodigy-prot`), and an own one of gemmi, a k-d tree
and `colonnade.structure.surface`, for many complexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from colonnade.structure import residues
from colonnade.structure.structures import ResidueId, Structure, StructureError, read_structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

Engine = Literal["prodigy", "fast"]
Selection = Sequence[str | Sequence[str]]
Group = tuple[str, ...]

MODEL_ERROR = 1.9
"""Root-mean-square error of the predicted ΔG on the 81 complexes of the benchmark, kcal/mol (eLife 4:e07454).
"""

GAS_CONSTANT = 0.0019858775
"""kcal/mol/K, the value PRODIGY uses."""

DISTANCE_CUTOFF = 5.5
"""Heavy-atom distance below which two residues are in contact, Å."""

ACCESSIBILITY = 0.05
"""Relative accessible surface from which a residue counts as surface."""

TEMPERATURES = (-20.0, 80.0)
"""Allowed temperatures, °C."""

CUTOFFS = (2.0, 20.0)
"""Allowed distance cutoffs, Å."""

BENCHMARK_DELTA_G = (-18.6, -4.3)
"""Range of the measured ΔG that the model was trained on, kcal/mol."""

BENCHMARK_CONTACTS = (33, 136)
"""Range of the number of contacts of the 81 complexes."""

SMALLEST_PARTNER = 25
"""Residues below which a partner is called a peptide (the smallest of the benchmark has more)."""

CLASSES = ("CC", "CP", "AC", "PP", "AP", "AA")
CLASS_NAMES = {
    "CC": "charged-charged",
    "CP": "charged-polar",
    "AC": "charged-apolar",
    "PP": "polar-polar",
    "AP": "apolar-polar",
    "AA": "apolar-apolar",
}


@dataclass(frozen=True)
class Contact:
    """Two residues of different partners with heavy atoms closer than the cutoff.

    `distance` is that of the closest pair of heavy atoms, Å; `kind` is one of `CLASSES`.
    """

    first: ResidueId
    second: ResidueId
    distance: float
    kind: str


@dataclass(frozen=True)
class InterfaceResidue:
    """A residue with at least one contact; `group` is the index of its partner in the selection."""

    residue: ResidueId
    group: int
    contacts: int
    closest: float


@dataclass(frozen=True)
class BindingAffinity:
    """A predicted binding affinity and what it was computed from.

    Attributes:
        delta_g: ΔG, kcal/mol, more negative for tighter binding.
        delta_g_error: the model's root-mean-square error, kcal/mol.
        kd: dissociation constant exp(ΔG/RT), M.
        kd_low: Kd at ΔG - error, M.
        kd_high: Kd at ΔG + error, M.
        temperature: of Kd, °C (ΔG is a prediction for 25 °C and does not change with it).
        contacts: number of residue contacts in each of `CLASSES`.
        nis_apolar: share of apolar residues in the surface outside the interface, per cent.
        nis_polar: the same for polar residues.
        nis_charged: the same for charged residues.
        contact_list: every contact, sorted.
        selection: the partners, each a tuple of chain names.
        engine: ``prodigy`` or ``fast``.
        engine_version: of the program that computed it.
        distance_cutoff: Å.
        accessibility: relative accessible surface from which a residue counted as surface.
        warnings: what limits the use of this number, in plain sentences.
        structure: the atoms used: protein, heavy, only the chains of the selection.
    """

    delta_g: float
    delta_g_error: float
    kd: float
    kd_low: float
    kd_high: float
    temperature: float
    contacts: dict[str, int]
    nis_apolar: float
    nis_polar: float
    nis_charged: float
    contact_list: tuple[Contact, ...]
    selection: tuple[Group, ...]
    engine: str
    engine_version: str
    distance_cutoff: float
    accessibility: float
    warnings: tuple[str, ...]
    structure: Structure

    def __str__(self) -> str:
        partners = " with ".join(",".join(group) for group in self.selection)
        return (
            f"{self.structure.name}, {partners}: ΔG = {self.delta_g:.2f} ± {self.delta_g_error} kcal/mol, "
            f"Kd = {self.kd:.1e} M at {self.temperature:g} °C, {self.n_contacts} contacts"
        )

    @property
    def n_contacts(self) -> int:
        """Number of residue contacts between the partners."""
        return len(self.contact_list)

    @cached_property
    def interface(self) -> tuple[InterfaceResidue, ...]:
        """The residues in contact, sorted by partner, chain and number."""
        groups = group_of_chain(self.selection)
        distances: dict[ResidueId, list[float]] = {}
        for contact in self.contact_list:
            distances.setdefault(contact.first, []).append(contact.distance)
            distances.setdefault(contact.second, []).append(contact.distance)
        table = [InterfaceResidue(r, groups[r.chain], len(d), min(d)) for r, d in distances.items()]
        return tuple(sorted(table, key=lambda row: (row.group, row.residue)))


def binding_affinity(
    structure: Structure | str | Path,
    selection: Selection | None = None,
    *,
    temperature: float = 25.0,
    distance_cutoff: float = DISTANCE_CUTOFF,
    accessibility: float = ACCESSIBILITY,
    engine: Engine = "prodigy",
    model: int = 1,
) -> BindingAffinity:
    """Predict ΔG and Kd of a protein-protein complex.

    Only protein of the selected chains is seen: other chains, waters, ligands, nucleic acids and hydrogens
    are left out, and `BindingAffinity.warnings` says so.

    Arguments:
        structure: a `Structure`, or a PDB or mmCIF file.
        selection: the partners, each a chain name, several separated by commas (``"H,L"``) or a sequence of
            names; None takes every protein chain as a partner of its own. Contacts count between partners
            only.
        temperature: of the dissociation constant, °C.
        distance_cutoff: of a contact between heavy atoms, Å; the model was fitted with 5.5.
        accessibility: relative accessible surface from which a residue is surface; the model was fitted with
            0.05.
        engine: ``prodigy`` for the authors' program, ``fast`` for the own one with equal results.
        model: which model of a file with several, from 1.

    Returns:
        The prediction, with the model's error of 1.9 kcal/mol.

    Raises:
        StructureError: a chain is absent or in two partners, there is no contact, the protein has only CA
            atoms, or a number is outside its range.

    >>> from colonnade.structure import binding_affinity, example
    >>> print(binding_affinity(example("3BZD"), ["A", "B"]))
    3BZD, A with B: ΔG = -9.37 ± 1.9 kcal/mol, Kd = 1.3e-07 M at 25 °C, 51 contacts
    """
    _check_range("temperature", temperature, TEMPERATURES, "°C")
    _check_range("distance_cutoff", distance_cutoff, CUTOFFS, "Å")
    _check_range("accessibility", accessibility, (0.0, 1.0), "")
    if engine not in ("prodigy", "fast"):
        raise StructureError(f"engine: {engine!r} is not one of 'prodigy', 'fast'.")
    if not isinstance(structure, Structure):
        structure = read_structure(structure, model=model)
    groups, used = partners(structure, selection)

    from colonnade.structure import _affinity_engines as engines

    pairs, nis, version = engines.ENGINES[engine](used, groups, distance_cutoff, accessibility)
    if not len(pairs):
        names = " and ".join(",".join(group) for group in groups)
        raise StructureError(
            f"selection: no contacts found between {names}: no heavy atoms are within {distance_cutoff:g} Å."
        )
    contact_list = _contacts(used, pairs, group_of_chain(groups))
    counts = {kind: sum(contact.kind == kind for contact in contact_list) for kind in CLASSES}
    apolar, polar, charged = nis
    delta_g = ic_nis(counts, apolar, charged)
    result = BindingAffinity(
        delta_g=delta_g,
        delta_g_error=MODEL_ERROR,
        kd=dissociation_constant(delta_g, temperature),
        kd_low=dissociation_constant(delta_g - MODEL_ERROR, temperature),
        kd_high=dissociation_constant(delta_g + MODEL_ERROR, temperature),
        temperature=float(temperature),
        contacts=counts,
        nis_apolar=apolar,
        nis_polar=polar,
        nis_charged=charged,
        contact_list=contact_list,
        selection=groups,
        engine=engine,
        engine_version=version,
        distance_cutoff=float(distance_cutoff),
        accessibility=float(accessibility),
        warnings=(),
        structure=used,
    )
    return replace(result, warnings=(*_left_out(structure, groups), *_applicability(result)))


def partners(structure: Structure, selection: Selection | None) -> tuple[tuple[Group, ...], Structure]:
    """The partners, and their heavy protein atoms; raises as `binding_affinity` does where these cannot be used."""
    groups = parse_selection(selection, structure)
    used = structure.protein.heavy.in_chains([chain for group in groups for chain in group])
    _check_complete(used)
    return groups, used


def check_contact(structure: Structure, selection: Selection | None, distance_cutoff: float = 5.5) -> None:
    """Raise `StructureError` unless the partners can be used and two of them touch; takes no time."""
    from scipy.spatial import cKDTree

    groups, used = partners(structure, selection)
    trees = [cKDTree(used.in_chains(group).xyz) for group in groups]
    for k, tree in enumerate(trees):
        if any(tree.count_neighbors(other, distance_cutoff + 1e-3) for other in trees[k + 1 :]):
            return
    names = " and ".join(",".join(group) for group in groups)
    raise StructureError(
        f"selection: no contacts found between {names}: no heavy atoms are within {distance_cutoff:g} Å."
    )


def ic_nis(contacts: dict[str, int], nis_apolar: float, nis_charged: float) -> float:
    """ΔG in kcal/mol from the numbers of contacts by class and the surface shares in per cent (eq. 1)."""
    return (
        -0.09459 * contacts["CC"]
        - 0.10007 * contacts["AC"]
        + 0.19577 * contacts["PP"]
        - 0.22671 * contacts["AP"]
        + 0.18681 * nis_apolar
        + 0.13810 * nis_charged
        - 15.9433
    )


def dissociation_constant(delta_g: float, temperature: float) -> float:
    """Kd = exp(ΔG/RT) in M, for ΔG in kcal/mol and the temperature in °C.

    >>> f"{dissociation_constant(-9.373, 25.0):.3e}"
    '1.333e-07'
    """
    return float(np.exp(delta_g / (GAS_CONSTANT * (temperature + 273.15))))


def parse_selection(selection: Selection | None, structure: Structure) -> tuple[Group, ...]:
    """The partners as tuples of chain names, checked against the protein chains of `structure`."""
    if isinstance(selection, str):
        raise StructureError(f"selection: expected a list of partners such as ['A', 'B'], not the text {selection!r}.")
    there = ", ".join(structure.chains) or "none"
    wanted: Selection = [[chain] for chain in structure.chains] if selection is None else selection
    groups = []
    for group in wanted:
        names = group.split(",") if isinstance(group, str) else list(group)
        groups.append(tuple(name.strip() for name in names if name.strip()))
    if len(groups) < 2 or not all(groups):
        raise StructureError(
            "selection: a complex needs at least two partners of one chain or more, "
            f"got {sum(map(bool, groups))}; "
            f"protein chains in {structure.name}: {there}."
        )
    flat = [chain for group in groups for chain in group]
    if missing := [chain for chain in dict.fromkeys(flat) if chain not in structure.chains]:
        other = [chain for chain in missing if chain in structure.chain]
        why = f" ({', '.join(other)} holds no protein)" if other else ""
        raise StructureError(
            f"selection: chain {', '.join(missing)} is not a protein chain of {structure.name}{why}; "
            f"protein chains there: {there}."
        )
    if twice := [chain for chain in dict.fromkeys(flat) if flat.count(chain) > 1]:
        raise StructureError(f"selection: chain {', '.join(twice)} is named more than once; partners share no chain.")
    return tuple(groups)


def group_of_chain(groups: Sequence[Group]) -> dict[str, int]:
    """Chain name -> index of its partner."""
    return {chain: index for index, group in enumerate(groups) for chain in group}


def _check_range(name: str, value: float, bounds: tuple[float, float], unit: str) -> None:
    low, high = bounds
    if not low <= value <= high:  # NaN fails as well
        raise StructureError(
            f"{name}: {value:g} {unit}".rstrip() + f" is outside {low:g} to {high:g} {unit}".rstrip() + "."
        )


def _check_complete(used: Structure) -> None:
    atoms = np.bincount(used.residue, minlength=used.n_residues)
    thin = float((atoms < 4).mean())
    if thin > 0.5:
        raise StructureError(
            f"{used.name} has a whole backbone for only {100 * (1 - thin):.0f} % of its residues "
            "(a CA-only model); "
            "contacts of all heavy atoms are needed."
        )


def _contacts(used: Structure, pairs: NDArray[np.int64], groups: dict[str, int]) -> tuple[Contact, ...]:
    """Residue pairs as named contacts, sorted, the first partner first."""
    ends = np.r_[used.first[1:], len(used)]
    atoms = [used.xyz[start:end] for start, end in zip(used.first, ends, strict=True)]
    found = []
    for r, s in pairs.tolist():
        a, b = sorted((used.residue_id(r), used.residue_id(s)), key=lambda x: (groups[x.chain], x))
        distance = float(np.sqrt(((atoms[r][:, None] - atoms[s][None]) ** 2).sum(axis=-1).min()))
        kind = "".join(sorted(residues.CONTACT_CLASS[a.name] + residues.CONTACT_CLASS[b.name]))
        found.append(Contact(a, b, distance, kind))
    found.sort(key=lambda c: (groups[c.first.chain], c.first, c.second))
    return tuple(found)


def _left_out(structure: Structure, groups: tuple[Group, ...]) -> list[str]:
    """What the file holds that the prediction does not see."""
    notes = list(structure.issues)
    chosen = {chain for group in groups for chain in group}
    if others := [chain for chain in structure.chains if chain not in chosen]:
        notes.append(f"Chains outside the selection are left out of contacts and surface: {', '.join(others)}.")
    words = {"water": "waters", "ligand": "ligands and ions", "nucleic": "nucleic acids"}
    if unseen := [word for kind, word in words.items() if kind in structure.kind]:
        notes.append(f"The model is for protein only: {', '.join(unseen)} are left out.")
    if np.isin(structure.element[structure.kind == "protein"], ["H", "D"]).any():
        notes.append("Hydrogen atoms are left out; contacts are between heavy atoms.")
    return notes


def _applicability(result: BindingAffinity) -> list[str]:
    """Where the complex or the settings leave the ground that the model was fitted on."""
    notes = []
    low, high = BENCHMARK_DELTA_G
    if not low <= result.delta_g <= high:
        notes.append(f"ΔG of {result.delta_g:.1f} kcal/mol is outside the benchmark's range of {low} to {high}.")
    fewest, most = BENCHMARK_CONTACTS
    if result.distance_cutoff == DISTANCE_CUTOFF and not fewest <= result.n_contacts <= most:
        notes.append(f"{result.n_contacts} contacts; the complexes of the benchmark have {fewest} to {most}.")
    if (result.distance_cutoff, result.accessibility) != (DISTANCE_CUTOFF, ACCESSIBILITY):
        notes.append(
            "The model was fitted with a cutoff of 5.5 Å and an accessibility of 0.05; "
            "its error is not known for others."
        )
    if len(result.selection) > 2:
        notes.append(f"{len(result.selection)} partners: the model was fitted on complexes of two.")
    chain = result.structure.chain[result.structure.first]
    sizes = {",".join(group): int(np.isin(chain, group).sum()) for group in result.selection}
    if small := [f"{names} ({size} residues)" for names, size in sizes.items() if size < SMALLEST_PARTNER]:
        notes.append(f"The model was fitted on proteins, not on peptides: {', '.join(small)}.")
    if clashes := sum(contact.distance < 2.0 for contact in result.contact_list):
        notes.append(f"{clashes} contacts are closer than 2 Å: the partners overlap.")
    return notes
