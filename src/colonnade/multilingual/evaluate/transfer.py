"""Zero-shot transfer of tags, entities and classes: trained on one language, tested on others.

By a probe on frozen vectors, layer by layer; or by tuning, of an adapter or the whole encoder, at the last layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.data.classes import Labelled
from colonnade.multilingual.data.tagged import TaggedSentence
from colonnade.multilingual.encoders.base import Encoder, Pieces
from colonnade.multilingual.errors import MultilingualError
from colonnade.multilingual.evaluate.gaps import Scored, Transfer, rows, warnings, with_source
from colonnade.multilingual.evaluate.probe import Probe, fit_probe
from colonnade.multilingual.evaluate.tuning import Progress, Tuning, class_examples, tag_examples, tuned

D = TypeVar("D", Sequence[TaggedSentence], Labelled)


@dataclass(frozen=True)
class _Items:
    """What is classified: vectors (n, d) by layer, labels, and the sentence of each; `lost` were cut off.

    Where spans are scored, `gold` holds the tags of all words by sentence, and `word` the place of each item there.
    """

    vectors: Mapping[int, FloatArray]
    labels: Sequence[str]
    sentence: Sequence[int]
    lost: int = 0
    gold: Sequence[Sequence[str]] = ()
    word: Sequence[int] = ()

    @property
    def majority(self) -> float:
        """Score of always giving the most frequent label; of spans 0, for that label is O or no span of two words."""
        return 0.0 if self.gold else max(Counter(self.labels).values()) / len(self.labels)


def tag_transfer(
    encoder: Encoder,
    train: Sequence[TaggedSentence],
    tests: Mapping[str, Sequence[TaggedSentence]],
    *,
    source: str,
    layers: Sequence[int] = (-1,),
    seed: int = 0,
    spans: bool = False,
    tuning: Tuning | None = None,
    progress: Progress = lambda step, loss: None,
) -> Transfer:
    """Transfer of word tags: accuracy over words, each word by its first piece; of entities the F1 of their spans.

    Args:
        encoder: one that gives vectors of words.
        train: sentences of the source language.
        tests: sentences by language; the source among them gives the gaps their reference.
        source: its code in `tests`.
        layers: to probe; with `tuning` the last one is taken.
        seed: of the bootstrap.
        spans: tags are O, B-TYPE, I-TYPE, and scored as seqeval does: a span is right with both ends and its type. A
            word that was cut off counts as outside of all spans.
        tuning: how the encoder is trained for the task; None: it is frozen, and probed. It comes back as it was.
        progress: told step and loss of the tuning.

    Raises:
        MultilingualError: too few sentences, no test in the source language, or a tag unseen in training throughout.
    """
    text = {name: [" ".join(s.words) for s in one] for name, one in tests.items()}
    notes = warnings([" ".join(s.words) for s in train], text)

    def items(part: Sequence[TaggedSentence], numbers: Sequence[int]) -> _Items:
        return _tagged(encoder, part, numbers, spans)

    return _transfer(encoder, train, tests, items, source, layers, notes, seed, tuning, tag_examples, progress)


def classify_transfer(
    encoder: Encoder,
    train: Labelled,
    tests: Mapping[str, Labelled],
    *,
    source: str,
    layers: Sequence[int] = (-1,),
    seed: int = 0,
    tuning: Tuning | None = None,
    progress: Progress = lambda step, loss: None,
) -> Transfer:
    """Transfer of classes of sentences; of pairs by [u, v, |u - v|, u v] of their two vectors.

    Raises:
        MultilingualError: as `tag_transfer`.
    """
    notes = warnings(train.texts, {name: one.texts for name, one in tests.items()})

    def items(part: Labelled, numbers: Sequence[int]) -> _Items:
        return _classified(encoder, part, numbers)

    return _transfer(encoder, train, tests, items, source, layers, notes, seed, tuning, class_examples, progress)


def _transfer(
    encoder: Encoder,
    train: D,
    tests: Mapping[str, D],
    items: Callable[[D, Sequence[int]], _Items],
    source: str,
    layers: Sequence[int],
    notes: list[str],
    seed: int,
    tuning: Tuning | None,
    examples: Callable[..., object],
    progress: Progress,
) -> Transfer:
    with_source(tests, source)
    numbers = encoder.numbers(layers if tuning is None else (-1,))
    probed = items(train, numbers)
    probes = {layer: fit_probe(probed.vectors[layer], probed.labels) for layer in numbers}
    if tuning is None:
        return _scored(probes, {name: items(one, numbers) for name, one in tests.items()}, source, notes, encoder, seed)
    start = probes[encoder.depth]
    with tuned(encoder, train, examples, start, tuning, progress) as (probe, losses):
        tested = {name: items(one, numbers) for name, one in tests.items()}
        return _scored({encoder.depth: probe}, tested, source, notes, encoder, seed, losses)


def _scored(
    probes: Mapping[int, Probe],
    items: Mapping[str, _Items],
    source: str,
    notes: list[str],
    encoder: Encoder,
    seed: int,
    losses: Sequence[float] = (),
) -> Transfer:
    known = set(next(iter(probes.values())).labels)
    for name, test in items.items():
        unseen = {label: list(test.labels).count(label) for label in sorted(set(test.labels) - known)}
        if sum(unseen.values()) == len(test.labels):
            raise MultilingualError(f"no label of {name} occurs in training: {', '.join(unseen)}; are these one task?")
        if unseen:
            listed = ", ".join(f"{label} ({count})" for label, count in unseen.items())
            notes.append(f"{name}: labels unseen in training always count as wrong: {listed}")
        if test.lost:
            notes.append(f"{name}: {test.lost} words were cut off and are not scored")
    found = [
        row
        for layer, probe in probes.items()
        for row in rows({name: _sums(probe, test, layer) for name, test in items.items()}, source, layer, seed)
    ]
    return Transfer(source, tuple(found), (*notes, *encoder.notes), tuple(losses))


def _tagged(encoder: Encoder, sentences: Sequence[TaggedSentence], layers: Sequence[int], spans: bool) -> _Items:
    found = encoder.words([sentence.words for sentence in sentences], layers)
    labels: list[str] = []
    owner: list[int] = []
    places: list[int] = []
    for index, (pieces, sentence) in enumerate(zip(found[layers[0]], sentences, strict=True)):
        there = pieces.first(len(sentence.words))[1]
        labels += [sentence.tags[word] for word in there]
        owner += [index] * len(there)
        places += there
    vectors = {
        layer: np.concatenate([_first(p, s) for p, s in zip(found[layer], sentences, strict=True)]) for layer in layers
    }
    gold = [sentence.tags for sentence in sentences] if spans else ()
    return _Items(vectors, labels, owner, sum(len(s.words) for s in sentences) - len(labels), gold, places)


def _first(pieces: Pieces, sentence: TaggedSentence) -> FloatArray:
    return pieces.first(len(sentence.words))[0]


def _classified(encoder: Encoder, texts: Labelled, layers: Sequence[int]) -> _Items:
    vectors = encoder.sentences(texts.texts, layers)
    if texts.pairs is not None:
        second = encoder.sentences(texts.pairs, layers)
        vectors = {
            layer: np.concatenate([u := vectors[layer], v := second[layer], np.abs(u - v), u * v], axis=1)
            for layer in layers
        }
    return _Items(vectors, texts.labels, range(len(texts)))


def _sums(probe: Probe, test: _Items, layer: int) -> Scored:
    """Right answers and items of each sentence; of spans, twice the right ones, and gold with predicted ones."""
    predicted = probe.predict(test.vectors[layer])
    if test.gold:
        right, total = _span_sums(test, predicted)
    else:
        hits = [a == b for a, b in zip(predicted, test.labels, strict=True)]
        right, total = (np.bincount(test.sentence, one).astype(np.float64) for one in (hits, None))
    return Scored(right, total, test.majority, len(test.labels))


def _span_sums(test: _Items, predicted: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Their ratio of sums is F1 = 2 TP / (gold + predicted)."""
    from seqeval.metrics.sequence_labeling import get_entities

    tags = [["O"] * len(one) for one in test.gold]
    for sentence, word, tag in zip(test.sentence, test.word, predicted, strict=True):
        tags[sentence][word] = tag
    pairs = [(set(get_entities(list(a))), set(get_entities(b))) for a, b in zip(test.gold, tags, strict=True)]
    return np.array([2.0 * len(a & b) for a, b in pairs]), np.array([float(len(a) + len(b)) for a, b in pairs])
