"""The one error of the column: a plain sentence naming the field, its value and the allowed range."""

from __future__ import annotations


class LatticeError(ValueError):
    """A mistake in what was asked for; the message is meant to be shown to the user as it is."""
