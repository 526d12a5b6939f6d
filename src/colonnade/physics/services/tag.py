"""`physics.tag`: a user's own jets, scored."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.physics.services.common import PAPER, SOFTWARE, unavailable
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service

SHOWN = 10_000  # jets in the table; all are in the file


def _check_jets(path: Path) -> None:
    from colonnade.physics import read_jets

    read_jets(path)


def _check_model(path: Path) -> None:
    from colonnade.physics import load_model

    trained = load_model(path)
    if trained.dataset != "top":
        raise ValueError(f"the model was trained on {trained.dataset}, not on top")


JetFile = Annotated[
    InputFile, Accept(".csv", ".parquet", ".root", ".hepmc", ".hepmc3", ".npz", limit="200 MB", check=_check_jets)
]


class TagInputs(Inputs):
    """Jets, and the model that scores them."""

    jets: JetFile = Param(
        title="Jets", help="Constituents in GeV with E, px, py, pz: CSV, Parquet, ROOT, npz; or HepMC events."
    )
    model: Annotated[InputFile, Accept(".safetensors", limit="50 MB", check=_check_model)] | None = Param(
        None, title="Model", help="A model of physics.train on the set top; without one, a carried one."
    )
    carried: Literal["particlenet-lite", "pfn"] = Param(
        "particlenet-lite", title="Carried model", help="ParticleNet-lite is better, the PFN five times as fast."
    )


class TagOutputs(Outputs):
    """A probability for every jet."""

    scores: Table
    distribution: Figure
    masses: Figure
    display: Figure
    csv: Artifact


@service(
    "physics.tag",
    title="Tag jets as top quarks",
    summary="Gives each jet of your own file the probability that it comes from a top quark.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=1)),
    examples={
        "sixty jets of a ROOT file": {"jets": "example:physics.tag/jets.root"},
        "the same jets as CSV": {"jets": "example:physics.tag/jets.csv"},
    },
    software=SOFTWARE,
    unavailable=unavailable,
)
def tag(inputs: TagInputs, job: Job) -> TagOutputs:
    """Score jets with a network trained on generated top and QCD jets (anti-kT 0.8, pT 550 to 650 GeV).

    Probabilities assume as many top as QCD jets, and jets like those it was trained on; pT and mass stand beside them
    so that you can see whether yours are. The display shows what each constituent of the most top-like jet adds to
    its score: the change of log odds when it is left out.
    """
    import numpy as np
    import plotly.graph_objects as go

    from colonnade.physics import carried_tagger, fourvectors, load_model, plots, read_jets
    from colonnade.physics.training import occlusion

    p4 = read_jets(inputs.jets.path)
    trained = load_model(inputs.model.path) if inputs.model else carried_tagger(inputs.carried)
    score = trained.predict({"p4": p4})
    axis = p4.sum(axis=1)
    columns = {
        "jet": np.arange(len(p4)),
        "probability": np.round(score, 6),
        "pt": np.round(fourvectors.pt(axis), 3),
        "mass": np.round(fourvectors.mass(axis), 3),
    }
    table = Table.of({k: v[:SHOWN] for k, v in columns.items()}, units={"pt": "GeV", "mass": "GeV"}, title="Jets")
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    histogram = go.Figure(go.Histogram(x=score, xbins={"start": 0, "end": 1, "size": 0.02}))
    histogram.update_layout(xaxis_title="probability of a top quark", yaxis_title="jets")
    best = p4[np.argmax(score)]
    return TagOutputs(
        scores=table,
        distribution=Figure.of(histogram, title="Scores"),
        masses=Figure.of(plots.score_against_mass(columns["mass"][:SHOWN], score[:SHOWN]), title="Score and mass"),
        display=Figure.of(plots.occlusion_display(best, occlusion(trained, best)), title="The most top-like jet"),
        csv=job.artifact("all-scores.csv", "\n".join(lines) + "\n", title="All scores", media_type="text/csv"),
    )
