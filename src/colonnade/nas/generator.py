"""The generator: a data set's vector in a latent space, and graphs grown from it node by node.

After arXiv:2107.00860 (3.2): maximise E_q(z|D)[log p(G|z)] - beta KL(q(z|D) || N(0, 1)) over pairs of a data set D and
a network G that does well on it. The decoder is that of D-VAE (arXiv:1904.11088) with all edges of a node decided at
once, so that a batch grows in eight steps; the macro network is drawn from the last state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.nas import cells, space, statistics
from colonnade.nas.features import Description
from colonnade.nas.graphs import FIRST, INPUT, NODES, OUTPUT, TYPES, Recurrence, node_types, topology
from colonnade.nas.sets import SetEncoder, pad
from colonnade.nas.space import Architecture, Macro

KNOBS: tuple[tuple[int, ...], ...] = (space.CHANNELS, space.REPEATS, space.RESOLUTIONS)


@dataclass(frozen=True)
class Drawn:
    """Graphs as the decoder drew them.

    Attributes:
        types: of the nodes, int64 [n, 8].
        edges: which node feeds which, bool [n, 8, 8].
        knobs: places in `KNOBS` of the macro networks, int64 [n, 3].
    """

    types: Tensor
    edges: Tensor
    knobs: Tensor

    @property
    def valid(self) -> np.ndarray:
        """Which of them are cells of the space, bool [n]."""
        inner = self.types[:, 1:-1]
        typed = (self.types[:, 0] == INPUT) & (self.types[:, -1] == OUTPUT) & (inner >= FIRST).all(1)
        wired = (self.edges == torch.from_numpy(topology())).flatten(1).all(1)
        return np.asarray((typed & wired).numpy())

    def architectures(self) -> list[Architecture]:
        """The valid ones."""
        found = []
        for types, knobs in zip(self.types[self.valid].tolist(), self.knobs[self.valid].tolist(), strict=True):
            cell = cells.to_index([kind - FIRST for kind in types[1:-1]])
            found.append(Architecture(cell, Macro(*(values[k] for values, k in zip(KNOBS, knobs, strict=True)))))
        return found


@dataclass(frozen=True)
class Quality:
    """What is usually said of a generator, each in %.

    Attributes:
        validity: drawn graphs that are cells of the space.
        uniqueness: different cells among the valid ones.
        novelty: valid ones whose cell the generator was not trained on.
    """

    validity: float
    uniqueness: float
    novelty: float


def quality(drawn: Drawn, known: set[int]) -> Quality:
    """Validity, uniqueness and novelty of drawn graphs, `known` being the cells of the training."""
    found = [a.cell for a in drawn.architectures()]
    if not found:
        return Quality(0.0, 0.0, 0.0)
    return Quality(
        validity=100 * len(found) / len(drawn.types),
        uniqueness=100 * len(set(found)) / len(found),
        novelty=100 * sum(cell not in known for cell in found) / len(found),
    )


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each row, summed over its columns."""
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)


class Generator(nn.Module):
    """Data sets to networks.

    Args:
        features: of the encoder's images.
        hidden: of the decoder.
        latent: dimensions of z.
    """

    stats_mean: Tensor
    stats_spread: Tensor

    def __init__(self, features: int, hidden: int = 48, latent: int = 16) -> None:
        super().__init__()
        self.latent = latent
        self.sets = SetEncoder(features, 32, 16)
        self.stats = nn.Linear(len(statistics.NAMES), 16)
        self.encode = nn.Linear(32, 2 * latent)
        self.start = nn.Linear(latent, hidden)
        self.grow = Recurrence(TYPES, NODES, hidden)
        self.kind = nn.Sequential(nn.Linear(2 * hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, TYPES))
        self.edge = nn.Sequential(nn.Linear(2 * hidden + 2 * NODES, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, 1))
        self.knobs = nn.ModuleList(nn.Linear(2 * hidden, len(values)) for values in KNOBS)
        self.register_buffer("stats_mean", torch.zeros(len(statistics.NAMES)))
        self.register_buffer("stats_spread", torch.ones(len(statistics.NAMES)))

    def latents(self, descriptions: Sequence[Description]) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|D), [b, latent] each."""
        sets, mask = pad([d.features for d in descriptions])
        numbers = (torch.stack([d.statistics for d in descriptions]) - self.stats_mean) / self.stats_spread
        joined = torch.cat([torch.tanh(self.sets(sets, mask)), torch.tanh(self.stats(numbers))], 1)
        mean, log_variance = self.encode(joined).chunk(2, 1)
        return mean, log_variance

    def negative_log_likelihood(self, z: Tensor, architectures: Sequence[Architecture]) -> Tensor:
        """-log p(G|z) of each network, [b], with its own nodes and edges fed back."""
        types = node_types(np.array([cells.from_index(a.cell) for a in architectures]))
        knobs = torch.tensor([
            [values.index(v) for values, v in zip(KNOBS, astuple(a.macro), strict=True)]
            for a in architectures
        ])  # fmt: skip
        edges = torch.from_numpy(topology()).expand(len(types), NODES, NODES)
        total = torch.zeros(len(z))
        for logits, wanted in self._run(z, _Given(types, edges, knobs)):
            if logits.ndim == 2 and wanted.dtype == torch.int64:
                total = total + F.cross_entropy(logits, wanted, reduction="none")
            else:
                total = total + F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1)
        return total

    @torch.no_grad()
    def draw(self, z: Tensor, generator: torch.Generator, temperature: float = 1.0, masked: bool = True) -> Drawn:
        """One graph from each z [n, latent].

        Args:
            temperature: below 1 the likely is drawn more often, above 1 less.
            masked: only what belongs to the space can be drawn; otherwise what the decoder has learned decides.
        """
        choice = _Chosen(len(z), generator, temperature, masked)
        for _ in self._run(z, choice):
            pass
        return Drawn(choice.types, choice.edges, choice.knobs)

    def _run(self, z: Tensor, choice: _Given | _Chosen) -> list[tuple[Tensor, Tensor]]:
        """Grow graphs; `choice` decides what each step takes. Gives (logits, what was taken) of each decision."""
        start = torch.tanh(self.start(z))
        n = len(z)
        state = self.grow.step(torch.full((n,), INPUT), start)
        states, messages = [state], [self.grow.message(state, 0)]
        places = torch.eye(NODES)
        decisions: list[tuple[Tensor, Tensor]] = []
        for node in range(1, NODES):
            if node < NODES - 1:
                logits = self.kind(torch.cat([states[-1], start], 1))
                decisions.append((logits, choice.kind(node, logits)))
            types = choice.types[:, node]
            draft = self.grow.step(types, torch.stack(messages, 1).mean(1))
            before = torch.stack(states, 1)
            pairs = torch.cat([before, draft[:, None].expand_as(before), places[:node].expand(n, -1, -1),
                               places[node].expand(n, node, -1)], 2)  # fmt: skip
            scores = self.edge(pairs)[..., 0]
            taken = choice.edge(node, scores)
            decisions.append((scores, taken))
            state = self.grow.step(types, torch.einsum("bp,bph->bh", taken, torch.stack(messages, 1)))
            states.append(state)
            messages.append(self.grow.message(state, node))
        last = torch.cat([states[-1], start], 1)
        for place, head in enumerate(self.knobs):
            logits = head(last)
            decisions.append((logits, choice.knob(place, logits)))
        return decisions


class _Given:
    """What to take is known: a network to learn."""

    def __init__(self, types: Tensor, edges: Tensor, knobs: Tensor) -> None:
        self.types, self.edges, self.knobs = types, edges, knobs

    def kind(self, node: int, logits: Tensor) -> Tensor:
        return self.types[:, node]

    def edge(self, node: int, logits: Tensor) -> Tensor:
        return self.edges[:, :node, node].to(logits.dtype)

    def knob(self, place: int, logits: Tensor) -> Tensor:
        return self.knobs[:, place]


class _Chosen:
    """What to take is drawn."""

    def __init__(self, n: int, generator: torch.Generator, temperature: float, masked: bool) -> None:
        self.generator, self.temperature, self.masked = generator, temperature, masked
        self.types = torch.full((n, NODES), OUTPUT)
        self.types[:, 0] = INPUT
        self.edges = torch.zeros(n, NODES, NODES, dtype=torch.bool)
        self.knobs = torch.zeros(n, len(KNOBS), dtype=torch.int64)

    def kind(self, node: int, logits: Tensor) -> Tensor:
        if self.masked:
            logits = logits.clone()
            logits[:, :FIRST] = -torch.inf
        self.types[:, node] = self._pick(logits)
        return self.types[:, node]

    def edge(self, node: int, logits: Tensor) -> Tensor:
        if self.masked:
            taken = torch.from_numpy(topology())[:node, node].expand(len(logits), -1)
        else:
            chance = torch.sigmoid(logits / self.temperature)
            taken = torch.rand(chance.shape, generator=self.generator) < chance
        self.edges[:, :node, node] = taken
        return taken.to(logits.dtype)

    def knob(self, place: int, logits: Tensor) -> Tensor:
        self.knobs[:, place] = self._pick(logits)
        return self.knobs[:, place]

    def _pick(self, logits: Tensor) -> Tensor:
        chance = torch.softmax(logits / self.temperature, 1)
        return torch.multinomial(chance, 1, generator=self.generator)[:, 0]
