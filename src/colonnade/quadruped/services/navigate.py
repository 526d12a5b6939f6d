"""`quadruped.navigate`: a whole mission through a world that the robot has to look at first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from colonnade.inputs import Param
from colonnade.quadruped.services.common import COLUMN, WorldInput, filmed, packed
from colonnade.results import Artifact, Figure, Outputs, Table, Video
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.job import Job
    from colonnade.quadruped.mission import MissionResult


ENDS = {
    "reached": "The goal was reached.",
    "fell": "The robot fell.",
    "no path": "No way to the goal was found.",
    "stuck": "The robot got stuck.",
    "too long": "The goal was not reached in time.",
    "diverged": "The simulation diverged.",
}


class NavigateInput(WorldInput):
    """A mission with sensing."""

    friction: float = Param(0.7, title="Friction of the floor", ge=0.3, le=1.2, level="expert")
    noise: float = Param(0.0, title="Depth noise at 1 m", unit="m", ge=0, le=0.02, level="expert")
    speed: float = Param(0.8, title="Walking speed", unit="m/s", ge=0.2, le=1.0, level="expert")
    film: bool = Param(True, title="Film", help="Also draw the run as a film.")


class NavigateOutput(Outputs):
    """What happened."""

    outcome: str = Field(title="Outcome")
    success: bool = Field(title="At the goal, nothing touched")
    remark: str | None = Field(None, title="Remark")
    video: Video | None = Field(None, title="Film")
    run: Figure = Field(title="Run")
    map: Figure = Field(title="Map and way")
    metrics: Table = Field(title="Metrics")
    states: Table = Field(title="States")
    world: Artifact = Field(title="World (JSON)")
    record: Artifact = Field(title="Recorded run (npz)")
    animation: Artifact | None = Field(None, title="Film (GIF)")


@service(
    "quadruped.navigate",
    title="Navigate by walking and jumping",
    summary="A whole simulated mission: depth sensing, mapping, planning, walking, and jumps through windows.",
    resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(hours=1)),
    examples={
        "through a window": {"kind": "window"},
        "round or through": {"kind": "detour"},
        "a world of one's own": {"world": "example:quadruped.navigate/two-rooms.json"},
    },
    **COLUMN,
)
def navigate(inputs: NavigateInput, job: Job) -> NavigateOutput:
    """Cross a world that the robot sees only through its depth sensor, walking where it can, jumping where it must."""
    from colonnade.quadruped import MissionConfig
    from colonnade.quadruped import navigate as run_mission

    config = MissionConfig(
        allow_jumps=inputs.jumps, friction=inputs.friction, depth_noise=inputs.noise, speed=inputs.speed
    )
    report = job.bar("Simulated seconds")
    seen = [""]

    def watch(time: float, state: str) -> bool:
        report(int(time))
        if state != seen[0]:
            job.log(f"{time:.1f} s: {state}")
            seen[0] = state
        return False

    result = run_mission(inputs.chosen(job), config=config, rng=job.rng(), watch=watch)
    report(-1)
    return _output(inputs, job, result)


def _output(inputs: NavigateInput, job: Job, result: MissionResult) -> NavigateOutput:
    from colonnade.quadruped import MINI_CHEETAH, plots

    world, metrics = result.world, result.metrics
    video, animation, remark = (
        filmed(job, MINI_CHEETAH, world.boxes, result.t, result.qpos) if inputs.film else (None, None, "")
    )
    values = {
        "time (s)": metrics.time, "distance (m)": metrics.distance, "distance to the goal (m)": metrics.error,
        "jumps": metrics.jumps, "obstacle contacts": metrics.contacts, "plans": metrics.replans,
        "energy (J)": metrics.energy, "cost of transport": metrics.cost_of_transport,
    }  # fmt: skip
    last = result.plans[-1] if result.plans else []
    figure = plots.mission_map(
        result.map.floor, world.bounds, result.map.cell, world.boxes, result.qpos[:, :2], last, world.goal
    )
    return NavigateOutput(
        outcome=f"{ENDS[metrics.outcome]} {metrics.cause}".strip(),
        success=metrics.success,
        remark=remark or None,
        video=video,
        run=Figure.of(plots.run_3d(MINI_CHEETAH, result.t, result.qpos, world.boxes)),
        map=Figure.of(figure),
        metrics=Table.of({"metric": list(values), "value": [round(float(value), 4) for value in values.values()]}),
        states=Table.of(
            {"time": [round(time, 3) for time, _ in result.states], "state": [state for _, state in result.states]},
            units={"time": "s"},
        ),
        world=job.artifact("world.json", world.to_json(), title="world.json", media_type="application/json"),
        record=job.artifact("run.npz", packed(t=result.t, qpos=result.qpos), title="run.npz"),
        animation=animation,
    )
