"""`quadruped.plan`: the cheapest mixture of walking and jumping through a known world."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from colonnade.inputs import Param
from colonnade.quadruped.services.common import COLUMN, WorldInput
from colonnade.results import Estimate, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.job import Job


class PlanInput(WorldInput):
    """Planning with the whole world known."""

    radius: float = Param(0.24, title="Footprint radius", unit="m", ge=0.1, le=0.6, level="expert")
    cell: float = Param(0.04, title="Cell", unit="m", ge=0.01, le=0.2, level="expert")


class PlanOutput(Outputs):
    """The cheapest way."""

    cost: Estimate = Field(title="Cost of the way")
    jumps: int = Field(title="Jumps")
    map: Figure = Field(title="Way")
    way: Table = Field(title="Corners")


@service(
    "quadruped.plan",
    title="Plan a way with jumps",
    summary="A* over a grid whose windows are edges priced by the time and risk of a jump.",
    resources=Resources(cores=1, memory="1 GiB", walltime=timedelta(minutes=10)),
    examples={
        "a wall with a window": {"kind": "window"},
        "round or through": {"kind": "detour"},
        "a world of one's own": {"world": "example:quadruped.plan/two-rooms.json"},
    },
    **COLUMN,
)
def plan(inputs: PlanInput, job: Job) -> PlanOutput:
    """The cheapest mixture of walking and jumping through a world that is known in full.

    Cells cost more near obstacles; each window that the library has a jump for is an edge in both directions, whose
    price is the jump's time and risk in metres of walking.
    """
    from colonnade.quadruped import plots
    from colonnade.quadruped.survey import plan_in_world

    world = inputs.chosen(job)
    way = plan_in_world(world, radius=inputs.radius, cell=inputs.cell, jumps=inputs.jumps)
    points = way.points
    figure = plots.mission_map(way.floor, world.bounds, inputs.cell, world.boxes, points, (), world.goal)
    return PlanOutput(
        cost=Estimate(value=way.path.cost * inputs.cell, unit="m", caption="metres of free walking"),
        jumps=len(way.path.jumps),
        map=Figure.of(figure),
        way=Table.of(
            {"x": points[:, 0].round(4), "y": points[:, 1].round(4), "by": way.kinds}, units={"x": "m", "y": "m"}
        ),
    )
