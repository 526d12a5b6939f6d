"""What goes wrong in this column and can be put right by the person who asked."""

from __future__ import annotations

from functools import partial

from colonnade import checks


class NasError(ValueError):
    """A mistake in the request or in the data, said in one plain sentence."""


between = partial(checks.between, NasError)
