"""A protein as a system of OpenMM: prepared, restrained, minimised, moved."""

from __future__ import annotations

import fnmatch
import io
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from colonnade.structure.restraints import AtomId, Restraint, RestraintError
from colonnade.structure.structures import Structure, StructureError

if TYPE_CHECKING:
    from colonnade.structure.dynamics import Settings

Array = NDArray[np.float64]

KCAL = unit.kilocalories_per_mole
NAMES = {"HN": "H"}
RESTRAINTS, POSITIONS = 1, 2  # force groups
# A flat bottom, a parabola for the first 2 Å beyond it, then a straight line (OpenMM counts in nm).
WALL = "k*(select(step(v-0.2), 0.4*v-0.04, v^2)); v=max(0, max(lower-d, d-upper))"
HOLD = "0.5*hold*((x-x0)^2+(y-y0)^2+(z-z0)^2)"
HOLD_FORCE = 1000.0  # kJ/mol/nm²


@dataclass(frozen=True)
class Frame:
    """One moment: ps, Å, kcal/mol, K."""

    time: float
    xyz: Array
    potential: float
    restraint: float
    temperature: float


class System:
    """The protein, ready to simulate.

    Attributes:
        names: chain, residue number, residue name and atom name of each atom.
        given: (N, 3) coordinates as prepared, Å.
        added: heavy atoms that were missing.
    """

    def __init__(self, structure: Structure, settings: Settings, restraints: tuple[Restraint, ...]) -> None:
        self.settings, self.restraints = settings, restraints
        self.topology, positions, self.added = _prepared(structure, settings.ph, _platform(settings.threads))
        self.names = tuple(
            (atom.residue.chain.id, int(atom.residue.id), atom.residue.name, atom.name)
            for atom in self.topology.atoms()
        )
        self.given = np.array(positions.value_in_unit(unit.angstrom), dtype=float)
        self._pairs = [_pairs(restraint, self.names, structure.name) for restraint in restraints]
        _refuse_absent(restraints, self._pairs, structure.name)
        self._simulation = self._made(positions)
        platform = self._simulation.context.getPlatform().getName()
        self.platform = f"OpenMM {openmm.Platform.getOpenMMVersion()}, platform {platform}"

    def _made(self, positions: Any) -> Any:
        s = self.settings
        options: dict[str, Any] = {"nonbondedMethod": app.CutoffNonPeriodic, "nonbondedCutoff": 2.0 * unit.nanometer}
        if s.timestep > 2.0:
            options["hydrogenMass"] = 3.0 * unit.amu
        try:
            system = app.ForceField("amber14-all.xml").createSystem(self.topology, constraints=app.HBonds, **options)
        except ValueError as error:
            raise StructureError(f"structure: the force field cannot describe it: {error}") from None
        if s.solvent == "implicit":
            system.addForce(_implicit_solvent(self.topology, system))
        for force in self._restraining():
            force.setForceGroup(RESTRAINTS)
            system.addForce(force)
        system.addForce(self._holding())
        integrator = openmm.LangevinMiddleIntegrator(
            s.temperature * unit.kelvin, s.friction / unit.picosecond, s.timestep * unit.femtosecond
        )
        integrator.setRandomNumberSeed(s.seed % 2**31 or 1)
        simulation = app.Simulation(self.topology, system, integrator, _platform(s.threads))
        simulation.context.setPositions(positions)
        return simulation

    def _restraining(self) -> list[Any]:
        """Forces of the restraints: one for all single pairs, one for each ambiguous restraint."""
        k = self.settings.restraint_force * 418.4  # kcal/mol/Å² -> kJ/mol/nm²
        single = openmm.CustomBondForce(WALL + "; d=r")
        for name in ("k", "lower", "upper"):
            single.addPerBondParameter(name)
        forces: list[Any] = [single]
        for restraint, pairs in zip(self.restraints, self._pairs, strict=True):
            lower, upper = restraint.lower / 10.0, restraint.upper / 10.0
            if len(pairs) == 1:
                single.addBond(int(pairs[0, 0]), int(pairs[0, 1]), [k, lower, upper])
                continue
            inverse = openmm.CustomBondForce("r^(-6)")
            for i, j in pairs.tolist():
                inverse.addBond(i, j, [])
            averaged = openmm.CustomCVForce(WALL + "; d=s^(-1/6)")
            averaged.addCollectiveVariable("s", inverse)
            for name, value in (("k", k), ("lower", lower), ("upper", upper)):
                averaged.addGlobalParameter(f"{name}", value)
            forces.append(_own_names(averaged, len(forces)))
        return forces

    def _holding(self) -> Any:
        """Springs that hold the backbone during relaxation; off otherwise."""
        force = openmm.CustomExternalForce(HOLD)
        force.addGlobalParameter("hold", 0.0)
        for name in ("x0", "y0", "z0"):
            force.addPerParticleParameter(name)
        for index, (_, _, _, atom) in enumerate(self.names):
            if atom in ("N", "CA", "C", "O"):
                force.addParticle(index, (self.given[index] / 10.0).tolist())
        force.setForceGroup(POSITIONS)
        return force

    def potential(self) -> float:
        """kcal/mol, restraints left out."""
        return self._energy({0})

    def _energy(self, groups: set[int]) -> float:
        state = self._simulation.context.getState(getEnergy=True, groups=groups)
        return float(state.getPotentialEnergy().value_in_unit(KCAL))

    def minimise(self) -> None:
        """To a local minimum of the energy with restraints."""
        self._simulation.minimizeEnergy(tolerance=5.0 * unit.kilojoules_per_mole / unit.nanometer, maxIterations=1000)
        if not np.isfinite(self._energy({0, RESTRAINTS})):
            raise StructureError("structure: its energy is not finite after minimisation; atoms overlap.")

    def relax(self) -> None:
        """Warm up with the backbone held, then let go."""
        s, context = self.settings, self._simulation.context
        context.setParameter("hold", HOLD_FORCE)
        context.setVelocitiesToTemperature(s.temperature * 0.1 * unit.kelvin, s.seed % 2**31 or 1)
        stages, steps = 10, round(s.relaxation * 1000.0 / s.timestep)
        for stage in range(1, stages + 1):
            self._simulation.integrator.setTemperature(s.temperature * stage / stages * unit.kelvin)
            context.setParameter("hold", HOLD_FORCE * (1.0 - stage / stages))
            self.step(steps // stages)
        context.setParameter("hold", 0.0)
        self._simulation.integrator.setTemperature(s.temperature * unit.kelvin)

    def step(self, count: int) -> None:
        """Move on.

        Raises:
            StructureError: the system has come apart.
        """
        try:
            self._simulation.step(count)
        except openmm.OpenMMException as error:
            raise StructureError(
                f"timestep: the simulation became unstable ({str(error)[:80]}); "
                "use a shorter step or a longer relaxation."
            ) from None

    def frame(self, time: float) -> Frame:
        """The present moment."""
        state = self._simulation.context.getState(getPositions=True, getEnergy=True)
        kinetic = state.getKineticEnergy().value_in_unit(unit.kilojoules_per_mole)
        freedom = 3 * len(self.names) - self._simulation.system.getNumConstraints()
        return Frame(
            time=time,
            xyz=np.array(state.getPositions(asNumpy=True).value_in_unit(unit.angstrom), dtype=float),
            potential=self._energy({0}),
            restraint=self._energy({RESTRAINTS}),
            temperature=float(2.0 * kinetic / (freedom * 0.00831446)),
        )

    def violations(self, xyz: Array) -> Array:
        """(n,) Å beyond the bounds of each restraint."""
        found = []
        for restraint, pairs in zip(self.restraints, self._pairs, strict=True):
            gaps = np.linalg.norm(xyz[pairs[:, 0]] - xyz[pairs[:, 1]], axis=1)
            distance = float((gaps**-6.0).sum() ** (-1.0 / 6.0))
            found.append(max(0.0, distance - restraint.upper, restraint.lower - distance))
        return np.array(found)

    def pdb(self, xyz: Array) -> str:
        """The text of a PDB file with these coordinates."""
        stream = io.StringIO()
        app.PDBFile.writeModel(self.topology, xyz * unit.angstrom, stream, keepIds=True)
        return stream.getvalue()


RADII = {"C": 1.7, "N": 1.55, "O": 1.5, "S": 1.8}
SCALES = {"H": 0.85, "C": 0.72, "N": 0.79, "O": 0.85, "S": 0.96}


def _implicit_solvent(topology: Any, system: Any) -> Any:
    """OBC2, in OpenMM's own force: generic ones for newer models take fifty times as long on a CPU.

    Radii are those that the model was fitted with (mbondi2: 1.3 Å for hydrogen on nitrogen, 1.2 Å elsewhere).
    """
    on_nitrogen = {
        a.index if a.element.symbol == "H" else b.index
        for a, b in topology.bonds()
        if {a.element.symbol, b.element.symbol} == {"H", "N"}
    }
    charges = next(force for force in system.getForces() if isinstance(force, openmm.NonbondedForce))
    solvent = openmm.GBSAOBCForce()
    solvent.setNonbondedMethod(openmm.GBSAOBCForce.CutoffNonPeriodic)
    solvent.setCutoffDistance(charges.getCutoffDistance())
    charges.setReactionFieldDielectric(1.0)
    for atom in topology.atoms():
        charge, _, _ = charges.getParticleParameters(atom.index)
        symbol = atom.element.symbol
        radius = (1.3 if atom.index in on_nitrogen else 1.2) if symbol == "H" else RADII.get(symbol, 1.5)
        solvent.addParticle(charge, radius / 10.0, SCALES.get(symbol, 0.8))
    return solvent


def _own_names(force: Any, number: int) -> Any:
    """The force with parameters of its own: OpenMM shares global ones between forces."""
    made = openmm.CustomCVForce(
        force.getEnergyFunction().replace("lower", f"lower{number}").replace("upper", f"upper{number}")
        .replace("k*", f"k{number}*").replace("s^", f"s{number}^")
    )  # fmt: skip
    made.addCollectiveVariable(f"s{number}", openmm.XmlSerializer.clone(force.getCollectiveVariable(0)))
    for index in range(force.getNumGlobalParameters()):
        name = f"{force.getGlobalParameterName(index)}{number}"
        made.addGlobalParameter(name, force.getGlobalParameterDefaultValue(index))
    return made


def _platform(threads: int) -> Any:
    """The CPU, made to give the same numbers each time."""
    platform = openmm.Platform.getPlatformByName("CPU")
    platform.setPropertyDefaultValue("Threads", str(threads))
    platform.setPropertyDefaultValue("DeterministicForces", "true")
    return platform


@contextmanager
def _same_chance() -> Iterator[None]:
    """OpenMM throws new hydrogens by Python's own random numbers: the same ones each time."""
    state = random.getstate()
    random.seed(1)
    try:
        yield
    finally:
        random.setstate(state)


def _prepared(structure: Structure, ph: float, platform: Any) -> tuple[Any, Any, int]:
    """Topology, positions, and how many heavy atoms were added."""
    from pdbfixer import PDBFixer

    from colonnade.structure.dynamics import check_protein

    protein = check_protein(structure)
    fixer = PDBFixer(pdbfile=io.StringIO(_broken_at_gaps(protein)), platform=platform)
    fixer.missingResidues = {}
    fixer.findMissingAtoms()
    fixer.addMissingAtoms(seed=1)
    added = fixer.topology.getNumAtoms() - len(protein)
    with _same_chance():
        fixer.addMissingHydrogens(ph)
    return fixer.topology, fixer.positions, added


def _broken_at_gaps(protein: Structure) -> str:
    """PDB text with TER where a chain is broken, so that no bond is drawn across a gap."""
    from colonnade.structure._reading import _bonds

    bonded = _bonds(protein, protein.residue)
    ends = np.r_[protein.first[1:], len(protein)]
    lines = [line for line in protein.to_pdb().splitlines() if line.startswith(("ATOM", "HETATM"))]
    text = []
    for r, (start, end) in enumerate(zip(protein.first, ends, strict=True)):
        text += lines[start:end]
        if r < len(bonded) and not bonded[r]:
            text.append("TER")
    return "\n".join([*text, "TER", "END", ""])


def _pairs(restraint: Restraint, names: tuple[tuple[str, int, str, str], ...], title: str) -> NDArray[np.int64]:
    """(P, 2) indices of the pairs of atoms of a restraint; (0, 2) when a side has none."""
    sides = [
        sorted({i for atom in side for i in _matching(atom, names)}) for side in (restraint.first, restraint.second)
    ]
    pairs = [(i, j) for i in sides[0] for j in sides[1] if i != j]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _matching(atom: AtomId, names: tuple[tuple[str, int, str, str], ...]) -> list[int]:
    wanted = NAMES.get(atom.atom, atom.atom) or "CA"
    pattern = wanted.replace("#", "*").replace("%", "?")
    return [
        index
        for index, (chain, number, _, name) in enumerate(names)
        if number == atom.number and atom.chain in ("", chain) and fnmatch.fnmatchcase(name, pattern)
    ]


def _refuse_absent(restraints: tuple[Restraint, ...], pairs: list[NDArray[np.int64]], name: str) -> None:
    absent = [str(restraint) for restraint, found in zip(restraints, pairs, strict=True) if not len(found)]
    if absent:
        more = f" and {len(absent) - 10} more" if len(absent) > 10 else ""
        raise RestraintError(f"restraints: {name} has no atoms for {'; '.join(absent[:10])}{more}.")
