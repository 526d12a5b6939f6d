"""The larger space: stages of inverted residual blocks as in MobileNetV3 (arXiv:1905.02244), for small images.

Four stages of one to three blocks; each block has its own kernel and expansion: 819 choices a stage, 4.5e11 in all,
times three widths and four resolutions. Nothing can score them all: here candidates have to be drawn.
Hard swish throughout; no squeeze-and-excitation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from colonnade.nas.errors import NasError, between

KERNELS, EXPANSIONS = (3, 5, 7), (2, 4, 6)
KINDS = tuple(product(KERNELS, EXPANSIONS))  # of blocks: (kernel, expansion); numbered from 1, 0 is no block
STAGES, DEPTH = 4, 3
WIDTHS, RESOLUTIONS = (4, 8, 12), (12, 16, 24, 32)
GROWTH, STRIDES = (1, 2, 3, 4), (2, 1, 2, 1)  # of the stages: channels in widths, stride of the first block
LAST = 8  # channels before the last layer, in widths
PER_STAGE = sum(len(KINDS) ** depth for depth in range(1, DEPTH + 1))  # 819
COUNT = PER_STAGE**STAGES

Stage = tuple[int, ...]


@dataclass(frozen=True, order=True)
class Mobile:
    """One network of the space.

    Attributes:
        code: its blocks as a number, 0 to 819^4 - 1; see `from_code`.
        width: channels of the stem and the first stage; the others have twice, three and four times as many.
        resolution: side of the images in pixels.
    """

    code: int
    width: int = 8
    resolution: int = 24

    def __post_init__(self) -> None:
        between("width", self.width, 1, 64)
        between("resolution", self.resolution, 8, 224, "pixels")
        between("code", self.code, 0, COUNT - 1)

    def __str__(self) -> str:
        return to_string(from_code(self.code))

    @property
    def depth(self) -> int:
        """Blocks in all stages."""
        return sum(len(stage) for stage in from_code(self.code))

    @classmethod
    def of(cls, text: str, width: int = 8, resolution: int = 24) -> Mobile:
        """From text as `to_string` writes it.

        Raises:
            NasError: malformed; names the position.
        """
        return cls(to_code(from_string(text)), width, resolution)


def to_code(stages: Sequence[Sequence[int]]) -> int:
    """The number of four stages, each a sequence of one to three kinds from 1 to 9."""
    code = 0
    for stage in stages:
        number = sum(len(KINDS) ** depth for depth in range(1, len(stage)))
        place = 0
        for kind in stage:
            place = place * len(KINDS) + int(kind) - 1
        code = code * PER_STAGE + number + place
    return code


def from_code(code: int) -> tuple[Stage, ...]:
    """The inverse of `to_code`."""
    stages: list[Stage] = []
    for _ in range(STAGES):
        code, number = divmod(code, PER_STAGE)
        depth = 1
        while number >= len(KINDS) ** depth:
            number -= len(KINDS) ** depth
            depth += 1
        stage = []
        for _ in range(depth):
            number, place = divmod(number, len(KINDS))
            stage.append(place + 1)
        stages.append(tuple(reversed(stage)))
    return tuple(reversed(stages))


def to_string(stages: Sequence[Sequence[int]]) -> str:
    """As text: blocks `k<kernel>e<expansion>` joined by `-`, stages by `|`."""
    return "|".join("-".join("k{}e{}".format(*KINDS[kind - 1]) for kind in stage) for stage in stages)


def from_string(text: str) -> tuple[Stage, ...]:
    """Read what `to_string` writes.

    Raises:
        NasError: malformed; names the position (counted from 1) of the first thing that is wrong.
    """
    stages: list[Stage] = []
    place = 0

    def wrong(reason: str) -> NasError:
        return NasError(f"arch: {reason} at position {place + 1} of {text[:160]!r}; stages look like k3e2-k5e4|k3e6.")

    for number, part in enumerate(text.split("|")):
        if number >= STAGES:
            raise wrong(f"there are more than {STAGES} stages")
        stage = []
        for depth, block in enumerate(part.split("-")):
            found = re.fullmatch(r"k(\d)e(\d)", block)
            kind = (int(found[1]), int(found[2])) if found else None
            if kind not in KINDS:
                raise wrong(f"expected a block of kernel 3, 5 or 7 and expansion 2, 4 or 6, but found {block[:12]!r}")
            if depth >= DEPTH:
                raise wrong(f"there are more than {DEPTH} blocks in a stage")
            stage.append(KINDS.index(kind) + 1)
            place += len(block) + 1
        stages.append(tuple(stage))
    if len(stages) < STAGES:
        place = len(text)
        raise wrong(f"there must be {STAGES} stages, but there are {len(stages)}: the text ends")
    return tuple(stages)


def blocks(found: Sequence[Mobile]) -> np.ndarray:
    """Kinds of the twelve places of networks, int64 [n, 4, 3]; 0 where there is no block."""
    grid = np.zeros((len(found), STAGES, DEPTH), dtype=np.int64)
    for row, network in zip(grid, found, strict=True):
        for place, stage in zip(row, from_code(network.code), strict=True):
            place[: len(stage)] = stage
    return grid


def sizes(found: Sequence[Mobile], in_channels: int = 3, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Trainable parameters, and multiply-adds of one image, of networks in closed form; int64 [n] each."""
    grid = blocks(found)
    kernel = np.array([0, *(k for k, _ in KINDS)])[grid]
    expansion = np.array([0, *(e for _, e in KINDS)])[grid]
    width, side = (np.array([getattr(a, name) for a in found], dtype=np.int64) for name in ("width", "resolution"))
    params = 9 * in_channels * width + 2 * width
    macs = 9 * in_channels * width * side**2
    channels = width
    for stage in range(STAGES):
        out = GROWTH[stage] * width
        for place in range(DEPTH):
            there = grid[:, stage, place] > 0
            hidden, area = expansion[:, stage, place] * channels, kernel[:, stage, place] ** 2
            after = -(-side // STRIDES[stage]) if place == 0 else side
            params = params + there * (channels * hidden + area * hidden + hidden * out + 4 * hidden + 2 * out)
            macs = macs + there * (channels * hidden * side**2 + (area * hidden + hidden * out) * after**2)
            channels, side = out, after  # a stage has at least one block
    last = LAST * width
    params = params + channels * last + 2 * last + (last + 1) * classes
    return params, macs + channels * last * side**2 + last * classes


def random(rng: np.random.Generator, n: int, limit: Any = None) -> list[Mobile]:
    """Networks drawn alike over widths, resolutions, depths and kinds of blocks.

    Args:
        limit: says of a list of networks which may be kept, bool [n]; others are drawn again, at most 200 times.
    """
    kept: list[Mobile] = []
    for _ in range(200):
        drawn = [random_one(rng, int(rng.choice(WIDTHS)), int(rng.choice(RESOLUTIONS))) for _ in range(n)]
        kept += drawn if limit is None else [a for a, fits in zip(drawn, limit(drawn), strict=True) if fits]
        if len(kept) >= n:
            break
    return kept[:n]


def random_one(
    rng: np.random.Generator, width: int, resolution: int, depth: int = DEPTH, widest: int = len(EXPANSIONS)
) -> Mobile:
    """Blocks drawn alike: at most `depth` in a stage, and of the first `widest` expansions."""
    stages = []
    for _ in range(STAGES):
        n = int(rng.integers(1, depth + 1))
        kernel, expansion = rng.integers(0, len(KERNELS), n), rng.integers(0, widest, n)
        stages.append((1 + len(EXPANSIONS) * kernel + expansion).tolist())
    return Mobile(to_code(stages), width, resolution)


def mutated(network: Mobile, rng: np.random.Generator) -> Mobile:
    """The same with one thing changed: a block, a stage's depth, the width or the resolution."""
    stages = [list(stage) for stage in from_code(network.code)]
    width, resolution = network.width, network.resolution
    what = rng.integers(8)
    stage = stages[rng.integers(STAGES)]
    if what == 0:
        width = int(rng.choice([w for w in WIDTHS if w != width]))
    elif what == 1:
        resolution = int(rng.choice([r for r in RESOLUTIONS if r != resolution]))
    elif what == 2 and len(stage) > 1:
        del stage[rng.integers(len(stage))]
    elif what == 3 and len(stage) < DEPTH:
        stage.insert(int(rng.integers(len(stage) + 1)), int(rng.integers(1, len(KINDS) + 1)))
    else:
        place = rng.integers(len(stage))
        stage[place] = 1 + (stage[place] - 1 + int(rng.integers(1, len(KINDS)))) % len(KINDS)
    return Mobile(to_code(stages), width, resolution)
