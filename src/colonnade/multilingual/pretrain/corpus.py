"""Text as ids: one flat array a language, with the ends of its lines, and which languages are translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colonnade.multilingual._types import IntArray
from colonnade.multilingual.data.parallel import Parallel
from colonnade.multilingual.errors import MultilingualError, enough


@dataclass(frozen=True)
class Specials:
    """Ids of the special pieces."""

    pad: int
    unknown: int
    begin: int
    end: int
    mask: int

    @classmethod
    def of(cls, tokenizer: Any) -> Specials:
        """Those of a tokenizer, under BERT's names or RoBERTa's.

        Raises:
            MultilingualError: it lacks one.
        """
        found = []
        for names in (
            ("[PAD]", "<pad>"),
            ("[UNK]", "<unk>"),
            ("[CLS]", "<s>"),
            ("[SEP]", "</s>"),
            ("[MASK]", "<mask>"),
        ):
            ids = [tokenizer.token_to_id(name) for name in names if tokenizer.token_to_id(name) is not None]
            if not ids:
                raise MultilingualError(f"the tokenizer has no piece {' or '.join(names)}; masked models need it")
            found.append(int(ids[0]))
        return cls(*found)


@dataclass(frozen=True)
class Written:
    """One language: line i is `ids[ends[i]:ends[i + 1]]`, special pieces not among them.

    `offset` is added to its positions (a language of its own position embeddings has one).
    """

    name: str
    ids: IntArray
    ends: IntArray
    specials: Specials
    offset: int = 0

    def __len__(self) -> int:
        return len(self.ends) - 1

    def line(self, index: int) -> IntArray:
        """The ids of a line."""
        return self.ids[self.ends[index] : self.ends[index + 1]]

    def part(self, start: int, stop: int) -> Written:
        """Some of its lines."""
        ends = self.ends[start : stop + 1]
        return replace(self, ids=self.ids[ends[0] : ends[-1]], ends=ends - ends[0])

    @classmethod
    def of(cls, name: str, lines: Sequence[Sequence[int]], specials: Specials, offset: int = 0) -> Written:
        """From lines of ids."""
        ends = np.concatenate([[0], np.cumsum([len(line) for line in lines])]).astype(np.int64)
        ids = np.concatenate([np.asarray(line, np.int64) for line in lines]) if ends[-1] else np.empty(0, np.int64)
        return cls(name, ids, ends, specials, offset)


@dataclass(frozen=True)
class Corpus:
    """Languages over one set of ids.

    Attributes:
        languages: the text.
        vocabulary: number of ids.
        alphabet: the ids that a masked piece may be replaced with at random.
        parallel: pairs of indices into `languages` whose lines are translations of each other.
    """

    languages: tuple[Written, ...]
    vocabulary: int
    alphabet: IntArray
    parallel: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        enough("languages", len(self.languages), 1, "pretraining")
        for one in self.languages:
            enough(f"lines of {one.name}", len(one), 1, "pretraining")
            if len(one.ids) and int(one.ids.max()) >= self.vocabulary:
                raise MultilingualError(
                    f"{one.name} has id {int(one.ids.max())}, but the vocabulary ends at {self.vocabulary - 1}: it was "
                    "cut by the tokenizer of another model"
                )
        for i, j in self.parallel:
            if len(self.languages[i]) != len(self.languages[j]):
                raise MultilingualError(
                    f"{self.languages[i].name} has {len(self.languages[i])} lines but {self.languages[j].name} "
                    f"{len(self.languages[j])}: aligned text has as many lines each"
                )

    @property
    def sizes(self) -> dict[str, int]:
        """Lines by language."""
        return {one.name: len(one) for one in self.languages}

    @property
    def tokens(self) -> int:
        """Pieces in all."""
        return sum(len(one.ids) for one in self.languages)


def encode(tokenizer: Any, text: Mapping[str, Sequence[str]] | Parallel) -> Corpus:
    """Cut text by a `tokenizers.Tokenizer`; parallel text makes every pair of its languages a translation.

    Raises:
        MultilingualError: the tokenizer lacks a special piece, or a language has no text.
    """
    specials = Specials.of(tokenizer)
    lines = text.sentences if isinstance(text, Parallel) else text
    found = []
    for name, one in lines.items():
        kept = list(one) if isinstance(text, Parallel) else [line for line in one if line.strip()]
        cut = tokenizer.encode_batch(kept, add_special_tokens=False)
        found.append(Written.of(name, [item.ids for item in cut], specials))
    size = tokenizer.get_vocab_size()
    special = set(vars(specials).values())
    pairs = [(i, j) for i in range(len(found)) for j in range(len(found)) if i < j]
    alphabet = np.array([index for index in range(size) if index not in special], np.int64)
    return Corpus(tuple(found), size, alphabet, tuple(pairs) if isinstance(text, Parallel) else ())


def relabelled(corpus: Corpus, table: IntArray) -> Corpus:
    """The same corpus with every id i called table[i]: a bijection changes nothing that can be learnt.

    Raises:
        MultilingualError: the table is no bijection of the vocabulary.
    """
    if len(table) != corpus.vocabulary or len(np.unique(table)) != len(table):
        raise MultilingualError(
            "the table is no bijection: every id of the vocabulary must get another one's place once"
        )

    def moved(one: Written) -> Written:
        specials = Specials(*(int(table[index]) for index in vars(one.specials).values()))
        return replace(one, ids=table[one.ids], specials=specials)

    return replace(corpus, languages=tuple(map(moved, corpus.languages)), alphabet=table[corpus.alphabet])
