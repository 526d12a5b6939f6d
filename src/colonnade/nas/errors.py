"""What goes wrong in this column and can be put right by the person who asked."""

from __future__ import annotations


class NasError(ValueError):
    """A mistake in the request or in the data, said in one plain sentence."""


def between(field: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuse `value` outside [low, high], also when it is not a number.

    Raises:
        NasError: names field, value and allowed range.
    """
    if not low <= value <= high:
        of = f" {unit}" if unit else ""
        raise NasError(f"{field} must be from {low:g} to {high:g}{of}, but is {value:g}.")
