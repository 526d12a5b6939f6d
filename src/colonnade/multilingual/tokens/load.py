"""One face for tokenizers of two kinds: tokenizer.json of the package tokenizers, and SentencePiece models."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colonnade.multilingual.errors import MultilingualError


@dataclass(frozen=True)
class Tokens:
    """A tokenizer: `pieces(texts)` cuts texts, without special pieces; `unknown` is the piece for what it lacks."""

    name: str
    vocabulary: tuple[str, ...]
    unknown: str | None
    pieces: Callable[[Sequence[str]], list[list[str]]]


def load_tokenizer(path: Path, name: str = "") -> Tokens:
    """Read tokenizer.json or a SentencePiece .model.

    Raises:
        MultilingualError: it is neither.
    """
    with path.open("rb") as stream:  # by content: an uploaded file is stored without its ending
        written = stream.read(64).lstrip().startswith(b"{")
    return _from_json(path, name or path.name) if written else _from_model(path, name or path.name)


def of(tokenizer: Any, name: str = "tokenizer") -> Tokens:
    """The same for a `tokenizers.Tokenizer` at hand."""
    model = json.loads(tokenizer.to_str())["model"]
    by_id = {index: piece for piece, index in tokenizer.get_vocab().items()}
    number = model.get("unk_id")
    unknown = model.get("unk_token") if number is None else by_id[number]

    def pieces(texts: Sequence[str]) -> list[list[str]]:
        encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        # by id: where text is unknown, `tokens` shows the text and not the piece that stands for it
        return [[by_id[index] for index in one.ids] for one in encoded]

    return Tokens(name, tuple(by_id[index] for index in sorted(by_id)), unknown, pieces)


def _from_json(path: Path, name: str) -> Tokens:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise MultilingualError(f"{path.name!r} is no tokenizer.json: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return of(tokenizer, name)


def _from_model(path: Path, name: str) -> Tokens:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor()
    try:
        model.Load(str(path))
    except (RuntimeError, OSError) as error:
        raise MultilingualError(f"{path.name!r} is no SentencePiece model: {error}") from None
    vocabulary = tuple(model.IdToPiece(index) for index in range(model.GetPieceSize()))

    def pieces(texts: Sequence[str]) -> list[list[str]]:
        return [[vocabulary[index] for index in one] for one in model.EncodeAsIds(list(texts))]

    return Tokens(name, vocabulary, vocabulary[model.unk_id()] if model.unk_id() >= 0 else None, pieces)
