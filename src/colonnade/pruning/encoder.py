"""An encoder body whose layers let tokens go; it takes the body's place inside a model of the library transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from colonnade.pruning.batch import Batch, Run
from colonnade.pruning.errors import PruningError, one_of
from colonnade.pruning.families import family_of
from colonnade.pruning.gate import check_thresholds
from colonnade.pruning.packed import run_packed
from colonnade.pruning.padded import run_padded
from colonnade.pruning.rule import EXECUTIONS, Rule


@dataclass
class PrunedOutput(BaseModelOutputWithPooling):  # type: ignore[misc]
    """What an encoder of transformers gives, and who survived.

    Attributes:
        kept: which tokens left each layer [B, L, N]; only when `output_kept` is asked for.
    """

    kept: Tensor | None = None


class PrunedEncoder(nn.Module):
    """A body (`BertModel`, `RobertaModel`, `DistilBertModel`, `ElectraModel`, `MPNetModel`) that prunes.

    Args:
        body: the base model without its head; its weights are used as they are.
        rule: how tokens are judged.
        thresholds: θ of each layer in units of the mean score (1 is an average token); zeros keep all.
        execution: "packed" (fast), "gather" (padded, removal), "mask" (padded, nothing removed).
        first_only: only the state of each text's first token is read, as classification heads do. The last layer then
            computes that one alone, which changes nothing in it.

    Raises:
        PruningError: the architecture is not supported, or a setting is out of range.
    """

    def __init__(
        self,
        body: Any,
        rule: Rule | None = None,
        thresholds: Sequence[float] | None = None,
        execution: str = "packed",
        first_only: bool = False,
    ) -> None:
        super().__init__()
        self.family = family_of(body)
        self.body = body
        self.config = body.config
        count = len(self.family.layers(body))
        one_of("execution", execution, EXECUTIONS)
        self.rule = (rule or Rule()).checked(count)
        values = [0.0] * count if thresholds is None else check_thresholds(thresholds, count)
        self.thresholds = nn.Parameter(torch.tensor(values))
        self.execution, self.first_only = execution, first_only
        self.temperature: float | None = None
        self.last: tuple[Batch, Run] | None = None
        self.train(body.training)

    def layers(self) -> nn.ModuleList:
        """The encoder's layers."""
        return self.family.layers(self.body)

    def counts(self, n0: Tensor, number: int) -> Tensor:
        """How many tokens of texts with n0 leave a layer under the rule "topk" (at least the first one)."""
        return torch.clamp(torch.ceil(n0 * self.rule.rates()[number] - 1e-6), min=1).long()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        **other: Any,
    ) -> PrunedOutput:
        """Run texts (B, N) through the layers.

        Raises:
            PruningError: no token ids, a text without tokens, or too long a text.
        """
        _refuse(input_ids, other)
        assert input_ids is not None
        batch = Batch.of(input_ids, attention_mask, token_type_ids)
        run = self.run(batch)
        self.last = batch, run
        hidden = self._padded(batch, run)
        pooler = getattr(self.body, "pooler", None)
        return PrunedOutput(
            last_hidden_state=hidden,
            pooler_output=None if pooler is None else pooler(hidden),
        )

    def run(self, batch: Batch) -> Run:
        """Run texts without padding."""
        longest, limit = max(batch.lengths), self.family.max_tokens(self.body)
        if longest > limit:
            raise PruningError(f"A text has {longest} tokens, but the model takes at most {limit}; cut it first.")
        x = self.family.embed(self.body, batch.ids[None], batch.places[None], _row(batch.segments))[0]
        protected = self.protected(batch)
        if self.temperature is not None:
            return run_padded(
                self, batch, x, protected, remove=False, first_only=self.first_only, temperature=self.temperature
            )
        if self.execution == "packed":
            return run_packed(self, batch, x, protected, first_only=self.first_only)
        remove = self.execution == "gather"
        return run_padded(self, batch, x, protected, remove=remove, first_only=self.first_only)

    def protected(self, batch: Batch) -> Tensor:
        """Which tokens stay whatever their score [T]: the first, those of protected ids, and all of bypassed texts."""
        protected = batch.places == 0
        if self.rule.protect:
            protected = protected | torch.isin(
                batch.ids, torch.tensor(list(self.rule.protect), device=batch.ids.device)
            )
        if self.rule.bypass:
            short = torch.tensor([n < self.rule.bypass for n in batch.lengths], device=batch.ids.device)
            protected = protected | short[batch.text]
        return protected

    def _padded(self, batch: Batch, run: Run) -> Tensor:
        """States where the input had the tokens [B, N, d]; [B, 1, d] when only the first is read."""
        if run.states is None:
            return run.first.unsqueeze(1)
        texts, width = batch.shape
        hidden = run.first.new_zeros(texts * width, run.first.shape[-1])
        hidden = hidden.index_put((batch.slots,), run.states).view(texts, width, -1)
        # With padding on the left the first place is free, and heads read the text's state from it.
        return torch.cat([run.first.unsqueeze(1), hidden[:, 1:]], dim=1)

    @contextmanager
    def set(self, *, temperature: float | None = None, execution: str | None = None, **rule: Any) -> Iterator[None]:
        """Other settings for a while: `with encoder.set(dial=0): ...` is dense."""
        before = self.rule, self.execution, self.temperature
        one_of("execution", execution or self.execution, EXECUTIONS)
        try:
            self.rule = replace(self.rule, **rule).checked(len(self.layers()))
            self.execution, self.temperature = execution or self.execution, temperature
            yield
        finally:
            self.rule, self.execution, self.temperature = before


def kept_mask(batch: Batch, run: Run) -> Tensor:
    """Which tokens left each layer, where the input had them [B, L, N]."""
    texts, width = batch.shape
    mask = torch.zeros(len(run.kept), texts * width, dtype=torch.bool, device=batch.ids.device)
    for layer, index in enumerate(run.kept):
        mask[layer, batch.slots[index]] = True
    return mask.view(-1, texts, width).transpose(0, 1)


def survivors(batch: Batch, run: Run) -> Tensor:
    """How many tokens of each text left each layer [B, L]."""
    counts = [torch.bincount(batch.text[index], minlength=len(batch.lengths)) for index in run.kept]
    return torch.stack(counts, dim=1)


def _row(values: Tensor | None) -> Tensor | None:
    return None if values is None else values[None]


def _refuse(input_ids: Tensor | None, other: dict[str, Any]) -> None:
    if input_ids is None:
        raise PruningError("input_ids are needed; embeddings of your own are not supported.")
    for name in ("output_attentions", "output_hidden_states"):
        if other.get(name):
            raise PruningError(f"{name} is not supported, as tokens are removed on the way; output_kept says which.")
    for name in ("position_ids", "inputs_embeds", "encoder_hidden_states", "past_key_values"):
        if other.get(name) is not None:
            raise PruningError(f"{name} is not supported by a pruned encoder.")
