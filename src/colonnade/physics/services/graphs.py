"""`physics.graphs`: the graphs that networks learn from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.physics.services.common import (
    NPZ,
    OWN,
    PAPER,
    SOFTWARE,
    DatasetName,
    GeneratorInputs,
    OfficialFile,
    make,
    unavailable,
)
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service

Kind = Literal["default", "knn", "radius", "full", "grid-4", "grid-8", "tree"]
_KINDS = {"top": ("knn", "radius", "full"), "belle": ("tree", "full")}


class GraphsInputs(GeneratorInputs):
    """Which events, and how they are linked."""

    dataset: DatasetName = Param("top", title="Data set")
    n: int = Param(200, title="Events", ge=1, le=10_000)
    own: OfficialFile | None = Param(None, title="Your own events", help=OWN)
    kind: Kind = Param("default", title="Links", help="By default the paper's: kNN for top, grid-8 for pixels, tree.")
    k: int = Param(7, title="Neighbours of a jet's constituent", ge=1, le=64, help="Links knn.")
    reach: float = Param(0.2, title="Radius of links in (η, φ)", ge=0.01, le=3, level="expert", help="Links radius.")
    nodes: int = Param(100, title="Most constituents of a jet", ge=1, le=200)

    @model_validator(mode="after")
    def _linkable(self) -> GraphsInputs:
        allowed = ("default", *_KINDS.get(self.dataset, ("grid-4", "grid-8", "full")))
        if self.kind not in allowed:
            raise ValueError(f"kind: kind must be one of {', '.join(allowed)} for {self.dataset}, but is {self.kind}")
        if self.dataset == "top" and self.kind in ("default", "knn") and self.k >= self.nodes:
            raise ValueError(f"k: k must be below nodes ({self.nodes}), but is {self.k}")
        return self


class GraphsOutputs(Outputs):
    """Graphs in sparse form."""

    degrees: Figure
    display: Figure | None
    summary: Table
    graphs: Artifact


@service(
    "physics.graphs",
    title="Graphs of physics events",
    summary="Builds graphs (kNN, radius, full, pixel grid, decay tree) of events, padding left out.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=1)),
    examples={"grids of air showers": {"dataset": "airshower", "n": 100}, "kNN graphs of jets": {"dataset": "top"}},
    software=SOFTWARE,
    unavailable=unavailable,
)
def graphs(inputs: GraphsInputs, job: Job) -> GraphsOutputs:
    """Build graphs: nearest neighbours of jet constituents, grids of pixels and stations, decay trees.

    The result holds node features, edges (from, to) and the event of each node, as PyTorch Geometric takes them.
    """
    import io

    import numpy as np
    import plotly.graph_objects as go

    from colonnade.physics import Builder, load

    if inputs.own is not None:
        data = load(inputs.dataset, "train", inputs.own.path, folder=job.directory / "events")
    else:
        data = make(inputs.dataset, inputs.n, inputs, job, job.directory / "events")
    arrays = data.arrays(stop=inputs.n)
    links = None if inputs.kind == "default" else inputs.kind
    graph = Builder(inputs.dataset, inputs.nodes, inputs.k, links=links, reach=inputs.reach).fit(arrays)(arrays)
    edges = graph.edge_index.numpy()
    counts = np.bincount(np.bincount(edges[1], minlength=len(graph.event)))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=graph.flat.numpy(), edge_index=edges, event=graph.event.numpy())
    figure = go.Figure(go.Bar(x=list(range(len(counts))), y=counts))
    figure.update_layout(xaxis_title="neighbours of a node", yaxis_title="nodes")
    facts = {"events": len(graph), "nodes": len(graph.event), "edges": edges.shape[1], "features": graph.x.shape[2]}
    return GraphsOutputs(
        degrees=Figure.of(figure, title="Degrees"),
        display=_display(inputs.dataset, graph),
        summary=Table.of({"quantity": list(facts), "value": [int(v) for v in facts.values()]}, title="Graphs"),
        graphs=job.artifact("graphs.npz", buffer.getvalue(), title="Graphs", media_type=NPZ),
    )


def _display(dataset: str, graph: Any) -> Figure | None:
    from colonnade.physics import plots

    if dataset != "top":
        return None
    return Figure.of(plots.jet_display(graph.p4[0].numpy(), graph.neighbours[0].numpy()), title="First jet")
