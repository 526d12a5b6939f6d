"""`nas.search`: from images to ranked networks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.nas.services.common import (
    PAPER,
    SOFTWARE,
    SearchInputs,
    card_table,
    drawing,
    ranked_table,
    sheet,
    unavailable,
)
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.nas import Candidate, Images, Search


class RankInputs(SearchInputs):
    """What to rank, and whether a few short trainings may help."""

    method: Literal["all", "generator"] = Param(
        "all", title="Candidates", level="expert",
        help="all: score every network of the space; generator: those that the generator draws for these images. The "
        "space mobilenet is too large for all: there up to 2,000 that the generator draws are scored.",
    )  # fmt: skip
    refine: int = Param(
        0, title="Short trainings", ge=0, le=16, level="expert",
        help="Train so many networks for a second or two each on your images and learn from them; it stops early when "
        "another one promises little.",
    )  # fmt: skip


class RankOutputs(Outputs):
    """Ranked networks."""

    ranked: Table
    domain: str = Field(title="Domain")
    notes: list[str] = Field(title="What to know")
    pareto: Figure
    cells: list[Figure]
    card: Table
    sheet: Figure
    refined: Table | None
    code: Artifact


@service(
    "nas.search",
    title="Find a small image network",
    summary="Ranks 129,000 small networks for your images in seconds without training one, within limits of size.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(minutes=30)),
    examples={
        "hand signs, 50k parameters": {"images": "example:nas.search/signs.zip", "max_params": 50_000},
        "clothes, refined by short trainings": {
            "images": "example:nas.search/clothes.zip",
            "max_params": 50_000,
            "refine": 8,
        },
        "inverted residual blocks": {
            "images": "example:nas.search/signs.zip",
            "space": "mobilenet",
            "max_params": 50_000,
            "max_macs": 1_000_000,
        },
    },
    software=SOFTWARE,
    unavailable=unavailable,
    repeatable=False,
)
def search(inputs: RankInputs, job: Job) -> RankOutputs:
    """Rank the networks of a space of cells for a data set that has never been trained on.

    A predictor that was trained once on a database of short trainings (data set, network, accuracy) scores every cell
    in every macro network; what keeps within the limits is ordered, its latency measured here. Intervals come from
    tasks that the predictor had not seen.
    """
    from colonnade.nas import plots
    from colonnade.nas.searching import search as ranked_search
    from colonnade.nas.searching import with_latency

    data = inputs.load(job)
    seed = job.seed % 2**32
    found = ranked_search(
        data,
        inputs.limits(),
        top=max(inputs.top, 64) if inputs.refine else inputs.top,
        rerank=inputs.rerank,
        timed=not inputs.refine,
        generate=2_000 if inputs.method == "generator" else 0,
        space=inputs.space,
        seed=seed,
    )
    for warning in found.warnings[len(data.warnings) :]:
        job.log(warning)
    job.log(f"{found.scored[0]:,} networks scored, {found.scored[1]:,} of them within the limits")
    ranked, refined = found.ranked, None
    if inputs.refine:
        ranked, refined = _refined(inputs, job, data, found, seed)
        ranked = tuple(with_latency(candidate, data) for candidate in ranked[: inputs.top])
    inside = "inside" if found.distance <= 1 else "OUTSIDE: the order deserves less trust, and intervals are wider"
    return RankOutputs(
        ranked=ranked_table(ranked),
        domain=f"distance {found.distance:.2f} from the training tasks (known to 1.00): {inside}",
        notes=list(found.warnings),
        pareto=Figure.of(plots.pareto(ranked, found.front), title="Accuracy against size"),
        cells=[drawing(c.architecture, f"Network of rank {i + 1}") for i, c in enumerate(ranked[:2])],
        card=card_table(data, found.description),
        sheet=sheet(data),
        refined=refined,
        code=job.artifact("build.py", _code(ranked[0], data), title="Build the first", media_type="text/x-python"),
    )


def _refined(
    inputs: RankInputs, job: Job, data: Images, found: Search, seed: int
) -> tuple[tuple[Candidate, ...], Table]:
    """The candidates in the order that some short trainings give them, and the trainings."""
    import numpy as np

    from colonnade.nas.fitting import inner
    from colonnade.nas.refinement import refine, updated

    listed = [c.architecture for c in found.ranked]
    from colonnade.nas.ensemble import carried

    predicted = carried(space=inputs.space).predict(listed, found.description)
    sizes = np.log([[c.params, c.macs, c.architecture.resolution] for c in found.ranked])
    bar = job.bar("Short trainings", inputs.refine)
    learned = refine(listed, predicted, sizes, inner(data, seed), trainings=inputs.refine, seed=seed, progress=bar)
    bar(-1)
    job.log(f"Refinement stopped: {learned.stopped}")
    table = Table.of(
        {
            "training": list(range(1, len(learned.trained) + 1)),
            "predicted": [round(found.ranked[i].accuracy, 1) for i in learned.trained],
            "accuracy": [round(a, 1) for a in learned.accuracies],
            "cell": [found.ranked[i].arch for i in learned.trained],
        },
        units={"predicted": "%", "accuracy": "%"},
        title="Short trainings",
        caption="Validated on a fifth of the training images; the test images were not used. "
        f"Stopped: {learned.stopped}.",
    )
    return updated(found.ranked, learned), table


def _code(candidate: Candidate, data: Images) -> str:
    from colonnade.nas.mobilenet import Mobile

    found = candidate.architecture
    if isinstance(found, Mobile):
        made = f'nas.Mobile.of("{found}", width={found.width}, resolution={found.resolution})'
    else:
        macro = found.macro
        made = (
            f'nas.Architecture.of(\n    "{found}",\n'
            f"    nas.Macro(channels={macro.channels}, repeats={macro.repeats}, resolution={macro.resolution}),\n)"
        )
    return (
        '"""The first network of this search as a torch module."""\n\nfrom colonnade import nas\n\n'
        f"architecture = {made}\n"
        f"network = nas.build(architecture, in_channels={data.channels}, classes={data.classes})\n"
    )
