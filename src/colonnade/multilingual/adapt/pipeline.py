"""An encoder and a new language: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from colonnade.multilingual.data.parallel import Parallel
from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.encoders.ngrams import NgramEncoder
from colonnade.multilingual.errors import enough
from colonnade.multilingual.evaluate import retrieval
from colonnade.multilingual.evaluate.statistics import Interval
from colonnade.multilingual.tokens.audit import WARN_UNKNOWN, LanguageAudit, audit
from colonnade.multilingual.tokens.load import of

MANY_PIECES = 1.6  # pieces beside the reference's for the same text, above which a vocabulary serves a language badly
KNOWN = 0.9  # P@1 among a few hundred sentences from which there is little to gain


@dataclass(frozen=True)
class Diagnosis:
    """How a vocabulary cuts a language (None without a tokenizer), and how well its sentences are found.

    `p1` is the mean of both directions with the reference language; `control` that of n-grams.
    """

    language: str
    reference: str
    audit: LanguageAudit | None
    p1: Interval
    control: float
    chance: float


def diagnose(encoder: Encoder, text: Parallel, reference: str, language: str) -> Diagnosis:
    """Look at a language beside a reference that the encoder knows.

    Args:
        encoder: any; the vocabulary is looked at where it has a tokenizer.
        text: aligned sentences of both.
        reference, language: their codes.

    Raises:
        MultilingualError: fewer than 10 pairs, or a language is not there.
    """
    pair = text.take([reference, language])
    enough("pairs of sentences", len(pair), 10, "a diagnosis")
    found, control = retrieval(encoder, pair), retrieval(NgramEncoder(), pair)
    tokenizer: Any = getattr(encoder, "tokenizer", None)
    row = None if tokenizer is None else audit(of(tokenizer, encoder.name), pair, reference).rows[1]
    return Diagnosis(language, reference, row, found.mean_to(language), control.mean_to(language).value, found.chance)


def recommend(found: Diagnosis, *, pairs: int, lines: int = 0, head: bool = False) -> list[tuple[str, str]]:
    """Steps in their order, each with its reason.

    Args:
        found: the diagnosis.
        pairs: parallel sentences to learn from.
        lines: of the language alone.
        head: whether the model has a masked-language-model head.
    """
    steps: list[tuple[str, str]] = []
    row = found.audit
    if row is not None and row.unknown > WARN_UNKNOWN:
        script = row.script.title()
        steps.append(
            ("romanise", f"{row.unknown:.0%} of the pieces are unknown: the vocabulary lacks the {script} script")
        )
    if row is not None and row.parity is not None and row.parity > MANY_PIECES and head and lines >= 100:
        steps.append(("vocabulary", f"it takes {row.parity:.2f} times the pieces of {found.reference}"))
    if found.p1.value >= KNOWN:
        steps.append(("nothing", f"P@1 is {found.p1.value:.3f}: there is little to gain"))
        return steps
    if head and lines >= 100:
        steps.append(("adapter", f"{lines} lines to learn the language from, with a frozen model"))
    if pairs >= 200:
        steps.append(("contrast", f"{pairs} translations can train an adapter; P@1 is {found.p1.value:.3f}"))
    elif pairs >= 20:
        steps.append(("procrustes", f"{pairs} translations are too few for training, and enough for a rotation"))
    if not steps:
        steps.append(
            ("nothing", "there is too little text to learn from; bring 20 translations, or 100 lines and a head")
        )
    return steps


def best_of(results: Sequence[tuple[str, Interval]]) -> tuple[str, Interval]:
    """The one with the highest value (of equals the first)."""
    return max(results, key=lambda item: item[1].value)
