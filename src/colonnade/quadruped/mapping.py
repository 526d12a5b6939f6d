"""A 2.5-D map with a ceiling: which heights are filled above each cell of the floor, and the windows found in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.robot import Array
from colonnade.quadruped.sensing import Scan

LAYERS = 64
LAYER = 0.025  # m
CELL = 0.04  # m
STEP = 0.04  # m: what is lower is walked over
TALL = 0.45  # m: what hangs higher is walked under
MAX_CELLS = 10_000_000


@dataclass(frozen=True)
class FoundWindow:
    """An opening as the map shows it.

    Attributes:
        x, y: middle of the near face of the sill; yaw: direction through it, away from where it was seen.
        width, sill, lintel: of the opening, m, each on the safe side; depth: thickness of what was seen, m.
        cells: how many map cells it was found in.
    """

    x: float
    y: float
    yaw: float
    width: float
    sill: float
    lintel: float
    depth: float
    cells: int


class ElevationMap:
    """Cells of CELL metres; for each, a bit per LAYER of height that a ray has hit.

    Attributes:
        filled: (rows along y, columns along x) uint64 masks.
        seen: cells whose floor was hit.
    """

    def __init__(self, bounds: tuple[float, float, float, float], cell: float = CELL) -> None:
        self.bounds, self.cell = bounds, cell
        columns, rows = (math.ceil((bounds[k + 2] - bounds[k]) / cell) for k in (0, 1))
        if rows * columns > MAX_CELLS:
            raise InputError(f"A map holds at most {MAX_CELLS} cells, but these bounds need {rows * columns}.")
        self.shape = (rows, columns)
        self.filled = np.zeros(self.shape, np.uint64)
        self.seen = np.zeros(self.shape, bool)
        self._faces = np.zeros((*self.shape, 3))  # sums of x and y of hits on steep faces, and their number

    def add(self, scan: Scan) -> None:
        """Enter the points of one depth image."""
        _enter(scan.points, scan.steep, self.filled, self.seen, self._faces, self.bounds[0], self.bounds[1], self.cell)

    def index(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of a point, the nearest inside for a point outside."""
        column = min(max(int((x - self.bounds[0]) / self.cell), 0), self.shape[1] - 1)
        row = min(max(int((y - self.bounds[1]) / self.cell), 0), self.shape[0] - 1)
        return row, column

    def point(self, row: float, column: float) -> tuple[float, float]:
        """Centre of a cell."""
        return self.bounds[0] + (column + 0.5) * self.cell, self.bounds[1] + (row + 0.5) * self.cell

    @property
    def floor(self) -> Array:
        """(rows, columns) height of what stands on the floor, m, rounded up to a layer; what hangs is not counted."""
        floor: Array = _levels(self.filled)[0]
        return floor

    @property
    def ceiling(self) -> Array:
        """(rows, columns) height of the lowest thing that hangs above, m, rounded down; inf where nothing does."""
        ceiling: Array = _levels(self.filled)[1]
        return ceiling

    @property
    def blocked(self) -> NDArray[np.bool_]:
        """(rows, columns) what a walking robot cannot step on or pass under."""
        floor, ceiling = _levels(self.filled)
        return np.asarray((floor > STEP) | (ceiling < TALL))

    def windows(self, highest_sill: float = 0.35, least_opening: float = 0.3) -> list[FoundWindow]:
        """Openings in the obstacles seen so far.

        Cells whose lower part is at most `highest_sill` high with room of `least_opening` above, joined into straight
        pieces at least as wide as the robot, with higher cells at both ends.
        """
        floor, ceiling = _levels(self.filled)
        low = (floor > STEP) & (floor <= highest_sill) & (ceiling - floor >= least_opening)
        high = (floor > highest_sill) | ((ceiling < np.inf) & (ceiling - floor < least_opening))
        labels, count = ndimage.label(low, structure=np.ones((3, 3)))
        found = []
        for label in range(1, count + 1):
            rows, columns = np.nonzero(labels == label)
            window = self._window(rows, columns, floor, ceiling, high)
            if window is not None:
                found.append(window)
        return found

    def _window(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], floor: Array, ceiling: Array, high: NDArray[np.bool_]
    ) -> FoundWindow | None:
        faces = self._faces[rows, columns]
        known = faces[:, 2] > 0
        if known.sum() < 5:
            return None
        points = faces[known, :2] / faces[known, 2:]
        middle = points.mean(axis=0)
        _, spread, axes = np.linalg.svd(points - middle, full_matrices=False)
        if spread[1] > 0.35 * spread[0]:  # not a straight piece
            return None
        along = axes[0]
        reach = (points - middle) @ along
        ends = [middle + along * value for value in (reach.min() - self.cell, reach.max() + self.cell)]
        if not all(self._near(high, end) for end in ends):
            return None
        # The outermost cells are known by their middles: half a cell more on either side.
        width = float(reach.max() - reach.min()) + self.cell
        middle = middle + along * (reach.max() + reach.min()) / 2
        yaw = math.atan2(along[0], -along[1])
        # Cells at the posts mix post and opening: the outermost tenth or two are left out.
        tops = ceiling[rows, columns]
        tops = tops[np.isfinite(tops)]
        lintel = float(np.quantile(tops, 0.2, method="lower")) if len(tops) else math.inf
        sill = float(np.quantile(floor[rows, columns], 0.9, method="higher"))
        across = np.array([-along[1], along[0]])
        cells = np.stack([columns, rows], axis=1) * self.cell @ across
        depth = max(float(cells.max() - cells.min()) - self.cell, 0.0)
        return FoundWindow(float(middle[0]), float(middle[1]), yaw, width, sill, lintel, depth, len(rows))

    def _near(self, mask: NDArray[np.bool_], point: Array) -> bool:
        """Whether a cell of `mask` lies within two cells of `point`."""
        row, column = self.index(float(point[0]), float(point[1]))
        return bool(mask[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3].any())


def facing(window: FoundWindow, x: float, y: float) -> FoundWindow:
    """The same window with its yaw pointing away from (x, y)."""
    ahead = (window.x - x) * math.cos(window.yaw) + (window.y - y) * math.sin(window.yaw)
    yaw = window.yaw if ahead >= 0 else window.yaw + math.pi
    return replace(window, yaw=(yaw + math.pi) % (2 * math.pi) - math.pi)


@njit(cache=True)
def _enter(points, steep, filled, seen, faces, x0, y0, cell):  # type: ignore[no-untyped-def]
    rows, columns = filled.shape
    for k in range(points.shape[0]):
        column = int(np.floor((points[k, 0] - x0) / cell))
        row = int(np.floor((points[k, 1] - y0) / cell))
        if column < 0 or row < 0 or column >= columns or row >= rows:
            continue
        height = points[k, 2]
        if height < 0.015:
            seen[row, column] = True
            continue
        # A surface on a layer's edge belongs below it when flat, so that its height is not rounded up twice.
        layer = int((height - 1e-6) / LAYER)
        if layer < LAYERS:
            filled[row, column] |= np.uint64(1) << np.uint64(layer)
            if steep[k]:
                faces[row, column, 0] += points[k, 0]
                faces[row, column, 1] += points[k, 1]
                faces[row, column, 2] += 1


@njit(cache=True)
def _levels(filled):  # type: ignore[no-untyped-def]
    """Top of the lower part and bottom of the upper part, parted by the widest gap of at least ten layers."""
    rows, columns = filled.shape
    floor, ceiling = np.zeros((rows, columns)), np.full((rows, columns), np.inf)
    for row in range(rows):
        for column in range(columns):
            mask = filled[row, column]
            if mask == 0:
                continue
            last, best, below, above = -1, 0, -1, -1
            for layer in range(LAYERS):
                if (mask >> np.uint64(layer)) & np.uint64(1):
                    if layer - last - 1 > best:
                        best, below, above = layer - last - 1, last, layer
                    last = layer
            if best >= 10:
                floor[row, column] = (below + 1) * LAYER
                ceiling[row, column] = above * LAYER
            else:
                floor[row, column] = (last + 1) * LAYER
    return floor, ceiling
