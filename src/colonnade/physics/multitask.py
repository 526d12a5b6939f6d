"""One graph network for all five data sets: trained on all of them together, then tuned to each.

The aim that arXiv:2107.00656 names and leaves open. Every set has a first layer, norms and a last layer of its own;
all other layers are shared, so that what one set teaches about summing over neighbours serves the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from colonnade.physics.errors import PhysicsError, between
from colonnade.physics.features import NEEDED, Builder
from colonnade.physics.models import GraphNet, build
from colonnade.physics.schema import spec
from colonnade.physics.shards import Dataset
from colonnade.physics.training import FITTED, Progress, cycle

Weights = dict[str, torch.Tensor]
CARRIED = Path(__file__).parent / "weights" / "shared-graphnet.safetensors"


@dataclass(frozen=True)
class SharedNetwork:
    """Graph networks of several data sets that share most of their layers.

    Attributes:
        nets: by data set.
        curve: by data set, the mean training loss of each tenth of the training.
    """

    nets: dict[str, GraphNet]
    curve: dict[str, list[float]]

    def weights(self, name: str) -> Weights:
        """The weights of one data set's network, as `fit(..., start=...)` takes them."""
        return {key: value.detach().clone() for key, value in self.nets[name].state_dict().items()}

    def save(self, file: Path) -> None:
        """Write all weights as safetensors, shared ones once."""
        from safetensors.torch import save_file

        stored: Weights = {}
        for name, net in self.nets.items():
            for key, value in net.state_dict().items():
                stored[f"shared/{key}" if _is_shared(key) else f"{name}/{key}"] = value.contiguous()
        save_file(stored, file)


def shared_weights(name: str) -> Weights:
    """The carried weights of one data set's network, as `fit(..., start=...)` takes them for `graphnet`.

    They were trained on generated events of all five sets together (`scripts/train_physics_shared.py`).

    Raises:
        PhysicsError: no such data set.
    """
    from safetensors.torch import load_file

    prefix = f"{spec(name).name}/"
    stored = load_file(CARRIED)
    own = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
    return own | {key.removeprefix("shared/"): value for key, value in stored.items() if key.startswith("shared/")}


def _is_shared(key: str) -> bool:
    """Whether a weight of `GraphNet` serves all sets: dense layers but the first and the last."""
    part, _, rest = key.partition(".")
    if part == "node":
        return not rest.startswith("0.")
    return part in ("node_act", "convolution", "head")


def together(names: Mapping[str, object] | tuple[str, ...], seed: int = 0, **options: Any) -> SharedNetwork:
    """Fresh networks for some data sets, sharing their middle layers.

    Args:
        names: of the data sets.
        seed: of the weights.
        options: of `GraphNet`, such as `width`.
    """
    nets: dict[str, GraphNet] = {}
    first: GraphNet | None = None
    for name in names:
        net = build("graphnet", name, seed, **options)
        assert isinstance(net, GraphNet)
        if first is not None:
            net.node = nn.ModuleList([net.node[0], *first.node[1:]])
            net.node_act, net.convolution, net.head = first.node_act, first.convolution, first.head
        first = first or net
        nets[name] = net
    return SharedNetwork(nets, {name: [] for name in nets})


def pretrain(
    data: Mapping[str, Dataset],
    *,
    rounds: int = 300,
    batch: int = 64,
    rate: float = 2e-3,
    seed: int = 0,
    stop: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> SharedNetwork:
    """Train one network on several data sets: each round takes one batch of every set and one step on their sum.

    Args:
        data: by name.
        rounds: steps.
        batch: events of each set in a step.
        rate: largest learning rate.
        seed: of weights and order.
        stop: by name, use the first events up to this one only.
        progress: called with the share of the rounds that are done, and 1.
        options: of `GraphNet`.

    Raises:
        PhysicsError: no data set, or one that stands under another's name.
    """
    between("rounds", rounds, 1, 1e7)
    if not data:
        raise PhysicsError("data must hold at least one data set.")
    for name, events in data.items():
        if events.spec.name != name:
            raise PhysicsError(f"data holds the set {events.spec.name} under the name {name}.")
    torch.manual_seed(seed)
    network = together(tuple(data), seed, **options)
    ends = {name: (stop or {}).get(name, len(events)) for name, events in data.items()}
    builders = {name: Builder(name, 60).fit(data[name].arrays(stop=min(FITTED, ends[name]))) for name in data}
    streams = {
        name: _endless(data[name], ends[name], batch, np.random.default_rng([seed, i])) for i, name in enumerate(data)
    }
    unique = {id(p): p for net in network.nets.values() for p in net.parameters()}
    optimiser = torch.optim.AdamW(unique.values(), lr=rate, weight_decay=1e-4)
    tenths: dict[str, list[list[float]]] = {name: [[] for _ in range(10)] for name in data}
    for now in range(rounds):
        optimiser.param_groups[0]["lr"] = rate * cycle(now / rounds)
        optimiser.zero_grad()
        for name, net in network.nets.items():
            net.train()
            some = next(streams[name])
            loss = loss_of(name)(net(builders[name](some)), builders[name].target(some))
            loss.backward()
            tenths[name][10 * now // rounds].append(loss.item())
        nn.utils.clip_grad_norm_(unique.values(), 1.0)
        optimiser.step()
        if progress is not None:
            progress((now + 1) / rounds, 1.0)
    for name, parts in tenths.items():
        network.curve[name].extend(float(np.mean(part)) for part in parts if part)
    return network


def loss_of(name: str) -> nn.Module:
    """The loss of a data set's task."""
    return nn.BCEWithLogitsLoss() if spec(name).task == "classification" else nn.MSELoss()


def _endless(data: Dataset, stop: int, batch: int, rng: np.random.Generator) -> Iterator[dict[str, NDArray[Any]]]:
    columns = (*NEEDED[data.spec.name], data.spec.target)
    while True:
        for some in data.batches(batch, columns=columns, rng=rng, stop=stop):
            if len(some[data.spec.target]) > 1:
                yield some
