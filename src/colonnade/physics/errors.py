"""What goes wrong in this column and can be put right by the person who asked."""

from __future__ import annotations

import importlib
from typing import Any


class PhysicsError(ValueError):
    """A mistake in the request or in the data, said in one plain sentence."""


class MissingEngine(PhysicsError):
    """A simulator or file format needs a package that is not installed."""


def between(field: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuse `value` outside [low, high], also when it is not a number.

    Raises:
        PhysicsError: names field, value and allowed range.
    """
    if not low <= value <= high:
        of = f" {unit}" if unit else ""
        raise PhysicsError(f"{field} must be from {low:g} to {high:g}{of}, but is {value:g}.")


def one_of(field: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse a `value` that is not among `allowed`.

    Raises:
        PhysicsError: names field, value and the choices.
    """
    if value not in allowed:
        raise PhysicsError(f"{field} must be one of {', '.join(map(str, allowed))}, but is {value!r}.")


def engine(module: str, extra: str = "physics") -> Any:
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
