"""How multilingual a model became, where the translation of every sentence, word and position is known.

After Dufter and Schütze 2020 (arXiv:2005.00396, sec. 4): retrieval of sentences, translation of words, word alignment,
each at several layers; the score is their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from colonnade.multilingual._types import FloatArray, IntArray
from colonnade.multilingual.align.sentences import retrieve, unit
from colonnade.multilingual.align.words import argmax_links
from colonnade.multilingual.errors import enough
from colonnade.multilingual.pretrain.batches import Sentence, assemble, single
from colonnade.multilingual.pretrain.copies import Controlled
from colonnade.multilingual.pretrain.corpus import Written
from colonnade.multilingual.pretrain.model import PackedBert, pool


@dataclass(frozen=True)
class Multilinguality:
    """Retrieval (P@1), word translation (P@1) and alignment (F1) by layer, both directions; chance of each."""

    retrieval: tuple[float, ...]
    translation: tuple[float, ...]
    alignment: tuple[float, ...]
    chance: tuple[float, float, float]

    def at(self, layer: int) -> float:
        """Mean of the three at a layer."""
        return (self.retrieval[layer] + self.translation[layer] + self.alignment[layer]) / 3

    @property
    def score(self) -> float:
        """Mean over the embeddings and the layer two thirds up (0 and 8 of 12, as the authors)."""
        return (self.at(0) + self.at(round(2 / 3 * (len(self.retrieval) - 1)))) / 2

    @property
    def best_retrieval(self) -> float:
        """P@1 at the best layer."""
        return max(self.retrieval)


def judge(model: PackedBert, made: Controlled, *, sentences: int = 500, words: int = 500) -> Multilinguality:
    """Judge a model on held-out sentences of the language and its copy.

    Args:
        model: trained, or not (the control).
        made: language and copy.
        sentences: the first so many with three pieces and more.
        words: the most frequent pieces of the held-out text that are not shared.
    """
    language, copy = made.held_out
    chosen = [i for i in range(len(language)) if len(language.line(i)) >= 3][:sentences]
    enough("held-out sentences of three pieces and more", len(chosen), 10, "judging a model")
    ids, counts = np.unique(language.ids, return_counts=True)
    frequent = ids[np.argsort(-counts, kind="stable")]
    frequent = np.array([index for index in frequent if made.table[index] != index][:words], np.int64)
    vectors = [_vectors(model, one, chosen) for one in (language, copy)]
    terms = [_words(model, one, own) for one, own in zip(made.held_out, (frequent, made.table[frequent]), strict=True)]
    layers = range(len(vectors[0][0]))
    retrieval = tuple(_p1(vectors[0][0][k], vectors[1][0][k]) for k in layers)
    translation = tuple(_p1(terms[0][k], terms[1][k]) if len(frequent) > 1 else 1.0 for k in layers)
    alignment = tuple(_f1(vectors[0][1][k], vectors[1][1][k], made.setting.inverted) for k in layers)
    mean = float(np.mean([1 / len(one) for one in vectors[0][1][0]]))
    return Multilinguality(retrieval, translation, alignment, (1 / len(chosen), 1 / max(len(frequent), 1), mean))


def _p1(x: FloatArray, y: FloatArray) -> float:
    """Mean P@1 of both directions by cosine; means of each side are taken out first, for both sides alike."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    hits = [(retrieve(a, b)[0] == np.arange(len(a))).mean() for a, b in ((x, y), (y, x))]
    return float(np.mean(hits))


def _f1(x: Sequence[FloatArray], y: Sequence[FloatArray], inverted: bool) -> float:
    """F1 of mutual-argmax links; the truth links position i to i, or to its mirror image."""
    hit = found = true = 0
    for a, b in zip(x, y, strict=True):
        links = argmax_links(unit(a) @ unit(b).T)
        gold = np.eye(len(a), dtype=bool)
        gold = gold[:, ::-1] if inverted else gold
        hit, found, true = hit + int((links & gold).sum()), found + int(links.sum()), true + len(a)
    return 2 * hit / max(found + true, 1)


def _vectors(model: PackedBert, text: Written, lines: Sequence[int]) -> tuple[list[FloatArray], list[list[FloatArray]]]:
    """By layer: means over the pieces of lines (n, d), and the states of their pieces without special ones."""
    width = model.plan.width
    means: list[list[FloatArray]] = []
    states: list[list[FloatArray]] = []
    for part in _parts([single(text, i, width) for i in lines]):
        batch = assemble("contrastive", part, model.plan, np.zeros(1, np.int64), (0,))
        with torch.inference_mode():
            hidden = model.hidden(batch)
        means = means or [[] for _ in hidden]
        states = states or [[] for _ in hidden]
        places = [np.flatnonzero(batch.segments.ravel() == k + 1)[1:-1] for k in range(len(part))]
        for layer, state in enumerate(hidden):
            means[layer].append(pool(state, batch.segments, batch.sentences).numpy())
            flat = state.reshape(-1, state.shape[-1]).numpy()
            states[layer] += [flat[one] for one in places]
    return [np.concatenate(one) for one in means], states


def _words(model: PackedBert, text: Written, ids: IntArray) -> list[FloatArray]:
    """States by layer of pieces that stand alone."""
    if not len(ids):
        return [np.zeros((0, model.plan.hidden), np.float32)] * (model.plan.layers + 1)
    alone = Written.of(text.name, [[int(index)] for index in ids], text.specials, text.offset)
    states = _vectors(model, alone, range(len(ids)))[1]
    return [np.concatenate(one) for one in states]


def _parts(sentences: list[Sentence], size: int = 128) -> list[list[Sentence]]:
    return [sentences[start : start + size] for start in range(0, len(sentences), size)]
