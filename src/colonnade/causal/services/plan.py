"""`causal.plan`: planners that face the same goals."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from colonnade.causal.services.common import PAPER, SOFTWARE, WorldInputs, rows_table
from colonnade.inputs import Accept, InputFile, Param
from colonnade.job import Job
from colonnade.results import Artifact, Figure, Outputs, Table, Video
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.causal.models import WorldModel

Pretrained = Literal["physics5-gnn", "chain5-gnn", "chain5-flat", "full5-flat"]


def _check_model(path: Path) -> None:
    from colonnade.causal.models import WorldModel

    WorldModel.load(path)


class PlanInput(WorldInputs):
    """A task for planners."""

    steps: int = Param(5, ge=1, le=20, title="Steps to the goal", help="The goal lies so many random actions away.")
    episodes: int = Param(500, ge=10, le=5000, title="Episodes")
    pretrained: Pretrained | None = Param(
        None, title="Model that comes along", help="Trained on physics with 5 objects, chain5 or full5 (the defaults)."
    )
    model: Annotated[InputFile, Accept(".safetensors", limit="50 MB", check=_check_model)] | None = Param(
        None, title="Your trained model", help="Weights from causal.train for the same world."
    )

    @model_validator(mode="after")
    def _model_fits(self) -> PlanInput:
        if self.pretrained and self.model:
            raise ValueError("pretrained must be left out when a model is given")
        model, world = self.world_model(), self.make_world()
        if model is None:
            return self
        config, field = model.config, "model" if self.model else "pretrained"
        has = (config.slots, config.per_object, config.size)
        wants = (world.slots, world.actions_per_object, world.size)
        if has != wants:
            raise ValueError(
                f"{field}: a model for this world must have {wants[0]} objects, {wants[1]} actions each and {wants[2]} "
                f"pixels, but this one has {has[0]}, {has[1]} and {has[2]}"
            )
        trained = _trained_on(model)
        if trained.get("kind", world.kind) != world.kind:
            raise ValueError(f"{field} must be trained on a {world.kind} world, but was on a {trained['kind']} world")
        return self

    def world_model(self) -> WorldModel | None:
        """The trained model, if one was named."""
        from colonnade.causal.models import WorldModel
        from colonnade.causal.zoo import pretrained

        if self.pretrained:
            return pretrained(self.pretrained)
        return WorldModel.load(self.model.path) if self.model else None


def _trained_on(model: WorldModel) -> dict[str, Any]:
    return dict(json.loads(model.details.get("world", "{}")))


class PlanOutput(Outputs):
    """How well each planner did."""

    film: Video
    results: Table
    chart: Figure
    animation: Artifact


@service(
    "causal.plan",
    title="Plan towards a goal",
    summary="Greedy planning with the exact law, a learned model, the goal's own actions replayed, and at random.",
    paper=PAPER,
    resources=Resources(cores=1, memory="3 GiB", walltime=timedelta(minutes=30)),
    examples={
        "Blocks, five steps": {"world": "physics", "objects": 5, "steps": 5},
        "A trained model": {"world": "physics", "objects": 5, "pretrained": "physics5-gnn"},
    },
    software=SOFTWARE,
)
def plan(inputs: PlanInput, job: Job) -> PlanOutput:
    """All planners face the same starts and goals. The film shows the model, or the oracle: above the
    way, below the goal."""
    from colonnade.causal import films, plots
    from colonnade.causal.metrics import bootstrap_interval
    from colonnade.causal.planning import plan as run
    from colonnade.causal.planning import side_by_side

    world = inputs.make_world()
    model = inputs.world_model()
    here = {"kind": world.kind} | world.model_dump()
    if model is not None and (trained := _trained_on(model)) not in ({}, here):
        others = ", ".join(f"{name} {value}" for name, value in trained.items() if here.get(name) != value)
        job.log(f"The model was trained on another world ({others}), so expect less of it.")
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
    shown = "model" if model else "oracle"
    frames = side_by_side(world, plans[shown], 6)
    films.mp4(frames, job.files / "plans.mp4", columns=6)
    films.gif(frames, job.files / "plans.gif", columns=6)
    success = {row["planner"]: row["success"] for row in rows}
    return PlanOutput(
        results=rows_table(rows, "Planners", "Reward with 95 % bootstrap interval; success in percent."),
        chart=Figure.of(plots.bars({"success": success}, "success (%)"), title="Success"),
        film=Video(file="plans.mp4", title=f"Plans of the {shown} above, goals below"),
        animation=job.artifact("plans.gif", title="The same as a GIF", media_type="image/gif"),
    )
