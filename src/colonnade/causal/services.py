"""Services of the causal column: simulate, train, benchmark, discover, plan."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Estimate, Figure, Model, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.causal.knowledge import Knowledge
    from colonnade.causal.world import World

PAPER = "arXiv:2107.00848"
SOFTWARE = ("torch", "numba", "gymnasium", "causal-learn", "gcastle", "tigramite", "gadjid")
FILM_STEPS = 60
WORLD = "The world"


class WorldInputs(Inputs):
    """Which world."""

    world: Literal["physics", "chemistry"] = Param(
        "physics",
        title="World",
        group=WORLD,
        help="Blocks that push lighter ones, or colours that follow a causal graph.",
    )
    objects: int = Param(
        5, ge=2, le=15, title="Objects", group=WORLD, help="Physics only; a graph says its own number."
    )
    mode: Literal["observed", "unobserved", "fixed-unobserved"] = Param(
        "observed", title="What tells weight", group=WORLD, level="expert",
        help="Physics: the shade; a palette colour whose weight must be found out; or the shape.",
    )  # fmt: skip
    split: Literal["train", "test-v1", "test-v2", "test-v3", "zero-shot", "zero-shot-shape"] = Param(
        "train",
        title="Look",
        group=WORLD,
        level="expert",
        help="Physics: how far shades or shapes leave the training's.",
    )
    grid: int = Param(
        5, ge=2, le=12, title="Grid", unit="cells", group=WORLD, level="expert", help="Physics: side length."
    )
    graph: str = Param(
        "chain5", title="Causal graph", max_length=500, group=WORLD,
        help="Chemistry: a family with its size (chain5, full4, collider5, tree9, jungle6, bidiag4, fork3, random6) or "
        "edges such as 0->1->{2-3}; 0-[2]->1 acts two steps later.",
    )  # fmt: skip
    colors: int = Param(5, ge=2, le=9, title="Colours", group=WORLD, help="Chemistry: values of each object.")
    positions: Literal["static", "dynamic"] = Param(
        "static",
        title="Positions",
        group=WORLD,
        level="expert",
        help="Chemistry: fixed, or drawn anew in each episode.",
    )
    min_edge_tv: float = Param(
        0.2, ge=0, le=0.8, title="Least edge strength", group=WORLD, level="expert",
        help="Chemistry: least total variation that every edge makes. At 0 some edges cannot be found by anyone.",
    )  # fmt: skip
    world_seed: int = Param(
        0, ge=0, le=2**31 - 1, title="Seed of the mechanisms", group=WORLD, level="expert",
        help="Chemistry: which mechanisms; the job's own seed decides the data.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _makes_a_world(self) -> WorldInputs:
        self.make_world()
        return self

    def make_world(self) -> World:
        """The world; raises ValueError with one sentence when fields do not fit."""
        from colonnade.causal.world import ChemistryWorld, PhysicsWorld

        if self.world == "physics":
            return PhysicsWorld(objects=self.objects, mode=self.mode, split=self.split, grid=self.grid)
        return ChemistryWorld(
            graph=self.graph, colors=self.colors, positions=self.positions, min_edge_tv=self.min_edge_tv,
            seed=self.world_seed,
        )  # fmt: skip


class SimulateInput(WorldInputs):
    """Episodes to simulate."""

    episodes: int = Param(1000, ge=1, le=100_000, title="Episodes")
    steps: int = Param(100, ge=1, le=1000, title="Steps", help="Actions in each episode.")
    policy: Literal["random", "interaction"] = Param(
        "random",
        title="Policy",
        level="expert",
        help="Uniform actions, or in physics half of them against a neighbour.",
    )
    counted_rows: int = Param(
        2000, ge=10, le=10**9, title="Rows for the certificate", level="expert",
        help="For which of the true edges so many interventional rows would be enough.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _affordable(self) -> SimulateInput:
        if self.episodes * self.steps > 20_000_000:
            raise ValueError(
                f"episodes x steps must be at most 20000000, but is {self.episodes * self.steps} "
                f"(about {self.episodes * self.steps / 1e6:.0f} MB)"
            )
        return self


class SimulateOutput(Outputs):
    """What was simulated."""

    data: Artifact
    film: Artifact
    graph: Figure
    edges: Table
    counts: Table


@service(
    "causal.simulate",
    title="Simulate a world with a known causal graph",
    summary="Episodes of weighted blocks or colour chemistry, with the graph, the strength of its edges, and a film.",
    paper=PAPER,
    resources=Resources(cores=1, memory="3 GiB", walltime=timedelta(minutes=30)),
    examples={
        "Weighted blocks": {"world": "physics", "objects": 5, "episodes": 1000, "steps": 100},
        "A chain of five": {"world": "chemistry", "graph": "chain5", "episodes": 1000, "steps": 100},
        "Delayed edges": {"world": "chemistry", "graph": "0-[2]->1->2, 0->3", "episodes": 200, "steps": 100},
    },
    software=SOFTWARE,
)
def simulate(inputs: SimulateInput, job: Job) -> SimulateOutput:
    """Simulate episodes under a random policy.

    The data file holds latent states (a megabyte for 100,000 transitions); `colonnade.causal.Transitions.load` reads
    it and draws frames when they are needed. The table of edges says for each whether the asked number of rows could
    show it: an edge that no data can show should not count against a method.
    """
    import numpy as np

    from colonnade.causal import plots
    from colonnade.causal.data import counts
    from colonnade.causal.oracle import certificate, certificate_columns
    from colonnade.causal.world import graph_of

    world = inputs.make_world()
    data = world.collect(inputs.episodes, inputs.steps, policy=inputs.policy, seed=job.seed % 2**31)
    job.log(f"{len(data)} transitions, {data.actions.size - len(data)} invalid pushes left out.")
    data.save(job.files / "transitions.npz")
    shown, length = min(9, inputs.episodes), min(FILM_STEPS, inputs.steps + 1)
    frames = np.stack([data.draw(np.full(length, e), data.states[e, :length]) for e in range(shown)])
    plots.film(frames, job.files / "episodes.gif")
    edges, graph = certificate(world, inputs.counted_rows), graph_of(world)
    happened = counts(data)
    return SimulateOutput(
        data=job.artifact("transitions.npz", title="Transitions (latent states)"),
        film=job.artifact("episodes.gif", title="Nine episodes", media_type="image/gif"),
        graph=Figure.of(plots.graph_figure(graph.adjacency), title="True causal graph"),
        edges=Table.of(
            certificate_columns(edges),
            units={"lag": "steps", "information": "nats"},
            title="Edges",
            caption=f"Identifiable with {inputs.counted_rows} rows at level 0.01 with power 0.9.",
        ),
        counts=Table.of({"step": list(happened), "count": list(happened.values())}, title="What the steps did"),
    )


def _check_model(path: Path) -> None:
    from colonnade.causal.models import WorldModel

    WorldModel.load(path)


class TrainInput(WorldInputs):
    """A world model and how to train it."""

    transition: Literal["gnn", "modular", "flat", "csgnn"] = Param(
        "gnn", title="Transition", help="csgnn is the paper's GNN, whose messages carry no action."
    )
    loss: Literal["infonce", "contrastive", "ae", "vae"] = Param(
        "infonce", title="Loss", help="contrastive is the paper's; it does not learn pushes."
    )
    updates: int = Param(1000, ge=1, le=100_000, title="Gradient steps")
    batch: int = Param(256, ge=2, le=4096, title="Batch", unit="transitions", level="expert")
    balance: float = Param(
        0.5, ge=0, le=1, title="Share of interactions", level="expert",
        help="How much of each batch is drawn from transitions in which objects met or reacted.",
    )  # fmt: skip
    dim: int = Param(16, ge=2, le=128, title="Slot size", level="expert")
    hidden: int = Param(128, ge=32, le=512, title="Hidden units", level="expert")
    lr: float = Param(1e-3, ge=1e-6, le=0.1, title="Learning rate", level="guru")
    episodes: int = Param(1000, ge=10, le=10_000, title="Training episodes", help="Of 100 random steps each.")


class TrainOutput(Outputs):
    """A trained model and what it knows."""

    weights: Model
    scores: Table
    curve: Figure
    influence: Figure
    causal_score: Estimate


@service(
    "causal.train",
    title="Train a world model",
    summary="Learns slots and a transition from frames and actions, and says what it knows of causes.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=4)),
    examples={
        "A model that learns pushes": {"world": "physics", "objects": 5, "updates": 1000},
        "The paper's contrastive GNN": {
            "world": "physics", "objects": 5, "transition": "csgnn", "loss": "contrastive", "balance": 0,
            "updates": 300,
        },
    },
    software=SOFTWARE,
)  # fmt: skip
def train(inputs: TrainInput, job: Job) -> TrainOutput:
    """Train a world model and score it beside the oracle and the trivial predictors.

    H@1 alone is no evidence: predictors that know nothing of causes score high. Read the columns `interaction` and
    `restraint`: without knowing who pushes whom, their mean is 50.
    """
    import torch

    from colonnade.causal import plots
    from colonnade.causal.bench import score_row
    from colonnade.causal.evaluation import evaluate
    from colonnade.causal.influence import influence_matrix
    from colonnade.causal.models import WorldModel
    from colonnade.causal.training import fit

    torch.set_num_threads(job.cores)
    world, seed = inputs.make_world(), job.seed % 2**30
    data = world.collect(inputs.episodes, 100, seed=2 * seed)
    test = world.collect(2000, 10, seed=2 * seed + 1)
    model = WorldModel.of(
        world, seed=seed, transition=inputs.transition, dim=inputs.dim, hidden=inputs.hidden,
        decoder=inputs.loss in ("ae", "vae"), variational=inputs.loss == "vae",
    )  # fmt: skip
    bar = job.bar("Training", inputs.updates)
    curve = fit(
        model, data, loss=inputs.loss, updates=inputs.updates, batch=inputs.batch, lr=inputs.lr,
        balance=inputs.balance, seed=seed, report=lambda update, loss: bar(update),
    )  # fmt: skip
    bar(inputs.updates)
    if curve.slot_std < 1e-3:
        job.log("The slots collapsed: they hardly differ between frames. Train longer, or with a lower learning rate.")
    scores = evaluate({"this model": model}, test, train=data, rows=1000, seed=seed)
    model.save(job.files / "model.safetensors", world=json.dumps({"kind": world.kind} | world.model_dump()))
    found = influence_matrix(model, data, seed=seed)
    names = [str(i) for i in range(world.slots)]
    return TrainOutput(
        weights=Model(
            file="model.safetensors", title="Weights", parameters=model.parameters_count,
            details={"transition": inputs.transition, "loss": inputs.loss, "dim": inputs.dim, "hidden": inputs.hidden},
        ),
        scores=_rows_table([score_row(one) for one in scores], "Scores beside ceiling and baselines"),
        curve=Figure.of(plots.curve_figure({"loss": (curve.update, curve.loss)}, "update", "loss"), title="Loss"),
        influence=Figure.of(
            plots.heatmap(found.matrix, names), title="Influence",
            caption="How far acting on one object moves the prediction of another, in spreads of its slot.",
        ),
        causal_score=Estimate(
            value=scores[0].causal, unit="%", title="Interactions understood",
            caption="Physics: mean of interaction and restraint (50 without any knowledge); chemistry: interaction.",
        ),
    )  # fmt: skip


def _rows_table(rows: list[dict[str, Any]], title: str, caption: str = "") -> Table:
    def cell(value: Any) -> Any:
        return round(value, 2) if isinstance(value, float) else value

    return Table.of({name: [cell(row[name]) for row in rows] for name in rows[0]}, title=title, caption=caption)


class BenchmarkInput(Inputs):
    """What to compare."""

    preset: Literal["quick", "structure", "paper"] = Param(
        "quick", title="Preset",
        help="quick: six trainings, minutes. structure: flat against structured models. paper: every world and model, "
        "hours.",
    )  # fmt: skip
    seeds: int = Param(1, ge=1, le=10, title="Seeds", help="Repetitions of everything; intervals need several.")
    updates: int | None = Param(
        None, ge=1, le=100_000, title="Gradient steps", level="expert", help="In place of the preset's own."
    )


class BenchmarkOutput(Outputs):
    """The leaderboard."""

    leaderboard: Table
    csv: Artifact
    page: Artifact
    figures: list[Figure]


@service(
    "causal.benchmark",
    title="Benchmark world models",
    summary="Trains and scores world models beside the oracle's ceiling and predictors that know nothing of causes.",
    paper=PAPER,
    resources=Resources(cores=2, memory="6 GiB", walltime=timedelta(hours=24)),
    examples={"Quick": {"preset": "quick"}},
    software=SOFTWARE,
)
def benchmark(inputs: BenchmarkInput, job: Job) -> BenchmarkOutput:
    """Every cell (world, model, loss, seed) is trained and scored by itself, on the cluster when there is one."""
    from colonnade.causal import bench

    cells = bench.preset(inputs.preset, range(inputs.seeds))
    if inputs.updates is not None:
        cells = [cell.model_copy(update={"updates": inputs.updates}) for cell in cells]
    seconds = sum(cell.seconds for cell in cells)
    job.log(f"{len(cells)} trainings, about {seconds / 60:.0f} minutes of one core.")
    cells = [cell.model_copy(update={"seed": cell.seed + job.seed % 2**20}) for cell in cells]
    board = bench.Leaderboard(job.map(bench.run_cell, cells, label="Trainings"))
    rows = board.rows()
    table = _rows_table(rows, "Leaderboard", "In percent, but nats. oracle: the ceiling. Baselines know no causes.")
    return BenchmarkOutput(
        leaderboard=table,
        csv=job.artifact("leaderboard.csv", table.to_csv(), title="Leaderboard (CSV)", media_type="text/csv"),
        page=job.artifact("leaderboard.html", board.to_html(), title="Leaderboard with graphs", media_type="text/html"),
        figures=[Figure.of(figure, title=title) for title, figure in board.figures().items()],
    )


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
    bootstrap: int = Param(20, ge=0, le=1000, title="Bootstrap samples", help="For the stability of each edge.")
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

    edges: Table
    undecided: Table
    graph: Figure
    stability: Figure | None
    next_intervention: str
    notes: Table
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
    software=SOFTWARE,
)  # fmt: skip
def discover(inputs: DiscoverInput, job: Job) -> DiscoverOutput:
    """Find which variables cause which.

    Where no edge was found, the table of undecided pairs says for which of them so few rows could not have shown one:
    no edge there means not known, not absent.
    """
    from colonnade.causal import export, plots
    from colonnade.causal.discovery import discover as find
    from colonnade.causal.influence import next_intervention
    from colonnade.causal.table import read_table

    table = read_table(inputs.table.path, inputs.target_column)
    rows = len(table.values)
    job.log(f"{rows} rows of {len(table.names)} variables, {int((table.target >= 0).sum())} with one set.")
    found = find(
        table, inputs.method, alpha=inputs.alpha, knowledge=inputs.knowledge(), bootstrap=inputs.bootstrap,
        max_lag=inputs.max_lag, seed=job.seed, progress=partial(job.track, label="Bootstrap"),
    )  # fmt: skip
    advice = "Ask for bootstrap samples to learn which variable to set next."
    if found.samples:
        best = table.names[next_intervention(found.samples)[0]]
        advice = f"Set {best} next: of all variables it tells the bootstrap graphs apart best."
    kinds = {"graph.graphml": "application/xml", "graph.dot": "text/vnd.graphviz", "graph.json": "application/json"}
    written = {"graph.graphml": export.graphml, "graph.dot": export.dot, "graph.json": export.to_json}
    files = [job.artifact(name, write(found), media_type=kinds[name]) for name, write in written.items()]
    return DiscoverOutput(
        edges=Table.of(
            export.edge_columns(found), title="Edges",
            caption="Stability: share of bootstrap samples with the edge. Strength: total variation (interventional), "
            "weight (NOTEARS) or correlation (PCMCI).",
        ),
        undecided=Table.of(
            export.undecided_columns(found), title=f"Not identifiable with {rows} rows",
            caption="An edge of 0.02 nats could have been missed here.",
        ),
        graph=Figure.of(
            plots.graph_figure(found.adjacency, table.names, labels=found.pvalue), title="Causal graph"
        ),
        stability=Figure.of(plots.heatmap(found.stability, table.names), title="Stability") if found.samples else None,
        next_intervention=advice,
        notes=Table.of({"note": list(found.notes)}, title="Notes"),
        graphs=files,
    )  # fmt: skip


class PlanInput(WorldInputs):
    """A task for planners."""

    steps: int = Param(5, ge=1, le=20, title="Steps to the goal", help="The goal lies so many random actions away.")
    episodes: int = Param(500, ge=10, le=5000, title="Episodes")
    model: Annotated[InputFile, Accept(".safetensors", limit="50 MB", check=_check_model)] | None = Param(
        None, title="Trained model", help="Weights from causal.train for the same world; without, only baselines plan."
    )


class PlanOutput(Outputs):
    """How well each planner did."""

    results: Table
    chart: Figure
    film: Artifact


@service(
    "causal.plan",
    title="Plan towards a goal",
    summary="Greedy planning with the exact law, a learned model, the goal's own actions replayed, and at random.",
    paper=PAPER,
    resources=Resources(cores=1, memory="3 GiB", walltime=timedelta(minutes=30)),
    examples={
        "Blocks, five steps": {"world": "physics", "objects": 5, "steps": 5},
        "A trained model": {"world": "physics", "objects": 5, "model": "example:causal.plan/physics5-gnn.safetensors"},
    },
    software=SOFTWARE,
)
def plan(inputs: PlanInput, job: Job) -> PlanOutput:
    """All planners face the same starts and goals. The film shows the best one: above the way, below the goal."""
    from colonnade.causal import plots
    from colonnade.causal.metrics import bootstrap_interval
    from colonnade.causal.models import WorldModel
    from colonnade.causal.planning import plan as run
    from colonnade.causal.planning import side_by_side

    world = inputs.make_world()
    model = None if inputs.model is None else WorldModel.load(inputs.model.path)
    if model is not None and (model.config.slots, model.config.per_object) != (world.slots, world.actions_per_object):
        raise ValueError(
            f"model must have {world.slots} slots and {world.actions_per_object} actions each for this world, but has "
            f"{model.config.slots} and {model.config.per_object}."
        )
    planners = ["oracle", *(["model"] if model else []), "replay", "random"]
    rows: list[dict[str, Any]] = []
    plans = {}
    for name in job.track(planners, "Planning"):
        done = run(world, name, steps=inputs.steps, episodes=inputs.episodes, model=model, seed=job.seed % 2**31)  # type: ignore[arg-type]
        plans[name] = done
        low, high = bootstrap_interval(done.reward)
        rows.append(
            {"planner": name, "reward": float(done.reward.mean()), "reward low": low, "reward high": high,
             "success": 100 * float(done.success.mean())}
        )  # fmt: skip
    frames = side_by_side(world, plans["model" if model else "oracle"], 6)
    plots.film(frames, job.files / "plan.gif", columns=6)
    return PlanOutput(
        results=_rows_table(rows, "Planners", "Reward with 95 % bootstrap interval; success in percent."),
        chart=Figure.of(plots.bars({"success": {row["planner"]: row["success"] for row in rows}}, "success (%)")),
        film=job.artifact("plan.gif", title="Plans above, goals below", media_type="image/gif"),
    )
