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

from colonnade.nas import cells, statistics
from colonnade.nas.features import Description
from colonnade.nas.graphs import GraphEncoder, node_types
from colonnade.nas.sets import SetEncoder, pad
from colonnade.nas.space import Architecture, Macro, macs, params

MACRO = 6  # numbers that describe a macro network around a cell


def macro_features(found: np.ndarray, macro: Macro, description: Description) -> np.ndarray:
    """Size and shape of cells [n, 6] in a macro network on a data set, float32 [n, 6]."""
    sized = [
        np.log10(count(found, macro, description.channels, description.classes).astype(np.float64))
        for count in (params, macs)
    ]
    side = 2.0 ** float(description.statistics[statistics.NAMES.index("log_side")])
    fixed = [np.log2(macro.channels), macro.repeats, np.log2(macro.resolution), np.log2(macro.resolution / side)]
    return np.stack([*sized, *(np.full(len(found), value) for value in fixed)], 1).astype(np.float32)


class Predictor(nn.Module):
    """One member of the ensemble.

    Args:
        features: of the encoder's images.
        hidden: of the graph encoder.
        blind: whether the data set is hidden from it: the baseline that any use of the data set must beat.
    """

    stats_mean: Tensor
    stats_spread: Tensor
    macro_mean: Tensor
    macro_spread: Tensor

    def __init__(self, features: int, hidden: int = 48, blind: bool = False) -> None:
        super().__init__()
        self.blind = blind
        self.graph = GraphEncoder(hidden, 24)
        self.sets = SetEncoder(features, 32, 8)
        self.stats = nn.Linear(len(statistics.NAMES), 8)
        self.drop = nn.Dropout(0.2)
        self.rank = nn.Sequential(nn.Linear(24 + MACRO + 16, 64), nn.SiLU(), nn.Linear(64, 1))
        self.level = nn.Sequential(nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 2))
        for name, size in (("stats", len(statistics.NAMES)), ("macro", MACRO)):
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


def graph_vectors(predictor: Predictor, architectures: Sequence[Architecture]) -> Tensor:
    """Vectors of the cells of some networks, [n, 24]."""
    numbers, inverse = np.unique([a.cell for a in architectures], return_inverse=True)
    if len(numbers) > 2000:
        return predictor.graph.every_cell()[[a.cell for a in architectures]]
    vectors: Tensor = predictor.graph(node_types(cells.every_cell()[numbers]))
    return vectors[torch.from_numpy(inverse)]


def logit(accuracy: np.ndarray) -> np.ndarray:
    """Accuracies in % to the scale on which they are predicted; kept from 1 to 99 %."""
    share = np.clip(np.asarray(accuracy, dtype=np.float64) / 100, 0.01, 0.99)
    return np.asarray(np.log(share / (1 - share)))


def from_logit(value: np.ndarray) -> np.ndarray:
    """The inverse of `logit`, in %."""
    return np.asarray(100 / (1 + np.exp(-np.asarray(value, dtype=np.float64))))
