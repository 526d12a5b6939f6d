"""The control that knows no language: a bag of hashed character n-grams.

Whatever it retrieves across languages comes from names, numbers and cognates. A multilingual encoder has to beat it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.encoders.base import Encoder, Pieces
from colonnade.multilingual.errors import between


class NgramEncoder(Encoder):
    """Counts of the n-grams of each word, hashed into `dimension` buckets with signs, damped by a logarithm.

    Args:
        orders: lengths of the n-grams; words are marked at both ends.
        dimension: buckets.
    """

    def __init__(self, orders: Sequence[int] = (3, 4), dimension: int = 1024) -> None:
        super().__init__()
        between("dimension", dimension, 16, 65536)
        self.name, self.depth, self.dimension = "ngrams", 0, dimension
        self._orders = tuple(orders)

    def _vector(self, words: Sequence[str]) -> FloatArray:
        found = np.zeros(self.dimension, np.float32)
        grams = Counter(gram for word in words for gram in self._grams(word.casefold()))
        for gram, count in grams.items():
            code = zlib.crc32(gram.encode())
            found[(code >> 1) % self.dimension] += (1 if code & 1 else -1) * np.log1p(count)
        return found

    def _grams(self, word: str) -> list[str]:
        marked = f"<{word}>"
        return [marked, *(marked[i : i + n] for n in self._orders for i in range(len(marked) - n + 1))]

    def _sentences(self, texts: Sequence[str], layers: Sequence[int]) -> dict[int, FloatArray]:
        vectors = np.stack([self._vector(text.split()) for text in texts])
        return dict.fromkeys(layers, vectors)

    def _words(self, sentences: Sequence[Sequence[str]], layers: Sequence[int]) -> dict[int, list[Pieces]]:
        pieces = [Pieces(np.stack([self._vector([w]) for w in words]), range(len(words))) for words in sentences]
        return dict.fromkeys(layers, pieces)
