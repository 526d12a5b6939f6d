"""Zero-shot transfer by a probe: trained on one language's vectors, tested on others'.

The gap of a target is the source's score minus its own (Hu et al. 2020, sec. 5); intervals by the bootstrap over test
sentences, p-values corrected by Holm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.data.classes import Labelled
from colonnade.multilingual.data.leaks import find_leaks
from colonnade.multilingual.data.tagged import TaggedSentence
from colonnade.multilingual.encoders.base import Encoder, Pieces
from colonnade.multilingual.errors import MultilingualError, enough
from colonnade.multilingual.evaluate.probe import Probe, fit_probe
from colonnade.multilingual.evaluate.statistics import Interval, bootstrap, holm


@dataclass(frozen=True)
class TransferRow:
    """One test language at one layer: accuracy (of entities F1), gap to the source and its p-value, majority."""

    language: str
    layer: int
    score: Interval
    gap: Interval
    p_value: float
    majority: float
    items: int


@dataclass(frozen=True)
class Transfer:
    """All rows; `best` is the layer with the highest mean over targets; `notes` warn of leaks, cuts, unseen labels."""

    source: str
    rows: tuple[TransferRow, ...]
    notes: tuple[str, ...]

    @property
    def layers(self) -> list[int]:
        return sorted({row.layer for row in self.rows})

    @property
    def best(self) -> int:
        means = {
            layer: np.mean([row.score.value for row in self.rows if row.layer == layer and row.language != self.source])
            for layer in self.layers
        }
        return max(means, key=lambda layer: (means[layer], -layer))

    def at(self, layer: int) -> list[TransferRow]:
        """Rows of one layer, the source first."""
        return sorted((r for r in self.rows if r.layer == layer), key=lambda r: (r.language != self.source, r.language))


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
) -> Transfer:
    """Transfer of word tags: accuracy over words, each word by its first piece; of entities the F1 of their spans.

    Args:
        encoder: one that gives vectors of words.
        train: sentences of the source language.
        tests: sentences by language; the source among them gives the gaps their reference.
        source: its code in `tests`.
        layers: to probe.
        seed: of the bootstrap.
        spans: tags are O, B-TYPE, I-TYPE, and scored as seqeval does: a span is right with both ends and its type. A
            word that was cut off counts as outside of all spans.

    Raises:
        MultilingualError: too few sentences, no test in the source language, or a tag unseen in training throughout.
    """
    numbers = encoder.numbers(layers)
    text = {name: [" ".join(s.words) for s in one] for name, one in tests.items()}
    notes = _warnings([" ".join(s.words) for s in train], text)
    items = {name: _tagged(encoder, one, numbers, spans) for name, one in {"": train, **tests}.items()}
    return _transfer(items, source, numbers, notes + encoder.notes, seed)


def classify_transfer(
    encoder: Encoder,
    train: Labelled,
    tests: Mapping[str, Labelled],
    *,
    source: str,
    layers: Sequence[int] = (-1,),
    seed: int = 0,
) -> Transfer:
    """Transfer of classes of sentences; of pairs by [u, v, |u - v|, u v] of their two vectors.

    Raises:
        MultilingualError: as `tag_transfer`.
    """
    numbers = encoder.numbers(layers)
    notes = _warnings(train.texts, {name: one.texts for name, one in tests.items()})
    items = {name: _classified(encoder, one, numbers) for name, one in {"": train, **tests}.items()}
    return _transfer(items, source, numbers, notes + encoder.notes, seed)


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


def _warnings(train: Sequence[str], tests: Mapping[str, Sequence[str]]) -> list[str]:
    enough("training sentences", len(train), 10, "a probe")
    found = []
    for name, lines in tests.items():
        enough(f"test sentences of {name}", len(lines), 2, "an interval")
        warning = find_leaks(train, lines).warning
        if warning:
            found.append(f"{name}: {warning}")
        if len(lines) < 30:
            found.append(f"{name}: {len(lines)} test sentences are too few to rank it; look at the interval")
    return found


def _transfer(items: dict[str, _Items], source: str, layers: Sequence[int], notes: list[str], seed: int) -> Transfer:
    train = items.pop("")
    if source not in items:
        raise MultilingualError(f"there is no test in the source language {source}; without one there is no gap")
    known = set(train.labels)
    for name, test in items.items():
        unseen = {label: test.labels.count(label) for label in sorted(set(test.labels) - known)}
        if sum(unseen.values()) == len(test.labels):
            raise MultilingualError(f"no label of {name} occurs in training: {', '.join(unseen)}; are these one task?")
        if unseen:
            listed = ", ".join(f"{label} ({count})" for label, count in unseen.items())
            notes.append(f"{name}: labels unseen in training always count as wrong: {listed}")
        if test.lost:
            notes.append(f"{name}: {test.lost} words were cut off and are not scored")
    rows: list[TransferRow] = []
    for layer in layers:
        probe = fit_probe(train.vectors[layer], train.labels)
        scored = {name: _sums(probe, test, layer) for name, test in items.items()}
        rows += _rows(scored, items, source, layer, seed)
    return Transfer(source, tuple(rows), tuple(notes))


def _sums(probe: Probe, test: _Items, layer: int) -> tuple[FloatArray, FloatArray]:
    """Right answers and items of each sentence; of spans, twice the right ones, and gold with predicted ones."""
    predicted = probe.predict(test.vectors[layer])
    if test.gold:
        return _span_sums(test, predicted)
    right = [a == b for a, b in zip(predicted, test.labels, strict=True)]
    return np.bincount(test.sentence, right).astype(np.float64), np.bincount(test.sentence).astype(np.float64)


def _span_sums(test: _Items, predicted: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Their ratio of sums is F1 = 2 TP / (gold + predicted)."""
    from seqeval.metrics.sequence_labeling import get_entities

    tags = [["O"] * len(one) for one in test.gold]
    for sentence, word, tag in zip(test.sentence, test.word, predicted, strict=True):
        tags[sentence][word] = tag
    pairs = [(set(get_entities(list(a))), set(get_entities(b))) for a, b in zip(test.gold, tags, strict=True)]
    return np.array([2.0 * len(a & b) for a, b in pairs]), np.array([float(len(a) + len(b)) for a, b in pairs])


def _rows(
    scored: Mapping[str, tuple[FloatArray, FloatArray]],
    items: Mapping[str, _Items],
    source: str,
    layer: int,
    seed: int,
) -> list[TransferRow]:
    draws = {name: _draws(right, total, seed + i) for i, (name, (right, total)) in enumerate(scored.items())}
    reference = _ratio(*scored[source])
    gaps, p_values = {}, {}
    for name, (right, total) in scored.items():
        gap = reference - _ratio(right, total)
        difference = draws[source] - draws[name] if name != source else np.zeros(1)
        low, high = np.quantile(difference, [0.025, 0.975])
        gaps[name] = Interval(float(gap), float(low), float(high))
        # two-sided, by how often the bootstrapped difference lies on the other side of no gap
        other = min((difference <= 0).mean(), (difference >= 0).mean())
        p_values[name] = 1.0 if name == source else min(1.0, 2 * max(float(other), 1 / len(difference)))
    targets = [name for name in scored if name != source]
    corrected = dict(zip(targets, holm([p_values[name] for name in targets]), strict=True)) | {source: 1.0}
    return [
        TransferRow(
            name,
            layer,
            bootstrap(right, total, seed=seed),
            gaps[name],
            corrected[name],
            items[name].majority,
            len(items[name].labels),
        )
        for name, (right, total) in scored.items()
    ]


def _ratio(right: FloatArray, total: FloatArray) -> float:
    """0 where nothing is there: no span, neither in the gold tags nor predicted."""
    return float(right.sum() / max(total.sum(), 1e-12))


def _draws(right: FloatArray, total: FloatArray, seed: int, count: int = 2000) -> FloatArray:
    rng = np.random.default_rng(seed)
    found = np.empty(count)
    for start in range(0, count, 250):
        weights = rng.multinomial(len(right), np.full(len(right), 1 / len(right)), 250)
        found[start : start + 250] = weights @ right / np.maximum(weights @ total, 1e-12)
    return found
