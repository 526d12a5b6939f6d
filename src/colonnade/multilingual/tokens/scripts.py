"""Which scripts a text is written in, by the names of its characters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

# Characters of these scripts are written without blanks between words: words cannot be counted by splitting.
UNSPACED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"})


def script_shares(lines: Iterable[str]) -> dict[str, float]:
    """Share of letters by script, largest first; scripts as Unicode's character names begin (LATIN, CJK, ...)."""
    found = Counter(_script(char) for line in lines for char in line if char.isalpha())
    total = sum(found.values())
    return {script: count / total for script, count in found.most_common()}


def main_script(lines: Iterable[str]) -> str:
    """The script of most letters; "" for text without letters."""
    return next(iter(script_shares(lines)), "")


@cache
def _script(char: str) -> str:
    return unicodedata.name(char, "UNKNOWN").split(" ")[0].split("-")[0]
