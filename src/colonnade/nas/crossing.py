"""Cross-validation of the meta-trained models: families of tasks are left out, so that no close kin teaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr

from colonnade.nas.features import Description
from colonnade.nas.meta import Table, train_predictor
from colonnade.nas.predictor import Predictor


@dataclass(frozen=True)
class Crossed:
    """What was predicted for tasks that were left out, by record.

    Attributes:
        standing: predicted standings, float64 [n].
        logits: predicted logit accuracies, float64 [n].
        foreign: predicted standings when the features and statistics of another task are shown, float64 [n].
    """

    standing: np.ndarray
    logits: np.ndarray
    foreign: np.ndarray


def folds(families: dict[str, str], count: int, seed: int = 0) -> list[list[str]]:
    """Tasks in parts of about equal size, families kept together."""
    rng = np.random.default_rng(seed)
    sizes = {family: sum(f == family for f in families.values()) for family in sorted(set(families.values()))}
    order = sorted(sizes, key=lambda family: (-sizes[family], rng.random()))
    parts: list[list[str]] = [[] for _ in range(count)]
    for family in order:
        smallest = min(parts, key=len)
        smallest += [name for name, f in sorted(families.items()) if f == family]
    return parts


def cross(
    table: Table,
    parts: Sequence[Sequence[str]],
    members: int = 3,
    blind: bool = False,
    seed: int = 0,
) -> Crossed:
    """Predict every record by models that have not seen its task's family.
    Records of tasks in no part stay NaN.
    """
    found = table.records
    standing, logits, foreign = (np.full(len(found.y), np.nan) for _ in range(3))
    rng = np.random.default_rng(seed)
    for number, part in enumerate(parts):
        rest = [name for name in found.tasks if name not in part]
        models = [
            train_predictor(table, rest, seed=100 * number + member + seed, blind=blind) for member in range(members)
        ]
        for name in part:
            rows = found.of([name])
            t = found.tasks.index(name)
            standing[rows], logits[rows] = _predicted(models, table, rows, table.descriptions[t])
            others = [i for i, other in enumerate(found.tasks) if other not in part]
            shown = [table.descriptions[int(i)] for i in rng.choice(others, 5, replace=False)]
            foreign[rows] = np.mean([_predicted(models, table, rows, description)[0] for description in shown], axis=0)
    return Crossed(standing, logits, foreign)


@torch.inference_mode()
def _predicted(
    models: Sequence[Predictor], table: Table, rows: np.ndarray, description: Description
) -> tuple[np.ndarray, np.ndarray]:
    places = torch.from_numpy(rows)
    standings, logits = [], []
    for model in models:
        described = model.describe([description])
        standing = model.standing(
            model.graphs(table.types[places]), table.macro[places], described.expand(len(rows), -1)
        )
        mean, spread = model.levels(described)
        standings.append(standing.numpy())
        logits.append((mean + spread * standing).numpy())
    return np.mean(standings, axis=0), np.mean(logits, axis=0)


def within(table: Table, predicted: np.ndarray, names: Sequence[str] | None = None) -> dict[str, float]:
    """Spearman correlation of predicted and true accuracies within each task."""
    found = table.records
    result = {}
    for name in names or found.tasks:
        rows = found.of([name])
        value = spearmanr(predicted[rows], found.y[rows]).statistic
        result[name] = float(value) if np.isfinite(value) else 0.0
    return result


def paired_interval(first: dict[str, float], second: dict[str, float], seed: int = 0) -> tuple[float, float, float]:
    """Mean over tasks of `first` minus `second`, and its 95 % bootstrap interval over tasks."""
    difference = np.array([first[name] - second[name] for name in first])
    rng = np.random.default_rng(seed)
    means = difference[rng.integers(0, len(difference), (10_000, len(difference)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)
