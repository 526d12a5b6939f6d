"""Retrieval between all pairs of N languages from N encodes, with layer curves, intervals and controls.

P@1 of a sentence is 1 when the nearest sentence of the other language is its translation; between t equal lines, of
which either may be meant, a hit on any of them counts as found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import BoolArray, FloatArray, IntArray
from colonnade.multilingual.align.sentences import retrieve
from colonnade.multilingual.data.parallel import Parallel
from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.errors import enough
from colonnade.multilingual.evaluate.statistics import Interval, bootstrap


@dataclass(frozen=True)
class Retrieval:
    """P@1 between all pairs.

    Attributes:
        languages: N codes.
        layers: those that were scored.
        found: (layers, N, N, sentences) whether sentence i of the row's language found its translation in the
            column's; the diagonal is True.
        chance: P@1 of a guess.
    """

    languages: tuple[str, ...]
    layers: tuple[int, ...]
    found: BoolArray
    chance: float
    metric: str
    notes: tuple[str, ...] = ()

    @property
    def p1(self) -> FloatArray:
        """(layers, N, N)."""
        return np.asarray(self.found.mean(axis=3))

    @property
    def curve(self) -> list[float]:
        """Mean P@1 over all pairs of different languages, by layer."""
        n = len(self.languages)
        off = ~np.eye(n, dtype=bool)
        return [float(matrix[off].mean()) for matrix in self.p1]

    @property
    def best(self) -> int:
        """Index of the layer with the highest mean (of equals the first)."""
        return int(np.argmax(self.curve))

    def interval(self, source: str, target: str, index: int = -1, level: float = 0.95) -> Interval:
        """P@1 of one direction with its bootstrap interval over sentences."""
        i, j = self.languages.index(source), self.languages.index(target)
        return bootstrap(self.found[index, i, j].astype(float), level=level)

    def mean_to(self, language: str, index: int = -1) -> Interval:
        """Mean P@1 between one language and all others, both directions; sentences are drawn, not pairs."""
        i = self.languages.index(language)
        others = [j for j in range(len(self.languages)) if j != i]
        scores = (self.found[index, i, others].mean(axis=0) + self.found[index, others, i].mean(axis=0)) / 2
        return bootstrap(scores)


def retrieval(
    encoder: Encoder,
    text: Parallel,
    *,
    layers: Sequence[int] = (-1,),
    metric: str = "cosine",
    k: int = 4,
    centred: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Retrieval:
    """Encode each language once, and search in every direction.

    Args:
        encoder: any.
        text: aligned sentences.
        layers: as `Encoder.sentences` takes them.
        metric: "cosine", "csls", "margin" or "margin_distance".
        k: neighbourhood of CSLS and margins.
        centred: subtract each language's mean first.
        progress: told how many languages are done.

    Raises:
        MultilingualError: fewer than two sentences.
    """
    enough("aligned sentences", len(text), 2, "retrieval")
    numbers = encoder.numbers(layers)
    vectors: dict[str, dict[int, FloatArray]] = {}
    for done, code in enumerate(text.codes):
        progress(done)
        vectors[code] = encoder.sentences(text.sentences[code], numbers)
    n = len(text.codes)
    found = np.ones((len(numbers), n, n, len(text)), bool)
    same = {code: _classes(text.sentences[code]) for code in text.codes}
    for index, layer in enumerate(numbers):
        at = [vectors[code][layer] for code in text.codes]
        if centred:
            at = [one - one.mean(axis=0) for one in at]
        for i in range(n):
            for j in range(n):
                if i != j:
                    best, _ = retrieve(at[i], at[j], metric, min(k, len(text)))
                    found[index, i, j] = same[text.codes[j]][best] == same[text.codes[j]]
    progress(n)
    notes = (*text.notes, *encoder.notes)
    return Retrieval(tuple(text.codes), tuple(numbers), found, 1 / len(text), metric, notes)


def _classes(lines: Sequence[str]) -> IntArray:
    """The first line equal to each."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(line, i) for i, line in enumerate(lines)])


def control_verdict(result: Retrieval, control: Retrieval, language: str, index: int = -1) -> str:
    """Whether an encoder knows a language, in one sentence: its P@1 beside chance and a control on the same text."""
    mine, theirs = result.mean_to(language, index), control.mean_to(language)
    shown = f"P@1 {mine.value:.3f} ({mine.low:.3f} to {mine.high:.3f})"
    beside = f"chance {result.chance:.3f}, shared character n-grams {theirs.value:.3f}"
    if mine.high < max(0.1, 10 * result.chance) or mine.low <= theirs.high:
        return f"{language}: not known to this encoder: {shown} is no better than its controls ({beside})."
    known = "known" if mine.low >= 0.5 else "weakly known"
    return f"{language}: {known}: {shown}, against {beside}."
