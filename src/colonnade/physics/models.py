"""The networks: the simple graph network for all five data sets, and the reference models it is compared with.

Every model maps a `Graph` to one number an event: a logit, or a standardised quantity.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from colonnade.physics.errors import PhysicsError, one_of
from colonnade.physics.features import FEATURES
from colonnade.physics.graphs import Graph, dynamic_knn
from colonnade.physics.layers import EdgeConv, SimpleGCN, mlp

SIDES = {"spinodal": 20, "eos": 24}
NODES = {"top": 100, "spinodal": 400, "eos": 576, "airshower": 81, "belle": 100}


class GraphNet(nn.Module):
    """The simple graph network of arXiv:2107.00656: 3 dense layers a node, 3 graph convolutions, mean, 7 dense layers.

    Each dense layer is followed by ReLU and PReLU, each convolution by batch norm, PReLU and dropout. Unlike in the
    published code padded nodes take no part in norms and means.

    Args:
        features: of a node.
        width: of all layers (256 in the paper).
        normalise: divide the sum over neighbours by their number (the paper does not; small widths train better so).
        dropout: 0.2 in the paper; the last layer has half.
    """

    def __init__(self, features: int, width: int = 256, normalise: bool = False, dropout: float = 0.2) -> None:
        super().__init__()
        sizes = [features, width, width]
        self.node = nn.ModuleList([nn.Linear(size, width) for size in sizes])
        self.node_act = nn.ModuleList([nn.PReLU() for _ in sizes])
        self.convolution = nn.ModuleList([SimpleGCN(width, width, normalise) for _ in range(3)])
        self.convolution_after = nn.ModuleList([_after(width, dropout) for _ in range(3)])
        self.head = nn.ModuleList([nn.Linear(width, width) for _ in range(7)])
        self.head_after = nn.ModuleList([_after(width, dropout if i < 6 else dropout / 2) for i in range(7)])
        self.out = nn.Linear(width, 1)

    def forward(self, graph: Graph) -> torch.Tensor:
        found: torch.Tensor = self.out(self.embed(graph)).squeeze(1)
        return found

    def embed(self, graph: Graph) -> torch.Tensor:
        """(events, width): what the last layer sees."""
        x = graph.flat
        for dense, act in zip(self.node, self.node_act, strict=True):
            x = act(torch.relu(dense(x)))
        for convolution, after in zip(self.convolution, self.convolution_after, strict=True):
            x = after(convolution(x, graph.sparse))
        x = graph.pool(x)
        for dense, after in zip(self.head, self.head_after, strict=True):
            x = after(torch.relu(dense(x)))
        return x


def _after(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm1d(width), nn.PReLU(width), nn.Dropout(dropout))


class FCN(nn.Module):
    """The fully connected network of arXiv:2107.00656: all features in a row, 12 dense layers."""

    def __init__(self, features: int, nodes: int, width: int = 256, layers: int = 12) -> None:
        super().__init__()
        self.nodes = nodes
        self.body = mlp(nodes * features, *[width] * layers)
        self.out = nn.Linear(width, 1)

    def forward(self, graph: Graph) -> torch.Tensor:
        x = graph.x[:, : self.nodes]
        short = self.nodes - x.shape[1]
        if short > 0:
            x = torch.cat([x, x.new_zeros(len(x), short, x.shape[2])], dim=1)
        found: torch.Tensor = self.out(self.body(x.flatten(1))).squeeze(1)
        return found


class PFN(nn.Module):
    """Particle flow network (arXiv:1810.05165): a sum over particles between two dense networks."""

    def __init__(self, features: int, width: int = 100, latent: int = 128) -> None:
        super().__init__()
        self.inner, self.outer = mlp(features, width, width, latent), mlp(latent, width, width)
        self.norm, self.out = nn.BatchNorm1d(features), nn.Linear(width, 1)

    def forward(self, graph: Graph) -> torch.Tensor:
        total = graph.pool(self.inner(self.norm(graph.flat)), mean=False)
        found: torch.Tensor = self.out(self.outer(total / 50)).squeeze(1)  # 50: about the constituents of a jet
        return found


class EFN(nn.Module):
    """Energy flow network (arXiv:1810.05165): particles enter by direction, weighted with their share of the pT.

    The sum over particles is linear in their energies: the network is infrared and collinear safe whatever its weights.
    """

    def __init__(self, width: int = 100, latent: int = 128) -> None:
        super().__init__()
        self.inner, self.outer = mlp(2, width, width, latent), mlp(latent, width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, graph: Graph) -> torch.Tensor:
        x = graph.flat
        # Columns 2, 3 are the direction from the jet axis, 4 is log(pT / pT(jet)).
        total = graph.pool(torch.exp(x[:, 4:5]) * self.inner(x[:, 2:4] / 0.3), mean=False)
        found: torch.Tensor = self.out(self.outer(total)).squeeze(1)
        return found


class ParticleNet(nn.Module):
    """ParticleNet (arXiv:1902.08570): edge convolutions, the first on the given graph, the others on dynamic ones.

    Args:
        features: of a node.
        widths: of the convolutions; (64, 128, 256) in the paper, (32, 64) in its lite form.
        k: neighbours in the dynamic graphs (16, lite 7).
        head: width of the last dense layer (256, lite 128).
    """

    def __init__(
        self,
        features: int,
        widths: tuple[int, ...] = (64, 128, 256),
        k: int = 16,
        head: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.k, self.norm = k, nn.BatchNorm1d(features)
        sizes = (features, *widths)
        self.edges = nn.ModuleList([EdgeConv(a, b) for a, b in pairwise(sizes)])
        self.body, self.out = mlp(widths[-1], head, dropout=dropout), nn.Linear(head, 1)

    def forward(self, graph: Graph) -> torch.Tensor:
        x, near = self.norm(graph.flat), graph.sparse
        for index, layer in enumerate(self.edges):
            x = layer(x, near if index == 0 else dynamic_knn(x, graph, self.k))
        found: torch.Tensor = self.out(self.body(graph.pool(x))).squeeze(1)
        return found


class ParT(nn.Module):
    """A small particle transformer: self-attention without positions, means over real nodes (after arXiv:2202.03772).

    The lite form leaves the pairwise interaction terms of the published model out.
    """

    def __init__(self, features: int, width: int = 64, layers: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, width))
        block = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def forward(self, graph: Graph) -> torch.Tensor:
        used = int(graph.mask.sum(dim=1).max()) or 1
        hidden = ~graph.mask[:, :used]
        hidden = torch.cat([hidden[:, :0], hidden & ~hidden.all(dim=1, keepdim=True)], dim=1)
        x = self.body(self.inner(graph.x[:, :used]), src_key_padding_mask=hidden)
        real = graph.mask[:, :used, None]
        found: torch.Tensor = self.out((x * real).sum(dim=1) / graph.counts).squeeze(1)
        return found


class CNN(nn.Module):
    """A small image network with the filters of the reference model of the EOSL set (arXiv:2107.00656)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        filters = [*_filters(1, 16, 7, pool=False), *_filters(16, 16, 7), *_filters(16, 32, 5)]
        self.body = nn.Sequential(*filters, nn.Flatten(), nn.Linear(32 * (side // 4) ** 2, 128))
        self.out = nn.Sequential(nn.BatchNorm1d(128), nn.PReLU(), nn.Dropout(0.5), nn.Linear(128, 1))

    def forward(self, graph: Graph) -> torch.Tensor:
        found: torch.Tensor = self.out(self.body(graph.x.reshape(-1, 1, self.side, self.side))).squeeze(1)
        return found


def _filters(inputs: int, outputs: int, size: int, pool: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, size, padding="same")]
    layers += [nn.AvgPool2d(2)] if pool else []
    return [*layers, nn.BatchNorm2d(outputs), nn.PReLU(), nn.Dropout(0.2)]


class StationNet(nn.Module):
    """Air showers: convolutions along each station's trace, then residual units over the array.

    The reference model (arXiv:2107.00656) reads traces with LSTMs, which is many times slower on a processor.
    """

    def __init__(self, trace: int = 16, width: int = 32, units: int = 3) -> None:
        super().__init__()
        self.trace = nn.Sequential(
            nn.Conv1d(1, 16, 7, stride=4), nn.ReLU(), nn.Conv1d(16, trace, 5, stride=3), nn.ReLU(), nn.Flatten()
        )
        self.mix = nn.Linear(trace * 5, trace)
        self.first = nn.Conv2d(trace + 1, width, 1)
        self.units = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(2 * units)])
        self.out = nn.Linear(2 * width, 1)

    def forward(self, graph: Graph) -> torch.Tensor:
        flat = graph.x.reshape(-1, 81)
        trace = torch.relu(self.mix(self.trace(flat[:, None, :80])))
        x = torch.cat([trace, flat[:, 80:]], dim=1).reshape(-1, 9, 9, trace.shape[1] + 1).permute(0, 3, 1, 2)
        x = torch.relu(self.first(x))
        for one, two in zip(self.units[::2], self.units[1::2], strict=True):
            x = torch.relu(x + two(torch.relu(one(x))))
        found: torch.Tensor = self.out(torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)).squeeze(1)
        return found


class BelleGCN(nn.Module):
    """The reference model of the Belle set: 3 dense layers a particle, 3 graph convolutions, sum, 3 dense layers."""

    def __init__(self, features: int, width: int = 128) -> None:
        super().__init__()
        self.node = mlp(features, width, width, width)
        self.convolution = nn.ModuleList([SimpleGCN(width, width, normalise=True) for _ in range(3)])
        self.head, self.out = mlp(width, width, width, width), nn.Linear(width, 1)

    def forward(self, graph: Graph) -> torch.Tensor:
        x = self.node(graph.flat)
        for layer in self.convolution:
            x = layer(x, graph.sparse)
        # 40: about the particles of an event
        found: torch.Tensor = self.out(self.head(graph.pool(x, mean=False) / 40)).squeeze(1)
        return found


class InvariantNet(nn.Module):
    """A Lorentz-invariant network: pairs of particles enter by their inner products alone.

    Messages depend on p_i.p_j and (p_i - p_j)², each as sign(v) log(1 + |v|), as in LorentzNet (arXiv:2201.08187)
    without its update of the vectors: invariant under every Lorentz transformation of the jet.
    """

    def __init__(self, width: int = 32, layers: int = 2) -> None:
        super().__init__()
        self.start = nn.Linear(1, width)
        self.message = nn.ModuleList([mlp(2 * width + 2, width, width) for _ in range(layers)])
        self.update = nn.ModuleList([mlp(2 * width, width) for _ in range(layers)])
        self.out = nn.Sequential(*mlp(width, width), nn.Linear(width, 1))

    def forward(self, graph: Graph) -> torch.Tensor:
        if graph.p4 is None:
            raise PhysicsError("model 'invariant' needs four-momenta, which only the set top has.")
        used = int(graph.mask.sum(dim=1).max()) or 1
        metric = graph.p4.new_tensor([1.0, -1.0, -1.0, -1.0])
        p4 = graph.p4[:, :used].to(self.start.weight.dtype)
        real = graph.mask[:, :used]
        products = (p4 * metric.to(p4)) @ p4.transpose(1, 2)
        squares = torch.diagonal(products, dim1=1, dim2=2)
        apart = squares[:, :, None] + squares[:, None] - 2 * products
        pairs = torch.stack([_squash(products), _squash(apart)], dim=-1)
        linked = (real[:, :, None] & real[:, None])[..., None].to(p4)
        h = self.start(_squash(squares)[..., None])
        for message, update in zip(self.message, self.update, strict=True):
            both = torch.cat([_rows(h, used), _columns(h, used), pairs], dim=-1)
            heard = (message(both) * linked).sum(dim=2) / graph.counts[:, :, None]
            h = h + update(torch.cat([h, heard], dim=-1))
        found: torch.Tensor = self.out((h * real[..., None]).sum(dim=1) / graph.counts).squeeze(1)
        return found


def _rows(h: torch.Tensor, nodes: int) -> torch.Tensor:
    return h[:, :, None].expand(-1, -1, nodes, -1)


def _columns(h: torch.Tensor, nodes: int) -> torch.Tensor:
    return h[:, None].expand(-1, nodes, -1, -1)


def _squash(value: torch.Tensor) -> torch.Tensor:
    return torch.sign(value) * torch.log1p(value.abs())


_SMALL: dict[str, dict[str, Any]] = {  # what differs from the published sizes
    "graphnet": {"width": 64, "normalise": True, "dropout": 0.0},
    "fcn": {"width": 128, "layers": 6},
    "particlenet-lite": {"widths": (32, 64), "k": 7, "head": 128},
}
Make = Callable[[str, dict[str, Any]], nn.Module]
_BUILD: dict[str, tuple[tuple[str, ...], Make]] = {
    "graphnet": (tuple(FEATURES), lambda name, o: GraphNet(FEATURES[name], **o)),
    "graphnet-paper": (tuple(FEATURES), lambda name, o: GraphNet(FEATURES[name], **o)),
    "fcn": (tuple(FEATURES), lambda name, o: FCN(FEATURES[name], NODES[name], **o)),
    "pfn": (("top", "belle"), lambda name, o: PFN(FEATURES[name], **o)),
    "efn": (("top",), lambda name, o: EFN(**o)),
    "particlenet": (("top",), lambda name, o: ParticleNet(FEATURES[name], **o)),
    "particlenet-lite": (("top",), lambda name, o: ParticleNet(FEATURES[name], **o)),
    "part-lite": (("top", "belle"), lambda name, o: ParT(FEATURES[name], **o)),
    "invariant": (("top",), lambda name, o: InvariantNet(**o)),
    "cnn": (("spinodal", "eos"), lambda name, o: CNN(SIDES[name], **o)),
    "stations": (("airshower",), lambda name, o: StationNet(**o)),
    "gcn": (("belle",), lambda name, o: BelleGCN(FEATURES[name], **o)),
}
MODELS = tuple(_BUILD)
REFERENCE = {"top": "particlenet-lite", "spinodal": "cnn", "eos": "cnn", "airshower": "stations", "belle": "gcn"}


def build(model: str, dataset: str, seed: int = 0, **options: Any) -> nn.Module:
    """A model with fresh weights for a data set.

    Args:
        model: one of `MODELS`, or "reference": the one that was made for this set.
        dataset: one of the five.
        seed: of the initial weights.
        options: of the model's class, such as `width`.

    Raises:
        PhysicsError: unknown model, or one that cannot read this data set.
    """
    name = REFERENCE[dataset] if model == "reference" else model
    one_of("model", name, (*MODELS, "reference"))
    fits, make = _BUILD[name]
    if dataset not in fits:
        raise PhysicsError(f"model {name!r} is for {', '.join(fits)}, not for {dataset}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(dataset, _SMALL.get(name, {}) | options)


def parameters(net: nn.Module) -> int:
    """How many numbers a model learns."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
