"""The carried models: an ensemble of predictors with calibrated intervals, and the generator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from colonnade.nas import cells, weights
from colonnade.nas.errors import NasError
from colonnade.nas.features import Description
from colonnade.nas.generator import Drawn, Generator
from colonnade.nas.predictor import Predictor, from_logit, graph_vectors
from colonnade.nas.space import Macro
from colonnade.nas.spaces import CELLS, Design, Space, macro_features, named

FORMAT = "colonnade.nas/1"
LEVEL = 0.9  # of the intervals


@dataclass(frozen=True)
class Predicted:
    """What the ensemble says of some networks on one data set.

    Attributes:
        standing: relative to other networks, in standard deviations, float64 [n]: what ranks them.
        logits: logit accuracies after a short training, float64 [n].
        margin: half the width of the intervals on the scale of the logits.
        disagreement: standard deviation of the members' standings, float64 [n].
    """

    standing: np.ndarray
    logits: np.ndarray
    margin: float
    disagreement: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        return from_logit(self.logits)

    @property
    def lower(self) -> np.ndarray:
        return from_logit(self.logits - self.margin)

    @property
    def upper(self) -> np.ndarray:
        return from_logit(self.logits + self.margin)


@dataclass(frozen=True)
class MetaModel:
    """Predictors, generator, and what is needed to say how far they can be trusted.

    Attributes:
        encoder: whose features they read.
        members: of the ensemble.
        statistics: of the training tasks, float32 [tasks, 19].
        residuals: logit accuracy minus prediction for tasks whose family was left out, one array for each task.
        known: codes of the graphs that the generator was trained on.
        notes: about the training.
        space: of the networks that they know.
    """

    encoder: str
    members: tuple[Predictor, ...]
    generator: Generator
    statistics: Tensor
    residuals: tuple[np.ndarray, ...]
    known: frozenset[int]
    notes: dict[str, Any] = field(default_factory=dict)
    space: Space = CELLS

    @torch.inference_mode()
    def predict(self, architectures: Sequence[Design], description: Description) -> Predicted:
        """Standings, accuracies and intervals of networks on a data set."""
        rows = torch.from_numpy(self.space.features(architectures, description))
        return self._combine([
            (member.standing(graph_vectors(member, architectures), rows, d.expand(len(rows), -1)), *member.levels(d))
            for member in self.members
            for d in [member.describe([description])]
        ], description)  # fmt: skip

    @torch.inference_mode()
    def predict_all(
        self, macros: Sequence[Macro], description: Description, numbers: np.ndarray | None = None
    ) -> Predicted:
        """The same for every macro network with each cell of `numbers` (default: all 15,625), macro by macro."""
        chosen = np.arange(cells.COUNT) if numbers is None else numbers
        grid = cells.every_cell()[chosen]
        rows = [torch.from_numpy(macro_features(grid, macro, description)) for macro in macros]
        found = []
        for member in self.members:
            described = member.describe([description])
            graphs = member.graph.every_cell()
            graphs = graphs if numbers is None else graphs[torch.from_numpy(chosen.astype(np.int64))]
            wide = described.expand(len(graphs), -1)
            found.append((torch.cat([member.standing(graphs, row, wide) for row in rows]), *member.levels(described)))
        return self._combine(found, description)

    @torch.inference_mode()
    def draw(
        self, description: Description, n: int, temperature: float = 1.0, seed: int = 0, masked: bool = True
    ) -> Drawn:
        """What the generator draws for a data set, each from a place of its own in the latent space."""
        generator = torch.Generator().manual_seed(seed)
        mean, log_variance = self.generator.latents([description])
        noise = torch.randn(n, self.generator.latent, generator=generator)
        return self.generator.draw(mean + noise * (log_variance / 2).exp(), generator, temperature, masked)

    def _combine(self, found: list[tuple[Tensor, Tensor, Tensor]], description: Description) -> Predicted:
        standings = torch.stack([standing for standing, _, _ in found]).double()
        mean, spread = (float(torch.stack([member[i] for member in found]).mean()) for i in (1, 2))
        standing = standings.mean(0).numpy()
        margin = quantile(self.residuals, LEVEL) * self.widening(description)
        return Predicted(standing, mean + spread * standing, margin, standings.std(0, correction=0).numpy())

    def distance(self, description: Description) -> float:
        """How far a data set is from the training tasks, in units of the farthest of these from the others.

        Mahalanobis distance of the data sets' statistics, with half of each variance kept on the diagonal.
        """
        known = self.statistics.double().numpy()
        alone = [_mahalanobis(known[i], np.delete(known, i, 0)) for i in range(len(known))]
        return float(_mahalanobis(description.statistics.double().numpy(), known) / np.quantile(alone, 0.99))

    def widening(self, description: Description) -> float:
        """Factor on the intervals: 1 within the domain of the training tasks, the distance outside."""
        return max(1.0, self.distance(description))


def _mahalanobis(point: np.ndarray, known: np.ndarray) -> float:
    centred = known - known.mean(0)
    variance = centred.T @ centred / len(known)
    shrunk = 0.5 * variance + np.diag(0.5 * np.diag(variance) + 1e-3)
    difference = point - known.mean(0)
    return float(np.sqrt(difference @ np.linalg.solve(shrunk, difference)))


def quantile(residuals: Sequence[np.ndarray], level: float) -> float:
    """Half the width of an interval that holds for a new task, from residuals of earlier tasks.

    Split conformal prediction with tasks as the exchangeable units: every task weighs the same, and one more task, of
    which nothing is known, counts as larger than all.
    """
    sizes = np.concatenate([np.abs(r) for r in residuals])
    weights = np.concatenate([np.full(len(r), 1 / len(r)) for r in residuals]) / (len(residuals) + 1)
    order = np.argsort(sizes)
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, level))
    return float(sizes[order][min(place, len(sizes) - 1)])


def save(model: MetaModel, path: Path) -> None:
    """Write to a safetensors file; weights in half precision."""
    tensors = {"statistics": model.statistics, "known": torch.tensor(sorted(model.known))}
    for place, member in enumerate(model.members):
        tensors |= {f"member{place}.{name}": value.half() for name, value in member.state_dict().items()}
    tensors |= {f"generator.{name}": value.half() for name, value in model.generator.state_dict().items()}
    tensors |= {f"residuals.{i:03d}": torch.from_numpy(r).float() for i, r in enumerate(model.residuals)}
    metadata = {"format": FORMAT, "encoder": model.encoder, "space": model.space.name, "notes": json.dumps(model.notes)}
    save_file({name: value.contiguous() for name, value in tensors.items()}, str(path), metadata)


def load(path: Path | str) -> MetaModel:
    """Read a file that `save` wrote.

    Raises:
        NasError: it is none of ours.
    """
    tensors, metadata = weights.read(path, FORMAT, "models", "models")
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        owner, _, rest = name.partition(".")
        parts.setdefault(owner, {})[rest] = value.float() if value.dtype == torch.float16 else value
    count = sum(owner.startswith("member") for owner in parts)
    space = named(metadata.get("space", CELLS.name))
    members = [_filled(Predictor(_width(parts[f"member{i}"]), space=space), parts[f"member{i}"]) for i in range(count)]
    generator = _filled(Generator(_width(parts["generator"]), space=space), parts["generator"])
    return MetaModel(
        metadata["encoder"],
        tuple(members),
        generator,
        tensors["statistics"],
        tuple(parts["residuals"][name].numpy() for name in sorted(parts["residuals"])),
        frozenset(tensors["known"].tolist()),
        json.loads(metadata["notes"]),
        space,
    )


def _width(state: dict[str, Tensor]) -> int:
    return int(state["sets.within.first.query.weight"].shape[1])


def _filled(module: Any, state: dict[str, Tensor]) -> Any:
    module.load_state_dict(state)
    return module.eval()


@lru_cache(maxsize=4)
def carried(encoder: str = "small", space: str = "cells") -> MetaModel:
    """The models that come with the package, for one encoder and space.

    Raises:
        NasError: there are none.
    """
    path = zoo_file("models", encoder, named(space).name, "safetensors")
    if not path.is_file():
        raise NasError(f"encoder: there are no models of the space {space!r} on features of {encoder!r}.")
    return load(path)


def zoo_file(kind: str, encoder: str, space: str, ending: str, zoo: Path = Path(__file__).parent / "zoo") -> Path:
    """Where models, or what was measured of them, are kept."""
    return zoo / f"{kind}-{encoder}{'' if space == CELLS.name else '-' + space}.{ending}"
