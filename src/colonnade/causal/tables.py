"""What the kernels need to know of a world, as arrays and numbers (their argument `t`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class PhysicsTables(NamedTuple):
    """What a physics world's kernels need to know, as arrays and numbers.

    Attributes:
        neighbour: (cells + 1, 5) cell after a move (stay, up, right, down, left). The last row stands for everything
            off the grid, where staying leads too: it moves nothing.
        distance: (cells, cells) steps along the grid from cell to cell.
        weight_of_colour: (colours,) twice the weight of each colour; empty when weight goes by the object's index.
        jitter: half-width of the uniform colour noise; negative for colours drawn from all of [0, 1] and sorted.
        colours, shapes: how many to draw from.
        fixed_shapes: 1 when object i always has shape i.
        goal_steps: random actions from the start to the goal.
    """

    neighbour: NDArray[np.uint8]
    distance: NDArray[np.uint8]
    weight_of_colour: NDArray[np.int16]
    jitter: float
    colours: int
    shapes: int
    fixed_shapes: int
    goal_steps: int


class ChemistryTables(NamedTuple):
    """What a chemistry world's kernels need: its graph, edges grouped by child, and the mechanisms' cumulative tables.

    Attributes:
        order: (n,) topological order.
        below: (n, n) how many descendants each variable has, then which, in topological order.
        first_edge: (n + 1,) range of each child's edges.
        parent, lag, stride: (edges,) of each edge; `stride` is the step in table rows.
        cumulative: flat cumulative probabilities of all tables.
        offset: (n,) where each variable's table begins.
        cells: (n,) fixed cells; a negative first entry means that they are drawn anew in each episode.
        grid_cells, colors, goal_steps: numbers.
    """

    order: NDArray[np.int64]
    below: NDArray[np.int64]
    first_edge: NDArray[np.int64]
    parent: NDArray[np.int64]
    lag: NDArray[np.int64]
    stride: NDArray[np.int64]
    cumulative: NDArray[np.float64]
    offset: NDArray[np.int64]
    cells: NDArray[np.int16]
    grid_cells: int
    colors: int
    goal_steps: int
