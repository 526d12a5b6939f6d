"""The meta performance predictor: from a data set's description and a network to how well the network will do.

As in the paper (arXiv:2107.00860, 3.4) a data set vector and a graph vector meet in a small network. Other than there,
it predicts two things apart: where a network stands among others on this data set, and where and how wide the
accuracies of this data set lie. The first is what a search needs; mixing them rewards guessing how hard a data set is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from colonnade.nas import statistics
from colonnade.nas.features import Description
from colonnade.nas.graphs import GraphEncoder
from colonnade.nas.sets import SetEncoder, pad
from colonnade.nas.spaces import CELLS, FEATURES, Design, Space


class Predictor(nn.Module):
    """One member of the ensemble.

    Args:
        features: of the encoder's images.
        hidden: of the graph encoder.
        space: of the networks.
        blind: whether the data set is hidden from it: the baseline that any use of the data set must beat.
    """

    stats_mean: Tensor
    stats_spread: Tensor
    macro_mean: Tensor
    macro_spread: Tensor

    def __init__(self, features: int, hidden: int = 48, blind: bool = False, space: Space = CELLS) -> None:
        super().__init__()
        self.blind, self.space = blind, space
        self.graph = GraphEncoder(hidden, 24, space.types, space.nodes)
        self.sets = SetEncoder(features, 32, 8)
        self.stats = nn.Linear(len(statistics.NAMES), 8)
        self.drop = nn.Dropout(0.2)
        self.rank = nn.Sequential(nn.Linear(24 + FEATURES + 16, 64), nn.SiLU(), nn.Linear(64, 1))
        self.level = nn.Sequential(nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 2))
        for name, size in (("stats", len(statistics.NAMES)), ("macro", FEATURES)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_spread", torch.ones(size))

    def describe(self, descriptions: Sequence[Description]) -> Tensor:
        """Vectors of data sets, [b, 16]; zeros when they are hidden."""
        if self.blind:
            return torch.zeros(len(descriptions), 16)
        sets, mask = pad([d.features for d in descriptions])
        numbers = torch.stack([d.statistics for d in descriptions])
        known = torch.tanh(self.stats(self.drop((numbers - self.stats_mean) / self.stats_spread)))
        return torch.cat([self.drop(torch.tanh(self.sets(sets, mask))), known], 1)

    def graphs(self, types: Tensor) -> Tensor:
        """Vectors [n, 24] of networks with these types of nodes, int64 [n, nodes]."""
        encoded: Tensor = self.graph(types, self.space.topology)
        return encoded

    def standing(self, graphs: Tensor, macro: Tensor, described: Tensor) -> Tensor:
        """Where networks stand among others, in standard deviations of the data set's logit accuracies, [b]."""
        scaled = (macro - self.macro_mean) / self.macro_spread
        found: Tensor = self.rank(torch.cat([graphs, scaled, described], 1))[:, 0]
        return found

    def levels(self, described: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the logit accuracies of data sets, [b] each."""
        mean, log_spread = self.level(described).unbind(1)
        return mean, log_spread.clamp(-3, 2).exp()

    def forward(self, graphs: Tensor, macro: Tensor, described: Tensor) -> Tensor:
        """Logit accuracies [b]."""
        mean, spread = self.levels(described)
        return mean + spread * self.standing(graphs, macro, described)


def graph_vectors(predictor: Predictor, found: Sequence[Design]) -> Tensor:
    """Vectors of the graphs of some networks, [n, 24]; each different graph is encoded once."""
    space = predictor.space
    numbers, first, inverse = np.unique([space.code(a) for a in found], return_index=True, return_inverse=True)
    if space is CELLS and len(numbers) > 2000:
        return predictor.graph.every_cell()[[space.code(a) for a in found]]
    vectors = predictor.graphs(space.node_types([found[i] for i in first]))
    return vectors[torch.from_numpy(inverse)]


def logit(accuracy: np.ndarray) -> np.ndarray:
    """Accuracies in % to the scale on which they are predicted; kept from 1 to 99 %."""
    share = np.clip(np.asarray(accuracy, dtype=np.float64) / 100, 0.01, 0.99)
    return np.asarray(np.log(share / (1 - share)))


def from_logit(value: np.ndarray) -> np.ndarray:
    """The inverse of `logit`, in %."""
    return np.asarray(100 / (1 + np.exp(-np.asarray(value, dtype=np.float64))))
