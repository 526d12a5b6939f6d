"""How objects look: eight shapes, the colour tables of the worlds, and where on a frame they go.

Colours are the ColorBrewer schemes (Brewer & Harrower, colorbrewer2) under their usual names. Shapes follow the
drawing of C-SWM (Kipf et al. 2020, arXiv:1911.12247): a circle of 9x9 pixels, polygons of 11x11 pixels that reach one
pixel into the next cell.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CELL, TILE = 10, 11  # pixels along a side: of a cell, and of what is painted there
SHAPES = ("circle", "triangle", "square", "diamond", "pentagon", "cross", "parallelogram", "scalene")

_SEQUENTIAL = {
    "blues": "f7fbff deebf7 c6dbef 9ecae1 6baed6 4292c6 2171b5 08519c 08306b",
    "reds": "fff5f0 fee0d2 fcbba1 fc9272 fb6a4a ef3b2c cb181d a50f15 67000d",
    "greens": "f7fcf5 e5f5e0 c7e9c0 a1d99b 74c476 41ab5d 238b45 006d2c 00441b",
}
_QUALITATIVE = {
    "set1": "e41a1c 377eb8 4daf4a 984ea3 ff7f00 ffff33 a65628 f781bf 999999",
    "pastel1": "fbb4ae b3cde3 ccebc5 decbe4 fed9a6 ffffcc e5d8bd fddaec f2f2f2",
    "set3": "8dd3c7 ffffb3 bebada fb8072 80b1d3 fdb462 b3de69 fccde5 d9d9d9 bc80bd ccebc5 ffed6f",
    "pastel2": "b3e2cd fdcdac cbd5e8 f4cae4 e6f5c9 fff2ae f1e2cc cccccc",
}
_CORNERS = {  # corners (row, column) within the 11x11 tile
    "triangle": [(0, 5), (10, 0), (10, 10)],
    "square": [(0, 0), (0, 10), (10, 10), (10, 0)],
    "diamond": [(0, 5), (5, 10), (10, 5), (5, 0)],
    "pentagon": [(0, 5), (4, 10), (10, 8), (10, 2), (4, 0)],
    "parallelogram": [(0, 0), (0, 6), (10, 10), (10, 4)],
    "scalene": [(0, 3), (10, 10), (10, 0)],
}


@cache
def palette(name: str) -> NDArray[np.uint8]:
    """(colours, 3) RGB of a scheme: 256 steps of a sequential one, the list of a qualitative one."""
    if name in _QUALITATIVE:
        return _hex(_QUALITATIVE[name])
    anchors = _hex(_SEQUENTIAL[name]) / 255.0
    at = np.linspace(0, 1, len(anchors))
    steps = [np.interp(np.linspace(0, 1, 256), at, anchors[:, k]) for k in range(3)]
    return np.rint(np.stack(steps, 1) * 255).astype(np.uint8)


def _hex(text: str) -> NDArray[np.uint8]:
    return np.array([list(bytes.fromhex(item)) for item in text.split()], np.uint8)


@cache
def stencil(shape: str) -> NDArray[np.bool_]:
    """(11, 11) pixels that a shape covers."""
    row, column = np.mgrid[0:11, 0:11]
    if shape == "circle":
        return np.asarray((row - 5) ** 2 + (column - 5) ** 2 < 25)
    if shape == "cross":
        return np.asarray(((row >= 4) & (row <= 6)) | ((column >= 4) & (column <= 6)))
    corners = _CORNERS[shape]
    inside = np.ones((11, 11), bool)
    for (r0, c0), (r1, c1) in zip(corners, corners[1:] + corners[:1], strict=True):
        side = (r1 - r0) * (column - c0) - (c1 - c0) * (row - r0)
        inside &= side * _winding(corners) >= 0
    return inside


def _winding(corners: list[tuple[int, int]]) -> int:
    pairs = zip(corners, corners[1:] + corners[:1], strict=True)
    return -1 if sum((r1 - r0) * (c1 + c0) for (r0, c0), (r1, c1) in pairs) > 0 else 1


class Canvas(NamedTuple):
    """What drawing needs to know of a grid.

    Attributes:
        masks: flat (shapes + 1, 11, 33) uint8, 255 in the bytes that a row of a shape covers; the last covers nothing.
        nothing: number of that last shape; painted, it wipes a tile.
        near: (cells, cells) uint8, 1 where tiles of two cells share pixels.
        corner: (cells,) first byte of each cell in a frame.
        rows: (cells,) rows of a tile, 10 at the lower border and 11 elsewhere.
        wide: (cells,) bool, whether a tile's row has 11 pixels, not 10 (right border).
        stride, size: bytes of a row of pixels, and of a frame.
    """

    masks: NDArray[np.uint8]
    nothing: int
    near: NDArray[np.uint8]
    corner: NDArray[np.uint64]
    rows: NDArray[np.int64]
    wide: NDArray[np.bool_]
    stride: np.uint64
    size: np.uint64


@cache
def canvas(grid: int) -> Canvas:
    """The canvas of grid x grid cells."""
    covered = [stencil(shape) for shape in SHAPES] + [np.zeros((TILE, TILE), bool)]
    x, y = np.divmod(np.arange(grid * grid), grid)
    stride = 3 * CELL * grid
    return Canvas(
        masks=np.repeat(np.stack(covered), 3, axis=2).astype(np.uint8).ravel() * np.uint8(255),
        nothing=len(SHAPES),
        near=((abs(x[:, None] - x) <= 1) & (abs(y[:, None] - y) <= 1)).astype(np.uint8),
        corner=(x * CELL * stride + y * CELL * 3).astype(np.uint64),
        rows=np.minimum(TILE, CELL * (grid - x)),
        wide=y < grid - 1,
        stride=np.uint64(stride),
        size=np.uint64(stride * CELL * grid),
    )


def ink(lut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Flat, a row of a tile (33 bytes) in each of the colours (colours, 3)."""
    return np.tile(lut, (1, TILE)).ravel()
