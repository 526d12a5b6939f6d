"""`structure.dynamics`: minimisation, relaxation and short molecular dynamics, with NMR distance restraints."""

from __future__ import annotations

import importlib.util
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Outputs, Selection, Structure3D, Table
from colonnade.service import Resources, service
from colonnade.structure.services.common import PARTNER_COLORS, RestraintFile, StructureFile, blamed, read

if TYPE_CHECKING:
    from colonnade.structure.dynamics import Dynamics, Settings
    from colonnade.structure.restraints import Restraint
    from colonnade.structure.structures import Structure

MOST_WORK = 4e8
"""Atoms times steps of the longest simulation that is taken, some hours of one core."""


def _unavailable() -> str | None:
    missing = [name for name in ("openmm", "pdbfixer") if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return f"engine not installed: {' and '.join(missing)}; `pip install 'colonnade[structure]'` brings them."


class DynamicsInputs(Inputs):
    """A protein, how long to simulate it, and distances that it should keep."""

    structure: StructureFile = Param(
        title="Structure", help="PDB or mmCIF with protein; what else is in it is left out."
    )
    restraints: RestraintFile | None = Param(
        None,
        title="Distance restraints",
        help="CNS .tbl ('assign (...) (...) 4.0 2.2 1.0') or lines 'A 27 HA A 31 HN 1.8 5'. HB# or HB* stands for all "
        "hydrogens so named; several pairs count by the sum of r^-6.",
    )
    restraint_lines: str = Param(
        "", title="Restraints typed in", help="The same lines.", multiline=True, max_length=20_000
    )
    time: float = Param(
        20.0,
        title="Time",
        unit="ps",
        ge=0,
        le=1000,
        help="Of free dynamics; 0 stops after minimisation and relaxation.",
    )
    temperature: float = Param(300.0, title="Temperature", unit="K", ge=1, le=600)
    chains: str = Param("", title="Chains", level="expert", help="As in 'A,B'; empty: all.", max_length=100)
    model: int = Param(1, title="Model", ge=1, le=100_000, level="expert", help="Which model of a file with several.")
    relaxation: float = Param(
        2.0,
        title="Relaxation",
        unit="ps",
        ge=0,
        le=100,
        level="expert",
        help="Warming up with the backbone held, before the free dynamics; 0: only minimised.",
    )
    restraint_force: float = Param(
        10.0, title="Force of the restraints", unit="kcal/mol/Å²", ge=0, le=1000, level="expert"
    )
    frames: int = Param(50, title="Frames kept", ge=1, le=500, level="expert")
    timestep: float = Param(2.0, title="Time step", unit="fs", ge=0.5, le=4, level="expert")
    solvent: Literal["implicit", "vacuum"] = Param("implicit", title="Solvent", level="expert", help="Implicit: OBC2.")
    friction: float = Param(1.0, title="Friction", unit="1/ps", ge=0.1, le=100, level="guru", help="Of the thermostat.")
    ph: float = Param(7.0, title="pH", ge=0, le=14, level="guru", help="At which hydrogens are added.")

    def protein(self) -> Structure:
        """What is simulated."""
        with blamed(type(self), "structure"):
            return read(self.structure, model=self.model, chains=self.chains)

    def all_restraints(self) -> list[Restraint]:
        """Those of the file and those typed in."""
        from colonnade.structure.restraints import parse_restraints, read_restraints

        found: list[Restraint] = []
        with blamed(type(self), "restraints"):
            found += read_restraints(self.restraints.path) if self.restraints else []
        with blamed(type(self), "restraint_lines"):
            found += parse_restraints(self.restraint_lines) if self.restraint_lines.strip() else []
        return found

    def settings(self, seed: int, threads: int) -> Settings:
        """As the library takes them."""
        from colonnade.structure.dynamics import Settings

        return Settings(
            time=self.time,
            relaxation=self.relaxation,
            temperature=self.temperature,
            timestep=self.timestep,
            friction=self.friction,
            frames=self.frames,
            solvent=self.solvent,
            restraint_force=self.restraint_force,
            ph=self.ph,
            seed=seed,
            threads=threads,
        )

    @model_validator(mode="after")
    def _can_be_simulated(self) -> DynamicsInputs:
        from colonnade.structure.dynamics import check_protein, check_residues

        with blamed(type(self), "structure"):
            protein = check_protein(self.protein())
        with blamed(type(self), "restraints" if self.restraints else "restraint_lines"):
            check_residues(self.all_restraints(), protein)
        steps = (self.time + self.relaxation) * 1000.0 / self.timestep
        if 2 * len(protein) * steps > MOST_WORK:
            most = MOST_WORK / (2 * len(protein)) * self.timestep / 1000.0
            raise ValueError(f"time: this protein can be simulated here for at most {most:.0f} ps; give less.")
        return self


class DynamicsOutputs(Outputs):
    """What the simulation gave."""

    potential: Estimate
    drop: Estimate
    rmsd: Estimate
    violated: Estimate | None = None
    notes: list[str] = Param(title="What to know")
    trajectory: Structure3D
    final: Structure3D
    energies: Figure
    rmsd_plot: Figure
    rmsf_plot: Figure
    violation_plot: Figure | None = None
    frames: Table
    restraints: Table | None = None
    files: list[Artifact] = Param(title="Files to go on with")


@service(
    "structure.dynamics",
    title="Minimisation and molecular dynamics of a protein",
    summary="Minimises, relaxes and briefly simulates a protein, under NMR distance restraints when there are any.",
    paper="arXiv:2107.01056",
    resources=Resources(cores=2, memory="4 GiB", walltime=timedelta(hours=12)),
    examples={
        "UBA domain of Cbl-b, 2 ps": {"structure": "example:structure.dynamics/2OOB.cif", "chains": "A", "time": 2.0},
        "HPr with three NMR-like distances, 5 ps": {
            "structure": "example:structure.dynamics/HPr.pdb",
            "restraint_lines": "B 6 HN B 32 HN 1.8 5.0\nB 8 HN B 59 HN 1.8 5.0\nB 4 HB# B 35 HB# 1.8 6.0",
            "time": 5.0,
        },
    },
    software=("openmm", "pdbfixer", "gemmi"),
    unavailable=_unavailable,
)
def dynamics(inputs: DynamicsInputs, job: Job) -> DynamicsOutputs:
    """Minimise a protein, relax it, and let it move for a while, with OpenMM.

    Force field AMBER ff14SB with the implicit solvent OBC2. Missing atoms and hydrogens are added; the structure is
    minimised, warmed up with its backbone held, and simulated freely. Distance restraints are flat-bottomed. This is
    for relaxing models and for looking at what gives way: a few picoseconds are no equilibrium.
    """
    import numpy as np

    from colonnade.structure.dynamics import simulate
    from colonnade.structure.plots import dynamics as plots

    protein, restraints = inputs.protein(), inputs.all_restraints()
    bar = job.bar("Simulating", 100)
    found = simulate(protein, inputs.settings(job.seeds(1)[0] % 2**31, job.cores), restraints, progress=bar)
    job.log(f"{len(found.names)} atoms, {found.platform}.")
    return DynamicsOutputs(
        potential=Estimate(
            value=float(found.potential[0]),
            unit="kcal/mol",
            title="Potential energy after minimisation",
            caption="Of the force field, with its own zero.",
        ),
        drop=Estimate(
            value=float(found.start_potential - found.potential[0]),
            unit="kcal/mol",
            title="Lowered by minimisation",
        ),
        rmsd=Estimate(value=float(found.rmsd[-1]), unit="Å", title="RMSD of CA from the given structure, last frame"),
        violated=Estimate(
            value=float((found.violations[-1] > 0.5).sum()),
            title=f"Restraints violated by more than 0.5 Å in the last frame, of {len(restraints)}",
        )
        if restraints
        else None,
        notes=_notes(found, protein, inputs),
        trajectory=_trajectory(job, found),
        final=_final(job, found),
        energies=Figure.of(plots.energies(found), title="Energies"),
        rmsd_plot=Figure.of(plots.rmsd(found), title="RMSD"),
        rmsf_plot=Figure.of(plots.rmsf(found), title="RMSF"),
        violation_plot=Figure.of(plots.violations(found), title="Violations") if restraints else None,
        frames=Table.of(
            {
                "time": found.time.round(4),
                "potential": found.potential.round(2),
                "restraints": found.restraint.round(3),
                "temperature": found.temperature.round(1),
                "RMSD": np.round(found.rmsd, 3),
            },
            units={"time": "ps", "potential": "kcal/mol", "restraints": "kcal/mol", "temperature": "K", "RMSD": "Å"},
            title="Frames",
            caption="The first is the minimised structure, the second the relaxed one.",
        ),
        restraints=_restraint_table(found) if restraints else None,
        files=[job.artifact("trajectory.npz", _arrays(found), title="Trajectory as arrays, Å and ps")],
    )


def _notes(found: Dynamics, protein: Structure, inputs: DynamicsInputs) -> list[str]:
    notes = []
    if found.added:
        notes.append(f"{found.added} missing heavy atoms were added.")
    others = {"water": "waters", "ligand": "ligands and ions", "nucleic": "nucleic acids"}
    if words := [word for kind, word in others.items() if kind in protein.kind]:
        notes.append(f"Only protein is simulated: {', '.join(words)} are left out.")
    if inputs.time < 1000:
        notes.append("A simulation of picoseconds samples the neighbourhood of the structure, not its equilibrium.")
    return notes + list(protein.issues)


def _colours(found: Dynamics) -> list[Selection]:
    chains = list(dict.fromkeys(chain for chain, _, _ in found.residues))
    return [Selection(chain=c, color=PARTNER_COLORS[k % 6], label=f"chain {c}") for k, c in enumerate(chains)]


def _trajectory(job: Job, found: Dynamics) -> Structure3D:
    lines = []
    for number, text in enumerate(found.pdb, start=1):
        atoms = [line for line in text.splitlines() if line.startswith(("ATOM", "HETATM", "TER"))]
        lines += [f"MODEL     {number:4d}", *atoms, "ENDMDL"]
    (job.files / "trajectory.pdb").write_text("\n".join([*lines, "END", ""]))
    return Structure3D(
        file="trajectory.pdb",
        selections=_colours(found),
        title="Trajectory",
        caption=f"{len(found.pdb)} frames, superimposed by CA; the viewer steps through them as models.",
    )


def _final(job: Job, found: Dynamics) -> Structure3D:
    atoms = [line for line in found.pdb[-1].splitlines() if line.startswith(("ATOM", "HETATM", "TER"))]
    (job.files / "last_frame.pdb").write_text("\n".join([*atoms, "END", ""]))
    return Structure3D(file="last_frame.pdb", selections=_colours(found), title="Last frame")


def _restraint_table(found: Dynamics) -> Table:
    return Table.of(
        {
            "restraint": [str(r) for r in found.restraints],
            "from": [r.lower for r in found.restraints],
            "to": [r.upper for r in found.restraints],
            "beyond, minimised": found.violations[0].round(3),
            "beyond, last frame": found.violations[-1].round(3),
        },
        units=dict.fromkeys(("from", "to", "beyond, minimised", "beyond, last frame"), "Å"),
        title="Restraints",
    )


def _arrays(found: Dynamics) -> bytes:
    import io

    import numpy as np

    stream = io.BytesIO()
    names = np.array([f"{chain} {number} {residue} {atom}" for chain, number, residue, atom in found.names])
    np.savez_compressed(stream, xyz=found.frames.astype(np.float32), time=found.time, atoms=names)
    return stream.getvalue()
