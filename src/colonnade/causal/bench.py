"""The benchmark: worlds x models x losses x seeds, each an independent cell, and the leaderboard they make."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from colonnade.causal.errors import check_choice
from colonnade.causal.world import ChemistryWorld, PhysicsWorld, World, graph_of

if TYPE_CHECKING:
    from colonnade.causal.data import Transitions
    from colonnade.causal.models import WorldModel

Array = NDArray[Any]
STEPS = (1, 5, 10)
PLAN_STEPS, PLAN_EPISODES, REWARD_UPDATES = 5, 300, 500
PRESETS = ("quick", "structure", "paper")
# Seconds of one core a gradient step of 256 transitions takes (measured, 5 objects), for the estimate shown first.
SECONDS = {"flat": 0.025, "modular": 0.03, "gnn": 0.06, "csgnn": 0.05, "lstm": 0.09, "rim": 0.12, "scoff": 0.12}


class Cell(BaseModel):
    """One training and its evaluation; a cell decides its result wholly.

    Args:
        world: `physics` or a chemistry graph such as `chain5`.
        objects: of physics.
        colors, min_edge_tv, positions: of chemistry.
        transition, loss: of the model.
        balance: share of interactions in a batch.
        updates, batch, dim, hidden: of the training.
        episodes: training episodes of 100 steps.
        test_rows: ranked candidates.
        seed: of world, data, model and batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    world: str = "physics"
    objects: int = 5
    colors: int = 5
    min_edge_tv: float = 0.2
    positions: str = "static"
    transition: str = "gnn"
    loss: Literal["infonce", "contrastive", "ae", "vae"] = "infonce"
    balance: float = 0.5
    updates: int = Field(1000, ge=1)
    batch: int = 256
    dim: int = 16
    hidden: int = 128
    episodes: int = 1000
    test_rows: int = 1000
    seed: int = 0

    def make_world(self) -> World:
        if self.world == "physics":
            return PhysicsWorld(objects=self.objects)
        options: dict[str, Any] = {"positions": self.positions, "min_edge_tv": self.min_edge_tv}
        return ChemistryWorld(graph=self.world, colors=self.colors, seed=self.seed, **options)

    def make_model(self, world: World) -> WorldModel:
        from colonnade.causal.models import WorldModel

        return WorldModel.of(
            world, seed=self.seed, transition=self.transition, dim=self.dim, hidden=self.hidden,
            decoder=self.loss in ("ae", "vae"), variational=self.loss == "vae",
        )  # fmt: skip

    @property
    def world_name(self) -> str:
        return f"physics{self.objects}" if self.world == "physics" else f"{self.world} {self.positions}"

    @property
    def model_name(self) -> str:
        return f"{self.transition} {self.loss}" + (" balanced" if self.balance and self.world == "physics" else "")

    @property
    def seconds(self) -> float:
        """Rough cost in seconds of one core."""
        painting = 0.2 if self.loss in ("ae", "vae") else 0.0
        return 15 + self.updates * self.batch / 256 * (SECONDS[self.transition] + painting)


@dataclass(frozen=True)
class CellResult:
    """What a cell gave: rows for the leaderboard (its model, and the baselines), and what the model believes.

    Attributes:
        cell: which.
        rows: one dict of scores a predictor.
        influence: (n, n) of the trained model.
        truth: (n, n) bool, what acting on a variable can change at once: descendants, or lighter blocks.
        auroc: of influence against truth.
        parameters, seconds: of the model, of its training (wall clock).
        loss: its curve.
    """

    cell: Cell
    rows: list[dict[str, Any]]
    influence: list[list[float]]
    truth: list[list[bool]]
    auroc: float
    parameters: int
    seconds: float
    loss: list[float] = field(default_factory=list)


def preset(name: str, seeds: Sequence[int] = (0,)) -> list[Cell]:
    """The cells of a preset.

    `quick`: two worlds, the recipe beside ordinary training, minutes. `structure`: flat against modular and GNN, with
    the plain contrastive loss, at 3 and 5 objects. `paper`: every world family with every model, hours.
    """
    check_choice("preset", name, PRESETS)
    cells: list[Cell] = []
    for seed in seeds:
        if name == "quick":
            plain: dict[str, Any] = {"loss": "contrastive", "balance": 0.0, "updates": 300, "seed": seed}
            cells += [Cell(transition=t, **plain) for t in ("flat", "modular", "csgnn")]
            cells += [Cell(transition="flat", loss="ae", balance=0.0, updates=150, seed=seed), Cell(seed=seed)]
            cells += [Cell(world="chain5", transition=t, updates=300, seed=seed) for t in ("flat", "gnn")]
        elif name == "structure":
            both = itertools.product((3, 5), ("flat", "modular", "csgnn"))
            cells += [
                Cell(objects=n, transition=t, loss="contrastive", balance=0.0, updates=600, seed=seed) for n, t in both
            ]
        else:
            worlds: list[dict[str, Any]] = [{"objects": n} for n in (3, 4, 5)]
            graphs = ("chain3", "chain5", "full3", "full5", "collider3", "collider5", "jungle5", "bidiag5")
            worlds += [{"world": g, "positions": p} for g in graphs for p in ("static", "dynamic")]
            models = itertools.product(("flat", "modular", "csgnn", "gnn"), (("contrastive", 0.0), ("infonce", 0.5)))
            cells += [
                Cell(transition=t, loss=loss, balance=balance, updates=3000, test_rows=10_000, seed=seed, **w)
                for (t, (loss, balance)), w in itertools.product(list(models), worlds)
            ]
    return cells


def run_cell(cell: Cell) -> CellResult:
    """Train and evaluate one cell, on one core."""
    import torch

    from colonnade.causal.evaluation import evaluate
    from colonnade.causal.influence import auroc, influence_matrix
    from colonnade.causal.training import fit

    torch.set_num_threads(1)
    world = cell.make_world()
    train = world.collect(cell.episodes, 100, seed=3 * cell.seed + 1)
    test = world.collect(max(cell.test_rows, 1000), max(STEPS), seed=3 * cell.seed + 2)
    model = cell.make_model(world)
    curve = fit(
        model,
        train,
        loss=cell.loss,
        updates=cell.updates,
        batch=cell.batch,
        balance=cell.balance,
        seed=cell.seed,
    )
    scores = evaluate({cell.model_name: model}, test, train=train, steps=STEPS, rows=cell.test_rows, seed=cell.seed)
    influence = influence_matrix(model, train, seed=cell.seed).matrix
    truth = graph_of(world).reach
    off = ~np.eye(len(truth), dtype=bool)
    return CellResult(
        cell,
        [score_row(one) | planned(one.name, world, cell, model, train) for one in scores],
        influence.tolist(),
        truth.tolist(),
        auroc(influence[off], truth[off])[0],
        model.parameters_count,
        curve.seconds,
        curve.loss,
    )


def planned(name: str, world: World, cell: Cell, model: WorldModel, train: Transitions) -> dict[str, float | None]:
    """Planning of one row of the table, and how well its model repaints frames."""
    from colonnade.causal.evaluation import reconstruction
    from colonnade.causal.planning import plan
    from colonnade.causal.reward import fit_reward

    options: dict[str, Any] = {"steps": PLAN_STEPS, "episodes": PLAN_EPISODES, "seed": cell.seed}
    row: dict[str, float | None] = {"by reward head": None, "reconstruction": None}
    if name == cell.model_name:
        done = plan(world, "model", model=model, **options)
        head = fit_reward(model, train, updates=REWARD_UPDATES, seed=cell.seed)
        row["by reward head"] = 100 * float(plan(world, "model", model=model, head=head, **options).success.mean())
        row["reconstruction"] = reconstruction(model, train) if model.decoder else None
    elif name in ("oracle", "no interaction"):
        done = plan(world, name, **options)  # type: ignore[arg-type]
    else:  # who sees no difference between actions takes any
        done = plan(world, "random", **options)
    return {"plan reward": float(done.reward.mean()), "plan success": 100 * float(done.success.mean())} | row


def score_row(score: Any) -> dict[str, Any]:
    """A `Scores` as a flat row; NaN becomes None."""
    row: dict[str, Any] = {"predictor": score.name}
    for k in score.hits:
        row |= {f"H@1 at {k}": score.hits[k], f"strict at {k}": score.strict_hits[k], f"MRR at {k}": score.mrr[k]}
    row |= {
        "interaction": score.interaction, "restraint": score.restraint, "counterfactual": score.counterfactual,
        "excess nats": score.excess_nats, "MCC": score.mcc, "distinct states": score.distinct,
    }  # fmt: skip
    return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in row.items()}
