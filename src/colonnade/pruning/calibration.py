"""Thresholds without training: from the scores of unlabelled texts, for a wanted saving of FLOPs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from colonnade.pruning.batch import Batch
from colonnade.pruning.cost import Shape, ratio, share_at_rates
from colonnade.pruning.encoder import PrunedEncoder
from colonnade.pruning.errors import PruningError
from colonnade.pruning.packed import Walk
from colonnade.pruning.prediction import count_survivors
from colonnade.pruning.texts import Encoded, batches

STEPS = 30  # of bisection at most
CLOSE = 0.005  # relative excess over the target that is good enough
STEEP = 2.0  # keep rates that reach 0 in the middle: where the first layer must help as well
FLOOR = 0.02  # a threshold that no token is below


@dataclass(frozen=True)
class Calibration:
    """Thresholds that were found, and what they do to the texts they were found on.

    Attributes:
        thresholds: θ of each layer.
        rates: share of the tokens that leaves each layer.
        ratio: dense FLOPs over pruned FLOPs.
    """

    thresholds: list[float]
    rates: list[float]
    ratio: float


def reachable(shape: Shape, lengths: Sequence[int]) -> float:
    """The largest FLOPs ratio on such texts: all but one token leave after the first layer's attention."""
    return 1 / share_at_rates([0.0] * shape.layers, lengths, shape)


def rates_for(target: float, shape: Shape, lengths: Sequence[int]) -> list[float]:
    """Keep rates that reach a FLOPs ratio on texts of these lengths: all in the first layer, then falling linearly;
    where that is not enough, falling from the start.

    Raises:
        PruningError: it is below 1, or more than can be reached; says what can.
    """
    most = reachable(shape, lengths)
    if not 1 <= target <= most:
        raise PruningError(
            f"target_speedup must be from 1 to {most:.2f} for these texts and {shape.layers} layers "
            f"(the first layer's attention sees every token), but is {target:g}."
        )

    def saving(slope: float, untouched: int) -> float:
        return 1 / share_at_rates(_schedule(shape.layers, slope, untouched), lengths, shape)

    steepest = 2.0 * shape.layers
    untouched = int(shape.layers > 1 and saving(STEEP, 1) >= target)
    low, high = 0.0, steepest
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if saving(middle, untouched) < target else (low, middle)
    return _schedule(shape.layers, high, untouched)


def _schedule(layers: int, slope: float, untouched: int) -> list[float]:
    """Keep rates of 1 in the first layers, then falling linearly from about 1, never below 0."""
    return [1.0] * untouched + [max(0.0, 1 - slope * (k + 0.5) / layers) for k in range(layers - untouched)]


def calibrate(
    model: Any,
    texts: Encoded,
    target: float,
    batch_size: int = 16,
    progress: Callable[[int], object] = lambda done: None,
) -> Calibration:
    """Set the thresholds so that unlabelled texts cost `target` times fewer FLOPs.

    Layer by layer, θ is the quantile of the scores of the tokens still there that leaves the wanted share; later layers
    see what earlier thresholds left. A last bisection of a common factor meets the target on these texts.

    Raises:
        PruningError: the target cannot be reached; the model's thresholds are then as before.
    """
    encoder: PrunedEncoder = model.encoder
    shape = Shape.of(encoder.config)
    rates = rates_for(target, shape, texts.lengths)
    before = encoder.thresholds.detach().clone()
    with torch.no_grad(), encoder.set(rule="threshold", dial=1.0, bypass=0):
        walks = [_walk(encoder, texts, chosen) for chosen in batches(texts.lengths, batch_size)]
        encoder.thresholds.zero_()
        last = 1.0
        for number, layer in enumerate(encoder.layers()):
            ends = encoder.first_only and number == shape.layers - 1
            if not ends:
                scores = torch.cat([walk.unprotected_scores(number, layer) for walk in walks])
                encoder.thresholds[number] = _quantile(scores, 1 - rates[number] / max(last, 1e-9))
                last = rates[number]
            for walk in walks:
                walk.step(number, layer)
            progress(number + 1)
    try:
        return fit_dial(model, texts, target)
    except PruningError:
        with torch.no_grad():
            encoder.thresholds.copy_(before)
        raise


def _quantile(scores: Tensor, share: float) -> float:
    if share <= 0 or not len(scores):
        return 0.0
    rank = min(len(scores) - 1, int(share * len(scores)))
    return float(scores.sort().values[rank])


def _walk(encoder: PrunedEncoder, texts: Encoded, chosen: Sequence[int]) -> Walk:
    ids, mask = texts.tensors(chosen)
    batch = Batch.of(ids, mask, None)
    x = encoder.family.embed(encoder.body, batch.ids[None], batch.places[None], None)[0]
    return Walk(encoder, batch, x, encoder.protected(batch), encoder.first_only)


def fit_dial(model: Any, texts: Encoded, target: float) -> Calibration:
    """Scale all thresholds by the one factor that meets a FLOPs ratio on these texts, and keep the result as
    thresholds.

    Raises:
        PruningError: no factor meets it (within 3 %).
    """
    encoder: PrunedEncoder = model.encoder
    shape = Shape.of(encoder.config)
    before = encoder.thresholds.detach().clone()
    learned = before.clamp(min=FLOOR)  # a factor could not move a threshold of 0

    def at(factor: float) -> tuple[float, list[float]]:
        with torch.no_grad():
            encoder.thresholds.copy_(learned * factor)
        found = count_survivors(model, texts)
        shares = found.double().sum(0) / sum(texts.lengths)
        return ratio(found.numpy(), texts.lengths, shape), shares.tolist()

    low, high = 0.0, 1.0
    while at(high)[0] < target and high < 256:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        found = at(middle)[0]
        low, high = (middle, high) if found < target else (low, middle)
        if 0 <= found / target - 1 < CLOSE:
            break
    reached, shares = at(high)
    if reached < 0.97 * target:
        with torch.no_grad():
            encoder.thresholds.copy_(before)
        raise PruningError(f"target_speedup {target:g} cannot be met by these scores; the best is {reached:.2f}.")
    return Calibration(encoder.thresholds.tolist(), shares, reached)
