"""A cell and its macro network as a `torch.nn.Module`.

The convolutions of a cell that read the same node and have the same kernel run as one: fewer calls, the same function
and the same parameters as one module for each edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.nas import cells
from colonnade.nas.inverted import MobileNetwork
from colonnade.nas.mobilenet import Mobile
from colonnade.nas.space import STAGES, Architecture

_KERNELS = {cells.CONV1: 1, cells.CONV3: 3}


class Cell(nn.Module):
    """Four nodes; each is the sum of what its incoming edges make of earlier nodes. [b, c, h, w] to the same."""

    def __init__(self, cell: Sequence[int], channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.convolutions = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.targets: dict[str, list[int]] = {}
        self.plain: list[tuple[int, int, int]] = []
        for (source, target), operation in zip(cells.EDGES, cell, strict=True):
            if operation in _KERNELS:
                self.targets.setdefault(f"{source}k{_KERNELS[operation]}", []).append(target)
            elif operation != cells.NONE:
                self.plain.append((source, target, operation))
        for name, targets in self.targets.items():
            kernel, out = int(name[2:]), channels * len(targets)
            self.convolutions[name] = nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False)
            self.norms[name] = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        sums: list[Tensor | None] = [x, None, None, None]
        for source in range(cells.NODES - 1):
            state = sums[source]
            if state is None:
                continue
            for target, made in self._edges(source, state):
                before = sums[target]
                sums[target] = made if before is None else before + made
        last = sums[-1]
        return torch.zeros_like(x) if last is None else last

    def _edges(self, source: int, state: Tensor) -> list[tuple[int, Tensor]]:
        found: list[tuple[int, Tensor]] = []
        rectified: Tensor | None = None
        for kernel in (1, 3):
            name = f"{source}k{kernel}"
            if name in self.targets:
                rectified = F.relu(state) if rectified is None else rectified
                made = self.norms[name](self.convolutions[name](rectified))
                found += zip(self.targets[name], made.split(self.channels, dim=1), strict=True)
        for start, target, operation in self.plain:
            if start == source:
                pooled = operation == cells.POOL
                found.append((target, F.avg_pool2d(state, 3, 1, 1, count_include_pad=False) if pooled else state))
        return found


class Reduction(nn.Module):
    """The residual block between two stages: half the side, twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        out = 2 * channels
        self.first = nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(out)
        self.second = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(out)
        self.shortcut = nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # An odd side is rounded up by the strided convolution: the shortcut's pooling is resized to match it.
        deep = self.first_norm(self.first(F.relu(x)))
        deep = self.second_norm(self.second(F.relu(deep)))
        short = self.shortcut(F.avg_pool2d(x, 2))
        if short.shape[-2:] != deep.shape[-2:]:
            short = F.interpolate(short, size=deep.shape[-2:])
        summed: Tensor = deep + short
        return summed


class Network(nn.Module):
    """Stem, three stages of repeated cells, reductions between them, mean, linear. [b, in, r, r] to [b, classes]."""

    def __init__(self, architecture: Architecture, in_channels: int, classes: int) -> None:
        super().__init__()
        self.architecture, self.in_channels, self.classes = architecture, in_channels, classes
        channels = architecture.macro.channels
        cell = cells.from_index(architecture.cell)
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        stages: list[nn.Module] = []
        for stage in range(STAGES):
            if stage:
                stages.append(Reduction(channels))
                channels *= 2
            stages += [Cell(cell, channels) for _ in range(architecture.macro.repeats)]
        self.stages = nn.Sequential(*stages)
        self.last_norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, [b, 4 * channels]."""
        return F.relu(self.last_norm(self.stages(self.stem(x)))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


AnyNetwork = Network | MobileNetwork


def build(architecture: Architecture | Mobile, in_channels: int = 3, classes: int = 10) -> AnyNetwork:
    """The network of an architecture, freshly initialised from torch's random state."""
    if isinstance(architecture, Mobile):
        return MobileNetwork(architecture, in_channels, classes)
    return Network(architecture, in_channels, classes)
