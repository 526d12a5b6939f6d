"""Sharing a vocabulary out between languages by what each gains from more pieces (VoCap, Zheng et al. 2021).

The gain is measured by the average log probability (ALP) of a language's text under vocabularies of growing size; the
next step goes to the language whose ALP rises most, weighed by q_i ∝ p_i^beta of its share of the text.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from colonnade.multilingual.errors import MultilingualError, between, enough


def average_log_probability(cut: Sequence[Sequence[str]]) -> float:
    """Mean of ln p over all pieces of a text, p a piece's frequency in it; summed a sentence: eq. 1 of VoCap over its
    length. Between -ln(number of different pieces) and 0."""
    counts = Counter(piece for one in cut for piece in one)
    total = sum(counts.values())
    enough("pieces", total, 1, "an average log probability")
    return sum(count * math.log(count / total) for count in counts.values()) / total


def sentence_log_probability(cut: Sequence[Sequence[str]]) -> float:
    """ALP as VoCap has it: the mean over sentences of the sum of ln p over their pieces. Higher is better."""
    counts = Counter(piece for one in cut for piece in one)
    total = sum(counts.values())
    enough("pieces", total, 1, "an average log probability")
    return sum(count * math.log(count / total) for count in counts.values()) / len(cut)


@dataclass(frozen=True)
class Allocation:
    """Pieces for each language, and the ALP it reaches with them."""

    sizes: Mapping[str, int]
    log_probability: Mapping[str, float]


def allocate(
    curves: Mapping[str, Mapping[int, float]], sentences: Mapping[str, int], total: int, beta: float = 0.7
) -> Allocation:
    """Choose a size for each language among those its curve has, of at most `total` pieces together.

    Args:
        curves: ALP by vocabulary size, by language (from `sentence_log_probability` of vocabularies of that language).
        sentences: of each language's text.
        total: pieces to share out; shared pieces are counted for each language.
        beta: exponent of the weights, 0 (all alike) to 1 (by size).

    Raises:
        MultilingualError: a language has no text, fewer than two sizes, or the smallest sizes exceed the total.
    """
    between("beta", beta, 0, 1)
    for name, curve in curves.items():
        enough(f"sizes of {name}", len(curve), 2, "an allocation")
        enough(f"sentences of {name}", sentences.get(name, 0), 1, "an allocation")
    whole = sum(sentences[name] for name in curves)
    weight = {name: (sentences[name] / whole) ** beta for name in curves}
    steps = {name: sorted(curve) for name, curve in curves.items()}
    place = dict.fromkeys(curves, 0)
    spent = sum(sizes[0] for sizes in steps.values())
    if spent > total:
        raise MultilingualError(f"total is {total}; the smallest sizes together already take {spent}")
    queue = [entry for name in curves if (entry := _gain(name, curves, steps, place, weight))]
    heapq.heapify(queue)
    while queue:
        _, name = heapq.heappop(queue)
        cost = steps[name][place[name] + 1] - steps[name][place[name]]
        if spent + cost > total:
            continue
        spent += cost
        place[name] += 1
        following = _gain(name, curves, steps, place, weight)
        if following:
            heapq.heappush(queue, following)
    sizes = {name: steps[name][place[name]] for name in curves}
    return Allocation(sizes, {name: curves[name][size] for name, size in sizes.items()})


def _gain(
    name: str,
    curves: Mapping[str, Mapping[int, float]],
    steps: Mapping[str, Sequence[int]],
    place: Mapping[str, int],
    weight: Mapping[str, float],
) -> tuple[float, str] | None:
    """Minus the weighted gain a piece of the next step, to be popped smallest first."""
    here = place[name]
    if here + 1 >= len(steps[name]):
        return None
    small, large = steps[name][here], steps[name][here + 1]
    return -weight[name] * (curves[name][large] - curves[name][small]) / (large - small), name
