"""What goes wrong in this column and can be put right by the person who asked."""

from __future__ import annotations

from functools import partial

from colonnade import checks


class PhysicsError(ValueError):
    """A mistake in the request or in the data, said in one plain sentence."""


class MissingEngine(PhysicsError):
    """A simulator or file format needs a package that is not installed."""


between = partial(checks.between, PhysicsError)
one_of = partial(checks.one_of, PhysicsError)
engine = partial(checks.engine, MissingEngine, "physics")
