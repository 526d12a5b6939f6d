"""One table of models by data sets, with intervals: what the paper's authors ask of every new network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from colonnade.physics.errors import PhysicsError
from colonnade.physics.models import REFERENCE
from colonnade.physics.shards import Dataset
from colonnade.physics.training import Progress, Report, Trained, evaluate, events_for, fit

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A span of time such as "90", "30s", "2m", "1h" in seconds.

    Raises:
        PhysicsError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", text)
    if found is None:
        raise PhysicsError(f"budget must be a time such as 30s, 2m or 1h, but is {text!r}.")
    return float(found[1]) * _UNITS[found[2] or "s"]


@dataclass(frozen=True)
class Cell:
    """One model on one data set."""

    trained: Trained
    report: Report


def compare(
    data: Dataset,
    models: Sequence[str] = ("fcn", "graphnet", "reference"),
    *,
    budget: float = 30.0,
    seed: int = 0,
    test: float = 0.25,
    progress: Progress | None = None,
) -> list[Cell]:
    """Train and test models on one data set; the last events are the test set.

    Args:
        data: events in random order.
        models: names; "reference" is the one made for the set.
        budget: CPU-seconds for each model, turned into events by rounded speeds so that results repeat exactly.
        seed: of weights, order and intervals.
        test: share of the events that are kept for the test.
    """
    name = data.spec.name
    cut = int(len(data) * (1 - test))
    cells = []
    for model in dict.fromkeys(REFERENCE[name] if model == "reference" else model for model in models):
        seen = events_for(budget, model, name)
        trained = fit(data, model, seed=seed, stop=cut, events=seen, nodes=60, progress=progress)
        cells.append(Cell(trained, evaluate(trained, data, start=cut, seed=seed)))
    return cells
