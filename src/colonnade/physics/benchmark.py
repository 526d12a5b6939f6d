"""One table of models by data sets, with intervals: what the paper's authors ask of every new network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from colonnade.physics.budget import events_for
from colonnade.physics.errors import between
from colonnade.physics.models import REFERENCE
from colonnade.physics.multitask import shared_weights
from colonnade.physics.shards import Dataset
from colonnade.physics.training import Progress, Report, Trained, evaluate, fit


@dataclass(frozen=True)
class Cell:
    """One model on one data set; the test events begin at `start`."""

    trained: Trained
    report: Report
    start: int


def compare(
    data: Dataset,
    models: Sequence[str] = ("fcn", "graphnet", "reference"),
    *,
    budget: float = 30.0,
    seed: int = 0,
    test: float | Dataset = 0.25,
    shared: bool = False,
    progress: Progress | None = None,
) -> list[Cell]:
    """Train and test models on one data set.

    Args:
        data: events in random order.
        models: names; "reference" is the one made for the set.
        budget: CPU-seconds for each model, turned into events by rounded speeds so that results repeat exactly.
        seed: of weights, order and intervals.
        test: events for the test, or the share of `data`, its last events, that is kept for it.
        shared: begin `graphnet` with the weights that were trained on all five sets, not with fresh ones.
        progress: called with the share of a model's budget that is spent, and 1.

    Raises:
        PhysicsError: a share that leaves nothing, a model that does not fit, labels of one class.
    """
    name = data.spec.name
    cut = len(data)
    if not isinstance(test, Dataset):
        between("test", test, 0.01, 0.99)
        cut = int(len(data) * (1 - test))
    where, start = (test, 0) if isinstance(test, Dataset) else (data, cut)
    cells = []
    for model in dict.fromkeys(REFERENCE[name] if model == "reference" else model for model in models):
        seen = events_for(budget, model, name)
        begin = shared_weights(name) if shared and model == "graphnet" else None
        trained = fit(data, model, start=begin, seed=seed, stop=cut, events=seen, nodes=60, progress=progress)
        cells.append(Cell(trained, evaluate(trained, where, start=start, seed=seed), start))
    return cells


@dataclass(frozen=True)
class Entry:
    """One entry of a benchmark; can be sent to another process."""

    folder: str
    model: str
    budget: float
    seed: int


def run_entry(entry: Entry) -> Report:
    """Train and test one model on the data set in a folder, on one core."""
    torch.set_num_threads(1)
    return compare(Dataset(entry.folder), [entry.model], budget=entry.budget, seed=entry.seed)[0].report


def latex(reports: Sequence[Report]) -> str:
    """The measures as a LaTeX table, a line a model."""
    lines = [r"\begin{tabular}{llrl}", r"\hline", r"data set & model & parameters & measures \\", r"\hline"]
    for report in reports:
        measures = ", ".join(
            f"{name} ${value.value:.4g}_{{-{value.value - value.low:.2g}}}^{{+{value.high - value.value:.2g}}}$"
            for name, value in report.measures.items()
        )
        plain = measures.replace("eps_B", r"$\epsilon_B$").replace("eps_S", r"$\epsilon_S$")
        lines.append(f"{report.dataset} & {report.model} & {report.parameters} & {plain} " + r"\\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}"]) + "\n"
