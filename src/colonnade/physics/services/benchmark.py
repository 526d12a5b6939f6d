"""`physics.benchmark`: one table of models by data sets."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.physics.services.common import (
    PAPER,
    SOFTWARE,
    BudgetInputs,
    GeneratorInputs,
    fitting,
    make,
    measures_table,
    quality_figure,
    unavailable,
)
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.physics.training import Report

EVENTS = {"top": 6000, "spinodal": 2000, "eos": 1000, "airshower": 8000, "belle": 8000}  # of a quick benchmark


class BenchmarkInputs(GeneratorInputs, BudgetInputs):
    """Which sets, which models, how long."""

    datasets: str = Param("airshower,belle", title="Data sets", help="Names separated by commas.", max_length=100)
    models: str = Param("fcn,graphnet,reference", title="Models", help="Names separated by commas.", max_length=200)
    events: int = Param(0, title="Events of each set", ge=0, le=100_000, help="0: as many as a quick run needs.")

    @model_validator(mode="after")
    def _known(self) -> BenchmarkInputs:
        for name in _names(self.datasets):
            if name not in EVENTS:
                raise ValueError(f"datasets: datasets must be among {', '.join(EVENTS)}, but holds {name!r}")
            for model in _names(self.models):
                if model not in fitting(name):
                    fits = ", ".join(fitting(name))
                    raise ValueError(f"models: models must be among {fits} for {name}, but holds {model!r}")
        if not _names(self.datasets) or not _names(self.models):
            raise ValueError("datasets: datasets and models must each name at least one")
        if 0 < self.events < 200:
            raise ValueError(f"events: events must be 0 or at least 200, but is {self.events}")
        return self


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


class BenchmarkOutputs(Outputs):
    """One table, and a ROC overlay for each classification."""

    table: Table
    plots: list[Figure]
    csv: Artifact
    latex: Artifact


@service(
    "physics.benchmark",
    title="Benchmark table of models and data sets",
    summary="Trains several models on several physics data sets and gives one table with intervals.",
    paper=PAPER,
    resources=Resources(cores=2, memory="4 GiB", walltime=timedelta(hours=8)),
    examples={"showers and B decays": {"datasets": "airshower,belle", "budget": "5s", "events": 2000}},
    software=SOFTWARE,
    unavailable=unavailable,
)
def benchmark(inputs: BenchmarkInputs, job: Job) -> BenchmarkOutputs:
    """Compare the simple graph network with a dense network and the reference model of each set.

    Every model of every set is trained in a process of its own. Numbers on generated events are not those of the
    paper: sets eos and spinodal are surrogates, and the others come from other simulations than the official files
    (see the data cards).
    """
    from colonnade.physics.benchmark import Entry, latex, run_entry

    names = _names(inputs.datasets)
    folders = {name: job.directory / "events" / name for name in names}
    for name in names:
        make(name, inputs.events or EVENTS[name], inputs, job, folders[name])
    entries = [
        Entry(str(folders[name]), model, inputs.seconds(), job.seed % 2**32)
        for name in names
        for model in _names(inputs.models)
    ]
    reports: list[Report] = job.map(run_entry, entries, label="Training")
    by_set = {name: _distinct([report for report in reports if report.dataset == name]) for name in names}
    reports = [report for mine in by_set.values() for report in mine]
    table = measures_table(reports)
    return BenchmarkOutputs(
        table=table,
        plots=[quality_figure(mine) for mine in by_set.values()],
        csv=job.artifact("benchmark.csv", table.to_csv(), title="Table as CSV", media_type="text/csv"),
        latex=job.artifact("benchmark.tex", latex(reports), title="Table as LaTeX", media_type="application/x-tex"),
    )


def _distinct(reports: list[Report]) -> list[Report]:
    """'reference' may be a model that is named as well."""
    return list({report.model: report for report in reports}.values())
