"""The search space: a cell, and the macro network that repeats it. Sizes in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from colonnade.nas import cells
from colonnade.nas.errors import between

CHANNELS = (4, 8, 16)
REPEATS = (1, 2)
RESOLUTIONS = (8, 16, 24, 32)
STAGES = 3
_KERNEL_AREA = np.array([0, 0, 1, 9, 0])  # of each operation


@dataclass(frozen=True, order=True)
class Macro:
    """How often a cell is repeated, how wide, and at which image size.

    Attributes:
        channels: of the first stage; the second has twice, the third four times as many.
        repeats: cells in each of the three stages.
        resolution: side of the images in pixels.
    """

    channels: int = 16
    repeats: int = 5
    resolution: int = 32

    def __post_init__(self) -> None:
        between("channels", self.channels, 1, 256)
        between("repeats", self.repeats, 1, 20)
        between("resolution", self.resolution, 8, 224, "pixels")


NAS_BENCH_201 = Macro(16, 5, 32)


def macros(
    channels: tuple[int, ...] = CHANNELS,
    repeats: tuple[int, ...] = REPEATS,
    resolutions: tuple[int, ...] = RESOLUTIONS,
) -> list[Macro]:
    """The macro networks a search chooses from; by default those that the meta-database holds."""
    return [Macro(*knobs) for knobs in product(channels, repeats, resolutions)]


@dataclass(frozen=True, order=True)
class Architecture:
    """One network: a cell (a number, see `cells.from_index`) in a macro network."""

    cell: int
    macro: Macro = NAS_BENCH_201

    def __str__(self) -> str:
        return cells.to_string(cells.from_index(self.cell))

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self.macro.resolution

    @classmethod
    def of(cls, text: str, macro: Macro = NAS_BENCH_201) -> Architecture:
        """From a NAS-Bench-201 string.

        Raises:
            NasError: malformed; names the position.
        """
        return cls(cells.to_index(cells.from_string(text)), macro)


def _sides(resolution: int) -> list[int]:
    """Sides of the three stages: halved twice, rounded up, as a stride of two does with padding."""
    sides = [resolution]
    for _ in range(STAGES - 1):
        sides.append(-(-sides[-1] // 2))
    return sides


def params(found: Any, macro: Macro, in_channels: int = 3, classes: int = 10) -> np.ndarray:
    """Trainable parameters of cells [n, 6] (or one, [6]) in a macro network; int64 [n].

    Normalisation scales and shifts count, as in the published 1,531,546 of the all-3x3 cell.
    """
    area, convolutions = _per_cell(found)
    c = macro.channels
    width = [c * 2**stage for stage in range(STAGES)]
    cell = sum(area * w * w + 2 * convolutions * w for w in width)
    reduce = sum(9 * w * 2 * w + 36 * w * w + 8 * w + 2 * w * w for w in width[:-1])
    stem = 9 * in_channels * c + 2 * c
    head = 2 * width[-1] + (width[-1] + 1) * classes
    return np.asarray(macro.repeats * cell + reduce + stem + head, dtype=np.int64)


def macs(found: Any, macro: Macro, in_channels: int = 3, classes: int = 10) -> np.ndarray:
    """Multiply-adds of one image through cells [n, 6] (or one, [6]) in a macro network; int64 [n].

    Convolutions and the last layer count, as in the published 220.12 million of the all-3x3 cell.
    """
    area, _ = _per_cell(found)
    c = macro.channels
    width = [c * 2**stage for stage in range(STAGES)]
    pixels = [side * side for side in _sides(macro.resolution)]
    cell = sum(area * w * w * p for w, p in zip(width, pixels, strict=True))
    reduce = sum((18 + 36) * w * w * p for w, p in zip(width[:-1], pixels[1:], strict=True))
    halved = [(side // 2) ** 2 for side in _sides(macro.resolution)[:-1]]
    shortcut = sum(2 * w * w * p for w, p in zip(width[:-1], halved, strict=True))
    stem = 9 * in_channels * c * pixels[0]
    return np.asarray(macro.repeats * cell + reduce + shortcut + stem + width[-1] * classes, dtype=np.int64)


def _per_cell(found: Any) -> tuple[np.ndarray, np.ndarray]:
    """Sum of kernel areas, and number of convolutions, of each cell."""
    cell = np.asarray(found)
    area = _KERNEL_AREA[cell]
    return area.sum(-1).astype(np.int64), (area > 0).sum(-1).astype(np.int64)
