"""`pruning.export`: a graph that removes tokens itself, checked and timed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.pruning.services.common import (
    ONNX,
    PAPER,
    SOFTWARE,
    ZIP,
    ModelInputs,
    unavailable,
)
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.pruning.zoo import Opened

LENGTHS = (16, 32, 64, 128, 256, 512)
Format = Literal["onnx", "onnx-int8", "openvino"]
_NEEDS = {"onnx": "onnxruntime", "onnx-int8": "onnxruntime", "openvino": "openvino"}


class ExportInputs(ModelInputs):
    """A model, and the engine that shall run it."""

    format: Format = Param(
        "onnx", title="Format", help="onnx-int8 quantises weights, and activations as they come; openvino is 32-bit."
    )
    dial: float = Param(1.0, title="Dial", ge=0, le=4, help="Scales the thresholds that are written into the graph.")
    tokens: int = Param(256, title="Check and time up to", unit="tokens", ge=16, le=512)

    @model_validator(mode="after")
    def _installed(self) -> ExportInputs:
        missing = [name for name in ("onnx", "onnxscript", _NEEDS[self.format]) if find_spec(name) is None]
        if missing:
            raise ValueError(
                f"format: {self.format} needs {', '.join(missing)}; install with: "
                "pip install 'colonnade[pruning-export]'"
            )
        return self


class ExportOutputs(Outputs):
    """The graph, how exact and how fast it is."""

    gain: Estimate
    difference: Estimate
    table: Table
    curve: Figure
    graph: Artifact
    note: str


@service(
    "pruning.export",
    title="Export a pruned classifier",
    summary="Writes a pruned classifier as an ONNX or OpenVINO graph that removes tokens itself, checks and times it.",
    paper=PAPER,
    resources=Resources(cores=1, memory="6 GiB"),
    examples={"the demo as ONNX": {"tokens": 128}, "the demo for OpenVINO": {"format": "openvino", "tokens": 128}},
    software=(*SOFTWARE, "onnx", "onnxscript", "onnxruntime", "openvino"),
    unavailable=unavailable,
    repeatable=False,
)
def export(inputs: ExportInputs, job: Job) -> ExportOutputs:
    """Trace the model once with a text of open length, and write a graph whose layers drop tokens.

    The graph takes the token ids of one text without padding (`input_ids` [1, n]) and gives logits. It is compared with
    the model itself on texts of film reviews of many lengths, and timed beside a dense graph of the same weights in the
    same engine, on one thread.
    """
    from colonnade.pruning import plots
    from colonnade.pruning.deployment import compare

    opened = inputs.opened()
    opened.model.set_dial(inputs.dial)
    job.log(f"Writing the graphs ({inputs.format})")
    lengths = [n for n in LENGTHS if n < inputs.tokens] + [inputs.tokens]
    bar = job.bar("Timing", len(lengths))
    found = compare(opened.model, opened.tokenizer, inputs.format, job.files, lengths, progress=bar)
    last = found.points[-1]
    return ExportOutputs(
        gain=Estimate(
            value=round(last.dense / last.pruned, 3), title=f"Times faster than dense at {last.length} tokens"
        ),
        difference=Estimate(
            value=float(f"{found.difference:.2g}"),
            title="Largest difference of a logit",
            caption="Between the graph and the model itself; 8-bit graphs differ by their rounding.",
        ),
        table=Table.of(
            {
                "tokens": [p.length for p in found.points],
                "dense": [round(1000 * p.dense, 3) for p in found.points],
                "pruned": [round(1000 * p.pruned, 3) for p in found.points],
                "times faster": [round(p.dense / p.pruned, 3) for p in found.points],
                "FLOPs ratio": [round(p.ratio, 3) for p in found.points],
            },
            units={"dense": "ms", "pruned": "ms"},
            title="Time of one text",
            caption="Medians of interleaved rounds on one thread, dense and pruned graph of the same weights.",
        ),
        curve=Figure.of(
            plots.gains(
                lengths, {inputs.format: [p.dense / p.pruned for p in found.points]}, [p.ratio for p in found.points]
            ),
            title="Gain by length",
        ),
        graph=_artifact(job, found.path),
        note=_note(opened, inputs, found.path),
    )


def _artifact(job: Job, path: Path) -> Artifact:
    kind = ZIP if path.suffix == ".zip" else ONNX
    return job.artifact(path.name, title="Graph that removes tokens", media_type=kind)


def _note(opened: Opened, inputs: ExportInputs, path: Path) -> str:
    classes = ", ".join(f"{k} {name}" for k, name in enumerate(opened.classes))
    return (
        f"{path.name} takes input_ids [1, n] with the special tokens of the model's tokenizer, without padding; "
        f"classes: {classes}. Thresholds were scaled by {inputs.dial:g}."
    )
