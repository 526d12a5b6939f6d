"""The generator: a data set's vector in a latent space, and graphs grown from it node by node.

After arXiv:2107.00860 (3.2): maximise E_q(z|D)[log p(G|z)] - beta KL(q(z|D) || N(0, 1)) over pairs of a data set D and
a network G that does well on it. The decoder is that of D-VAE (arXiv:1904.11088) with all edges of a node decided at
once, so that a batch grows in as many steps as there are nodes; the knobs are drawn from the last state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.nas import statistics
from colonnade.nas.features import Description
from colonnade.nas.graphs import INPUT, OUTPUT, Recurrence
from colonnade.nas.sets import SetEncoder, pad
from colonnade.nas.spaces import CELLS, Design, Space


@dataclass(frozen=True)
class Drawn:
    """Graphs as the decoder drew them.

    Attributes:
        types: of the nodes, int64 [n, nodes].
        edges: which node feeds which, bool [n, nodes, nodes].
        knobs: places in the space's knobs, int64 [n, knobs].
        space: that they are to belong to.
    """

    types: Tensor
    edges: Tensor
    knobs: Tensor
    space: Space = CELLS

    @property
    def valid(self) -> np.ndarray:
        """Which of them belong to the space, bool [n]."""
        wired = (self.edges == self.space.topology).flatten(1).all(1)
        return np.asarray((self.space.valid(self.types) & wired).numpy())

    def architectures(self) -> list[Design]:
        """The valid ones."""
        valid = torch.from_numpy(self.valid)
        return [
            self.space.network(types, [values[k] for values, k in zip(self.space.knobs, knobs, strict=True)])
            for types, knobs in zip(self.types[valid].tolist(), self.knobs[valid].tolist(), strict=True)
        ]


@dataclass(frozen=True)
class Quality:
    """What is usually said of a generator, each in %.

    Attributes:
        validity: drawn graphs that belong to the space.
        uniqueness: different graphs among the valid ones.
        novelty: valid ones whose graph the generator was not trained on.
    """

    validity: float
    uniqueness: float
    novelty: float


def quality(drawn: Drawn, known: set[int]) -> Quality:
    """Validity, uniqueness and novelty of drawn graphs, `known` being the codes of those of the training."""
    found = [drawn.space.code(a) for a in drawn.architectures()]
    if not found:
        return Quality(0.0, 0.0, 0.0)
    return Quality(
        validity=100 * len(found) / len(drawn.types),
        uniqueness=100 * len(set(found)) / len(found),
        novelty=100 * sum(code not in known for code in found) / len(found),
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
        space: of the networks.
    """

    stats_mean: Tensor
    stats_spread: Tensor

    def __init__(self, features: int, hidden: int = 48, latent: int = 16, space: Space = CELLS) -> None:
        super().__init__()
        self.latent, self.space = latent, space
        nodes, types = space.nodes, space.types
        self.sets = SetEncoder(features, 32, 16)
        self.stats = nn.Linear(len(statistics.NAMES), 16)
        self.encode = nn.Linear(32, 2 * latent)
        self.start = nn.Linear(latent, hidden)
        self.grow = Recurrence(types, nodes, hidden)
        self.kind = nn.Sequential(nn.Linear(2 * hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, types))
        self.edge = nn.Sequential(nn.Linear(2 * hidden + 2 * nodes, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, 1))
        self.wiring = nn.Parameter(torch.zeros(nodes, nodes))  # tendency of each pair of nodes to be joined
        self.knobs = nn.ModuleList(nn.Linear(2 * hidden, len(values)) for values in space.knobs)
        self.register_buffer("stats_mean", torch.zeros(len(statistics.NAMES)))
        self.register_buffer("stats_spread", torch.ones(len(statistics.NAMES)))

    def latents(self, descriptions: Sequence[Description]) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|D), [b, latent] each."""
        sets, mask = pad([d.features for d in descriptions])
        numbers = (torch.stack([d.statistics for d in descriptions]) - self.stats_mean) / self.stats_spread
        joined = torch.cat([torch.tanh(self.sets(sets, mask)), torch.tanh(self.stats(numbers))], 1)
        mean, log_variance = self.encode(joined).chunk(2, 1)
        return mean, log_variance

    def negative_log_likelihood(self, z: Tensor, architectures: Sequence[Design]) -> Tensor:
        """-log p(G|z) of each network, [b], with its own nodes and edges fed back."""
        types = self.space.node_types(architectures)
        knobs = torch.tensor([
            [values.index(v) for values, v in zip(self.space.knobs, self.space.knob_values(a), strict=True)]
            for a in architectures
        ])  # fmt: skip
        edges = self.space.topology.expand(len(types), -1, -1)
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
        choice = _Chosen(len(z), self.space, generator, temperature, masked)
        for _ in self._run(z, choice):
            pass
        return Drawn(choice.types, choice.edges, choice.knobs, self.space)

    def _run(self, z: Tensor, choice: _Given | _Chosen) -> list[tuple[Tensor, Tensor]]:
        """Grow graphs; `choice` decides what each step takes. Gives (logits, what was taken) of each decision."""
        start = torch.tanh(self.start(z))
        n, nodes = len(z), self.space.nodes
        state = self.grow.step(torch.full((n,), INPUT), start)
        states, messages = [state], [self.grow.message(state, 0)]
        places = torch.eye(nodes)
        decisions: list[tuple[Tensor, Tensor]] = []
        for node in range(1, nodes):
            if node < nodes - 1:
                logits = self.kind(torch.cat([states[-1], start], 1))
                decisions.append((logits, choice.kind(node, logits)))
            types = choice.types[:, node]
            draft = self.grow.step(types, torch.stack(messages, 1).mean(1))
            before = torch.stack(states, 1)
            pairs = torch.cat([before, draft[:, None].expand_as(before), places[:node].expand(n, -1, -1),
                               places[node].expand(n, node, -1)], 2)  # fmt: skip
            # Scaled up, so that what is common to all graphs is learned in the first steps.
            scores = self.edge(pairs)[..., 0] + 30 * self.wiring[:node, node]
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

    def __init__(self, n: int, space: Space, generator: torch.Generator, temperature: float, masked: bool) -> None:
        self.space, self.generator, self.temperature, self.masked = space, generator, temperature, masked
        self.types = torch.full((n, space.nodes), OUTPUT)
        self.types[:, 0] = INPUT
        self.edges = torch.zeros(n, space.nodes, space.nodes, dtype=torch.bool)
        self.knobs = torch.zeros(n, len(space.knobs), dtype=torch.int64)

    def kind(self, node: int, logits: Tensor) -> Tensor:
        if self.masked:
            logits = logits.masked_fill(~self.space.permitted(self.types, node), -torch.inf)
        self.types[:, node] = self._pick(logits)
        return self.types[:, node]

    def edge(self, node: int, logits: Tensor) -> Tensor:
        if self.masked:
            taken = self.space.topology[:node, node].expand(len(logits), -1)
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
