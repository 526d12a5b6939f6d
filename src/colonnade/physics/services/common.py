"""Inputs and results that several physics services share."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Figure, Table

if TYPE_CHECKING:
    from colonnade.physics.shards import Dataset
    from colonnade.physics.training import Report

PAPER = "arXiv:2107.00656"
SOFTWARE = ("numpy", "torch", "pythia8mc", "fastjet", "decaylanguage", "particle", "pyarrow")
MARKDOWN, PARQUET, NPZ = "text/markdown", "application/vnd.apache.parquet", "application/x-npz"
DatasetName = Literal["top", "spinodal", "eos", "airshower", "belle"]
ModelName = Literal[
    "reference", "graphnet", "graphnet-paper", "fcn", "pfn", "efn", "particlenet", "particlenet-lite", "part-lite",
    "invariant", "cnn", "stations", "gcn",
]  # fmt: skip
_ALWAYS = ("reference", "graphnet", "graphnet-paper", "fcn")
_JETS = ("pfn", "efn", "part-lite", "particlenet", "particlenet-lite", "invariant")
_MORE = {"top": _JETS, "belle": ("pfn", "part-lite", "gcn"), "airshower": ("stations",)}


def fitting(dataset: str) -> tuple[str, ...]:
    """The models that can read a data set (the library knows it too, but loads torch to say so)."""
    return _ALWAYS + _MORE.get(dataset, ("cnn",))


def unavailable() -> str | None:
    """Why no physics service can run here."""
    missing = [name for name in ("torch", "numba", "pyarrow", "pooch") if find_spec(name) is None]
    return f"{', '.join(missing)} is not installed; pip install 'colonnade[physics]'." if missing else None


class GeneratorInputs(Inputs):
    """Settings of the generators; each data set uses its own."""

    pt_min: float = Param(550.0, title="Jet pT from", unit="GeV", ge=200, le=2000, level="expert", group="Set top")
    pt_max: float = Param(650.0, title="Jet pT to", unit="GeV", ge=200, le=2500, level="expert", group="Set top")
    radius: float = Param(0.8, title="Anti-kT radius", ge=0.2, le=1.5, level="expert", group="Set top")
    mpi: bool = Param(False, title="Multiparton interactions", level="expert", group="Set top")
    detector: Literal["fast", "none"] = Param("fast", title="Detector", level="expert", group="Set top")
    lge_min: float = Param(18.5, title="lg(E/eV) from", ge=17, le=20.5, level="expert", group="Set airshower")
    lge_max: float = Param(20.0, title="lg(E/eV) to", ge=17, le=20.5, level="expert", group="Set airshower")
    zenith_max: float = Param(
        60.0, title="Zenith angle to", unit="°", ge=1, le=60, level="expert", group="Set airshower"
    )
    decays: Literal["table", "pythia"] = Param(
        "table", title="Decays", level="expert", group="Set belle", help="The Belle II decay table, or Pythia 8."
    )
    boost: float = Param(0.28, title="Boost βγ of the Υ(4S)", ge=0, le=2, level="expert", group="Set belle")

    @model_validator(mode="after")
    def _ordered(self) -> GeneratorInputs:
        if self.pt_min >= self.pt_max:
            raise ValueError(f"pt_min: pt_min must be below pt_max ({self.pt_max:g} GeV), but is {self.pt_min:g} GeV")
        if self.lge_min > self.lge_max:
            raise ValueError(f"lge_min: lge_min must not be above lge_max ({self.lge_max:g}), but is {self.lge_min:g}")
        return self

    def settings(self, dataset: str) -> dict[str, Any]:
        """What the generator of a data set is told."""
        names = {
            "top": ("pt_min", "pt_max", "radius", "mpi", "detector"),
            "airshower": ("lge_min", "lge_max", "zenith_max"),
            "belle": ("boost",),
        }
        chosen = {name: getattr(self, name) for name in names.get(dataset, ())}
        return chosen | ({"generator": self.decays} if dataset == "belle" else {})


def _check_npz(path: Path) -> None:
    import zipfile

    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path.name!r} is no npz file, or was cut")


OfficialFile = Annotated[InputFile, Accept(".npz", limit="4 GB", check=_check_npz)]
OWN = "A file in the official layout (X_train_0, y_train, X_test_0, ...) to be used in place of generated events."


class BudgetInputs(Inputs):
    """How long to train."""

    budget: str = Param("20s", title="Budget", help="Per model, as 30s, 2m or 1h of one core at a nominal speed.")

    @model_validator(mode="after")
    def _spendable(self) -> BudgetInputs:
        try:
            self.seconds()
        except ValueError as error:
            raise ValueError(f"budget: {error}") from None
        return self

    def seconds(self) -> float:
        from colonnade.physics.budget import seconds
        from colonnade.physics.errors import between

        found = seconds(self.budget)
        between("budget", found, 1, 7200, "s")
        return found


def make(dataset: str, n: int, physics: GeneratorInputs, job: Job, folder: Path) -> Dataset:
    """`n` generated events in `folder`, the same whatever the number of workers."""
    from colonnade.physics.catalog import plan, write_shard
    from colonnade.physics.shards import Dataset

    tasks = plan(dataset, n, job.seed, folder, **physics.settings(dataset))
    job.map(write_shard, tasks, label=f"Generating {dataset}")
    return Dataset(folder)


def measures_table(reports: list[Report]) -> Table:
    """All measures of some models, a line each, with their intervals."""
    rows = [(report, name, value) for report in reports for name, value in report.measures.items()]
    return Table.of(
        {
            "data set": [report.dataset for report, _, _ in rows],
            "model": [report.model for report, _, _ in rows],
            "parameters": [report.parameters for report, _, _ in rows],
            "measure": [name for _, name, _ in rows],
            "value": [rounded(value.value) for _, _, value in rows],
            "from": [rounded(value.low) for _, _, value in rows],
            "to": [rounded(value.high) for _, _, value in rows],
        },
        title="Measures",
        caption="68 % bootstrap intervals over the test events; an empty cell: no background event passed.",
    )


def rounded(value: float) -> float | None:
    """Five digits, so that the same inputs give the same text on every machine; None for what is not finite."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def quality_figure(reports: list[Report]) -> Figure:
    """The test of some models on one data set: ROC curves, or predicted against true values of the last one."""
    from colonnade.physics import plots
    from colonnade.physics.schema import spec

    described = spec(reports[0].dataset)
    if described.task == "regression":
        unit, last = described.column(described.target).unit, reports[-1]
        return Figure.of(plots.scatter(last.truth, last.predicted, unit), title=f"{described.name}: {last.model}")
    curves = {report.model: (report.truth, report.predicted) for report in reports}
    return Figure.of(plots.roc_curves(curves), title=f"ROC curves: {described.name}")
