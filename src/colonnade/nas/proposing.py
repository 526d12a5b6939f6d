"""Candidates out of a space that is too large to score: at random, from the generator, by evolution on predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from colonnade.nas import mobilenet
from colonnade.nas.ensemble import MetaModel
from colonnade.nas.features import Description
from colonnade.nas.mobilenet import Mobile
from colonnade.nas.spaces import MOBILENET

Fits = Callable[[Sequence[Mobile]], np.ndarray]  # which networks may be taken, bool [n]; asked before any is scored
METHODS = ("random", "generator", "evolution", "generator and evolution")
PARENTS, CHILDREN, TOURNAMENT = 100, 100, 8  # of a generation


def propose(
    method: str, model: MetaModel, description: Description, calls: int, fits: Fits, seed: int = 0
) -> list[Mobile]:
    """Different networks that fit, after at most `calls` of them were scored by the predictor; in no order.

    `random`, `generator`: all drawn at once. `evolution`: from `PARENTS` random ones, children of the best of
    `TOURNAMENT` members, a generation scored at once, the oldest dying (arXiv:1802.01548). `generator and evolution`:
    half of the calls for what the generator draws, whose best are the first parents. Fewer come back when the
    generator, drawn at most four times as often, finds no more.
    """
    rng = np.random.default_rng(seed)
    if method == "random":
        return list(dict.fromkeys(mobilenet.random(rng, calls, fits)))
    if method == "generator":
        return _generated(model, description, calls, fits, seed)
    if method == "evolution":
        return _evolved(mobilenet.random(rng, PARENTS, fits), model, description, calls, fits, rng)
    drawn = _generated(model, description, calls // 2, fits, seed)
    return _evolved(drawn or mobilenet.random(rng, PARENTS, fits), model, description, calls, fits, rng)


def _generated(model: MetaModel, description: Description, calls: int, fits: Fits, seed: int) -> list[Mobile]:
    found: dict[Mobile, None] = {}
    for turn in range(4):
        # What is drawn twice, or does not fit, costs no call of the predictor; bolder drawing finds others.
        drawn = model.draw(description, calls, 1.0 + 0.1 * turn, seed + 1_000_003 * turn).architectures()
        listed = [network for network in drawn if isinstance(network, Mobile)]
        found |= dict.fromkeys(n for n, good in zip(listed, fits(listed), strict=True) if good)
        if len(found) >= calls:
            break
    return list(found)[:calls]


def _evolved(
    first: list[Mobile], model: MetaModel, description: Description, calls: int, fits: Fits, rng: np.random.Generator
) -> list[Mobile]:
    def scored(listed: list[Mobile]) -> list[tuple[float, Mobile]]:
        return list(zip(model.predict(listed, description).standing.tolist(), listed, strict=True))

    seen = dict.fromkeys(first[:calls])
    if not seen:
        return []
    alive = sorted(scored(list(seen)))[-PARENTS:]
    while len(seen) < calls:
        children: dict[Mobile, None] = {}
        for _ in range(20 * CHILDREN):
            if len(children) >= min(CHILDREN, calls - len(seen)):
                break
            places = rng.choice(len(alive), min(TOURNAMENT, len(alive)), replace=False)
            child = mobilenet.mutated(max(alive[int(i)] for i in places)[1], rng)
            if child not in seen and child not in children and fits([child])[0]:
                children[child] = None
        if not children:
            break
        seen |= children
        alive = [*alive, *scored(list(children))][-PARENTS:]
    return list(seen)


def within(params: float, macs: float, in_channels: int, classes: int) -> Fits:
    """Networks of at most so many parameters and multiply-adds."""

    def fits(found: Sequence[Mobile]) -> np.ndarray:
        if not found:
            return np.zeros(0, dtype=bool)
        sized = MOBILENET.sizes(found, in_channels, classes)
        return np.asarray((sized[0] <= params) & (sized[1] <= macs))

    return fits


SMALLEST = Mobile(mobilenet.to_code([(1,)] * mobilenet.STAGES), min(mobilenet.WIDTHS), min(mobilenet.RESOLUTIONS))
