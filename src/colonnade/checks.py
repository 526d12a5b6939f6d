"""Checks of values that columns share: each raises the column's own error, naming field, value and range."""

from __future__ import annotations

import importlib
from typing import Any


def between(error: type[ValueError], field: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuse `value` outside [low, high], also when it is not a number.

    Raises:
        ValueError: of the kind `error`; names field, value and allowed range.
    """
    if not low <= value <= high:
        raise error(f"{field} must be from {low:g} to {high:g}{unit and ' ' + unit}, but is {value:g}.")


def one_of(error: type[ValueError], field: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse a `value` that is not among `allowed`.

    Raises:
        ValueError: of the kind `error`; names field, value and the choices.
    """
    if value not in allowed:
        raise error(f"{field} must be one of {', '.join(map(str, allowed))}, but is {value!r}.")


def engine(error: type[ValueError], usual: str, module: str, extra: str = "") -> Any:
    """Import an optional engine.

    Args:
        error: raised when it is not installed.
        usual: the extra that brings it when `extra` names none.

    Raises:
        ValueError: of the kind `error`; names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as reason:
        wanted = f"pip install 'colonnade[{extra or usual}]'"
        raise error(f"{module} is not installed; install it with: {wanted} ({reason}).") from None
