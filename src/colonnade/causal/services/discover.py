"""`causal.discover`: the causal graph of a table."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import model_validator

from colonnade.causal.services.common import PAPER
from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.causal.discovery import Discovery
    from colonnade.causal.knowledge import Knowledge

AGREEMENT = 0.01  # nats about which graph is true; below, setting another variable tells nothing


def _check_table(path: Path) -> None:
    from colonnade.causal.table import check_readable

    check_readable(path)


class DiscoverInput(Inputs):
    """A table and a method."""

    table: Annotated[InputFile, Accept(".csv", ".tsv", ".txt", ".parquet", limit="50 MB", check=_check_table)] = Param(
        title="Table", help="Variables in columns with a header, samples in rows; numbers or categories."
    )
    target_column: str | None = Param(
        None, title="Target column", max_length=200,
        help="Names the variable that was set in each row; empty where nothing was.",
    )  # fmt: skip
    method: Literal["interventional", "pc", "ges", "notears", "pcmci"] = Param(
        "interventional", title="Method", help="interventional needs a target column; pcmci a time series."
    )
    alpha: float = Param(0.01, ge=1e-6, le=0.2, title="Level of the tests")
    bootstrap: int = Param(
        20,
        ge=0,
        le=1000,
        title="Bootstrap samples",
        help="Halves of the rows, drawn anew, for the stability of each edge.",
    )
    tiers: str = Param(
        "",
        title="Tiers",
        level="expert",
        help="Groups in time, e.g. age, sex | dose | outcome: later causes no earlier.",
    )
    forbidden: str = Param("", title="Forbidden edges", level="expert", help="E.g. outcome->age, outcome->sex.")
    required: str = Param("", title="Required edges", level="expert", help="E.g. dose->outcome.")
    max_lag: int = Param(3, ge=1, le=20, title="Largest lag", unit="rows", level="expert", help="Of pcmci.")

    @model_validator(mode="after")
    def _readable(self) -> DiscoverInput:
        self.knowledge()
        if self.method == "interventional" and self.target_column is None:
            raise ValueError("target_column must name the column of what was set when the method is interventional")
        return self

    def knowledge(self) -> Knowledge:
        from colonnade.causal.knowledge import Knowledge

        return Knowledge.read(self.tiers, self.forbidden, self.required)


class DiscoverOutput(Outputs):
    """The graph and how sure it is."""

    graph: Figure
    edges: Table
    stability: Figure | None
    undecided: Table | None
    next_intervention: str
    notes: str | None
    graphs: list[Artifact]


@service(
    "causal.discover",
    title="Find the causal graph of a table",
    summary="A graph with p-values and bootstrap stability from interventional or observational samples.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=2)),
    examples={
        "Five variables, each set at random": {
            "table": "example:causal.discover/interventions.csv", "target_column": "set", "method": "interventional",
        },
        "The same by PC": {
            "table": "example:causal.discover/interventions.csv", "target_column": "set", "method": "pc",
        },
    },
    software=("causal-learn", "gcastle", "tigramite", "torch"),
)  # fmt: skip
def discover(inputs: DiscoverInput, job: Job) -> DiscoverOutput:
    """Find which variables cause which.

    Where no edge was found, the table of undecided pairs says for which of them so few rows could not have shown one:
    no edge there means not known, not absent.
    """
    from colonnade.causal import export, plots
    from colonnade.causal.discovery import LEAST_INFORMATION
    from colonnade.causal.discovery import discover as find
    from colonnade.causal.table import read_table

    table = read_table(inputs.table.path, inputs.target_column)
    rows = len(table.values)
    job.log(f"{rows} rows of {len(table.names)} variables, {int((table.target >= 0).sum())} with one set.")
    found = find(
        table, inputs.method, alpha=inputs.alpha, knowledge=inputs.knowledge(), bootstrap=inputs.bootstrap,
        max_lag=inputs.max_lag, seed=job.seed, progress=partial(job.track, label="Bootstrap"),
    )  # fmt: skip
    files = [
        job.artifact(f"causal.{ending}", write(found), title=f"The graph as {name}", media_type=kind)
        for ending, name, kind, write in (
            ("graphml", "GraphML", "application/xml", export.graphml),
            ("dot", "DOT", "text/vnd.graphviz", export.dot),
            ("json", "JSON", "application/json", export.to_json),
        )
    ]
    undecided = export.undecided_columns(found)
    return DiscoverOutput(
        graph=Figure.of(plots.graph_figure(found.adjacency, table.names, labels=found.pvalue), title="Causal graph"),
        edges=Table.of(
            export.edge_columns(found), title="Edges",
            caption="Stability: share of half-samples of the rows with the edge. Strength: total variation "
            "(interventional), weight (NOTEARS) or correlation (PCMCI).",
        ),
        stability=Figure.of(plots.heatmap(found.stability, table.names), title="Stability") if found.samples else None,
        undecided=Table.of(
            undecided, title=f"Not identifiable with {rows} rows",
            caption=f"No edge was found, but one of {LEAST_INFORMATION} nats could have been missed.",
        ) if undecided["cause"] else None,
        next_intervention=_advice(found),
        notes=" ".join(found.notes) or None,
        graphs=files,
    )  # fmt: skip


def _advice(found: Discovery) -> str:
    from colonnade.causal.influence import next_intervention

    if not found.samples:
        return "Ask for bootstrap samples to learn which variable to set next."
    best, information = next_intervention(found.samples)
    if information[best] < AGREEMENT:
        return "The bootstrap's graphs agree on what causes what: no further intervention is needed to tell them apart."
    return f"Set {found.names[best]} next: of all variables it tells the bootstrap's graphs apart best."
