"""Test sentences that stand in the training text: what makes a zero-shot score too good."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Leak:
    """How many test sentences stand in the training text, as they are or but for case, blanks and punctuation."""

    leaked: int
    total: int
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.leaked / self.total if self.total else 0.0

    @property
    def warning(self) -> str:
        """One sentence, or nothing when no sentence leaked."""
        if not self.leaked:
            return ""
        return (
            f"{self.leaked} of {self.total} test sentences ({100 * self.share:.1f} %) stand in the training text, "
            f"for example {self.examples[0][:60]!r}; their scores say nothing about transfer."
        )


def find_leaks(train: Iterable[str], test: Sequence[str], *, shortest: int = 4) -> Leak:
    """Look for test sentences in training text; those of fewer than `shortest` words are left alone (they recur)."""
    seen = {_key(line) for line in train}
    found = [line for line in test if len(line.split()) >= shortest and _key(line) in seen]
    return Leak(len(found), len(test), tuple(found[:3]))


def _key(line: str) -> str:
    return re.sub(r"[\W_]+", "", line).casefold()
