"""What every encoder can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import MultilingualError, between, enough


@dataclass(frozen=True)
class Pieces:
    """The vectors (pieces, d) of one sentence's pieces, and the word each belongs to."""

    vectors: FloatArray
    words: Sequence[int]

    def first(self, count: int) -> tuple[FloatArray, list[int]]:
        """The first piece of each of `count` words (k, d), and the words that have one: others were cut off."""
        there, rows = np.unique(np.asarray(self.words, np.int64), return_index=True)
        return self.vectors[rows[there < count]], there[there < count].tolist()


class Encoder(ABC):
    """An encoder with `depth` layers numbered 0 (the embeddings) to depth, and vectors of `dimension`.

    `notes` says what a user should know, such as sentences that were cut.
    """

    name: str
    depth: int
    dimension: int

    def __init__(self) -> None:
        self.notes: list[str] = []

    @abstractmethod
    def _sentences(self, texts: Sequence[str], layers: Sequence[int]) -> dict[int, FloatArray]: ...

    def _words(self, sentences: Sequence[Sequence[str]], layers: Sequence[int]) -> dict[int, list[Pieces]]:
        raise MultilingualError(f"encoder {self.name!r} gives vectors of sentences only, not of words")

    def sentences(self, texts: Sequence[str], layers: Sequence[int] = (-1,)) -> dict[int, FloatArray]:
        """Vectors (n, d) of sentences by layer; -1 is the last layer, and comes back under its number.

        Raises:
            MultilingualError: there is no sentence, one is blank, or a layer does not exist.
        """
        enough("sentences", len(texts), 1, "an encoder")
        for number, text in enumerate(texts, 1):
            if not text.strip():
                raise MultilingualError(f"sentence {number} is blank; leave blank lines out")
        return self._sentences(texts, self.numbers(layers))

    def words(self, sentences: Sequence[Sequence[str]], layers: Sequence[int] = (-1,)) -> dict[int, list[Pieces]]:
        """Vectors of the pieces of each sentence's words, by layer.

        Raises:
            MultilingualError: there is no sentence, one has no word, or a layer does not exist.
        """
        enough("sentences", len(sentences), 1, "an encoder")
        for number, words in enumerate(sentences, 1):
            if not words or any(not word.strip() for word in words):
                raise MultilingualError(f"sentence {number} has no words, or a blank one")
        return self._words(sentences, self.numbers(layers))

    def numbers(self, layers: Sequence[int]) -> list[int]:
        """Layers as numbers from 0, negative ones counted from the last."""
        for layer in layers:
            between("layer", layer, -self.depth - 1, self.depth)
        return [layer % (self.depth + 1) for layer in layers]
