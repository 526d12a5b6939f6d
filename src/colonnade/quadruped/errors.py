"""Errors of this column: mistakes of the user (`InputError`) and runs that ended without an answer."""

from __future__ import annotations


class InputError(ValueError):
    """A value the method cannot take; one sentence naming field, value and allowed range."""


class InfeasibleJump(ValueError):
    """No jump meets the specification; the text names the binding constraint and its limiting number."""


class Cancelled(Exception):
    """The caller asked a running computation to stop."""


def check_range(field: str, value: float, low: float, high: float, unit: str = "") -> float:
    """`value` when it lies in [low, high]; NaN and infinities never do.

    Raises:
        InputError: otherwise.
    """
    if not low <= value <= high:
        raise InputError(f"{field} must be from {low:g} to {high:g}{unit and ' ' + unit}, but is {value:g}.")
    return float(value)
