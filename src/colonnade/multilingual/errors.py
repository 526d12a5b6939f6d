"""The one error of the column, and the checks that raise it most."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MultilingualError(ValueError):
    """A mistake in what was asked for; the message is meant to be shown to the user as it is."""


def between(field: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside of [low, high].

    Raises:
        MultilingualError: naming field, value and range.
    """
    if not low <= value <= high:
        raise MultilingualError(f"{field} is {value:g}; it must be between {low:g} and {high:g}")


def one_of(field: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse a word that is not in a list, and name the nearest ones.

    Raises:
        MultilingualError: naming field, value and what is allowed.
    """
    known = list(allowed)
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise MultilingualError(f"{field} is {value!r}; it must be one of {', '.join(known)}{hint}")


def enough(what: str, found: int, needed: int, purpose: str) -> None:
    """Refuse a statistic of too few sentences.

    Raises:
        MultilingualError: naming what was counted, how many there are and how many it takes.
    """
    if found < needed:
        raise MultilingualError(f"there are {found} {what}, but {purpose} needs at least {needed}")
