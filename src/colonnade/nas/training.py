"""Training one small network on one core: AdamW, one cycle of the learning rate, shifted images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from colonnade.nas.data import Images
from colonnade.nas.network import AnyNetwork, build
from colonnade.nas.spaces import Design


@dataclass(frozen=True)
class Schedule:
    """How long and how a network is trained.

    Attributes:
        steps: updates of the weights; the learning rate rises for the first quarter, then falls to zero.
        batch: images in each.
        rate: largest learning rate of AdamW.
        decay: weight decay.
        shift: largest shift of the images, as a share of their side, in each direction.
        flip: mirror half of the images (wrong for letters and digits).
    """

    steps: int = 300
    batch: int = 96
    rate: float = 0.02
    decay: float = 0.02
    shift: float = 0.07
    flip: bool = False


SHORT = Schedule(steps=32, batch=64)  # of the meta-database


@dataclass
class Trained:
    """A trained network and what it does on images it has not seen.

    Attributes:
        network: in evaluation mode.
        logits: of the test images, float32 [n, classes].
        labels: of the test images, int64 [n].
        curve: (step, training loss) pairs.
        halved: whether the rate had to be halved because the loss was no number.
    """

    network: AnyNetwork
    logits: Tensor
    labels: Tensor
    curve: list[tuple[int, float]] = field(default_factory=list)
    halved: bool = False

    @property
    def accuracy(self) -> float:
        """Share of the test images that are right, in %."""
        return float((self.logits.argmax(1) == self.labels).float().mean() * 100)

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes of the share that is right, in %."""
        right = (self.logits.argmax(1) == self.labels).double()
        count = torch.bincount(self.labels, minlength=self.logits.shape[1])
        hits = torch.bincount(self.labels, right, minlength=self.logits.shape[1])
        return float((hits / count.clamp(min=1))[count > 0].mean() * 100)

    @property
    def loss(self) -> float:
        """Mean cross-entropy on the test images, in nats."""
        return float(F.cross_entropy(self.logits, self.labels))


class Diverged(ArithmeticError):
    """The loss was no number, also at half the learning rate."""


def train(
    architecture: Design,
    data: Images,
    schedule: Schedule = SHORT,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    look: Callable[[int, float], bool] | None = None,
    looks: int = 4,
) -> Trained:
    """Train an architecture on the training side of `data` and run it on the test side.

    Args:
        progress: called with the step and the training loss.
        look: called `looks` times on the way with the number of the call and the accuracy on the test side (which is
            a validation set where this is used); the training ends when it says true.

    Raises:
        Diverged: the loss was no number, twice.
    """
    resolution = architecture.resolution
    x, y = data.tensors(resolution, test=False)
    unseen, labels = data.tensors(resolution, test=True)
    for attempt, rate in enumerate((schedule.rate, schedule.rate / 2)):
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(architecture, data.channels, data.classes).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def judge(number: int, network: AnyNetwork = network) -> bool:
            right = (predict(network, unseen).argmax(1) == labels).float().mean()
            network.train()
            return look is not None and look(number, float(right) * 100)

        stops = (looks, judge) if look is not None else None
        curve = _fit(network, x, y, replace(schedule, rate=rate), generator, progress, stops)
        if curve is not None:
            return Trained(network, predict(network, unseen), labels, curve, halved=attempt > 0)
    raise Diverged(str(architecture))


def _fit(
    network: AnyNetwork,
    x: Tensor,
    y: Tensor,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Callable[[int, float], None] | None,
    stops: tuple[int, Callable[[int], bool]] | None = None,
) -> list[tuple[int, float]] | None:
    """The learning curve, or None when the loss was no number."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.rate, weight_decay=schedule.decay, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.rate, schedule.steps, pct_start=0.25, div_factor=10, cycle_momentum=False
    )
    curve = []
    every = max(1, schedule.steps // 100)
    # With more images in a batch than there are, an epoch is shorter than a batch: normalisation needs at least two.
    batch = min(schedule.batch, len(y))
    order, place = torch.randperm(len(y), generator=generator), 0
    for step in range(schedule.steps):
        if place + batch > len(y):
            order, place = torch.randperm(len(y), generator=generator), 0
        chosen = order[place : place + batch]
        place += batch
        loss = F.cross_entropy(network(_moved(x[chosen], schedule, generator)), y[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        cycle.step()
        if step % every == 0 or step == schedule.steps - 1:
            value = float(loss.detach())
            if not math.isfinite(value):
                return None
            curve.append((step + 1, value))
            if progress is not None:
                progress(step + 1, value)
        if stops is not None and (step + 1) % max(1, schedule.steps // stops[0]) == 0:
            number = (step + 1) // max(1, schedule.steps // stops[0])
            if stops[1](number):
                break
    return curve


def _moved(x: Tensor, schedule: Schedule, generator: torch.Generator) -> Tensor:
    """Images each shifted by a few whole pixels (edges repeated), and mirrored when that is wished."""
    reach = round(schedule.shift * x.shape[-1])
    if schedule.flip:
        x = torch.where(torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5, x.flip(3), x)
    if reach == 0:
        return x
    side = x.shape[-1]
    offsets = torch.randint(-reach, reach + 1, (2, len(x), 1), generator=generator)
    rows, columns = (torch.arange(side) + offsets).clamp(0, side - 1)
    return x[torch.arange(len(x))[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@torch.no_grad()
def predict(network: AnyNetwork, x: Tensor, batch: int = 512) -> Tensor:
    """Logits [n, classes] of a network in evaluation mode."""
    network.eval()
    return torch.cat([network(part) for part in torch.split(x, batch)])
