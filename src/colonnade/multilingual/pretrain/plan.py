"""What a pretraining run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from colonnade.multilingual.errors import MultilingualError, between, one_of

OBJECTIVES = ("mlm", "tlm", "clm", "contrastive")


@dataclass(frozen=True)
class Plan:
    """Architecture (BERT's), data and optimiser of a run.

    Attributes:
        layers, hidden, heads, feedforward: of the transformer.
        width: pieces a row, and the longest sentence with its special pieces; longer ones are cut.
        tokens: pieces a step, packed into rows.
        steps: of the optimiser.
        rate: highest learning rate; it rises over `warmup` of the steps and falls linearly to 0.
        decay: weight decay, of matrices only.
        alpha: exponent of the language sampling; with `unimax` (most epochs a language) it is not used.
        objectives: weight of each; every step has one, drawn by these.
        share, replace: of pieces to predict, and what becomes of them: mask, random piece, themselves.
        margin, scale: additive margin and inverse temperature of the contrastive objective.
        seed: of weights and data.
    """

    layers: int = 4
    hidden: int = 128
    heads: int = 2
    feedforward: int = 512
    width: int = 128
    tokens: int = 4096
    steps: int = 500
    rate: float = 1e-3
    warmup: float = 0.06
    decay: float = 0.01
    alpha: float = 0.3
    unimax: float | None = None
    objectives: Mapping[str, float] = field(default_factory=lambda: {"mlm": 1.0})
    share: float = 0.15
    replace: tuple[float, float, float] = (0.8, 0.1, 0.1)
    margin: float = 0.3
    scale: float = 20.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in _BOUNDS:
            between(name, getattr(self, name), low, high)
        if self.hidden % self.heads:
            raise MultilingualError(f"hidden is {self.hidden} and heads {self.heads}; heads must divide hidden")
        for name, weight in self.objectives.items():
            one_of("objective", name, OBJECTIVES)
            between(f"weight of {name}", weight, 0, 1e6)
        if not sum(self.objectives.values()) > 0:
            raise MultilingualError(f"objectives have no weight; give one of {', '.join(OBJECTIVES)} a weight above 0")
        if abs(sum(self.replace) - 1) > 1e-9 or min(self.replace) < 0:
            raise MultilingualError(f"replace is {self.replace}; mask, random and unchanged must sum to 1")
        if self.tokens < self.width:
            raise MultilingualError(f"tokens is {self.tokens}; a step needs at least one row of {self.width}")


_BOUNDS = (
    ("layers", 1, 48), ("hidden", 8, 4096), ("heads", 1, 64), ("feedforward", 8, 16384), ("width", 8, 1024),
    ("tokens", 8, 1_000_000), ("steps", 1, 10_000_000), ("rate", 1e-7, 1), ("warmup", 0, 1), ("decay", 0, 10),
    ("alpha", 0, 1), ("share", 0.001, 0.9), ("margin", 0, 2), ("scale", 0.1, 1000),
)  # fmt: skip
