"""`physics.generate`: events of one of the five data sets."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.physics.services.common import (
    MARKDOWN,
    PAPER,
    PARQUET,
    SOFTWARE,
    DatasetName,
    GeneratorInputs,
    make,
    unavailable,
)
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.physics.shards import Dataset

SHOWN = 2000  # events in the plots


class GenerateInputs(GeneratorInputs):
    """Which events, and how many."""

    dataset: DatasetName = Param("airshower", title="Data set", help="One of the five sets of the paper.")
    n: int = Param(1000, title="Events", ge=1, le=100_000)
    also: Literal["nothing", "npz", "hdf5", "root"] = Param(
        "nothing", title="Also as", help="A copy of the Parquet shards in the official npz layout, HDF5 or ROOT."
    )


class GenerateOutputs(Outputs):
    """The shards and what is in them."""

    marginal: Figure
    display: Figure
    shards: list[Artifact]
    export: Artifact | None
    card: Artifact
    summary: Table


@service(
    "physics.generate",
    title="Generate shared physics data",
    summary="Makes events of one of five physics data sets, with the schema and labels of the official set.",
    paper=PAPER,
    resources=Resources(cores=2, memory="4 GiB", walltime=timedelta(hours=2)),
    examples={
        "a thousand air showers": {"dataset": "airshower", "n": 1000},
        "top and QCD jets": {"dataset": "top", "n": 1000},
        "B decays": {"dataset": "belle", "n": 2000},
    },
    software=SOFTWARE,
    unavailable=unavailable,
)
def generate(inputs: GenerateInputs, job: Job) -> GenerateOutputs:
    """Generate events by simulation: top and QCD jets, air showers, B decays, heavy-ion and nuclear-matter surrogates.

    Each shard comes from its own child of the seed, so the files are the same whatever the number of workers. The data
    card says what made them and what they must not be taken for.
    """
    from colonnade.physics import data_card, plots

    data = make(inputs.dataset, inputs.n, inputs, job, job.files)
    arrays = data.arrays(stop=SHOWN)
    return GenerateOutputs(
        marginal=Figure.of(plots.marginals(inputs.dataset, arrays), title="Distribution"),
        display=_display(inputs.dataset, arrays),
        shards=[job.artifact(f.name, title=f"Shard {i + 1}", media_type=PARQUET) for i, f in enumerate(data.files)],
        export=_export(data, inputs.also, job),
        card=job.artifact("data-card.md", data_card(data), title="Data card", media_type=MARKDOWN),
        summary=_summary(data),
    )


def _export(data: Dataset, format: str, job: Job) -> Artifact | None:
    from colonnade.physics import export, to_npz

    name, kind = data.spec.name, "application/octet-stream"
    if format == "npz":
        to_npz({"train": data}, job.files / f"{name}.npz")
        return job.artifact(f"{name}.npz", title="Official layout (train)", media_type="application/x-npz")
    if format == "hdf5":
        export.to_hdf5(data, job.files / f"{name}.h5")
        return job.artifact(f"{name}.h5", title="HDF5", media_type="application/x-hdf5")
    if format == "root":
        export.to_root(data, job.files / f"{name}.root")
        return job.artifact(f"{name}.root", title="ROOT", media_type=kind)
    return None


def _summary(data: Dataset) -> Table:
    columns = data.columns
    return Table.of(
        {
            "column": [c.name for c in columns],
            "shape": [str(c.shape) if c.shape else "" for c in columns],
            "unit": [c.unit for c in columns],
            "meaning": [c.meaning for c in columns],
        },
        title=f"{len(data)} events",
    )


def _display(dataset: str, arrays: dict[str, Any]) -> Figure:
    from colonnade.physics import plots
    from colonnade.physics.tokens import identifiers

    if dataset == "top":
        return Figure.of(plots.jet_images(arrays["p4"], arrays["label"]), title="Mean jet images")
    if dataset == "airshower":
        return Figure.of(plots.footprint(arrays["signal"][0], arrays["time"][0]), title="First shower on the ground")
    if dataset == "belle":
        pdg = identifiers(arrays["particles"][0, :, 8])
        return Figure.of(plots.decay_graph(pdg, arrays["mother"][0].astype(int)), title="First decay tree")
    axes = ("azimuth bin", "pT bin") if dataset == "eos" else ("py bin", "px bin")
    return Figure.of(plots.image(arrays["image"][0], *axes, "pions"), title="First event")
