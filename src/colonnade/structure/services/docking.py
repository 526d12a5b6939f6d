"""`structure.docking`: models of a complex from its parts, by the own engine or by HADDOCK3."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from colonnade import engines
from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Outputs, Structure3D, Table
from colonnade.service import Resources, service
from colonnade.structure import haddock_install
from colonnade.structure.services.bodies import DockedBodies
from colonnade.structure.services.common import blamed

if TYPE_CHECKING:
    from colonnade.structure.haddock_config import Protocol
    from colonnade.structure.restraints import Restraint
    from colonnade.structure.services.docking_results import Models
    from colonnade.structure.structures import Structure


def _install(folder: Path, say: engines.Say) -> None:
    try:
        haddock_install.install(folder, say)
    except haddock_install.InstallError as error:
        raise engines.EngineError(str(error)) from None


HADDOCK3 = engines.register(
    engines.Engine(
        name="haddock3",
        title="HADDOCK3, information-driven flexible docking",
        version=haddock_install.VERSION,
        licence=haddock_install.LICENCE,
        terms=haddock_install.TERMS,
        locate=haddock_install.locate,
        install=_install,
        check=lambda: haddock_install.check(haddock_install.locate()),
    )
)


@dataclass(frozen=True)
class Effort:
    """How much each engine does."""

    angle: float
    spacing: float
    keep: int
    sampling: int
    select: int


WALLTIME = timedelta(hours=24)
"""Longest run of a docking; HADDOCK3 is ended a little earlier, so that what it made by then is kept."""

EFFORTS = {
    "quick": Effort(20.83, 1.8, 500, 20, 5),
    "normal": Effort(12.29, 1.5, 1000, 200, 40),
    "thorough": Effort(8.17, 1.2, 3000, 1000, 200),
}


class EngineInputs(DockedBodies):
    """What the forms of docking and of integrative modelling ask about the engine."""

    engine: Literal["own", "haddock3"] = Param(
        "own",
        title="Engine",
        help="own: rigid bodies, by exhaustive search, free for every use. haddock3: flexible, an external program "
        "that has to be installed here (`colonnade engines install haddock3`).",
    )
    cns_licence: bool = Param(
        False,
        title="My use is non-profit, or I have a CNS licence",
        help="Only for haddock3: it computes with CNS, which is free for non-profit use only.",
    )
    effort: Literal["quick", "normal", "thorough"] = Param(
        "normal",
        title="Effort",
        help="own: rotations 20.8, 12.3 or 8.2° apart. haddock3: 20, 200 or 1000 models, of which 5, 40 or 200 are "
        "refined; quick takes minutes, thorough a day of one core.",
    )
    state: Literal["unbound", "bound"] = Param(
        "unbound",
        title="The bodies were solved",
        level="expert",
        help="own: unbound, each alone or in another complex: their surfaces are taken as soft. bound: in the very "
        "complex that is looked for: how exactly they fit decides.",
    )
    restraint_weight: float = Param(
        1.0,
        title="Weight of the restraints",
        ge=0,
        le=100,
        level="expert",
        help="own: energy of each Å beyond the bounds, up to 10 Å.",
    )
    fcc_cutoff: float = Param(
        0.6,
        title="Common contacts within a cluster",
        ge=0.1,
        le=1,
        level="expert",
        help="Share of common contacts from which two models are neighbours.",
    )
    models: int = Param(100, title="Models", ge=1, le=1000, level="expert", help="own: how many are given back.")
    sampling: int | None = Param(
        None, title="Rigid-body models", ge=1, le=10_000, level="expert", help="haddock3: instead of the effort's."
    )
    select: int | None = Param(
        None, title="Refined models", ge=1, le=1000, level="expert", help="haddock3: instead of the effort's."
    )
    flexible: bool = Param(True, title="Flexible interface", level="expert", help="haddock3: the module flexref.")
    final: Literal["emref", "mdref", "none"] = Param(
        "emref", title="Last refinement", level="expert", help="haddock3: minimised, in explicit water, or none."
    )
    parameters: str = Param(
        "",
        title="Parameters of modules",
        level="guru",
        multiline=True,
        max_length=10_000,
        help="haddock3: lines such as 'rigidbody.w_elec = 0.5', checked against the modules' own tables.",
    )

    def protocol(self, cores: int = 1) -> Protocol:
        """The steps of HADDOCK3."""
        from colonnade.structure.haddock_config import Protocol, parse_settings

        effort = EFFORTS[self.effort]
        with blamed(type(self), "parameters"):
            settings = parse_settings(self.parameters)
        sampling = self.sampling or effort.sampling
        return Protocol(
            sampling=sampling,
            select=min(self.select or effort.select, sampling),
            flexible=self.flexible,
            final=self.final,
            min_population=1 if sampling < 200 else 4,
            cores=cores,
            settings=settings,
        )

    def check_engine(self, bodies: tuple[Structure, Structure], restraints: list[Restraint]) -> None:
        """Refuse what the chosen engine cannot do, before the job queues."""
        if self.engine == "own":
            return
        from colonnade.structure import haddock

        if not self.cns_licence:
            raise ValueError(f"cns_licence: has to be accepted to use haddock3. {' '.join(HADDOCK3.terms.split())}")
        if HADDOCK3.locate() is None:
            raise ValueError(f"engine: haddock3: {HADDOCK3.how_to}.")
        if not restraints:
            raise ValueError("restraints: haddock3 needs at least one restraint; without any the bodies float apart.")
        with blamed(type(self), "engine"):
            haddock.check_bodies(bodies)
        self.protocol()


class DockingInputs(EngineInputs):
    """Two bodies, what is known of their contacts, and the engine."""

    @model_validator(mode="after")
    def _can_be_docked(self) -> DockingInputs:
        bodies = self.bodies()
        self.known(bodies)
        self.check_engine(bodies, self.all_restraints(bodies))
        return self


class DockingOutputs(Outputs):
    """Models of the complex, ranked and clustered."""

    best: Estimate
    clusters: Estimate
    likeness: Estimate | None = None
    notes: list[str] = Param(title="What to know")
    structures: list[Structure3D] = Param(title="Models")
    scores: Figure
    boxes: Figure
    cluster_table: Table
    model_table: Table
    restraint_table: Table | None = None
    files: list[Artifact] = Param(title="Files to go on with")


@service(
    "structure.docking",
    title="Docking of two molecules",
    summary="Builds models of a complex from its parts and from restraints, ranks and clusters them.",
    paper="arXiv:2107.01056",
    resources=Resources(cores=2, memory="6 GiB", walltime=WALLTIME),
    examples={
        "E2A with HPr, interface residues from NMR": {
            "fixed": "example:structure.docking/E2A.pdb",
            "scanning": "example:structure.docking/HPr.pdb",
            "active_fixed": "A 38, A 40, A 45, A 46, A 69, A 71, A 78, A 80, A 94, A 96, A 141",
            "active_scanning": "B 15, B 16, B 17, B 20, B 48, B 51, B 52, B 54, B 56",
            "reference": "example:structure.docking/E2A-HPr.pdb",
            "effort": "quick",
        },
        "Cro repressor with its operator": {
            "fixed": "example:structure.docking/Cro.pdb",
            "scanning": "example:structure.docking/operator.pdb",
            "restraints": "example:structure.docking/Cro-operator.tbl",
            "reference": "example:structure.docking/Cro-operator.pdb",
            "effort": "quick",
        },
    },
    software=("torch", "numba", "gemmi", "scipy"),
)
def docking(inputs: DockingInputs, job: Job) -> DockingOutputs:
    """Build models of a complex from the structures of its parts.

    The own engine searches all placements of one rigid body around the other by FFT (shape, a contact potential of
    atom types, electrostatics), lets the best slide downhill under the restraints, and clusters them by common
    contacts. HADDOCK3 (Dominguez et al., JACS 125:1731, 2003) also refines the interface flexibly. Restraints may be
    distances, ambiguous restraints or interface residues; without any, only the own engine can be used.
    """
    from colonnade.structure.services import docking_results as results

    bodies = inputs.bodies()
    restraints = inputs.all_restraints(bodies)
    models, extra = run_engine(inputs, job, bodies, restraints)
    measures, against = results.measured(models, inputs.known(bodies))
    scores, boxes = results.figures(models, measures, against)
    leader = models.leaders[0]
    return DockingOutputs(
        best=Estimate(value=models.made[0].score, title="Best score", caption="The lower the better; no affinity."),
        clusters=Estimate(value=len(models.clusters), title=f"Clusters of {len(models.made)} models"),
        likeness=Estimate(
            value=measures[leader].dockq,
            title="DockQ of the best model of the best cluster",
            caption=results.likeness(measures[leader]),
        )
        if inputs.reference is not None
        else None,
        notes=notes(inputs, bodies, models),
        structures=results.views(job, models),
        scores=scores,
        boxes=boxes,
        cluster_table=results.cluster_table(models, measures),
        model_table=results.model_table(models, measures, against),
        restraint_table=results.restraint_table(models) if restraints else None,
        files=results.files(job, models, extra),
    )


def run_engine(
    inputs: EngineInputs, job: Job, bodies: tuple[Structure, Structure], restraints: list[Restraint]
) -> tuple[Models, dict[str, str]]:
    """The models, and texts of the engine to keep."""
    from colonnade.structure.services import docking_results as results

    if inputs.engine == "own":
        from colonnade.structure.docking import dock

        effort = EFFORTS[inputs.effort]
        found = dock(
            *bodies,
            restraints,
            angle=effort.angle,
            spacing=effort.spacing,
            keep=effort.keep,
            models=inputs.models,
            restraint_weight=inputs.restraint_weight,
            fcc_cutoff=inputs.fcc_cutoff,
            state=inputs.state,
            track=job.track,
        )
        job.log(
            f"{found.placements:.3g} placements searched; {len(found.poses)} models, {len(found.clusters)} clusters."
        )
        return results.of_own(found), {}
    return _run_haddock(inputs, job, bodies, restraints)


def _run_haddock(
    inputs: EngineInputs, job: Job, bodies: tuple[Structure, Structure], restraints: list[Restraint]
) -> tuple[Models, dict[str, str]]:
    import tempfile

    from colonnade.structure import haddock
    from colonnade.structure.services import docking_results as results

    keywords: dict[str, Any] = {
        "ambiguous": [r for r in restraints if r.ambiguous],
        "unambiguous": [r for r in restraints if not r.ambiguous],
        "seed": 1 + job.seed % 9_999_999 if job.seed else 917,
        "limit": 0.95 * WALLTIME.total_seconds(),
        "say": job.log,
    }
    with tempfile.TemporaryDirectory(prefix="haddock3-") as name:
        folder = Path(name)
        run = haddock.dock(folder, bodies, inputs.protocol(job.cores), **keywords)
        extra = {kept: (folder / kept).read_text(errors="replace") for kept in ("run.cfg", "haddock3.log")}
        models = results.of_haddock(run, bodies, restraints)
    return models, {"haddock3.cfg": extra["run.cfg"], "haddock3.log": extra["haddock3.log"]}


def notes(inputs: EngineInputs, bodies: tuple[Structure, Structure], models: Models) -> list[str]:
    """What limits the use of the models, in plain sentences."""
    found = list(models.notes)
    if not models.restraints:
        found.append("Docked without restraints: the right model is often not the first; compare all clusters.")
    elif not any(r.ambiguous for r in models.restraints) and not inputs.active_fixed:
        found.append("Distances alone seldom fix the pose: compare the clusters, and add interface residues if known.")
    if inputs.engine == "own":
        found.append("The bodies are kept rigid; a complex whose parts change shape on binding is found less well.")
        if any("nucleic" in body.kind for body in bodies):
            found.append("The contact potential of the own engine was fitted on proteins, not on nucleic acids.")
    return found + [f"{body.name}: {issue}" for body in bodies for issue in body.issues]
