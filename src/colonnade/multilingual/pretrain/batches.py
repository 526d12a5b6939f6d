"""Batches: sentences packed into rows, with what is to be predicted where.

Several sentences share a row; each attends to itself only and counts its positions from 0, so a packed batch computes
what its sentences compute alone, and hardly anything is spent on padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from colonnade.multilingual._types import BoolArray, FloatArray, IntArray
from colonnade.multilingual.pretrain.corpus import Corpus, Written
from colonnade.multilingual.pretrain.plan import Plan
from colonnade.multilingual.pretrain.sampling import sampling_probabilities, unimax

IGNORED = 0  # segment of the padding: it attends to itself, and nobody reads it


@dataclass(frozen=True)
class Batch:
    """Rows (r, w) of ids, positions and segments (0: padding, else 1 + the sentence's number).

    `where` are flat places to predict, `labels` their ids; `causal`: each piece sees those before it only.
    """

    objective: str
    ids: IntArray
    positions: IntArray
    segments: IntArray
    where: IntArray
    labels: IntArray
    causal: bool = False
    sentences: int = 0

    @property
    def tokens(self) -> int:
        """Pieces that are no padding."""
        return int((self.segments != IGNORED).sum())


@dataclass(frozen=True)
class Sentence:
    """Ids with special pieces, their positions, whether each may be masked, and the mask piece of its language."""

    ids: IntArray
    positions: IntArray
    free: BoolArray
    mask: int


def single(one: Written, index: int, width: int) -> Sentence:
    """[begin] line [end]."""
    line = one.line(index)[: width - 2]
    ids = np.concatenate([[one.specials.begin], line, [one.specials.end]])
    free = np.ones(len(ids), bool)
    free[[0, -1]] = False
    return Sentence(ids, np.arange(len(ids)) + one.offset, free, one.specials.mask)


def double(a: Written, b: Written, index: int, width: int) -> Sentence:
    """[begin] line [end] translation [end]: positions begin anew at the translation (TLM, arXiv:1901.07291)."""
    room = (width - 3) // 2
    first, second = a.line(index)[:room], b.line(index)[:room]
    ids = np.concatenate([[a.specials.begin], first, [a.specials.end], second, [b.specials.end]])
    positions = np.concatenate([np.arange(len(first) + 2) + a.offset, np.arange(len(second) + 1) + b.offset])
    free = np.ones(len(ids), bool)
    free[[0, len(first) + 1, -1]] = False
    return Sentence(ids, positions, free, a.specials.mask)


def pack(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Indices by row: each sentence goes to the fullest row that still has room (best fit, longest first)."""
    rooms: list[list[int]] = [[] for _ in range(width + 1)]  # rows by the room they have
    rows: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        need = lengths[index]
        room = next((r for r in range(need, width) if rooms[r]), None)
        if room is None:
            rows.append([])
            row, room = len(rows) - 1, width
        else:
            row = rooms[room].pop()
        rows[row].append(index)
        rooms[room - need].append(row)
    return rows


def mask(
    ids: IntArray,
    free: BoolArray,
    masks: IntArray,
    alphabet: IntArray,
    rng: np.random.Generator,
    share: float = 0.15,
    replace: Sequence[float] = (0.8, 0.1, 0.1),
) -> tuple[IntArray, IntArray, IntArray]:
    """BERT's masking: ids as the model sees them, the flat places to predict, and their true ids.

    Args:
        ids: any shape.
        free: where a piece may be chosen.
        masks: the mask piece at each place.
        alphabet: pieces that may come at random.
        rng: of the draws.
        share: of free pieces that are chosen, each on its own; at least one is.
        replace: shares of the chosen that become the mask, a random piece, themselves.
    """
    chosen = free & (rng.random(ids.shape) < share)
    if not chosen.any():
        chosen.ravel()[np.flatnonzero(free)[rng.integers(free.sum())]] = True
    where = np.flatnonzero(chosen)
    labels = ids.ravel()[where]
    fate = rng.random(len(where))
    random = alphabet[rng.integers(len(alphabet), size=len(where))]
    new = np.where(fate < replace[0], masks.ravel()[where], np.where(fate < replace[0] + replace[1], random, labels))
    seen = ids.copy()
    seen.ravel()[where] = new
    return seen, where, labels


def assemble(
    objective: str, sentences: Sequence[Sentence], plan: Plan, alphabet: IntArray, key: Sequence[int]
) -> Batch:
    """Pack sentences and choose what to predict; `key` seeds the masking."""
    rows = pack([len(one.ids) for one in sentences], plan.width)
    shape = (len(rows), plan.width)
    ids, positions, segments, masks = (np.zeros(shape, np.int64) for _ in range(4))
    free = np.zeros(shape, bool)
    following = np.full(shape, -1, np.int64)
    for row, members in enumerate(rows):
        place = 0
        for index in members:
            one = sentences[index]
            part = slice(place, place + len(one.ids))
            ids[row, part], positions[row, part] = one.ids, one.positions
            segments[row, part], masks[row, part], free[row, part] = index + 1, one.mask, one.free
            following[row, place : place + len(one.ids) - 1] = one.ids[1:]
            place += len(one.ids)
    if objective == "contrastive":
        nothing = np.empty(0, np.int64)
        return Batch(objective, ids, positions, segments, nothing, nothing, sentences=len(sentences))
    if objective == "clm":
        where = np.flatnonzero(following >= 0)
        return Batch(objective, ids, positions, segments, where, following.ravel()[where], causal=True)
    rng = np.random.default_rng(list(key))
    ids, where, labels = mask(ids, free, masks, alphabet, rng, plan.share, plan.replace)
    return Batch(objective, ids, positions, segments, where, labels)


@dataclass
class Stream:
    """An endless order over n lines: a new permutation each epoch, wholly known from (seed, key, drawn)."""

    n: int
    key: tuple[int, ...]
    drawn: int = 0
    _epoch: int = -1
    _order: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def take(self) -> int:
        """The next line."""
        epoch, place = divmod(self.drawn, self.n)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([*self.key, epoch]).permutation(self.n)
        self.drawn += 1
        return int(self._order[place])


class Batches:
    """Batches of a corpus by a plan: batch k is a function of the seed and of how far each stream is (`state`)."""

    def __init__(self, corpus: Corpus, plan: Plan) -> None:
        self.corpus, self.plan = corpus, plan
        self.q = self._probabilities()
        self._names = [name for name, weight in plan.objectives.items() if weight > 0]
        weights = np.array([plan.objectives[name] for name in self._names])
        self._weights: FloatArray = weights / weights.sum()
        self._single = [Stream(len(one), (plan.seed, 1, i)) for i, one in enumerate(corpus.languages)]
        self._double = [Stream(len(corpus.languages[i]), (plan.seed, 2, i, j)) for i, j in corpus.parallel]

    @property
    def state(self) -> list[int]:
        """How many lines each stream has given."""
        return [one.drawn for one in (*self._single, *self._double)]

    @state.setter
    def state(self, drawn: Sequence[int]) -> None:
        for one, count in zip((*self._single, *self._double), drawn, strict=True):
            one.drawn = int(count)

    @property
    def draws(self) -> float:
        """Sentences that the plan's steps draw, about."""
        mean = self.corpus.tokens / sum(self.corpus.sizes.values()) + 2
        return self.plan.steps * self.plan.tokens / min(mean, self.plan.width)

    def _probabilities(self) -> FloatArray:
        sizes = self.corpus.sizes
        if self.plan.unimax is not None:
            return np.array(list(unimax(sizes, self.draws, self.plan.unimax).values()))
        return np.array(list(sampling_probabilities(sizes, self.plan.alpha).values()))

    def batch(self, step: int) -> Batch:
        """The batch of a step; streams move on."""
        rng = np.random.default_rng([self.plan.seed, 3, step])
        objective = self._names[int(rng.choice(len(self._names), p=self._weights))]
        sentences: list[Sentence] = []
        room = self.plan.tokens
        languages, pairs = self.corpus.languages, self.corpus.parallel
        while True:
            if objective in ("mlm", "clm"):
                i = int(rng.choice(len(languages), p=self.q))
                new = [single(languages[i], self._single[i].take(), self.plan.width)]
            else:
                k = int(rng.integers(len(pairs)))
                i, j = pairs[k] if rng.random() < 0.5 else pairs[k][::-1]
                line = self._double[k].take()
                if objective == "tlm":
                    new = [double(languages[i], languages[j], line, self.plan.width)]
                else:
                    new = [single(languages[x], line, self.plan.width) for x in (i, j)]
            sentences += new
            room -= sum(len(one.ids) for one in new)
            if room <= 0:
                return assemble(objective, sentences, self.plan, self.corpus.alphabet, (self.plan.seed, 4, step))
