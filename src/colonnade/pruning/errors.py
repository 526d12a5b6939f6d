"""What goes wrong in this column and can be put right by the person who asked."""

from __future__ import annotations

import importlib
from typing import Any


class PruningError(ValueError):
    """A mistake in the request or in the data, said in one plain sentence."""


class MissingEngine(PruningError):
    """An export target or a carried model needs a package that is not installed."""


def between(field: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuse `value` outside [low, high], also when it is not a number.

    Raises:
        PruningError: names field, value and allowed range.
    """
    if not low <= value <= high:
        raise PruningError(f"{field} must be from {low:g} to {high:g}{unit and ' ' + unit}, but is {value:g}.")


def one_of(field: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse a `value` that is not among `allowed`.

    Raises:
        PruningError: names field, value and the choices.
    """
    if value not in allowed:
        raise PruningError(f"{field} must be one of {', '.join(map(str, allowed))}, but is {value!r}.")


def engine(module: str, extra: str = "pruning") -> Any:
    """Import an optional engine.

    Raises:
        MissingEngine: it is not installed; names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingEngine(
            f"{module} is not installed; install it with: pip install 'colonnade[{extra}]' ({error})."
        ) from None
