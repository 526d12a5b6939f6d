"""How objects look: eight shapes as runs of pixels, and the colour tables of the worlds.

Colours are the ColorBrewer schemes (Brewer & Harrower, colorbrewer2) under their usual names. Shapes follow the
drawing of C-SWM (Kipf et al. 2020, arXiv:1911.12247): a circle of 9x9 pixels, polygons of 11x11 pixels that reach one
pixel into the next cell.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

CELL = 10  # pixels
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


@cache
def runs() -> NDArray[np.int32]:
    """(shapes, 11, 2) first and one-past-last covered column of each row; both 0 in an empty row."""
    table = np.zeros((len(SHAPES), 11, 2), np.int32)
    for index, shape in enumerate(SHAPES):
        for row, covered in enumerate(stencil(shape)):
            if covered.any():
                columns = np.flatnonzero(covered)
                assert len(columns) == columns[-1] - columns[0] + 1  # one run a row
                table[index, row] = columns[0], columns[-1] + 1
    return table
