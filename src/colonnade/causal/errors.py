"""What a user did wrong, in one plain sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CausalError(ValueError):
    """A mistake in a world, a graph, a table or a call; the text names the field, its value and what is allowed."""


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise CausalError unless `low <= value <= high` (NaN is refused too)."""
    if not low <= value <= high:
        raise CausalError(f"{name} must be from {_number(low)} to {_number(high)}, but is {_number(value)}.")


def _number(value: float) -> str:
    """Whole numbers in full up to a billion, others shortly."""
    return str(int(value)) if value == value // 1 and abs(value) <= 1e9 else f"{value:g}"


def check_choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Raise CausalError, with the nearest allowed name, unless `value` is one of `allowed`."""
    choices = list(allowed)
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise CausalError(f"{name} must be one of {', '.join(choices)}, but is {value!r}{hint}")
