"""`nas.score`: given networks, scored for given images."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.nas.services.common import PAPER, SOFTWARE, SPACE_HELP, ImageInputs, design, drawing, unavailable
from colonnade.results import Figure, Outputs, Table
from colonnade.service import Resources, service

MAX_PROXIED = 200  # networks for which training-free proxies are computed


class ScoreInputs(ImageInputs):
    """Which networks."""

    space: Literal["cells", "mobilenet"] = Param("cells", title="Space", help=SPACE_HELP)
    archs: list[str] = Param(
        title="Cells", min_length=1, max_length=15_625,
        help="As NAS-Bench-201 writes them, |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, with the operations none, "
        "skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3; in the space mobilenet as k3e2-k5e4|k3e6|k3e4|k7e2, "
        "four stages of blocks of kernel 3, 5 or 7 and expansion 2, 4 or 6.",
    )  # fmt: skip
    channels: int = Param(8, title="Channels", ge=1, le=64, help="Of the first stage.")
    repeats: int = Param(1, title="Repeats", ge=1, le=5, help="Of the cell in a stage; of cells only.")
    resolution: int = Param(16, title="Resolution", unit="px", ge=8, le=96)
    proxies: bool = Param(
        True, title="Training-free proxies", help="Of the first 200 networks, on a batch of your images."
    )

    @model_validator(mode="after")
    def _cells_exist(self) -> ScoreInputs:
        for text in self.archs:
            design(self.space, text, self.channels, self.repeats, self.resolution)
        return self


class ScoreOutputs(Outputs):
    """What is known of the networks without training."""

    scores: Table
    plot: Figure
    cell: Figure


@service(
    "nas.score",
    title="Score image networks",
    summary="Predicts how given cells do on your images, with sizes, latency and training-free proxies.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(minutes=30)),
    examples={
        "four cells on hand signs": {
            "images": "example:nas.score/signs.zip",
            "archs": [
                "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
                "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|",
                "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
                "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
            ],
        }
    },
    software=SOFTWARE,
    unavailable=unavailable,
    repeatable=False,
)
def score(inputs: ScoreInputs, job: Job) -> ScoreOutputs:
    """Score networks for a data set: predicted accuracy and standing, sizes, measured latency, training-free proxies.

    A cell whose output does not depend on its input is marked as disconnected, and predicted to guess.
    """
    import numpy as np

    from colonnade.nas import cells, describe, latency, plots, proxies
    from colonnade.nas.ensemble import carried

    data = inputs.load(job)
    listed = [design(inputs.space, text, inputs.channels, inputs.repeats, inputs.resolution) for text in inputs.archs]
    model = carried(space=inputs.space)
    predicted = model.predict(listed, describe(data, model.encoder, seed=job.seed % 2**32))
    sized = model.space.sizes(listed, data.channels, data.classes)
    connected = np.array([inputs.space != "cells" or cells.connected(cells.from_string(str(a))) for a in listed])
    chance = 100 / data.classes
    columns = {
        "cell": inputs.archs,
        "connected": connected.tolist(),
        "accuracy": np.where(connected, predicted.accuracy, chance).round(1).tolist(),
        "from": np.where(connected, predicted.lower, chance).round(1).tolist(),
        "to": np.where(connected, predicted.upper, chance).round(1).tolist(),
        "standing": [round(s, 3) if c else None for s, c in zip(predicted.standing.tolist(), connected, strict=True)],
        "parameters": sized[0].tolist(),
        "multiply-adds": sized[1].tolist(),
    }
    if len(listed) <= MAX_PROXIED:
        columns["latency"] = [round(latency(a, data), 3) for a in listed]
    if inputs.proxies and len(listed) <= MAX_PROXIED:
        for name in proxies.PROXIES:
            values = proxies.scores(listed, data, name, job.seed % 2**32)
            columns[name] = [float(f"{v:.5g}") if np.isfinite(v) else None for v in values.tolist()]
    elif inputs.proxies:
        job.log(f"Proxies and latency are left out for more than {MAX_PROXIED} networks")
    sizes = columns["multiply-adds"]
    return ScoreOutputs(
        scores=Table.of(
            columns,
            units={"accuracy": "%", "from": "%", "to": "%", "latency": "ms"},
            title="Networks",
            caption="Accuracy predicted for a short training, with its 90 % interval; standing in standard deviations "
            "among networks; proxies of freshly initialised networks, higher is better.",
        ),
        plot=Figure.of(
            plots.agreement(sizes, columns["accuracy"], "multiply-adds", "predicted accuracy (%)", inputs.archs),
            title="Accuracy against size",
        ),
        cell=drawing(listed[0], "The first network"),
    )
