"""Background knowledge for causal discovery: tiers in time, edges that cannot or must be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.errors import CausalError

Array = NDArray[Any]


@dataclass(frozen=True)
class Knowledge:
    """What is known beforehand.

    Args:
        tiers: groups of variables in time; nothing in a later group causes anything in an earlier one.
        forbidden, required: (cause, effect) pairs.
    """

    tiers: Sequence[Sequence[str]] = ()
    forbidden: Sequence[tuple[str, str]] = ()
    required: Sequence[tuple[str, str]] = ()

    def masks(self, names: Sequence[str]) -> tuple[Array, Array]:
        """(n, n) of what may be an edge and of what must be one, at [cause, effect].

        Raises:
            CausalError: an unknown name, or an edge both required and forbidden.
        """
        number = {name: i for i, name in enumerate(names)}

        def at(name: str) -> int:
            if name not in number:
                raise CausalError(f"background knowledge must name one of {', '.join(names[:20])}, but names {name!r}.")
            return number[name]

        allowed, needed = ~np.eye(len(names), dtype=bool), np.zeros((len(names), len(names)), bool)
        for later, group in enumerate(self.tiers):
            for earlier in self.tiers[:later]:
                for cause in group:
                    for effect in earlier:
                        allowed[at(cause), at(effect)] = False
        for cause, effect in self.forbidden:
            allowed[at(cause), at(effect)] = False
        for cause, effect in self.required:
            if not allowed[at(cause), at(effect)]:
                raise CausalError(f"the edge {cause}->{effect} is both required and forbidden.")
            needed[at(cause), at(effect)] = True
        return allowed, needed

    @classmethod
    def read(cls, tiers: str = "", forbidden: str = "", required: str = "") -> Knowledge:
        """From text: tiers as "age, sex | dose | outcome", edges as "a->b, b->c".

        Raises:
            CausalError: an edge without an arrow or an end.
        """
        groups = [[name.strip() for name in tier.split(",") if name.strip()] for tier in tiers.split("|")]
        edges = {name: _edges(text, name) for name, text in (("forbidden", forbidden), ("required", required))}
        return cls([group for group in groups if group], **edges)


def _edges(text: str, field: str) -> list[tuple[str, str]]:
    out = []
    for item in filter(None, (part.strip() for part in re.split(r"[,\n]", text))):
        cause, arrow, effect = item.partition("->")
        if not arrow or not cause.strip() or not effect.strip():
            raise CausalError(f"{field} must hold edges like a->b, but holds {item!r}.")
        out.append((cause.strip(), effect.strip()))
    return out
