"""`nas.generate`: networks drawn for given images."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.nas.services.common import PAPER, SOFTWARE, SPACE_HELP, ImageInputs, drawing, macro_text, unavailable
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table
from colonnade.service import Resources, service


class GenerateInputs(ImageInputs):
    """How many, and how bold."""

    space: Literal["cells", "mobilenet"] = Param("cells", title="Space", help=SPACE_HELP)
    n: int = Param(500, title="Networks", ge=1, le=5_000)
    temperature: float = Param(
        1.0, title="Temperature", ge=0.1, le=2.0, help="Below 1 the likely ones, above 1 more kinds."
    )


class GenerateOutputs(Outputs):
    """Drawn networks and how good the drawing is."""

    quality: Table
    validity: Estimate
    networks: Table
    operations: Figure
    cell: Figure
    csv: Artifact


@service(
    "nas.generate",
    title="Draw image networks",
    summary="Draws networks for your images from the generator, and reports validity, uniqueness and novelty.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(minutes=30)),
    examples={
        "five hundred for hand signs": {"images": "example:nas.generate/signs.zip", "n": 500},
        "inverted residual blocks": {"images": "example:nas.generate/signs.zip", "n": 300, "space": "mobilenet"},
    },
    software=SOFTWARE,
    unavailable=unavailable,
)
def generate(inputs: GenerateInputs, job: Job) -> GenerateOutputs:
    """Draw networks from the latent space at the place where these images lie, and order them by the predictor.

    Quality is measured twice: as the decoder draws freely, edges included, and with what is not in the space masked.
    """
    import numpy as np
    import torch

    from colonnade.nas import describe, plots, quality
    from colonnade.nas.ensemble import carried
    from colonnade.nas.graphs import FIRST

    data = inputs.load(job)
    seed = job.seed % 2**32
    model = carried(space=inputs.space)
    description = describe(data, model.encoder, seed=seed)
    drawn = {masked: model.draw(description, inputs.n, inputs.temperature, seed, masked) for masked in (False, True)}
    measured = {masked: quality(found, set(model.known)) for masked, found in drawn.items()}
    listed = sorted(set(drawn[True].architectures()))
    predicted = model.predict(listed, description)
    order = np.argsort(-predicted.standing, kind="stable")
    columns = {
        "standing": predicted.standing[order].round(3).tolist(),
        "macro": [macro_text(listed[i]) for i in order],
        "cell": [str(listed[i]) for i in order],
    }
    lines = [",".join(columns), *(",".join(map(_quoted, row)) for row in zip(*columns.values(), strict=True))]
    kinds = _kinds(inputs.space)
    types = torch.bincount(drawn[True].types[:, 1:-1].flatten() - FIRST, minlength=len(kinds))
    shares = (100 * types / types.sum()).round(decimals=2).tolist()
    return GenerateOutputs(
        quality=Table.of(
            {
                "drawn": ["freely", "masked to the space"],
                **{
                    k: [round(getattr(measured[m], k), 2) for m in (False, True)]
                    for k in ("validity", "uniqueness", "novelty")
                },
            },
            units={"validity": "%", "uniqueness": "%", "novelty": "%"},
            title="Quality",
            caption="validity: networks of the space among the drawn; uniqueness: different ones among the valid; "
            "novelty: valid ones the generator was not trained on.",
        ),
        validity=Estimate(value=measured[False].validity, unit="%", title="Validity of free drawing"),
        networks=Table.of({k: v[:200] for k, v in columns.items()}, title="Drawn networks, best predicted first"),
        operations=Figure.of(plots.bars(kinds, shares, "share of the places (%)"), title="Operations"),
        cell=drawing(listed[order[0]], "The first network"),
        csv=job.artifact("networks.csv", "\n".join(lines) + "\n", title="All networks", media_type="text/csv"),
    )


def _kinds(space: str) -> tuple[str, ...]:
    """What may stand at a place of a graph, in the order of the types."""
    from colonnade.nas import cells, mobilenet

    if space == "cells":
        return cells.OPERATIONS
    return ("no block", *(f"k{kernel}e{expansion}" for kernel, expansion in mobilenet.KINDS))


def _quoted(value: object) -> str:
    return f'"{value}"' if "," in str(value) else str(value)
