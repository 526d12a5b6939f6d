"""Inputs and results that several nas services share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.results import Figure, Table

if TYPE_CHECKING:
    from colonnade.nas import Candidate, Images
    from colonnade.nas.features import Description
    from colonnade.nas.searching import Limits
    from colonnade.nas.spaces import Design

PAPER = "arXiv:2107.00860"
SOFTWARE = ("torch", "numpy", "scipy", "pillow", "safetensors")


def unavailable() -> str | None:
    """Why no nas service can run here."""
    needed = {"torch": "torch", "scipy": "scipy", "PIL": "pillow", "safetensors": "safetensors"}
    missing = [name for module, name in needed.items() if find_spec(module) is None]
    return f"{', '.join(missing)} is not installed; pip install 'colonnade[nas]'." if missing else None


def _check_images(path: Path) -> None:
    from colonnade.nas import load_images

    load_images(path)


ImagesFile = Annotated[
    InputFile, Accept(".zip", ".npz", ".tar", ".tar.gz", ".tgz", limit="500 MB", check=_check_images)
]


class ImageInputs(Inputs):
    """Labelled images."""

    images: ImagesFile = Param(
        title="Images",
        help="A folder (from the shell) or a zip that holds one folder of images for each class, or an npz with x "
        "[n, h, w, c] and y. 2 to 500 classes of at least 5 images, 20 to 20,000 images; larger than 96 pixels they "
        "are made smaller.",
    )

    def load(self, job: Job) -> Images:
        """The images, with what was changed on them told to the user."""
        import torch

        from colonnade.nas import load_images

        torch.set_num_threads(max(1, job.cores))
        data = load_images(self.images.path, seed=job.seed % 2**32)
        for warning in data.warnings:
            job.log(warning)
        return data


SPACE_HELP = (
    "cells: 129,336 networks of repeated NAS-Bench-201 cells; mobilenet: 5e12 networks of inverted residual blocks as "
    "in MobileNetV3, for small images."
)


class SearchInputs(ImageInputs):
    """What to look for."""

    space: Literal["cells", "mobilenet"] = Param("cells", title="Space", help=SPACE_HELP)
    max_params: float | None = Param(None, title="Most parameters", ge=1_000, le=1e8, help="300k is 300,000.")
    max_macs: float | None = Param(
        None, title="Most multiply-adds", ge=10_000, le=1e10, help="Of one image through the network."
    )
    max_latency_ms: float | None = Param(
        None, title="Longest latency", unit="ms", gt=0, le=10_000,
        help="Of one image on one core of the machine that runs this, measured.",
    )  # fmt: skip
    top: int = Param(10, title="Networks to list", ge=1, le=50)
    rerank: Literal["none", "naswot", "synflow", "ensemble"] = Param(
        "none", title="Re-rank by", level="expert",
        help="Order the first 48 by the mean of predicted rank and ranks by training-free proxies on your images.",
    )  # fmt: skip

    def limits(self) -> Limits:
        """The bounds as the library takes them."""
        from colonnade.nas.searching import Limits

        unbounded = float("inf")
        return Limits(self.max_params or unbounded, self.max_macs or unbounded, self.max_latency_ms or unbounded)


def ranked_table(ranked: Sequence[Candidate], title: str = "Ranked networks") -> Table:
    """Candidates, best first."""
    columns: dict[str, Any] = {
        "rank": list(range(1, len(ranked) + 1)),
        "accuracy": [round(c.accuracy, 1) for c in ranked],
        "from": [round(c.lower, 1) for c in ranked],
        "to": [round(c.upper, 1) for c in ranked],
        "standing": [round(c.standing, 2) for c in ranked],
        "parameters": [c.params for c in ranked],
        "multiply-adds": [c.macs for c in ranked],
    }
    if all(c.latency_ms is not None for c in ranked):
        columns["latency"] = [round(c.latency_ms or 0.0, 2) for c in ranked]
    columns["macro"] = [macro_text(c.architecture) for c in ranked]
    columns["cell"] = [c.arch for c in ranked]
    return Table.of(
        columns,
        units={"accuracy": "%", "from": "%", "to": "%", "latency": "ms"},
        title=title,
        caption="accuracy: predicted for a short training (32 steps of 64 images) with its 90 % interval, nearly all "
        "of which is about how hard the images are and common to all networks; standing: predicted place among all "
        "networks, in standard deviations, which makes the order; macro: channels x repeats (or width) at the "
        "resolution. A full training gives more (nas.fit).",
    )


def macro_text(architecture: Design) -> str:
    """What is around the cell or the blocks of a network, in a few characters."""
    from colonnade.nas.mobilenet import Mobile

    if isinstance(architecture, Mobile):
        return f"width {architecture.width}, {architecture.resolution} px"
    macro = architecture.macro
    return f"{macro.channels} x {macro.repeats}, {macro.resolution} px"


def drawing(architecture: Design, title: str) -> Figure:
    """A network's cell as a graph, or its blocks one after the other."""
    from colonnade.nas import plots
    from colonnade.nas.mobilenet import Mobile

    figure = plots.blocks(architecture) if isinstance(architecture, Mobile) else plots.cell_drawing(architecture.cell)
    return Figure.of(figure, title=title, caption=str(architecture))


def design(space: str, arch: str, channels: int, repeats: int, resolution: int) -> Design:
    """A network from its text and the knobs around it.

    Raises:
        NasError: malformed; names the position.
    """
    from colonnade.nas.mobilenet import Mobile
    from colonnade.nas.space import Architecture, Macro

    if space == "mobilenet":
        return Mobile.of(arch, channels, resolution)
    return Architecture.of(arch, Macro(channels, repeats, resolution))


def card_table(data: Images, description: Description) -> Table:
    """What the predictor was told about the data set."""
    from colonnade.nas.statistics import DESCRIPTIONS

    values = [float(f"{v:.4g}") for v in description.statistics.tolist()]
    return Table.of(
        {"statistic": list(DESCRIPTIONS.values()), "value": values},
        title="Data set card",
        caption=f"{len(data)} images of {data.classes} classes at {data.side} x {data.side} pixels, {data.channels} "
        f"channel(s); {int(data.test.sum())} kept for the test. Of a sample of the training images.",
    )


def sheet(data: Images) -> Figure:
    """Some of the images, a row for each class."""
    from colonnade.nas import plots

    training = ~data.test
    return Figure.of(plots.contact_sheet(data.x[training], data.y[training], data.names), title="Some of the images")
