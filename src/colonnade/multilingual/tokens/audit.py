"""What a vocabulary does to each language: fertility, continued words, parity, what it lacks, how probable its pieces.

Fertility and continued words: Rust et al. 2021 (arXiv:2012.15613); parity of parallel text: Petrov et al. 2023
(arXiv:2305.15425); average log probability: Zheng et al. 2021 (arXiv:2109.07306). Words are what stands between blanks:
for scripts without blanks, fertility and continued words are left out, and characters a piece tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.data.parallel import Parallel
from colonnade.multilingual.errors import enough
from colonnade.multilingual.tokens.allocate import average_log_probability
from colonnade.multilingual.tokens.load import Tokens
from colonnade.multilingual.tokens.scripts import UNSPACED, main_script

WARN_UNKNOWN = 0.05  # share of unknown pieces above which a script counts as not covered


@dataclass(frozen=True)
class LanguageAudit:
    """Figures of one language.

    Attributes:
        fertility: pieces a word; None in scripts without blanks.
        continued: share of words cut into two pieces and more; None likewise.
        characters: characters (blanks not counted) a piece.
        unknown: share of pieces that are unknown.
        parity: pieces over those of the reference language for the same sentences; None without parallel text.
        log_probability: mean over pieces of ln p, p the piece's frequency in this language's text.
        used: share of the vocabulary that occurs.
        pieces: number of pieces.
    """

    language: str
    script: str
    fertility: float | None
    continued: float | None
    characters: float
    unknown: float
    parity: float | None
    log_probability: float
    used: float
    pieces: int

    @property
    def warning(self) -> str:
        """A sentence when the vocabulary hardly covers the script."""
        if self.unknown <= WARN_UNKNOWN:
            return ""
        remedy = "" if self.script == "LATIN" else f"romanise the {self.script.title()} script or "
        return (
            f"{self.language}: {100 * self.unknown:.0f} % of its pieces are unknown to this vocabulary; "
            f"{remedy}extend the vocabulary before using it."
        )


@dataclass(frozen=True)
class Audit:
    """All languages, and how much of their vocabularies they share: Jaccard's overlap (N, N)."""

    tokenizer: str
    size: int
    rows: tuple[LanguageAudit, ...]
    overlap: FloatArray

    @property
    def warnings(self) -> list[str]:
        return [row.warning for row in self.rows if row.warning]


def audit(tokens: Tokens, texts: Mapping[str, Sequence[str]] | Parallel, reference: str = "") -> Audit:
    """Audit a vocabulary on text by language.

    Args:
        tokens: the tokenizer.
        texts: lines by language; parallel text gives parity too.
        reference: the language that parity compares with; empty: the first.

    Raises:
        MultilingualError: no language, or one without text.
    """
    parallel = isinstance(texts, Parallel)
    lines = texts.sentences if isinstance(texts, Parallel) else texts
    enough("languages", len(lines), 1, "an audit")
    cut: dict[str, list[list[str]]] = {}
    for name, one in lines.items():
        enough(f"lines of {name} that are not blank", sum(bool(line.strip()) for line in one), 1, "an audit")
        cut[name] = tokens.pieces([line for line in one if line.strip()])
    base = sum(map(len, cut[reference or next(iter(cut))])) if parallel else None
    rows = tuple(_row(tokens, name, [x for x in lines[name] if x.strip()], cut[name], base) for name in cut)
    sets = [{piece for one in cut[name] for piece in one} for name in cut]
    overlap = np.array([[len(a & b) / max(len(a | b), 1) for b in sets] for a in sets])
    return Audit(tokens.name, len(tokens.vocabulary), rows, overlap)


def _row(
    tokens: Tokens, name: str, lines: Sequence[str], cut: Sequence[Sequence[str]], base: int | None
) -> LanguageAudit:
    count = sum(map(len, cut))
    script = main_script(lines)
    frequencies = Counter(piece for one in cut for piece in one)
    fertility = continued = None
    if script not in UNSPACED:
        words = Counter(word for line in lines for word in line.split())
        sizes = [len(one) for one in tokens.pieces(list(words))]
        total = sum(words.values())
        fertility = sum(n * size for n, size in zip(words.values(), sizes, strict=True)) / total
        continued = sum(n for n, size in zip(words.values(), sizes, strict=True) if size > 1) / total
    return LanguageAudit(
        name,
        script,
        fertility,
        continued,
        sum(len("".join(line.split())) for line in lines) / max(count, 1),
        frequencies[tokens.unknown] / max(count, 1) if tokens.unknown else 0.0,
        count / base if base else None,
        average_log_probability(cut),
        len(frequencies) / max(len(tokens.vocabulary), 1),
        count,
    )
