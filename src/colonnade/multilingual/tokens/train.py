"""Training vocabularies: BPE and unigram by the package tokenizers, and SentencePiece models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from colonnade.multilingual.errors import MultilingualError, between, enough, one_of

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_bpe(lines: Iterable[str], size: int, special: Sequence[str] = SPECIAL) -> Any:
    """A byte-level BPE `tokenizers.Tokenizer`: it knows every text, so nothing is unknown.

    Raises:
        MultilingualError: the size leaves no room for the 256 bytes, or there is no text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    between("size", size, 256 + len(special), 1_000_000)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_some(lines), trainer)
    return tokenizer


def train_unigram(lines: Iterable[str], size: int, special: Sequence[str] = SPECIAL) -> Any:
    """A unigram `tokenizers.Tokenizer` on text in NFKC, blanks as ▁.

    Raises:
        MultilingualError: too small a size, or there is no text.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    between("size", size, 32, 1_000_000)
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=list(special), unk_token="[UNK]", show_progress=False
    )
    tokenizer.train_from_iterator(_some(lines), trainer)
    return tokenizer


def train_sentencepiece(lines: Iterable[str], size: int, path: Path, kind: str = "unigram") -> Path:
    """A SentencePiece model written to `path` (.model).

    Raises:
        MultilingualError: the text is too small for the size, or the kind is neither unigram nor bpe.
    """
    import io

    import sentencepiece

    one_of("kind", kind, ("unigram", "bpe"))
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(_some(lines)),
            model_writer=model,
            vocab_size=size,
            model_type=kind,
            character_coverage=1.0,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise MultilingualError(
            f"size is {size}; SentencePiece cannot make so many pieces of this text: {error}"
        ) from None
    path.write_bytes(model.getvalue())
    return path


def _some(lines: Iterable[str]) -> list[str]:
    kept = [line for line in lines if line.strip()]
    enough("lines that are not blank", len(kept), 1, "a vocabulary")
    return kept
