"""How good and how fast a pruned classifier is, beside itself with every token."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.pruning.cost import Shape, dense_flops, flops
from colonnade.pruning.prediction import predict, run_all
from colonnade.pruning.texts import Encoded, batches


@dataclass(frozen=True)
class Quality:
    """A pruned classifier against itself dense, on labelled texts.

    Attributes:
        dense: accuracy with every token.
        pruned: accuracy with tokens removed.
        interval: 95 % bootstrap interval of pruned minus dense accuracy (paired over texts).
        p: of McNemar's exact test that both err equally often.
        agreement: share of texts with the same answer.
        ratio: dense FLOPs over pruned FLOPs of all texts.
        ratios: of each text.
        survivors: tokens that leave each layer of each text [texts, L].
        lengths: tokens of each text.
    """

    dense: float
    pruned: float
    interval: tuple[float, float]
    p: float
    agreement: float
    ratio: float
    ratios: NDArray[np.float64]
    survivors: NDArray[np.int64]
    lengths: list[int]

    @property
    def rates(self) -> list[float]:
        """Share of all tokens that leaves each layer."""
        found: list[float] = (self.survivors.sum(0) / sum(self.lengths)).tolist()
        return found


def evaluate(
    model: Any,
    texts: Encoded,
    labels: Sequence[int],
    seed: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> Quality:
    """Measure a pruned classifier on labelled texts; both answers in one go."""
    truth = np.asarray(labels)
    logits, left = run_all(model, texts, progress)
    pruned, found = logits.numpy().argmax(1), left.numpy()
    with model.encoder.set(dial=0):
        dense = predict(model, texts, progress=lambda done: progress(len(texts) + done)).numpy().argmax(1)
    shape = Shape.of(model.encoder.config)
    before, after = dense_flops(texts.lengths, shape), flops(found, texts.lengths, shape)
    low, high = paired_interval(pruned == truth, dense == truth, seed)
    return Quality(
        dense=float((dense == truth).mean()),
        pruned=float((pruned == truth).mean()),
        interval=(low, high),
        p=mcnemar(pruned == truth, dense == truth),
        agreement=float((pruned == dense).mean()),
        ratio=float(before.sum() / after.sum()),
        ratios=before / after,
        survivors=found,
        lengths=texts.lengths,
    )


def paired_interval(
    one: NDArray[np.bool_], other: NDArray[np.bool_], seed: int = 0, draws: int = 2000
) -> tuple[float, float]:
    """95 % bootstrap interval of the difference of two accuracies on the same texts."""
    gap = one.astype(float) - other.astype(float)
    chosen = np.random.default_rng(seed).integers(len(gap), size=(draws, len(gap)))
    low, high = np.quantile(gap[chosen].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def mcnemar(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """p of the exact test on the texts that only one of two models gets right."""
    from scipy.stats import binomtest

    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    total = only_one + only_other
    return float(binomtest(only_one, total).pvalue) if total else 1.0


@dataclass(frozen=True)
class Timing:
    """Median seconds of running the same texts, by way of running them."""

    seconds: dict[str, float]
    rounds: int

    def gain(self, over: str, of: str) -> float:
        """How many times faster `of` is than `over`."""
        return self.seconds[over] / self.seconds[of]


def race(
    ways: Mapping[str, Callable[[], object]], rounds: int = 5, clock: Callable[[], float] = time.perf_counter
) -> Timing:
    """Run each way once to warm up, then all in turn `rounds` times; medians, so that a busy moment counts little."""
    for way in ways.values():
        way()
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = clock()
            way()
            seen[name].append(clock() - start)
    return Timing({name: float(np.median(values)) for name, values in seen.items()}, rounds)


def runner(model: Any, texts: Encoded, batch_size: int, dial: float | None = None) -> Callable[[], None]:
    """A way of running texts for `race`: sorted batches, ready as tensors; `dial=0` is dense."""
    ready = [texts.tensors(chosen) for chosen in batches(texts.lengths, batch_size)]

    def run() -> None:
        with torch.inference_mode(), model.encoder.set(**({} if dial is None else {"dial": dial})):
            for ids, mask in ready:
                model(input_ids=ids, attention_mask=mask)

    return run


def onnx_runners(model: Any, texts: Encoded, path: Path) -> dict[str, Callable[[], None]]:
    """Ways of running texts one at a time through ONNX graphs, dense and pruned; the pruned one stays at `path`."""
    from colonnade.pruning.export import OnnxModel, to_onnx

    to_onnx(model, path)
    with tempfile.TemporaryDirectory() as folder, model.encoder.set(dial=0):
        dense = OnnxModel(to_onnx(model, Path(folder) / "dense.onnx"))
    return {name: _each(graph, texts) for name, graph in (("ONNX, dense", dense), ("ONNX, pruned", OnnxModel(path)))}


def _each(graph: Callable[[Sequence[int]], object], texts: Encoded) -> Callable[[], None]:
    def run() -> None:
        for ids in texts.ids:
            graph(ids)

    return run


def pareto_sweep(
    model: Any, texts: Encoded, labels: Sequence[int] | None, dials: Sequence[float]
) -> list[tuple[float, float, float]]:
    """(dial, FLOPs ratio, accuracy or agreement with dense) along the dial."""
    shape = Shape.of(model.encoder.config)
    before = dense_flops(texts.lengths, shape).sum()
    with model.encoder.set(dial=0):
        dense = predict(model, texts).numpy().argmax(1)
    truth = dense if labels is None else np.asarray(labels)
    found = []
    for dial in dials:
        with model.encoder.set(dial=dial):
            logits, left = run_all(model, texts)
            answers, after = logits.numpy().argmax(1), flops(left.numpy(), texts.lengths, shape).sum()
        found.append((dial, float(before / after), float((answers == truth).mean())))
    return found
