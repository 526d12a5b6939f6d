"""Exported graphs beside dense ones of the same weights in the same engine: equal answers, and times by length."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from colonnade.pruning.cost import Shape, ratio
from colonnade.pruning.errors import one_of
from colonnade.pruning.evaluation import race
from colonnade.pruning.export import OnnxModel, OpenVinoModel, to_int8, to_onnx, to_openvino
from colonnade.pruning.prediction import count_survivors
from colonnade.pruning.texts import Encoded

FORMATS = ("onnx", "onnx-int8", "openvino")
TEXTS = 4  # of each length
TEXT = (
    "the film opens on a rainy street and never quite finds its way indoors . its two leads are charming , the music "
    "is lovely and the camera lingers where it should , but the story that they are given is thin , told twice and "
    "hardly worth the telling . a wonderful last act , funny , sad and honest , makes up for a dull and clumsy hour . "
)


@dataclass(frozen=True)
class Point:
    """Seconds of one text of a length in both graphs, and the ratio of their FLOPs."""

    length: int
    dense: float
    pruned: float
    ratio: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` found: where the graph is, its largest difference from the model, and times by length."""

    path: Path
    difference: float
    points: list[Point]


def write_graph(model: Any, form: str, folder: Path, name: str) -> Path:
    """A model's graph in one of the formats; OpenVINO's is a folder's .xml with its .bin beside it."""
    one_of("format", form, FORMATS)
    path = to_onnx(model, folder / f"{name}.onnx")
    if form == "onnx":
        return path
    final = folder / (f"{name}-int8.onnx" if form == "onnx-int8" else f"{name}.xml")
    made = (to_int8 if form == "onnx-int8" else to_openvino)(path, final)
    path.unlink()
    return made


def runtime(form: str, path: Path) -> Any:
    """The engine of a format with a graph in it."""
    return OpenVinoModel(path) if form == "openvino" else OnnxModel(path)


def sample(tokenizer: Any, length: int, texts: Sequence[str] = (), count: int = TEXTS) -> Encoded:
    """Texts of exactly so many tokens: those given that are long enough, else a review begun at different words."""
    cut = [tokenizer(text, truncation=True, max_length=length, verbose=False)["input_ids"] for text in texts]
    long = [row for row in cut if len(row) == length][:count]
    if long:
        return Encoded(long, 0, tokenizer.pad_token_id or 0)
    words = (TEXT * (length // 40 + 4)).split()
    rows = []
    for k in range(count):
        text = " ".join(words[7 * k :])
        rows.append(tokenizer(text, truncation=True, max_length=length, verbose=False)["input_ids"])
    return Encoded(rows, 0, tokenizer.pad_token_id or 0)


def compare(
    model: Any,
    tokenizer: Any,
    form: str,
    folder: Path,
    lengths: Sequence[int],
    rounds: int = 7,
    texts: Sequence[str] = (),
    progress: Callable[[int], object] = lambda done: None,
) -> Comparison:
    """Export a model, and race it with its dense self. The graph stays in `folder` (OpenVINO's as one zip)."""
    with tempfile.TemporaryDirectory() as held:
        with model.encoder.set(dial=0):
            dense = runtime(form, write_graph(model, form, Path(held), "dense"))
        path = write_graph(model, form, folder, "model")
        pruned = runtime(form, path)
        difference, points = 0.0, []
        for done, length in enumerate(lengths):
            ready = sample(tokenizer, length, texts)
            for ids in ready.ids:
                with torch.inference_mode():
                    expected = model(input_ids=torch.tensor([ids])).logits.numpy()
                difference = max(difference, float(np.abs(pruned(ids) - expected).max()))
            found = race({"dense": _all(dense, ready), "pruned": _all(pruned, ready)}, rounds)
            gained = ratio(count_survivors(model, ready).numpy(), ready.lengths, Shape.of(model.encoder.config))
            seconds = {name: value / len(ready) for name, value in found.seconds.items()}
            points.append(Point(length, seconds["dense"], seconds["pruned"], gained))
            progress(done + 1)
    if form == "openvino":
        path = _together(path)
    return Comparison(path, difference, points)


def _all(graph: Any, texts: Encoded) -> Callable[[], None]:
    def run() -> None:
        for ids in texts.ids:
            graph(ids)

    return run


def _together(path: Path) -> Path:
    """The .xml and its .bin as one zip, in their place."""
    packed = path.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in (path, path.with_suffix(".bin")):
            archive.write(part, part.name)
            part.unlink()
    return packed
