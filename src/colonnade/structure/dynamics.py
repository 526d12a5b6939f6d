"""Minimisation, relaxation and short molecular dynamics of a protein in OpenMM, with NMR distance restraints.

The force field is AMBER ff14SB (Maier et al., J. Chem. Theory Comput. 11:3696, 2015) with the implicit solvent OBC2
(Onufriev, Bashford & Case, Proteins 55:383, 2004). Missing atoms and hydrogens are added by
PDBFixer; residues of a gap are not built, and both its ends become chain ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.structure.capri import superimposed, superposition
from colonnade.structure.restraints import Restraint, RestraintError
from colonnade.structure.structures import Structure, StructureError

if TYPE_CHECKING:
    from colonnade.structure._openmm import Frame, System

Array = NDArray[np.float64]
Progress = Callable[[int], None]

BOUNDS: dict[str, tuple[float, float, str]] = {
    "time": (0.0, 1000.0, "ps"),
    "temperature": (1.0, 600.0, "K"),
    "timestep": (0.5, 4.0, "fs"),
    "friction": (0.1, 100.0, "1/ps"),
    "frames": (1, 500, ""),
    "relaxation": (0.0, 100.0, "ps"),
    "restraint_force": (0.0, 1000.0, "kcal/mol/Å²"),
    "ph": (0.0, 14.0, ""),
}
"""Allowed values of the settings."""

MAX_ATOMS = 30_000
"""With hydrogens."""


@dataclass(frozen=True)
class Settings:
    """How to simulate.

    Attributes:
        time: of free dynamics, ps; 0 stops after the relaxation.
        relaxation: of dynamics before it, with the backbone held and the temperature rising, ps.
        temperature: K.
        timestep: fs; bonds to hydrogen are fixed, and above 2 fs hydrogen is made heavier.
        friction: of the Langevin thermostat, 1/ps.
        frames: kept of the free dynamics.
        solvent: ``implicit`` (OBC2) or ``vacuum``.
        restraint_force: of distance restraints, kcal/mol/Å²; beyond 2 Å of violation the force is constant.
        ph: at which hydrogens are added.
        seed: of the thermostat and the starting velocities.
        threads: of OpenMM.
    """

    time: float = 20.0
    relaxation: float = 2.0
    temperature: float = 300.0
    timestep: float = 2.0
    friction: float = 1.0
    frames: int = 50
    solvent: Literal["implicit", "vacuum"] = "implicit"
    restraint_force: float = 10.0
    ph: float = 7.0
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, (low, high, unit) in BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise StructureError(f"{name}: {value:g} is outside {low:g} to {high:g} {unit}".rstrip() + ".")


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What a simulation gave; F frames, the first the minimised structure.

    Attributes:
        names: (N,) chain, residue number, residue name and atom name of each atom, hydrogens included.
        frames: (F, N, 3) coordinates, superimposed on the first by CA, Å.
        time: (F,) ps of free dynamics; the first two rows are the minimised and the relaxed structure, at 0.
        potential: (F,) kcal/mol, restraints left out.
        restraint: (F,) kcal/mol.
        temperature: (F,) K.
        start_potential: of the structure as prepared, kcal/mol.
        rmsd: (F,) of CA from the structure as given, Å.
        rmsf: (R,) of CA about its mean over the free dynamics, Å; zeros without it.
        residues: (R,) (chain, number, name) of residues with a CA.
        violations: (F, n) Å beyond the bounds of each restraint.
        restraints: that were applied.
        added: atoms that were missing and added, hydrogens apart.
        pdb: of each frame, the text of a PDB file.
        platform: of OpenMM, and its version.
    """

    names: tuple[tuple[str, int, str, str], ...]
    frames: Array
    time: Array
    potential: Array
    restraint: Array
    temperature: Array
    start_potential: float
    rmsd: Array
    rmsf: Array
    residues: tuple[tuple[str, int, str], ...]
    violations: Array
    restraints: tuple[Restraint, ...] = field(default=())
    added: int = 0
    pdb: tuple[str, ...] = field(default=(), repr=False)
    platform: str = ""


def check_protein(structure: Structure) -> Structure:
    """The heavy atoms of the protein.

    Raises:
        StructureError: there is none, it is a CA-only model, or it is too large.
    """
    protein = structure.protein.heavy
    if len(protein) == 0:
        raise StructureError(f"structure: {structure.name} has no protein to simulate.")
    atoms = np.bincount(protein.residue, minlength=protein.n_residues)
    if (atoms < 4).mean() > 0.5:
        raise StructureError(f"structure: {structure.name} is a CA-only model; dynamics needs all heavy atoms.")
    if 2 * len(protein) > MAX_ATOMS:
        raise StructureError(
            f"structure: {len(protein)} heavy atoms are about {2 * len(protein)} with hydrogens, more than {MAX_ATOMS}."
        )
    return protein


def check_residues(restraints: Sequence[Restraint], protein: Structure) -> None:
    """Raise `RestraintError` unless the protein has the residues of the restraints (atoms are known once prepared)."""
    there = {(r.chain, r.number) for r in protein.residue_ids()} | {("", r.number) for r in protein.residue_ids()}
    sites = [atom for restraint in restraints for atom in (*restraint.first, *restraint.second)]
    absent = list(dict.fromkeys(f"{a.chain} {a.number}" for a in sites if (a.chain, a.number) not in there))
    if absent:
        more = f" and {len(absent) - 10} more" if len(absent) > 10 else ""
        raise RestraintError(f"{protein.name} has no residue {', '.join(absent[:10])}{more}.")


def simulate(
    structure: Structure,
    settings: Settings | None = None,
    restraints: Sequence[Restraint] = (),
    *,
    progress: Progress = lambda _: None,
) -> Dynamics:
    """Minimise, relax, and let move.

    Arguments:
        structure: its protein is simulated; other residues are left out.
        settings: how.
        restraints: distances between atoms of the protein; ``HB#`` or ``HB*`` stands for all atoms so named, ``HN``
            for the amide hydrogen, no atom for CA. Several pairs are averaged as the sum of r^-6.
        progress: called with the per cent done.

    Raises:
        StructureError: there is no protein, it is too large, or the force field does not know a residue.
        RestraintError: atoms of restraints are absent.
    """
    from colonnade.structure._openmm import System

    settings = settings or Settings()
    system = System(structure, settings, tuple(restraints))
    start = system.potential()
    system.minimise()
    frames = [system.frame(0.0)]
    progress(10)
    if settings.relaxation > 0:
        system.relax()
        frames.append(system.frame(0.0))
    progress(20)
    steps = round(settings.time * 1000.0 / settings.timestep)
    kept = settings.frames if steps >= settings.frames else steps
    done = 0
    for k in range(1, kept + 1):
        upto = steps * k // kept
        system.step(upto - done)
        done = upto
        frames.append(system.frame(done * settings.timestep / 1000.0))
        progress(20 + 80 * k // kept)
    progress(100)
    return _collect(system, frames, start, free=kept)


def _collect(system: System, frames: list[Frame], start: float, free: int) -> Dynamics:
    alpha = np.array([name[3] == "CA" for name in system.names])
    fixed = frames[0].xyz[alpha]
    xyz = np.array([superimposed(f.xyz, *superposition(f.xyz[alpha], fixed)) for f in frames])
    given = system.given[alpha]
    rmsd = []
    for coordinates in xyz[:, alpha]:
        moved = superimposed(coordinates, *superposition(coordinates, given))
        rmsd.append(float(np.sqrt(((moved - given) ** 2).sum(axis=1).mean())))
    moving = xyz[len(xyz) - free :, alpha] if free else xyz[:1, alpha]
    spread = np.sqrt(((moving - moving.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
    return Dynamics(
        names=system.names,
        frames=xyz,
        time=np.array([f.time for f in frames]),
        potential=np.array([f.potential for f in frames]),
        restraint=np.array([f.restraint for f in frames]),
        temperature=np.array([f.temperature for f in frames]),
        start_potential=start,
        rmsd=np.array(rmsd),
        rmsf=spread if free else np.zeros(int(alpha.sum())),
        residues=tuple((c, n, r) for (c, n, r, _), ca in zip(system.names, alpha, strict=True) if ca),
        violations=np.array([system.violations(f.xyz) for f in frames]),
        restraints=system.restraints,
        added=system.added,
        pdb=tuple(system.pdb(coordinates) for coordinates in xyz),
        platform=system.platform,
    )
