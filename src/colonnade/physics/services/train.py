"""`physics.train`: a network, how good it is, and what it may do to your analysis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.physics.services.common import (
    MARKDOWN,
    OWN,
    PAPER,
    SOFTWARE,
    BudgetInputs,
    DatasetName,
    GeneratorInputs,
    ModelName,
    OfficialFile,
    fitting,
    make,
    measures_table,
    quality_figure,
    rounded,
    unavailable,
)
from colonnade.results import Artifact, Figure, Model, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.physics.audit import Audit
    from colonnade.physics.shards import Dataset
    from colonnade.physics.training import Report


class TrainInputs(GeneratorInputs, BudgetInputs):
    """What to learn from, and with which network."""

    dataset: DatasetName = Param("airshower", title="Data set")
    n: int = Param(2000, title="Events", ge=200, le=100_000, help="A quarter is kept for the test.")
    own: OfficialFile | None = Param(None, title="Your own events", help=OWN)
    model: ModelName = Param("graphnet", title="Model", help="'reference' is the one made for the set.")

    start: Literal["fresh", "shared"] = Param(
        "fresh",
        title="Weights to begin with",
        level="expert",
        help="'shared': those of one graph network that was trained on all five sets; for the model graphnet.",
    )

    @model_validator(mode="after")
    def _fits(self) -> TrainInputs:
        allowed = fitting(self.dataset)
        if self.model not in allowed:
            raise ValueError(
                f"model: model must be one of {', '.join(allowed)} for {self.dataset}, but is {self.model}"
            )
        if self.start == "shared" and self.model != "graphnet":
            raise ValueError(f"start: start must be fresh for the model {self.model}, but is shared")
        return self


class TrainOutputs(Outputs):
    """The model and how good it is."""

    measures: Table
    test: Figure
    check: Figure
    audit: Table
    curve: Figure
    weights: Model
    card: Artifact


@service(
    "physics.train",
    title="Train a network on physics data",
    summary="Trains the graph network or a reference model, measures it with intervals, and audits its selection.",
    paper=PAPER,
    resources=Resources(cores=1, memory="3 GiB", walltime=timedelta(hours=4)),
    examples={
        "Xmax of air showers": {"dataset": "airshower", "n": 2000, "model": "stations", "budget": "10s"},
    },
    software=SOFTWARE,
    unavailable=unavailable,
)
def train(inputs: TrainInputs, job: Job) -> TrainOutputs:
    """Train a model and test it on events it has not seen.

    The budget is turned into a number of training events by rounded speeds of one core, so that the same inputs give
    the same weights on every machine. The audit says what a cut on the model's answer does to the mass of jets, to the
    make-up of selected B events, or how its error depends on energy and mass.
    """
    import torch

    from colonnade.physics import load, model_card, plots
    from colonnade.physics.audit import audit
    from colonnade.physics.benchmark import compare

    torch.set_num_threads(1)
    test: Dataset | None = None
    if inputs.own is not None:
        data, test = (load(inputs.dataset, s, inputs.own.path, folder=job.directory / s) for s in ("train", "test"))
    else:
        data = make(inputs.dataset, inputs.n, inputs, job, job.directory / "events")
    bar = job.bar("Training", 100)
    cell = compare(
        data,
        [inputs.model],
        budget=inputs.seconds(),
        seed=job.seed % 2**32,
        test=test or 0.25,
        shared=inputs.start == "shared",
        progress=lambda share, _: bar(int(100 * share)),
    )[0]
    cell.trained.save(job.files / "model.safetensors")
    curve = {cell.report.model: [(seen, loss) for _, seen, loss in cell.trained.curve]}
    return TrainOutputs(
        measures=measures_table([cell.report]),
        test=quality_figure([cell.report]),
        check=_check(cell.report),
        audit=_audit_table(audit(cell.report, test or data, 0 if test else cell.start)),
        curve=Figure.of(plots.learning_curve(curve), title="Training loss"),
        weights=Model(
            file="model.safetensors",
            parameters=cell.report.parameters,
            details={"dataset": inputs.dataset, "model": cell.report.model},
            title="Trained model",
        ),
        card=job.artifact("model-card.md", model_card(cell.report, data), title="Model card", media_type=MARKDOWN),
    )


def _check(report: Report) -> Figure:
    from colonnade.physics import plots
    from colonnade.physics.schema import spec

    described = spec(report.dataset)
    if described.task == "classification":
        return Figure.of(plots.calibration_curve(report.truth, report.predicted), title="Calibration")
    unit = described.column(described.target).unit
    return Figure.of(plots.residuals(report.truth, report.predicted, unit), title="Bias and resolution")


def _audit_table(found: list[Audit]) -> Table:
    return Table.of(
        {
            "quantity": [row.quantity for row in found],
            "selection": [row.selection for row in found],
            "measure": [row.measure for row in found],
            "value": [rounded(row.value) for row in found],
            "by chance below": [rounded(row.chance) for row in found],
        },
        title="Audit",
        caption="A value above the last column is more than samples of this size give by chance (95 %).",
    )
