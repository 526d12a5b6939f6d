"""What decides who stays, but for the learned thresholds themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from colonnade.pruning.errors import PruningError, between, one_of
from colonnade.pruning.gate import RULES, check_rates
from colonnade.pruning.score import SCORES

EXECUTIONS = ("mask", "gather", "packed")
MAX_DIAL = 4.0


@dataclass(frozen=True)
class Rule:
    """How tokens are judged.

    Args:
        rule: "threshold" keeps r >= dial · θ of the layer; "topk" keeps the best share of the text's tokens.
        score: "received" attention; "relative", the same in units of its mean over tokens that are not protected;
            or "random" (to compare with).
        rows: how many rows of the attention are looked at; None is all of them (LTP's score), 1 the first token's.
        keep_rates: for "topk", the share of the text's own tokens that leave each layer.
        dial: scales the thresholds without retraining; 0 keeps all.
        protect: ids of tokens that always stay. The first token of a text always does.
        bypass: texts of fewer tokens are not pruned, as removal would cost more than it saves.
        seed: of the random score.
    """

    rule: str = "threshold"
    score: str = "received"
    rows: int | None = 32
    keep_rates: Sequence[float] | None = None
    dial: float = 1.0
    protect: Sequence[int] = ()
    bypass: int = 0
    seed: int = 0

    def checked(self, layers: int) -> Rule:
        """Itself.

        Raises:
            PruningError: a setting is out of range.
        """
        one_of("rule", self.rule, RULES)
        one_of("score", self.score, SCORES)
        between("dial", self.dial, 0, MAX_DIAL)
        if self.rows is not None:
            between("rows", self.rows, 1, 1_000_000)
        if self.bypass < 0:
            raise PruningError(f"bypass must be at least 0 tokens, but is {self.bypass}.")
        if self.rule == "topk":
            check_rates(self.keep_rates or (), layers)
        return self

    def thresholds(self, learned: Sequence[float]) -> list[float]:
        """The thresholds that hold at this dial."""
        return [self.dial * value for value in learned]

    def rates(self) -> list[float]:
        """The keep rates that hold at this dial."""
        return [max(0.0, 1 - self.dial * (1 - rate)) for rate in self.keep_rates or ()]

    def passive(self, layer: int, learned: Sequence[float]) -> bool:
        """Whether a layer keeps every token whatever its score."""
        if self.rule == "topk":
            return self.rates()[layer] >= 1
        return self.dial * learned[layer] <= 0
