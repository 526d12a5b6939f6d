"""`causal.train`: a world model and what it knows."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Literal

from colonnade.causal.services.common import PAPER, SOFTWARE, WorldInputs, rows_table
from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.results import Estimate, Figure, Model, Outputs, Table
from colonnade.service import Resources, service


class TrainInput(WorldInputs):
    """A world model and how to train it."""

    transition: Literal["gnn", "modular", "flat", "csgnn", "lstm", "rim", "scoff"] = Param(
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
    from colonnade.causal.training import COLLAPSED, fit

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
        balance=inputs.balance, seed=seed, report=lambda update, loss: bar(update), checkpoint=job.checkpoint,
        resume=job.resume(),
    )  # fmt: skip
    bar(inputs.updates)
    if curve.slot_std < COLLAPSED:
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
        scores=rows_table([score_row(one) for one in scores], "Scores beside ceiling and baselines"),
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
