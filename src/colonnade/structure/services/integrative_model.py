"""`structure.integrative_model`: from two structures and crosslinks to ranked models with affinities, in one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Outputs, Structure3D, Table
from colonnade.service import Resources, service
from colonnade.structure.services.docking import WALLTIME, EngineInputs, notes, run_engine

if TYPE_CHECKING:
    from colonnade.structure.affinity import BindingAffinity
    from colonnade.structure.restraints import Restraint
    from colonnade.structure.services.docking_results import Models
    from colonnade.structure.structures import Structure
    from colonnade.structure.workflow import Screening


class IntegrativeModelInputs(EngineInputs):
    """Two bodies, crosslinks between them, interface residues if any are known, and the engine."""

    suspect_z: float = Param(
        1.0,
        title="z-score from which a crosslink is left out",
        ge=0.5,
        le=10,
        help="A crosslink that the others contradict has a high one; 10 leaves out none.",
    )
    screening_angle: float = Param(
        20.83, title="Rotational sampling of the screening", unit="°", ge=5, le=63, level="expert"
    )
    temperature: float = Param(
        25.0, title="Temperature", unit="°C", ge=-20, le=80, level="expert", help="Of the dissociation constant."
    )

    def crosslinks(self, bodies: tuple[Structure, Structure]) -> list[Restraint]:
        """The restraints of the file and those typed in, without those of interface residues."""
        return self.model_copy(update={"active_fixed": "", "active_scanning": ""}).all_restraints(bodies)

    @model_validator(mode="after")
    def _can_be_modelled(self) -> IntegrativeModelInputs:
        from colonnade.structure.space import MAX_RESTRAINTS

        bodies = self.bodies()
        self.known(bodies)
        crosslinks = self.crosslinks(bodies)
        if not crosslinks:
            raise ValueError("restraints: give crosslinks, in a file or typed in; without any use structure.docking.")
        if len(crosslinks) > MAX_RESTRAINTS:
            raise ValueError(f"restraints: {len(crosslinks)} are more than the {MAX_RESTRAINTS} that can be screened.")
        self.check_engine(bodies, self.all_restraints(bodies))
        return self


class IntegrativeModelOutputs(Outputs):
    """Which crosslinks are suspect and why, the models, and how tightly they bind."""

    suspects: Estimate
    clusters: Estimate
    delta_g: Estimate | None = None
    likeness: Estimate | None = None
    notes: list[str] = Param(title="What to know")
    crosslinks: Table
    z_scores: Figure | None = None
    subsets: Figure | None = None
    structures: list[Structure3D] = Param(title="Models")
    affinities: Table
    scores: Figure
    boxes: Figure
    cluster_table: Table
    model_table: Table
    files: list[Artifact] = Param(title="Files to go on with")


@service(
    "structure.integrative_model",
    title="Integrative model from crosslinks",
    summary="Screens crosslinks, docks with those that agree, clusters the models and predicts their affinity.",
    paper="arXiv:2107.01056",
    resources=Resources(cores=2, memory="6 GiB", walltime=WALLTIME),
    examples={
        "E2A with HPr: eight crosslinks, two of them false, and interface residues": {
            "fixed": "example:structure.integrative_model/E2A.pdb",
            "scanning": "example:structure.integrative_model/HPr.pdb",
            "restraints": "example:structure.integrative_model/E2A-HPr-crosslinks.dat",
            "active_fixed": "A 38, A 40, A 45, A 46, A 69, A 71, A 78, A 80, A 94, A 96, A 141",
            "active_scanning": "B 15, B 16, B 17, B 20, B 48, B 51, B 52, B 54, B 56",
            "reference": "example:structure.integrative_model/E2A-HPr.pdb",
            "effort": "quick",
        },
    },
    software=("torch", "numba", "gemmi", "scipy"),
)
def integrative_model(inputs: IntegrativeModelInputs, job: Job) -> IntegrativeModelOutputs:
    """Build models of a complex from crosslinks that may be partly false.

    One job in place of four portals: the interaction space of all crosslinks tells which ones the others contradict
    (z-score, and the probability to be false); these are left out; the rest, with interface residues where they are
    known, guide the docking; models are clustered; and the best of each cluster gets its binding affinity (PRODIGY).
    """
    from colonnade.structure.plots.space import restraint_scores, subsets
    from colonnade.structure.services import docking_results as results
    from colonnade.structure.workflow import affinity_of, screen

    bodies = inputs.bodies()
    crosslinks = inputs.crosslinks(bodies)
    interface = inputs.all_restraints(bodies)[len(crosslinks) :]
    screening = screen(*bodies, crosslinks, angle=inputs.screening_angle, threshold=inputs.suspect_z, track=job.track)
    for index in screening.suspects:
        job.log(f"Left out: {crosslinks[index]}, which the others contradict.")
    used = [crosslinks[i] for i in screening.kept] + interface
    models, extra = run_engine(inputs, job, bodies, used)
    measures, against = results.measured(models, inputs.known(bodies))
    scores, boxes = results.figures(models, measures, against)
    leaders = models.leaders[: results.MOST_SHOWN]
    affinities = [affinity_of(*models.made[k].bodies, inputs.temperature) for k in leaders]
    space, best = screening.space, measures[leaders[0]]
    return IntegrativeModelOutputs(
        suspects=Estimate(value=len(screening.suspects), title=f"Suspect crosslinks, of {len(crosslinks)}"),
        clusters=Estimate(value=len(models.clusters), title=f"Clusters of {len(models.made)} models"),
        delta_g=_delta_g(affinities[0]),
        likeness=Estimate(
            value=best.dockq,
            title="DockQ of the best model of the best cluster",
            caption=results.likeness(best),
        )
        if inputs.reference is not None
        else None,
        notes=_notes(screening, crosslinks, interface) + notes(inputs, bodies, models),
        crosslinks=_crosslink_table(screening, crosslinks, models),
        z_scores=space and Figure.of(restraint_scores(space), title="Which crosslinks are suspect"),
        subsets=space and Figure.of(subsets(space), title="Subsets of the crosslinks that hold together"),
        structures=results.views(job, models),
        affinities=_affinity_table(models, leaders, affinities),
        scores=scores,
        boxes=boxes,
        cluster_table=results.cluster_table(models, measures),
        model_table=results.model_table(models, measures, against),
        files=results.files(job, models, extra),
    )


def _delta_g(found: BindingAffinity | None) -> Estimate | None:
    if found is None:
        return None
    return Estimate(
        value=found.delta_g,
        error=found.delta_g_error,
        unit="kcal/mol",
        title="Binding free energy ΔG of the best model",
        caption="PRODIGY; the error is the model's on its benchmark of measured complexes, not that of the docking.",
    )


def _notes(screening: Screening, crosslinks: list[Restraint], interface: list[Restraint]) -> list[str]:
    found = []
    space = screening.space
    if space is None:
        found.append(f"{len(crosslinks)} crosslinks are too few to tell a false one from the others; all were used.")
    else:
        false, without = space.false_positive_probability(), space.leave_one_out()
        for i in screening.suspects:
            found.append(
                f"{crosslinks[i]} was left out: among complexes that satisfy other crosslinks it is violated more "
                f"than usual (z = {space.z_scores[i]:.2f}; probability to be false {false[i]:.2f}). The others hold "
                f"together in {without[i]:.4g} complexes."
            )
        if screening.suspects:
            found.append("The z-score is relative: one of several true crosslinks may be suspect as well.")
    if not interface and screening.volume > 1000:
        found.append(
            f"The centre of the scanning structure may be anywhere within {screening.volume:.0f} Å³ of the consistent "
            "positions: crosslinks alone do not fix the pose. Add interface residues if any are known."
        )
    return found


def _crosslink_table(screening: Screening, crosslinks: list[Restraint], models: Models) -> Table:
    from colonnade.structure.docking import without_hydrogens
    from colonnade.structure.restraints import distances

    space = screening.space
    false = space.false_positive_probability() if space else None
    best = distances(without_hydrogens(crosslinks), *models.made[models.leaders[0]].bodies)
    return Table.of(
        {
            "crosslink": [str(r) for r in crosslinks],
            "from": [r.lower for r in crosslinks],
            "to": [r.upper for r in crosslinks],
            "z": [round(float(z), 3) for z in space.z_scores] if space else [None] * len(crosslinks),
            "false with probability": [round(float(p), 4) for p in false] if false is not None else [None] * len(best),
            "used": [i in screening.kept for i in range(len(crosslinks))],
            "in the best model": best.round(2),
            "holds there": [bool(r.lower <= d <= r.upper) for r, d in zip(crosslinks, best, strict=True)],
        },
        units={"from": "Å", "to": "Å", "in the best model": "Å"},
        title="Crosslinks",
    )


def _affinity_table(models: Models, leaders: list[int], found: list[BindingAffinity | None]) -> Table:
    def column(name: str, digits: int) -> list[float | None]:
        return [None if a is None else float(f"{getattr(a, name):.{digits}g}") for a in found]

    return Table.of(
        {
            "cluster": [models.made[k].cluster or None for k in leaders],
            "model": [k + 1 for k in leaders],
            "score": [round(models.made[k].score, 2) for k in leaders],
            "ΔG": column("delta_g", 4),
            "error of ΔG": column("delta_g_error", 2),
            "Kd": column("kd", 3),
            "contacts": [None if a is None else a.n_contacts for a in found],
        },
        units={"ΔG": "kcal/mol", "error of ΔG": "kcal/mol", "Kd": "M"},
        title="Affinity of the best model of each cluster",
        caption="PRODIGY, fitted on experimental structures of protein-protein complexes: compare clusters by it with "
        "care. Empty where there is no protein on both sides, or no contact.",
    )
