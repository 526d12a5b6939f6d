"""`nas.fit`: the first networks of a search trained, the best one set beside plain baselines and exported."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.nas.services.common import (
    PAPER,
    SOFTWARE,
    SearchInputs,
    design,
    drawing,
    macro_text,
    ranked_table,
    unavailable,
)
from colonnade.results import Artifact, Estimate, Figure, Model, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.nas import Images, Search
    from colonnade.nas.fitting import Fit, Row
    from colonnade.nas.spaces import Design


class FitInputs(SearchInputs):
    """What to train."""

    arch: str = Param(
        "", title="Cell", level="expert", max_length=200,
        help="Train this cell (as NAS-Bench-201 writes it; in the space mobilenet: blocks like "
        "k3e2-k5e4|k3e6|k3e4|k7e2) instead of searching; with the channels, repeats and resolution below.",
    )  # fmt: skip
    channels: int = Param(
        8, title="Channels", ge=1, le=64, level="expert", help="Of the first stage, with a given cell."
    )
    repeats: int = Param(
        1, title="Repeats", ge=1, le=5, level="expert", help="Of the cell in a stage, with a given cell."
    )
    resolution: int = Param(24, title="Resolution", unit="px", ge=8, le=96, level="expert", help="With a given cell.")
    train_top: int = Param(
        3, title="Networks to train", ge=1, le=5, help="The best of them is chosen on a part of the training images."
    )
    epochs: int = Param(20, title="Epochs", ge=1, le=100, help="How often a training sees all images.")
    flip: bool = Param(False, title="Mirror images", help="Right for photographs, wrong for letters and digits.")
    halving: bool = Param(
        False, title="Stop weak ones early", level="expert", help="Asynchronous successive halving; needs Optuna."
    )
    lite0: bool = Param(
        False, title="Compare with EfficientNet-Lite0", level="expert",
        help="A linear layer on its ImageNet features (extra 'features'): hard to beat on photographs.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _cell_exists(self) -> FitInputs:
        if self.arch:
            from colonnade.nas.cells import connected, from_string

            made = design(self.space, self.arch, self.channels, self.repeats, self.resolution)
            if self.space == "cells" and not connected(from_string(str(made))):
                raise ValueError("arch: no path leads from the cell's input to its output; its network would guess")
        return self


class FitOutputs(Outputs):
    """A trained network, what it is worth, and what plain choices are worth."""

    accuracy: Estimate
    verdict: str = Field(title="Against the baselines")
    compared: Table
    compared_plot: Figure
    ranked: Table | None
    curves: Figure
    confusion: Figure
    cell: Figure
    model: Model
    onnx: Artifact | None


@service(
    "nas.fit",
    title="Train a small image network",
    summary="Searches, trains the first few networks, and sets the best beside plain baselines; exports it.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=2)),
    examples={
        "clothes, 30k parameters": {
            "images": "example:nas.fit/clothes.zip", "max_params": 30_000, "train_top": 2, "epochs": 8,
        },
        "hand signs, a given cell": {
            "images": "example:nas.fit/signs.zip", "epochs": 10, "channels": 8,
            "arch": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
        },
    },
    software=SOFTWARE,
    unavailable=unavailable,
    repeatable=False,
)  # fmt: skip
def fit(inputs: FitInputs, job: Job) -> FitOutputs:
    """Train the first networks of a search and tell honestly what the search was good for.

    Networks are chosen on a fifth of the training images; the test images are looked at once, at the end. Beside the
    winner stand a residual cell and the largest cell of about the same size, and a linear layer on frozen features.
    """
    from colonnade.nas import fit as train_best
    from colonnade.nas import plots

    data = inputs.load(job)
    seed = job.seed % 2**32
    found = _found(inputs, data, seed)
    bars: dict[str, Callable[[int], None]] = {}

    def progress(label: str, share: float) -> None:
        if label not in bars:
            bars[label] = job.bar(label, 100)
        bars[label](round(100 * share))

    baselines = ["resnet", "full", "linear", *(["lite0"] if inputs.lite0 else [])]
    done = train_best(
        found, data, train_top=inputs.train_top, epochs=inputs.epochs, baselines=baselines, flip=inputs.flip,
        halving=inputs.halving, seed=seed, progress=progress,
    )  # fmt: skip
    best = done.rows[0]
    architecture = done.trained.network.architecture
    ranked = None if isinstance(found, list) else ranked_table(found.ranked[: inputs.top])
    return FitOutputs(
        accuracy=Estimate(
            value=round(best.accuracy, 2), interval=(round(best.lower, 2), round(best.upper, 2)), unit="%",
            title="Test accuracy", caption=f"On {int(data.test.sum())} images never used for training or choosing; "
            "95 % interval.",
        ),
        verdict=_verdict(done.rows),
        compared=_table(done),
        compared_plot=Figure.of(
            plots.compared(*([getattr(r, k) for r in done.rows] for k in ("name", "accuracy", "lower", "upper"))),
            title="Test accuracy", caption="With 95 % intervals.",
        ),
        ranked=ranked,
        curves=Figure.of(plots.learning_curves(done.curves), title="Learning curves"),
        confusion=Figure.of(plots.confusion(done.confusion, data.names), title="Confusion matrix"),
        cell=drawing(architecture, "The network"),
        model=_model(done, data, job),
        onnx=_onnx(done, data, job),
    )  # fmt: skip


def _found(inputs: FitInputs, data: Images, seed: int) -> Search | list[Design]:
    from colonnade.nas import search

    if inputs.arch:
        return [design(inputs.space, inputs.arch, inputs.channels, inputs.repeats, inputs.resolution)]
    top = max(inputs.top, inputs.train_top)
    return search(data, inputs.limits(), top=top, rerank=inputs.rerank, space=inputs.space, seed=seed)


def _verdict(rows: tuple[Row, ...]) -> str:
    """In one sentence, which baselines the winner beats beyond doubt, and which beat it."""
    best, others = rows[0], rows[1:]
    worse = [r.name for r in others if r.upper < best.lower]
    better = [r.name for r in others if r.lower > best.upper]
    parts = []
    if worse:
        parts.append(f"clearly better than: {', '.join(worse)}")
    if better:
        parts.append(f"clearly worse than: {', '.join(better)}")
    even = [r.name for r in others if r.name not in worse + better]
    if even:
        parts.append(f"not told apart from: {', '.join(even)}")
    return "; ".join(parts) or "no baseline was asked for"


def _table(done: Fit) -> Table:
    rows = done.rows
    return Table.of(
        {
            "network": [r.name for r in rows],
            "accuracy": [round(r.accuracy, 2) for r in rows],
            "from": [round(r.lower, 2) for r in rows],
            "to": [round(r.upper, 2) for r in rows],
            "balanced accuracy": [round(r.balanced, 2) for r in rows],
            "parameters": [r.params for r in rows],
            "multiply-adds": [r.macs for r in rows],
            "training": [round(r.seconds, 1) for r in rows],
            "cell": [str(r.architecture) if r.architecture else "" for r in rows],
        },
        units={"accuracy": "%", "from": "%", "to": "%", "balanced accuracy": "%", "training": "CPU s"},
        title="Compared on the test images",
        caption="Baselines of about the winner's size at its resolution: a residual cell, and a cell of six 3x3 "
        "convolutions; and a linear layer on frozen features, whose encoder is not counted.",
    )


def _model(done: Fit, data: Images, job: Job) -> Model:
    from colonnade.nas.export import save_network

    save_network(done.trained.network, data, job.files / "model.safetensors")
    architecture = done.trained.network.architecture
    return Model(
        file="model.safetensors", parameters=done.rows[0].params, title="Trained network",
        details={"cell": str(architecture), "macro": macro_text(architecture), "classes": ", ".join(data.names)[:500]},
    )  # fmt: skip


def _onnx(done: Fit, data: Images, job: Job) -> Artifact | None:
    from colonnade.nas.errors import NasError
    from colonnade.nas.export import export_onnx

    try:
        export_onnx(done.trained.network, data, job.files / "model.onnx")
    except NasError as error:
        job.log(str(error))
        return None
    return Artifact(file="model.onnx", title="Trained network as ONNX", caption="Reads pixels from 0 to 1, any batch.")
