"""`quadruped.walk_bench`: how well the trot meets commands and bears pushes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from colonnade.inputs import Inputs, Param
from colonnade.quadruped.services.common import COLUMN, RobotName
from colonnade.results import Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.job import Job


class WalkInput(Inputs):
    """What to ask of the trot."""

    robot: RobotName = Param("Mini Cheetah", title="Robot")
    speeds: list[float] = Param(
        [0.3, 0.6, 1.0], title="Speeds", unit="m/s", max_length=20, help="Forward commands, -1.5 to 1.5."
    )
    turns: list[float] = Param([1.0], title="Yaw rates", unit="rad/s", max_length=20, help="-3 to 3.")
    pushes: list[float] = Param(
        [5.0], title="Pushes", unit="N s", max_length=20, help="Sideways while trotting at 0.4 m/s; -50 to 50."
    )
    seconds: float = Param(4.0, title="Length of a trial", unit="s", ge=2, le=30, level="expert")
    friction: float = Param(0.7, title="Friction", ge=0.3, le=1.2, level="expert")

    @model_validator(mode="after")
    def _in_range(self) -> WalkInput:
        for name, limit in (("speeds", 1.5), ("turns", 3.0), ("pushes", 50.0)):
            for value in getattr(self, name):
                if not abs(value) <= limit:
                    raise ValueError(f"{name}: every value must be from {-limit:g} to {limit:g}, but one is {value:g}.")
        if not (self.speeds or self.turns or self.pushes):
            raise ValueError("speeds: ask for at least one speed, yaw rate or push.")
        return self


class WalkOutput(Outputs):
    """How well it did."""

    falls: int = Field(title="Falls")
    commands: Figure | None = Field(None, title="Asked and met")
    table: Table = Field(title="Trials")


@service(
    "quadruped.walk_bench",
    title="Walking envelope",
    summary="Trots at given speeds and turns and takes pushes, and says how well the commands were met.",
    resources=Resources(cores=1, memory="1 GiB", walltime=timedelta(hours=1)),
    examples={
        "short": {"speeds": [0.5], "turns": [], "pushes": [4.0], "seconds": 2.0},
        "how hard a push": {"speeds": [], "turns": [], "pushes": [4.0, 8.0, 12.0, 16.0, 20.0]},
    },
    **COLUMN,
)
def walk_bench(inputs: WalkInput, job: Job) -> WalkOutput:
    """Convex model-predictive control in MuJoCo: mean speed over the second half of each trial, and who fell."""
    from colonnade.quadruped import plots
    from colonnade.quadruped.bench import WalkCase, walk_trial
    from colonnade.quadruped.robots import ROBOTS

    cases = [WalkCase(vx=speed) for speed in inputs.speeds]
    cases += [WalkCase(yaw_rate=turn) for turn in inputs.turns]
    cases += [WalkCase(vx=0.4, push=push) for push in inputs.pushes]
    robot = ROBOTS[inputs.robot]
    done = [walk_trial(case, inputs.seconds, inputs.friction, robot=robot) for case in job.track(cases, "Walking")]
    upright = [not trial.fell for trial in done[: len(inputs.speeds)]]
    figure = plots.asked_and_met(inputs.speeds, [trial.vx for trial in done[: len(inputs.speeds)]], upright)
    return WalkOutput(
        falls=sum(trial.fell for trial in done),
        commands=Figure.of(figure) if inputs.speeds else None,
        table=Table.of(
            {
                "asked speed": [case.vx for case in cases],
                "asked yaw rate": [case.yaw_rate for case in cases],
                "push": [case.push for case in cases],
                "speed": [round(trial.vx, 4) for trial in done],
                "yaw rate": [round(trial.yaw_rate, 4) for trial in done],
                "fell": [trial.fell for trial in done],
            },
            units={"asked speed": "m/s", "asked yaw rate": "rad/s", "push": "N s", "speed": "m/s", "yaw rate": "rad/s"},
        ),
    )
