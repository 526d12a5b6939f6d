"""`nas.benchmark`: searches on a table of trained cells."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.nas.services.common import PAPER, SOFTWARE, unavailable
from colonnade.results import Figure, Outputs, Table
from colonnade.service import Resources, service


def _check_table(path: Path) -> None:
    from colonnade.nas.tables import read_table

    read_table(path)


TableFile = Annotated[InputFile, Accept(".csv", limit="20 MB", check=_check_table)]


class BenchmarkInputs(Inputs):
    """Which searches, on what."""

    table: TableFile | None = Param(
        None, title="Table",
        help="CSV with the columns cell (as NAS-Bench-201 writes it, or its number), test and, if there is one, "
        "signal: accuracies in % of "
        "what counts and of what a search may see. Without one, the published table is read from COLONNADE_DATA.",
    )  # fmt: skip
    dataset: Literal["cifar10", "cifar100", "imagenet16"] = Param(
        "cifar10", title="Data set", help="Of the published table, when no table is given."
    )
    methods: list[Literal["random", "evolution", "local"]] = Param(
        default_factory=lambda: ["random", "evolution", "local"], title="Searches", min_length=1, max_length=3
    )
    evaluations: int = Param(300, title="Cells to evaluate", ge=10, le=1_000)
    repeats: int = Param(50, title="Repeats", ge=2, le=500)


class BenchmarkOutputs(Outputs):
    """How far each search gets."""

    final: Table
    curves: Figure


@service(
    "nas.benchmark",
    title="Compare searches on a table",
    summary="Runs random search, regularised evolution and local search on a table of trained cells, many times.",
    paper=PAPER,
    resources=Resources(cores=1, memory="2 GiB", walltime=timedelta(minutes=30)),
    examples={
        "a table of predictions": {"table": "example:nas.benchmark/table.csv", "evaluations": 100, "repeats": 20},
    },
    software=SOFTWARE,
    unavailable=unavailable,
)
def benchmark(inputs: BenchmarkInputs, job: Job) -> BenchmarkOutputs:
    """Compare searches that evaluate one cell after another, by what the cell they would take is worth in the end.

    A search sees the signal (12 epochs, validation) and is judged by the test accuracy (200 epochs); beside them stands
    the cell with the most parameters, which needs no search at all.
    """
    import numpy as np

    from colonnade.nas import cells, evolution, oracle, params, plots, space
    from colonnade.nas.tables import read_table

    table = read_table(inputs.table.path) if inputs.table else oracle(inputs.dataset)
    signal = table.test if table.short is None else table.short
    curves: dict[str, np.ndarray] = {}
    for method, seed in zip(inputs.methods, job.seeds(len(inputs.methods)), strict=True):
        bar = job.bar(method, 1)
        curves[method] = evolution.anytime(
            method, signal, table.test, inputs.evaluations, inputs.repeats, np.random.default_rng(seed)
        )
        bar(-1)
    sizes = params(cells.every_cell(), space.NAS_BENCH_201)
    largest = float(table.test[np.flatnonzero(sizes == sizes.max())].mean())
    ends = {name: rows[:, -1] for name, rows in curves.items()}
    names = [*ends, "most parameters", "best of the table"]
    middle = [*(float(v.mean()) for v in ends.values()), largest, table.best]
    error = [*(float(v.std(ddof=1) / len(v) ** 0.5) for v in ends.values()), 0.0, 0.0]
    return BenchmarkOutputs(
        final=Table.of(
            {
                "search": names,
                "test accuracy": [round(v, 3) for v in middle],
                "standard error": [round(v, 3) for v in error],
                "regret": [round(table.best - v, 3) for v in middle],
            },
            units={"test accuracy": "%", "standard error": "%", "regret": "%"},
            title=f"After {inputs.evaluations} cells, mean of {inputs.repeats} repeats",
        ),
        curves=Figure.of(
            plots.regret(curves, table.best), title="Regret", caption="Median and quartiles over the repeats."
        ),
    )
