"""`quadruped.jump_map`: which jumps exist over a grid of sills and lengths, and what they cost."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from colonnade.inputs import Inputs, Param
from colonnade.quadruped.services.common import COLUMN
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.job import Job

OPENING = 1.0  # m above the sill: the map is of sills, not of lintels


class JumpMapInput(Inputs):
    """A grid of sills and lengths."""

    highest: float = Param(0.4, title="Highest sill", unit="m", ge=0.05, le=0.45)
    sills: int = Param(5, title="Sills", ge=2, le=20, help="From zero to the highest.")
    shortest: float = Param(0.7, title="Shortest length", unit="m", ge=0.5, le=1.2)
    longest: float = Param(1.0, title="Longest length", unit="m", ge=0.6, le=1.5)
    lengths: int = Param(3, title="Lengths", ge=2, le=20)
    distance: float = Param(0.12, title="Distance", unit="m", ge=0.08, le=0.5)
    margin: float = Param(0.03, title="Margin", unit="m", ge=0.0, le=0.1, level="expert")
    payload: float = Param(0.0, title="Payload", unit="kg", ge=0, le=3, level="expert")
    max_seconds: float = Param(20.0, title="Solver time a jump", unit="s", ge=1, le=120, level="guru")

    @model_validator(mode="after")
    def _ordered(self) -> JumpMapInput:
        if self.longest <= self.shortest:
            raise ValueError(
                f"longest: must be above the shortest length of {self.shortest:g} m, but is {self.longest:g} m."
            )
        return self


class JumpMapOutput(Outputs):
    """Which jumps were found."""

    share: Estimate = Field(title="Share of jumps found")
    map: Figure = Field(title="Cost by sill and length")
    table: Table = Field(title="All jumps")
    library: Artifact | None = Field(None, title="All plans (zip of npz)")


def solve_one(task: tuple[dict[str, float], float]) -> dict[str, Any]:
    """Outcome, cost and clearance of one jump of the map, and its plan as npz; for `job.map`."""
    from colonnade.quadruped import MINI_CHEETAH, JumpSpec, Window, certify, find_jump
    from colonnade.quadruped.planfile import to_npz
    from colonnade.quadruped.robot import with_payload

    values, seconds = task
    spec = JumpSpec(
        Window(values["sill"], values["sill"] + OPENING, 0.05), values["length"], values["distance"],
        margin=values["margin"], robot=with_payload(MINI_CHEETAH, values["payload"]),
    )  # fmt: skip
    answer = find_jump(spec, explain=False, max_seconds=seconds)
    if not answer.feasible or answer.plan is None:
        return {"outcome": answer.verdict, "cost": math.nan, "clearance": math.nan, "plan": b""}
    found = certify(answer.plan)
    return {
        "outcome": "feasible" if found.valid else "not certified",
        "cost": answer.plan.cost,
        "clearance": found.clearance,
        "plan": to_npz(answer.plan),
    }


@service(
    "quadruped.jump_map",
    title="Map of possible jumps",
    summary="Solves jumps over a grid of sill heights and lengths and shows which exist and what they cost.",
    resources=Resources(cores=2, memory="3 GiB", walltime=timedelta(hours=2)),
    examples={
        "small": {"sills": 3, "lengths": 2, "highest": 0.3},
        "with a payload": {"sills": 4, "lengths": 3, "payload": 2.0},
    },
    **COLUMN,
)
def jump_map(inputs: JumpMapInput, job: Job) -> JumpMapOutput:
    """One optimisation for each sill and length, in parallel where there are processors.

    Every jump found is certified; a blank cell says that none was found, which is no proof that there is none.
    """
    import numpy as np

    from colonnade.quadruped import plots

    sills = np.linspace(0, inputs.highest, inputs.sills).round(4)
    lengths = np.linspace(inputs.shortest, inputs.longest, inputs.lengths).round(4)
    shared = {"distance": inputs.distance, "margin": inputs.margin, "payload": inputs.payload}
    grid = [{"sill": float(sill), "length": float(length), **shared} for sill in sills for length in lengths]
    found = job.map(solve_one, [(values, inputs.max_seconds) for values in grid], "Jumps")
    solved = [one["outcome"] == "feasible" for one in found]
    costs = np.array([one["cost"] if good else math.nan for one, good in zip(found, solved, strict=True)])
    return JumpMapOutput(
        share=Estimate(value=sum(solved) / len(solved), caption="of the grid; no claim about what was not found"),
        map=Figure.of(plots.feasibility_map(sills.tolist(), lengths.tolist(), costs.reshape(len(sills), -1))),
        table=Table.of(
            {
                "sill": [values["sill"] for values in grid],
                "length": [values["length"] for values in grid],
                "outcome": [one["outcome"] for one in found],
                "cost": [None if math.isnan(value) else round(value, 5) for value in costs.tolist()],
                "clearance": [None if math.isnan(one["clearance"]) else round(one["clearance"], 4) for one in found],
            },
            units={"sill": "m", "length": "m", "clearance": "m"},
        ),
        library=_together(job, grid, found) if any(solved) else None,
    )


def _together(job: Job, grid: list[dict[str, float]], found: list[dict[str, Any]]) -> Artifact:
    """The certified plans in one zip, each as the jump service writes it."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for values, one in zip(grid, found, strict=True):
            if one["outcome"] == "feasible":
                name = zipfile.ZipInfo(f"sill-{values['sill']:.3f}-length-{values['length']:.3f}.npz")
                archive.writestr(name, one["plan"])
    return job.artifact("plans.zip", buffer.getvalue(), title="plans.zip", media_type="application/zip")
