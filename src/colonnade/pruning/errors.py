"""What goes wrong in this column and can be put right by the person who asked."""

from __future__ import annotations

from functools import partial

from colonnade import checks


class PruningError(ValueError):
    """A mistake in the request or in the data, said in one plain sentence."""


class MissingEngine(PruningError):
    """An export target or a carried model needs a package that is not installed."""


between = partial(checks.between, PruningError)
one_of = partial(checks.one_of, PruningError)
engine = partial(checks.engine, MissingEngine, "pruning")
