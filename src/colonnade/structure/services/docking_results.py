"""What docking portals show of models, whichever engine made them: tables, figures, 3D views, files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colonnade.job import Job
from colonnade.results import Artifact, Figure, Selection, Structure3D, Table
from colonnade.structure.services.common import INTERFACE_COLORS, PARTNER_COLORS, view

if TYPE_CHECKING:
    from colonnade.structure.capri import Capri
    from colonnade.structure.docking import Docking
    from colonnade.structure.haddock import HaddockRun
    from colonnade.structure.restraints import Restraint
    from colonnade.structure.structures import Structure

MOST_SHOWN = 5
"""Clusters whose best model has a view of its own."""


@dataclass(frozen=True)
class Made:
    """One model of either engine: the best first in `Models`."""

    bodies: tuple[Structure, Structure]
    score: float
    cluster: int
    terms: dict[str, float]
    reached: int | None = None

    def whole(self, name: str) -> Structure:
        from colonnade.structure.structures import join

        return join(self.bodies, name)


@dataclass(frozen=True)
class Models:
    """The models of one docking."""

    made: list[Made]
    restraints: list[Restraint]
    notes: list[str] = field(default_factory=list)

    @property
    def clusters(self) -> dict[int, list[int]]:
        """Rank of a cluster -> its models, the best first."""
        found: dict[int, list[int]] = {}
        for k, model in enumerate(self.made):
            if model.cluster:
                found.setdefault(model.cluster, []).append(k)
        return dict(sorted(found.items()))

    @property
    def leaders(self) -> list[int]:
        """The best model of each cluster, in the order of the clusters; all models when there are no clusters."""
        return [members[0] for members in self.clusters.values()] or list(range(len(self.made)))


def of_own(found: Docking) -> Models:
    """The models of the own engine."""
    made = [
        Made((found.fixed, found.placed(k)), pose.score, pose.cluster, pose.terms, pose.reached)
        for k, pose in enumerate(found.poses)
    ]
    return Models(made, list(found.restraints))


def of_haddock(run: HaddockRun, bodies: tuple[Structure, Structure], restraints: list[Restraint]) -> Models:
    """The models of HADDOCK3, with the chains of the bodies."""
    from colonnade.structure.docking import chain_names
    from colonnade.structure.structures import read_structure

    made = []
    for model in run.models:
        whole = read_structure(model.path).heavy
        parts = [whole.in_chains(chain_names(body)) for body in bodies]
        made.append(Made((parts[0], parts[1]), model.score, model.cluster, model.terms))
    notes = list(run.failures)
    if not run.complete:
        notes.insert(0, "HADDOCK3 did not come to its end; these are the models that it had made.")
    return Models(made, restraints, notes)


def measured(models: Models, known: Structure | None) -> tuple[list[Capri], str]:
    """Likeness of each model to the known complex, or else to the best model; and what it is compared with."""
    from colonnade.structure.capri import Reference
    from colonnade.structure.docking import chain_names

    groups = [chain_names(body) for body in models.made[0].bodies]
    reference = Reference(known if known is not None else models.made[0].whole("best"), groups)
    match = reference.match(*models.made[0].bodies)
    same = len(models.made[0].bodies[0]), len(models.made[0].bodies[1])
    found = []
    for model in models.made:
        first, second = model.bodies
        alike = (len(first), len(second)) == same
        found.append(match.judge(first.xyz, second.xyz) if alike else reference.compare(first, second))
    return found, "the known complex" if known is not None else "the model with the best score"


def likeness(measure: Capri) -> str:
    """The measures of one model in words."""
    return (
        f"{measure.quality}: irmsd {measure.irmsd:.2f} Å, fnat {measure.fnat:.2f}, lrmsd {measure.lrmsd:.2f} Å to the "
        "known complex."
    )


def model_table(models: Models, measures: Sequence[Capri], against: str) -> Table:
    """A row for each model."""
    terms = list(models.made[0].terms)
    columns: dict[str, list[Any]] = {
        "rank": list(range(1, len(models.made) + 1)),
        "cluster": [model.cluster or None for model in models.made],
        "score": [round(model.score, 3) for model in models.made],
    }
    if models.made[0].reached is not None:
        columns["placements"] = [model.reached for model in models.made]
    rest = {name: [round(model.terms.get(name, float("nan")), 3) for model in models.made] for name in terms}
    likeness = {
        "irmsd": [round(m.irmsd, 2) for m in measures],
        "fnat": [round(m.fnat, 3) for m in measures],
        "lrmsd": [round(m.lrmsd, 2) for m in measures],
        "DockQ": [round(m.dockq, 3) for m in measures],
    }
    return Table.of(
        columns | rest | likeness,
        units={"irmsd": "Å", "lrmsd": "Å"},
        title="Models",
        caption=f"irmsd, fnat, lrmsd and DockQ are to {against}. Placements: how many of the search became this model.",
    )


def cluster_table(models: Models, measures: Sequence[Capri]) -> Table:
    """A row for each cluster."""
    import numpy as np

    groups = models.clusters
    scores = [np.array([models.made[k].score for k in members]) for members in groups.values()]
    return Table.of(
        {
            "cluster": list(groups),
            "models": [len(members) for members in groups.values()],
            "best model": [members[0] + 1 for members in groups.values()],
            "best score": [round(float(s[0]), 2) for s in scores],
            "mean score of its best four": [round(float(s[:4].mean()), 2) for s in scores],
            "spread": [round(float(s[:4].std()), 2) for s in scores],
            "DockQ of its best model": [round(measures[members[0]].dockq, 3) for members in groups.values()],
        },
        title="Clusters",
        caption="Models with at least 60 % of their contacts in common, unless asked otherwise.",
    )


def restraint_table(models: Models) -> Table:
    """Distance of each restraint in the best model of each of the best clusters."""
    from colonnade.structure.docking import without_hydrogens
    from colonnade.structure.restraints import distances

    shown = models.leaders[:MOST_SHOWN]
    heavy = without_hydrogens(models.restraints)
    columns = {f"model {k + 1}": distances(heavy, *models.made[k].bodies).round(2).tolist() for k in shown}
    return Table.of(
        {
            "restraint": [str(r) for r in models.restraints],
            "from": [r.lower for r in models.restraints],
            "to": [r.upper for r in models.restraints],
        }
        | columns,
        units={"from": "Å", "to": "Å"} | dict.fromkeys(columns, "Å"),
        title="Restraints in the best model of each cluster",
        caption="Distance in Å; of residues without an atom name between CA atoms, which is up to 7 Å more.",
    )


def figures(models: Models, measures: Sequence[Capri], against: str) -> tuple[Figure, Figure]:
    """Score against likeness, and the clusters' boxes."""
    from colonnade.structure.plots.docking import cluster_boxes, scores_against_likeness

    scores, clusters = [m.score for m in models.made], [m.cluster for m in models.made]
    return (
        Figure.of(scores_against_likeness(scores, clusters, measures, against), title="Scores"),
        Figure.of(cluster_boxes(scores, clusters), title="Clusters"),
    )


def views(job: Job, models: Models) -> list[Structure3D]:
    """The best model of each of the best clusters, its interface as sticks."""
    found = []
    for k in models.leaders[:MOST_SHOWN]:
        model = models.made[k]
        name = f"cluster {model.cluster}" if model.cluster else f"model {k + 1}"
        found.append(
            view(
                job,
                f"{name.replace(' ', '_')}_best",
                model.whole(name),
                selections(model.bodies),
                title=f"Best model of {name}" if model.cluster else f"Model {k + 1}",
                caption=f"Score {model.score:.1f}; residues within 5 Å of the partner as sticks.",
            )
        )
    return found


def selections(bodies: tuple[Structure, Structure]) -> list[Selection]:
    """Chains by body, and the residues in contact."""
    import numpy as np

    from colonnade.structure.capri import residue_pairs
    from colonnade.structure.docking import chain_names

    pairs = residue_pairs(*bodies, 5.0)
    chains, sticks = [], []
    for side, body in enumerate(bodies):
        for chain in chain_names(body):
            label = f"{('fixed', 'scanning')[side]} structure: chain {chain}"
            chains.append(Selection(chain=chain, color=PARTNER_COLORS[side], label=label))
        touching = [body.residue_id(int(r)) for r in np.unique(pairs[:, side])]
        for chain in dict.fromkeys(r.chain for r in touching):
            numbers = [r.number for r in touching if r.chain == chain]
            sticks.append(
                Selection(
                    chain=chain,
                    residues=numbers,
                    color=INTERFACE_COLORS[side],
                    style="ball_and_stick",
                    label=f"interface of chain {chain}",
                )
            )
    return chains + sticks


def files(job: Job, models: Models, extra: dict[str, str] | None = None) -> list[Artifact]:
    """All models as PDB files in one archive, the restraints in CNS format, and what else there is."""
    from colonnade.structure.restraints import format_tbl

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for k, model in enumerate(models.made, start=1):
            entry = zipfile.ZipInfo(f"model_{k}.pdb")  # with a fixed date, so that the same run gives the same bytes
            archive.writestr(entry, model.whole(f"model_{k}").to_pdb(), zipfile.ZIP_DEFLATED)
    found = [job.artifact("models.zip", packed.getvalue(), title="All models", media_type="application/zip")]
    if models.restraints:
        tbl = format_tbl(models.restraints)
        found.append(job.artifact("restraints.tbl", tbl, title="Restraints, CNS format", media_type="text/plain"))
    for name, text in (extra or {}).items():
        found.append(job.artifact(name, text, media_type="text/plain"))
    return found
