"""A network of the larger space as a `torch.nn.Module`: inverted residual blocks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.nas import mobilenet
from colonnade.nas.mobilenet import GROWTH, KINDS, LAST, STRIDES, Mobile


def _convolution(inputs: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)
    )


class Inverted(nn.Module):
    """Widen, filter each channel, narrow; added to the input where the shapes agree."""

    def __init__(self, inputs: int, out: int, kernel: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = expansion * inputs
        self.expand = _convolution(inputs, hidden, 1)
        self.filter = _convolution(hidden, hidden, kernel, stride, groups=hidden)
        self.project = _convolution(hidden, out, 1)
        self.residual = stride == 1 and inputs == out

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.project(F.hardswish(self.filter(F.hardswish(self.expand(x)))))
        return x + made if self.residual else made


class MobileNetwork(nn.Module):
    """Stem, four stages, a last convolution, mean, linear. [b, in, r, r] to [b, classes]."""

    def __init__(self, architecture: Mobile, in_channels: int, classes: int) -> None:
        super().__init__()
        self.architecture, self.in_channels, self.classes = architecture, in_channels, classes
        channels = architecture.width
        self.stem = _convolution(in_channels, channels, 3)
        stages: list[nn.Module] = []
        for stage, growth, stride in zip(mobilenet.from_code(architecture.code), GROWTH, STRIDES, strict=True):
            for place, kind in enumerate(stage):
                out = growth * architecture.width
                stages.append(Inverted(channels, out, *KINDS[kind - 1], stride if place == 0 else 1))
                channels = out
        self.stages = nn.Sequential(*stages)
        self.last = _convolution(channels, LAST * architecture.width, 1)
        self.head = nn.Linear(LAST * architecture.width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, [b, 8 * width]."""
        return F.hardswish(self.last(self.stages(F.hardswish(self.stem(x))))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
