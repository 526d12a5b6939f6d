"""Meta-training: the encoder, the predictors and the generator from the tasks and outcomes of a meta-database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colonnade.nas import spaces
from colonnade.nas.data import Images
from colonnade.nas.features import Description, coloured, small_network, standardised
from colonnade.nas.generator import Generator, divergence
from colonnade.nas.metadb import Outcome
from colonnade.nas.network import Network
from colonnade.nas.predictor import Predictor, logit
from colonnade.nas.spaces import Design


@dataclass(frozen=True)
class Records:
    """Outcomes as arrays; trainings of one network on one task from several seeds are averaged.

    Attributes:
        tasks: names.
        task: of each record, int64 [n], into `tasks`.
        architectures: of each record.
        y: logit accuracies, float32 [n].
        mean, spread: of the logit accuracies of each task, float32 [tasks].
    """

    tasks: tuple[str, ...]
    task: np.ndarray
    architectures: tuple[Design, ...]
    y: np.ndarray
    mean: np.ndarray
    spread: np.ndarray

    @property
    def standing(self) -> np.ndarray:
        """Each record in standard deviations of its task, float32 [n]."""
        return np.asarray((self.y - self.mean[self.task]) / self.spread[self.task])

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Places of the records of some tasks."""
        return np.flatnonzero(np.isin(self.task, [self.tasks.index(name) for name in names]))


def records(outcomes: Sequence[Outcome], space: str = "cells") -> Records:
    """The outcomes of a meta-database in one space as arrays."""
    grouped: dict[tuple[str, Design], list[float]] = {}
    for outcome in outcomes:
        if outcome.trial.space != space:
            continue
        grouped.setdefault((outcome.trial.task, outcome.trial.architecture), []).append(outcome.accuracy)
    names = tuple(sorted({task for task, _ in grouped}))
    task = np.array([names.index(name) for name, _ in grouped])
    y = logit(np.array([np.mean(values) for values in grouped.values()])).astype(np.float32)
    mean = np.array([y[task == t].mean() for t in range(len(names))])
    spread = np.array([y[task == t].std() + 0.05 for t in range(len(names))])
    return Records(names, task, tuple(architecture for _, architecture in grouped), y, mean, spread)


class Table:
    """What the predictors read, computed once for all members: node types and macro features of every record."""

    def __init__(self, found: Records, descriptions: dict[str, Description]) -> None:
        self.records, self.descriptions = found, [descriptions[name] for name in found.tasks]
        self.space = spaces.of(found.architectures[0])
        self.types = self.space.node_types(found.architectures)
        rows = np.empty((len(found.y), spaces.FEATURES), dtype=np.float32)
        for t, description in enumerate(self.descriptions):
            own = np.flatnonzero(found.task == t)
            rows[own] = self.space.features([found.architectures[i] for i in own], description)
        self.macro = torch.from_numpy(rows)
        self.standing = torch.from_numpy(found.standing.astype(np.float32))

    def scale(self, network: Predictor | Generator, names: Sequence[str]) -> None:
        """Give a network the means and spreads of what it reads, over the tasks that it may see."""
        seen = [self.records.tasks.index(name) for name in names]
        numbers = torch.stack([self.descriptions[t].statistics for t in seen])
        network.stats_mean.copy_(numbers.mean(0))
        network.stats_spread.copy_(numbers.std(0) + 1e-2)
        if isinstance(network, Predictor):
            rows = self.macro[self.records.of(names)]
            network.macro_mean.copy_(rows.mean(0))
            network.macro_spread.copy_(rows.std(0) + 1e-2)


def train_predictor(
    table: Table, names: Sequence[str], seed: int, blind: bool = False, steps: int = 200, tasks: int = 6, each: int = 20
) -> Predictor:
    """One member of an ensemble, from the records of some tasks."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    predictor = Predictor(table.descriptions[0].features.shape[-1], blind=blind, space=table.space)
    table.scale(predictor, names)
    optimiser, cycle = _optimiser(predictor, 3e-3, 1e-2, steps)
    found = table.records
    members = {t: np.flatnonzero(found.task == t) for t in (found.tasks.index(name) for name in names)}
    predictor.train()
    for _ in range(steps):
        chosen = rng.choice(sorted(members), min(tasks, len(members)), replace=False)
        rows = [rng.choice(members[t], min(each, len(members[t])), replace=False) for t in chosen]
        described = predictor.describe([_resampled(table.descriptions[t], rng) for t in chosen])
        places = torch.from_numpy(np.concatenate(rows))
        repeats = torch.tensor([len(r) for r in rows])
        standing = predictor.standing(
            predictor.graphs(table.types[places]), table.macro[places], described.repeat_interleave(repeats, 0)
        )
        loss = F.smooth_l1_loss(standing, table.standing[places]) + 0.3 * _order(
            standing, table.standing[places], repeats
        )
        mean, spread = predictor.levels(described)
        wanted = torch.from_numpy(found.mean[chosen]).float(), torch.from_numpy(found.spread[chosen]).float()
        loss = loss + 0.2 * (F.smooth_l1_loss(mean, wanted[0]) + F.smooth_l1_loss(spread.log(), wanted[1].log()))
        _update(loss, predictor, optimiser, cycle)
    return predictor.eval()


def _order(predicted: Tensor, wanted: Tensor, repeats: Tensor) -> Tensor:
    """Logistic loss of pairs within a task that stand apart by more than half a standard deviation."""
    total = predicted.new_zeros(())
    sizes = repeats.tolist()
    for p, w in zip(torch.split(predicted, sizes), torch.split(wanted, sizes), strict=True):
        apart = (w[:, None] - w[None]) > 0.5
        if apart.any():
            total = total + F.softplus(p[None] - p[:, None])[apart].mean()
    return total / len(repeats)


def _resampled(description: Description, rng: np.random.Generator, classes: int = 8, samples: int = 8) -> Description:
    """The same data set seen through fewer of its classes and images."""
    c, s, _ = description.features.shape
    kept = rng.choice(c, min(c, classes), replace=False)
    some = rng.choice(s, min(s, samples), replace=False)
    part = description.features[torch.from_numpy(kept)][:, torch.from_numpy(some)]
    return Description(part, description.statistics, description.classes, description.channels)


def best(table: Table, names: Sequence[str], share: float = 0.3) -> list[tuple[int, Design]]:
    """The best `share` of the networks of each task, at least four: pairs of the task's place and a network."""
    found = table.records
    pairs = []
    for name in names:
        rows = found.of([name])
        first = rows[np.argsort(-found.y[rows])][: max(4, round(share * len(rows)))]
        pairs += [(found.tasks.index(name), found.architectures[int(i)]) for i in first]
    return pairs


def train_generator(
    table: Table, names: Sequence[str], seed: int, steps: int = 800, tasks: int = 8, each: int = 8, beta: float = 0.005
) -> Generator:
    """A generator from the best networks of each task."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    generator = Generator(table.descriptions[0].features.shape[-1], space=table.space)
    table.scale(generator, names)
    liked: dict[int, list[Design]] = {}
    for t, network in best(table, names):
        liked.setdefault(t, []).append(network)
    optimiser, cycle = _optimiser(generator, 3e-3, 1e-4, steps)
    generator.train()
    for _ in range(steps):
        seen = rng.choice(sorted(liked), min(tasks, len(liked)), replace=False).tolist()
        chosen = [liked[t][i] for t in seen for i in rng.integers(len(liked[t]), size=each)]
        mean, log_variance = generator.latents([_resampled(table.descriptions[t], rng) for t in seen])
        place = torch.arange(len(seen)).repeat_interleave(each)
        z = mean[place] + torch.randn(len(place), generator.latent) * (log_variance[place] / 2).exp()
        loss = generator.negative_log_likelihood(z, chosen).mean()
        _update(loss + beta * divergence(mean, log_variance).mean(), generator, optimiser, cycle)
    return generator.eval()


def train_encoder(tasks: dict[str, Images], seed: int, steps: int = 400, batch: int = 48) -> Network:
    """The small encoder: one network with a last layer for each task, trained on all of them in turn."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = small_network()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    names = sorted(tasks)
    sets = {}
    for name in names:
        data = tasks[name]
        training = ~data.test
        sets[name] = standardised(coloured(data.x[training])), torch.from_numpy(data.y[training])
    heads = nn.ModuleDict({name: nn.Linear(network.head.in_features, tasks[name].classes) for name in names})
    both = nn.ModuleList([network, heads])
    optimiser, cycle = _optimiser(both, 1e-2, 1e-2, steps)
    network.train()
    for step in range(steps):
        name = names[step % len(names)]
        x, y = sets[name]
        chosen = torch.from_numpy(rng.choice(len(y), min(batch, len(y)), replace=False))
        loss = F.cross_entropy(heads[name](network.features(x[chosen])), y[chosen])
        _update(loss, both, optimiser, cycle)
    _settle(network, sets, rng)
    network.eval()
    return network


def _settle(network: Network, sets: dict[str, tuple[Tensor, Tensor]], rng: np.random.Generator) -> None:
    """Statistics of the normalisation over all tasks at once: those of training follow the last task seen."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    mixed = torch.cat(
        [x[torch.from_numpy(rng.choice(len(x), min(len(x), 40), replace=False))] for x, _ in sets.values()]
    )
    network.train()
    with torch.no_grad():
        for part in torch.split(mixed[torch.from_numpy(rng.permutation(len(mixed)))], 256):
            network.features(part)


def _optimiser(
    module: nn.Module, rate: float, decay: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.OneCycleLR]:
    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=decay)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.2, cycle_momentum=False)


def _update(
    loss: Tensor, module: nn.Module, optimiser: torch.optim.Optimizer, cycle: torch.optim.lr_scheduler.OneCycleLR
) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 2.0)
    optimiser.step()
    cycle.step()
