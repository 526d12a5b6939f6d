"""The physics services: typed inputs and outputs around the library, no science."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Figure, Model, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.physics.shards import Dataset
    from colonnade.physics.training import Report

PAPER = "arXiv:2107.00656"
SOFTWARE = ("numpy", "torch", "pythia8mc", "fastjet", "decaylanguage", "particle", "pyarrow")
DatasetName = Literal["top", "spinodal", "eos", "airshower", "belle"]
ModelName = Literal[
    "reference", "graphnet", "graphnet-paper", "fcn", "pfn", "particlenet", "particlenet-lite", "part-lite",
    "invariant", "cnn", "stations", "gcn",
]  # fmt: skip
EVENTS = {"top": 2000, "spinodal": 400, "eos": 200, "airshower": 4000, "belle": 4000}  # of a quick benchmark


def _unavailable() -> str | None:
    missing = [name for name in ("torch", "numba", "pyarrow", "pooch") if find_spec(name) is None]
    return f"{', '.join(missing)} is not installed; pip install 'colonnade[physics]'." if missing else None


class _Physics(Inputs):
    """Settings of the generators; each data set uses its own."""

    pt_min: float = Param(550.0, title="Jet pT from", unit="GeV", ge=200, le=2000, level="expert", help="Set top.")
    pt_max: float = Param(650.0, title="Jet pT to", unit="GeV", ge=200, le=2500, level="expert", help="Set top.")
    radius: float = Param(0.8, title="Jet radius", ge=0.2, le=1.5, level="expert", help="Anti-kT; set top.")
    mpi: bool = Param(False, title="Multiparton interactions", level="expert", help="Set top.")
    detector: Literal["fast", "none"] = Param("fast", title="Detector", level="expert", help="Set top.")
    lge_min: float = Param(18.5, title="lg(E/eV) from", ge=17, le=20.5, level="expert", help="Set airshower.")
    lge_max: float = Param(20.0, title="lg(E/eV) to", ge=17, le=20.5, level="expert", help="Set airshower.")
    zenith_max: float = Param(
        60.0, title="Zenith angle to", unit="°", ge=1, le=60, level="expert", help="Set airshower."
    )
    decays: Literal["table", "pythia"] = Param(
        "table", title="Decay generator", level="expert", help="Set belle: the Belle II decay table, or Pythia 8."
    )
    boost: float = Param(0.28, title="Boost βγ of the Υ(4S)", ge=0, le=2, level="expert", help="Set belle.")

    @model_validator(mode="after")
    def _ordered(self) -> _Physics:
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


class GenerateInputs(_Physics):
    """Which events, and how many."""

    dataset: DatasetName = Param("airshower", title="Data set", help="One of the five sets of the paper.")
    n: int = Param(1000, title="Events", ge=1, le=100_000)


class GenerateOutputs(Outputs):
    """The shards and what is in them."""

    marginal: Figure
    display: Figure
    shards: list[Artifact]
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
    unavailable=_unavailable,
)
def generate(inputs: GenerateInputs, job: Job) -> GenerateOutputs:
    """Generate events by simulation: top and QCD jets, air showers, B decays, heavy-ion and nuclear-matter surrogates.

    Each shard comes from its own child of the seed, so the files are the same whatever the number of workers. The data
    card says what made them and what they must not be taken for.
    """
    from colonnade.physics import data_card, plots

    data = _make(inputs.dataset, inputs.n, inputs, job, job.files)
    arrays = data.arrays(stop=2000)
    return GenerateOutputs(
        marginal=Figure.of(plots.marginals(inputs.dataset, arrays), title="Distribution"),
        display=_display(inputs.dataset, arrays),
        shards=[job.artifact(f.name, title=f"Shard {i + 1}", media_type=PARQUET) for i, f in enumerate(data.files)],
        card=job.artifact("data-card.md", data_card(data), title="Data card", media_type=MARKDOWN),
        summary=_summary(data),
    )


MARKDOWN = "text/markdown"
PARQUET = "application/vnd.apache.parquet"


def _make(dataset: str, n: int, physics: _Physics, job: Job, folder: Path) -> Dataset:
    from colonnade.physics.catalog import plan, write_shard
    from colonnade.physics.shards import Dataset

    tasks = plan(dataset, n, job.seed, folder, **physics.settings(dataset))
    job.map(write_shard, tasks, label=f"Generating {dataset}")
    return Dataset(folder)


def _summary(data: Dataset) -> Table:
    columns = data.columns
    return Table.of(
        {
            "column": [c.name for c in columns],
            "shape": [str(c.shape) for c in columns],
            "unit": [c.unit for c in columns],
            "meaning": [c.meaning for c in columns],
        },
        title=f"{len(data)} events",
    )


def _display(dataset: str, arrays: dict[str, Any]) -> Figure:
    from colonnade.physics import plots
    from colonnade.physics.tokens import FREQUENT

    if dataset == "top":
        return Figure.of(plots.jet_image(arrays["p4"]), title="Mean jet image")
    if dataset == "airshower":
        return Figure.of(plots.footprint(arrays["signal"][0], arrays["time"][0]), title="First shower on the ground")
    if dataset == "belle":
        table = [0, *FREQUENT] + [0] * 200
        pdg = [table[int(token)] if token < len(FREQUENT) + 1 else 0 for token in arrays["particles"][0, :, 8]]
        import numpy as np

        return Figure.of(plots.decay_graph(np.array(pdg), arrays["mother"][0].astype(int)), title="First decay tree")
    axes = ("azimuth bin", "pT bin") if dataset == "eos" else ("py bin", "px bin")
    return Figure.of(plots.image(arrays["image"][0], *axes, "pions"), title="First event")


class GraphsInputs(_Physics):
    """Which events, and how they are linked."""

    dataset: DatasetName = Param("top", title="Data set")
    n: int = Param(200, title="Events", ge=1, le=10_000)
    k: int = Param(7, title="Neighbours of a jet's constituent", ge=1, le=64)
    nodes: int = Param(100, title="Most constituents of a jet", ge=1, le=200)


class GraphsOutputs(Outputs):
    """Graphs in sparse form."""

    degrees: Figure
    summary: Table
    graphs: Artifact


@service(
    "physics.graphs",
    title="Graphs of physics events",
    summary="Builds the paper's graphs (kNN, pixel grid, decay tree) of generated events, padding left out.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=1)),
    examples={"grids of air showers": {"dataset": "airshower", "n": 100}, "kNN graphs of jets": {"dataset": "top"}},
    software=SOFTWARE,
    unavailable=_unavailable,
)
def graphs(inputs: GraphsInputs, job: Job) -> GraphsOutputs:
    """Build graphs: nearest neighbours of jet constituents, grids of pixels and stations, decay trees.

    The result holds node features, edges (from, to) and the event of each node, as PyTorch Geometric takes them.
    """
    import io

    import numpy as np
    import plotly.graph_objects as go

    from colonnade.physics import Builder

    data = _make(inputs.dataset, inputs.n, inputs, job, job.directory / "events")
    arrays = data.arrays()
    graph = Builder(inputs.dataset, inputs.nodes, inputs.k).fit(arrays)(arrays)
    edges = graph.edge_index.numpy()
    degree = np.bincount(edges[1], minlength=len(graph.event))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=graph.flat.numpy(), edge_index=edges, event=graph.event.numpy())
    counts = np.bincount(degree)
    figure = go.Figure(go.Bar(x=list(range(len(counts))), y=counts))
    figure.update_layout(xaxis_title="neighbours of a node", yaxis_title="nodes")
    facts = {"events": len(graph), "nodes": len(graph.event), "edges": edges.shape[1], "features": graph.x.shape[2]}
    return GraphsOutputs(
        degrees=Figure.of(figure, title="Degrees"),
        summary=Table.of({"quantity": list(facts), "value": [int(v) for v in facts.values()]}, title="Graphs"),
        graphs=job.artifact("graphs.npz", buffer.getvalue(), title="Graphs", media_type="application/x-npz"),
    )


def _budget(path: str) -> float:
    from colonnade.physics.benchmark import seconds
    from colonnade.physics.errors import between

    found = seconds(path)
    between("budget", found, 1, 7200, "s")
    return found


class _Budget(Inputs):
    budget: str = Param("20s", title="Budget", help="Per model, as 30s, 2m or 1h of one core at a nominal speed.")

    @model_validator(mode="after")
    def _spendable(self) -> _Budget:
        try:
            _budget(self.budget)
        except ValueError as error:
            raise ValueError(f"budget: {error}") from None
        return self


class TrainInputs(_Physics, _Budget):
    """What to learn from, and with which network."""

    dataset: DatasetName = Param("airshower", title="Data set")
    n: int = Param(2000, title="Events", ge=200, le=100_000, help="A quarter is kept for the test.")
    model: ModelName = Param("graphnet", title="Model", help="'reference' is the one made for the set.")

    @model_validator(mode="after")
    def _fits(self) -> TrainInputs:
        allowed = _fitting(self.dataset)
        if self.model not in allowed:
            raise ValueError(
                f"model: model must be one of {', '.join(allowed)} for {self.dataset}, but is {self.model}"
            )
        return self


def _fitting(dataset: str) -> tuple[str, ...]:
    always = ("reference", "graphnet", "graphnet-paper", "fcn")
    jets = ("pfn", "part-lite", "particlenet", "particlenet-lite", "invariant")
    more = {"top": jets, "belle": ("pfn", "part-lite", "gcn"), "airshower": ("stations",)}
    return always + more.get(dataset, ("cnn",))


class TrainOutputs(Outputs):
    """The model and how good it is."""

    measures: Table
    test: Figure
    curve: Figure
    weights: Model
    card: Artifact


@service(
    "physics.train",
    title="Train a network on physics data",
    summary="Trains the graph network or a reference model on generated events and measures it with intervals.",
    paper=PAPER,
    resources=Resources(cores=1, memory="3 GiB", walltime=timedelta(hours=4)),
    examples={"Xmax of air showers": {"dataset": "airshower", "n": 2000, "model": "stations", "budget": "10s"}},
    software=SOFTWARE,
    unavailable=_unavailable,
)
def train(inputs: TrainInputs, job: Job) -> TrainOutputs:
    """Train a model and test it on events it has not seen.

    The budget is turned into a number of training events by rounded speeds of one core, so that the same inputs give
    the same weights on every machine.
    """
    import torch

    from colonnade.physics import model_card, plots
    from colonnade.physics.benchmark import compare

    torch.set_num_threads(1)
    data = _make(inputs.dataset, inputs.n, inputs, job, job.directory / "events")
    bar = job.bar("Training", 100)
    cell = compare(
        data,
        [inputs.model],
        budget=_budget(inputs.budget),
        seed=job.seed % 2**32,
        progress=lambda share, _: bar(int(100 * share)),
    )[0]
    cell.trained.save(job.files / "model.safetensors")
    curve = {cell.report.model: [(seen, loss) for _, seen, loss in cell.trained.curve]}
    return TrainOutputs(
        measures=_table([cell.report]),
        test=_test(cell.report),
        curve=Figure.of(plots.learning_curve(curve), title="Training loss"),
        weights=Model(
            file="model.safetensors",
            parameters=cell.report.parameters,
            details={"dataset": inputs.dataset, "model": cell.report.model},
            title="Trained model",
        ),
        card=job.artifact(
            "model-card.md", model_card(cell.report, data), title="Model card", media_type="text/markdown"
        ),
    )


def _table(reports: list[Report]) -> Table:
    rows = [(report, name, value) for report in reports for name, value in report.measures.items()]
    return Table.of(
        {
            "data set": [report.dataset for report, _, _ in rows],
            "model": [report.model for report, _, _ in rows],
            "parameters": [report.parameters for report, _, _ in rows],
            "measure": [name for _, name, _ in rows],
            "value": [_rounded(value.value) for _, _, value in rows],
            "from": [_rounded(value.low) for _, _, value in rows],
            "to": [_rounded(value.high) for _, _, value in rows],
        },
        title="Measures",
        caption="68 % bootstrap intervals over the test events; an empty cell: no background event passed.",
    )


def _rounded(value: float) -> float | None:
    import math

    return float(f"{value:.5g}") if math.isfinite(value) else None


def _test(report: Report) -> Figure:
    from colonnade.physics import plots
    from colonnade.physics.schema import spec

    described = spec(report.dataset)
    if described.task == "regression":
        unit = described.column(described.target).unit
        return Figure.of(plots.scatter(report.truth, report.predicted, unit), title="Test events")
    return Figure.of(plots.roc_curves({report.model: (report.truth, report.predicted)}), title="ROC curve")


class BenchmarkInputs(_Physics, _Budget):
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
                if model not in _fitting(name):
                    fits = ", ".join(_fitting(name))
                    raise ValueError(f"models: models must be among {fits} for {name}, but holds {model!r}")
        if not _names(self.datasets) or not _names(self.models):
            raise ValueError("datasets: datasets and models must each name at least one")
        return self


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


class BenchmarkOutputs(Outputs):
    """One table, and a ROC overlay for each classification."""

    table: Table
    plots: list[Figure]
    csv: Artifact


@service(
    "physics.benchmark",
    title="Benchmark table of models and data sets",
    summary="Trains several models on several physics data sets and gives one table with intervals.",
    paper=PAPER,
    resources=Resources(cores=2, memory="4 GiB", walltime=timedelta(hours=8)),
    examples={"showers and B decays": {"datasets": "airshower,belle", "budget": "5s"}},
    software=SOFTWARE,
    unavailable=_unavailable,
)
def benchmark(inputs: BenchmarkInputs, job: Job) -> BenchmarkOutputs:
    """Compare the simple graph network with a dense network and the reference model of each set.

    Numbers on generated events are not those of the paper: sets eos and spinodal are surrogates, and the others come
    from other simulations than the official files (see the data cards).
    """
    import torch

    from colonnade.physics import plots
    from colonnade.physics.benchmark import compare

    torch.set_num_threads(1)
    reports: list[Report] = []
    figures: list[Figure] = []
    for name in _names(inputs.datasets):
        data = _make(name, inputs.events or EVENTS[name], inputs, job, job.directory / "events" / name)
        bar = job.bar(f"Training on {name}", 100)
        cells = compare(
            data,
            _names(inputs.models),
            budget=_budget(inputs.budget),
            seed=job.seed % 2**32,
            progress=lambda share, _, bar=bar: bar(int(100 * share)),  # type: ignore[misc]
        )
        mine = [cell.report for cell in cells]
        reports += mine
        if data.spec.task == "classification":
            overlay = plots.roc_curves({r.model: (r.truth, r.predicted) for r in mine})
            figures.append(Figure.of(overlay, title=f"ROC curves: {name}"))
        else:
            figures += [_test(report) for report in mine]
        job.preview(_table(reports), "table")
    table = _table(reports)
    return BenchmarkOutputs(
        table=table,
        plots=figures,
        csv=job.artifact("benchmark.csv", table.to_csv(), title="Table as CSV", media_type="text/csv"),
    )


def _check_jets(path: Path) -> None:
    from colonnade.physics import read_jets

    read_jets(path)


JetFile = Annotated[
    InputFile, Accept(".csv", ".parquet", ".root", ".hepmc", ".hepmc3", ".npz", limit="200 MB", check=_check_jets)
]


class TagInputs(Inputs):
    """Jets, and the model that scores them."""

    jets: JetFile = Param(title="Jets", help="Constituents in GeV with E, px, py, pz: CSV, Parquet, ROOT, HepMC, npz.")
    model: Annotated[InputFile, Accept(".safetensors", limit="50 MB")] | None = Param(
        None, title="Model", help="A model of physics.train on the set top; without one, the carried PFN."
    )


class TagOutputs(Outputs):
    """A probability for every jet."""

    scores: Table
    distribution: Figure
    display: Figure
    csv: Artifact


@service(
    "physics.tag",
    title="Tag jets as top quarks",
    summary="Gives each jet of your own file the probability that it comes from a top quark.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=1)),
    examples={"two hundred jets": {"jets": "example:physics.tag/jets.csv"}},
    software=SOFTWARE,
    unavailable=_unavailable,
)
def tag(inputs: TagInputs, job: Job) -> TagOutputs:
    """Score jets with a network trained on generated top and QCD jets (anti-kT 0.8, pT 550 to 650 GeV).

    Probabilities assume as many top as QCD jets, and jets like those it was trained on; their distributions of pT and
    mass stand beside them so that you can see whether yours are.
    """
    import numpy as np
    import plotly.graph_objects as go

    from colonnade.physics import fourvectors, graphs, load_model, plots, read_jets
    from colonnade.physics.features import jet_features

    p4 = read_jets(inputs.jets.path)
    carried = Path(__file__).parent / "weights" / "top-pfn.safetensors"
    trained = load_model(inputs.model.path if inputs.model else carried)
    if trained.dataset != "top":
        raise ValueError(f"model: the model was trained on {trained.dataset}, not on top.")
    score = trained.predict({"p4": p4})
    axis = p4.sum(axis=1)
    columns = {
        "jet": np.arange(len(p4)),
        "probability": np.round(score, 6),
        "pt": np.round(fourvectors.pt(axis), 3),
        "mass": np.round(fourvectors.mass(axis), 3),
    }
    table = Table.of({k: v[:10_000] for k, v in columns.items()}, units={"pt": "GeV", "mass": "GeV"}, title="Jets")
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    figure = go.Figure(go.Histogram(x=score, nbinsx=50))
    figure.update_layout(xaxis_title="probability of a top quark", yaxis_title="jets")
    best = p4[np.argmax(score)]
    _, points, mask = jet_features(best[None])
    shown = plots.jet_display(best, graphs.knn(points, mask, 7)[0])
    return TagOutputs(
        scores=table,
        distribution=Figure.of(figure, title="Scores"),
        display=Figure.of(shown, title="The most top-like jet and its kNN graph"),
        csv=job.artifact("scores.csv", "\n".join(lines) + "\n", title="All scores", media_type="text/csv"),
    )


class DecayTreeInputs(Inputs):
    """Which decays."""

    pair: Literal["neutral", "charged"] = Param("neutral", title="B mesons")
    n: int = Param(2000, title="Events", ge=1, le=100_000)
    boost: float = Param(0.28, title="Boost βγ of the Υ(4S)", ge=0, le=2, level="expert")


class DecayTreeOutputs(Outputs):
    """Trees, and how often each decay of the B came."""

    tree: Figure
    branching: Table
    trees: Artifact


@service(
    "physics.decay_tree",
    title="Decay trees of B mesons",
    summary="Draws decay trees of Υ(4S) events from the Belle II decay table and counts the decays of the B.",
    paper=PAPER,
    resources=Resources(cores=1, memory="3 GiB", walltime=timedelta(minutes=30)),
    examples={"neutral B mesons": {"pair": "neutral", "n": 2000}},
    software=SOFTWARE,
    unavailable=_unavailable,
)
def decay_tree(inputs: DecayTreeInputs, job: Job) -> DecayTreeOutputs:
    """Let pairs of B mesons decay by phase space along the exclusive modes of the Belle II decay table.

    Branching fractions are scaled up to make up for the inclusive modes that are left out, about half.
    """
    import io

    import numpy as np

    from colonnade.physics import DecaySettings, plots, table_trees
    from colonnade.physics.decays import B_PDG, count_decays

    trees = table_trees(inputs.n, job.rng(), DecaySettings(pair=inputs.pair, boost=inputs.boost))
    rows = count_decays(trees, B_PDG[inputs.pair])[:50]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, values=trees.values.astype(np.float32), pdg=trees.pdg, mother=trees.mother.astype(np.int16)
    )
    return DecayTreeOutputs(
        tree=Figure.of(plots.decay_graph(trees.pdg[0], trees.mother[0]), title="The first event"),
        branching=Table.of(
            {
                "decay": [" ".join(plots.particle_name(p) for p in daughters) for daughters, _, _ in rows],
                "table": [round(expected, 6) for _, expected, _ in rows],
                "found": [round(found, 6) for _, _, found in rows],
            },
            title="Most frequent decays",
        ),
        trees=job.artifact("trees.npz", buffer.getvalue(), title="Trees", media_type="application/x-npz"),
    )
