"""`causal.benchmark`: the leaderboard."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from colonnade.causal.services.common import PAPER, SOFTWARE, rows_table
from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service


class BenchmarkInput(Inputs):
    """What to compare."""

    preset: Literal["quick", "structure", "paper"] = Param(
        "quick", title="Preset",
        help="quick: six trainings, minutes. structure: flat against structured models. paper: every world and model, "
        "hours.",
    )  # fmt: skip
    seeds: int = Param(1, ge=1, le=10, title="Seeds", help="Repetitions of everything; intervals need several.")
    updates: int | None = Param(
        None, ge=1, le=100_000, title="Gradient steps", level="expert", help="In place of the preset's own."
    )


class BenchmarkOutput(Outputs):
    """The leaderboard."""

    leaderboard: Table
    page: Artifact
    figures: list[Figure]


@service(
    "causal.benchmark",
    title="Benchmark world models",
    summary="Trains and scores world models beside the oracle's ceiling and predictors that know nothing of causes.",
    paper=PAPER,
    resources=Resources(cores=2, memory="6 GiB", walltime=timedelta(hours=24)),
    examples={"Quick": {"preset": "quick"}},
    software=SOFTWARE,
)
def benchmark(inputs: BenchmarkInput, job: Job) -> BenchmarkOutput:
    """Every cell (world, model, loss, seed) is trained and scored by itself, on the cluster when there is one."""
    from colonnade.causal import bench
    from colonnade.causal.leaderboard import Leaderboard

    cells = bench.preset(inputs.preset, range(inputs.seeds))
    if inputs.updates is not None:
        cells = [cell.model_copy(update={"updates": inputs.updates}) for cell in cells]
    seconds = sum(cell.seconds for cell in cells)
    job.log(f"{len(cells)} trainings, about {seconds / 60:.0f} minutes of one core.")
    cells = [cell.model_copy(update={"seed": cell.seed + job.seed % 2**20}) for cell in cells]
    board = Leaderboard(job.map(bench.run_cell, cells, label="Trainings"))
    rows = board.rows()
    table = rows_table(rows, "Leaderboard", "In percent, but nats. oracle: the ceiling. Baselines know no causes.")
    return BenchmarkOutput(
        leaderboard=table,
        page=job.artifact("leaderboard.html", board.to_html(), title="Leaderboard with graphs", media_type="text/html"),
        figures=[Figure.of(figure, title=title) for title, figure in board.figures().items()],
    )
