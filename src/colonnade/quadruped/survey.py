"""Planning in a world that is known in full: its boxes drawn on a grid, its windows as jump edges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.library import JumpLibrary, standard_library
from colonnade.quadruped.mapping import MAX_CELLS, TALL, FoundWindow
from colonnade.quadruped.passage import passages
from colonnade.quadruped.plan import JumpEdge, Path, plan_path, travel_cost
from colonnade.quadruped.robot import Array
from colonnade.quadruped.world import World

STAGE = 0.3


@dataclass(frozen=True)
class Way:
    """A path in a world: its grid of heights, and its cells as points (n, 2) with how each is reached."""

    path: Path
    floor: Array
    points: Array
    kinds: list[str]


def draw(world: World, cell: float) -> Array:
    """(rows, columns) height of what stands within the robot's reach above the floor, m."""
    x0, y0, x1, y1 = world.bounds
    columns, rows = math.ceil((x1 - x0) / cell), math.ceil((y1 - y0) / cell)
    if rows * columns > MAX_CELLS:
        raise InputError(f"cell must be coarser: {rows * columns} cells are needed, at most {MAX_CELLS} are taken.")
    x = x0 + cell * (np.arange(columns) + 0.5)
    y = y0 + cell * (np.arange(rows) + 0.5)
    floor = np.zeros((rows, columns))
    for box in world.boxes:
        if box.centre[2] - box.half[2] > TALL:
            continue
        c, s = math.cos(box.yaw), math.sin(box.yaw)
        dx, dy = x[None, :] - box.centre[0], y[:, None] - box.centre[1]
        inside = (np.abs(c * dx + s * dy) <= box.half[0] + cell / 2) & (
            np.abs(-s * dx + c * dy) <= box.half[1] + cell / 2
        )
        floor[inside] = np.maximum(floor[inside], box.centre[2] + box.half[2])
    return floor


def known_windows(world: World) -> list[FoundWindow]:
    """The world's windows as the mapper would describe them."""
    out = []
    for wall in world.walls:
        if wall.width:
            x, y = wall.place(-wall.depth / 2, wall.offset)
            out.append(FoundWindow(x, y, wall.yaw, wall.width, wall.sill, wall.lintel, wall.depth, 1))
    return out


def plan_in_world(
    world: World, *, radius: float = 0.24, cell: float = 0.04, jumps: bool = True, library: JumpLibrary | None = None
) -> Way:
    """The cheapest way from start to goal.

    Raises:
        NoPath: start or goal too near an obstacle, or the goal cannot be reached.
    """
    floor = draw(world, cell)
    cost, _ = travel_cost(floor > 0, cell, radius=radius)

    def index(x: float, y: float) -> tuple[int, int]:
        column, row = int((x - world.bounds[0]) / cell), int((y - world.bounds[1]) / cell)
        return min(max(row, 0), floor.shape[0] - 1), min(max(column, 0), floor.shape[1] - 1)

    edges = []
    if jumps:
        ways = passages(known_windows(world), library or standard_library(), STAGE)
        edges = [JumpEdge(index(*way.stage), index(*way.landing), way.price / cell, k) for k, way in enumerate(ways)]
    path = plan_path(cost, index(*world.start[:2]), index(*world.goal), edges)
    cells = path.cells
    points = np.array(world.bounds[:2]) + cell * (cells[:, ::-1] + 0.5)
    kinds: list[str] = [segment.kind for segment in path.segments for _ in range(len(segment.cells))]
    return Way(path, floor, points, kinds)
