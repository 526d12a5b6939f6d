"""The pruned encoder as one graph of plain tensor operations on one text of any length: what exporters can trace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from colonnade.pruning.encoder import PrunedEncoder, PrunedOutput
from colonnade.pruning.errors import PruningError
from colonnade.pruning.score import received_by, relative


class GraphEncoder(nn.Module):
    """A `PrunedEncoder` for one text without padding, with every choice that depends on the data made by tensors.

    Raises:
        PruningError: the rule has no form as a graph.
    """

    def __init__(self, encoder: PrunedEncoder) -> None:
        super().__init__()
        if encoder.rule.rule != "threshold" or encoder.rule.score == "random":
            raise PruningError("Only thresholds on received attention can be exported.")
        self.body, self.config = encoder.body, encoder.config
        self.family, self.rule, self.first_only = encoder.family, encoder.rule, encoder.first_only
        self.thresholds = encoder.rule.thresholds(encoder.thresholds.tolist())

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        **other: Any,
    ) -> PrunedOutput:
        """Run one text [1, n]."""
        assert input_ids is not None
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.family.embed(self.body, input_ids, places[None], token_type_ids)[0]
        protected = places == 0
        for token in self.rule.protect:
            protected = protected | (input_ids[0] == token)
        if self.rule.bypass:
            protected = protected | (input_ids.shape[1] < self.rule.bypass + torch.zeros_like(places))
        index, states = places, x
        layers = self.family.layers(self.body)
        for number, layer in enumerate(layers):
            ends = self.first_only and number == len(layers) - 1
            x, stay = self._layer(layer, x, places[index], protected[index], self.thresholds[number], ends)
            index = index[stay] if stay is not None else index
            if not self.first_only:
                states = states.index_copy(0, index, x)
        hidden = x[None] if self.first_only else states[None]
        pooler = getattr(self.body, "pooler", None)
        return PrunedOutput(last_hidden_state=hidden, pooler_output=None if pooler is None else pooler(hidden))

    def _layer(
        self, layer: nn.Module, x: Tensor, places: Tensor, protected: Tensor, threshold: float, ends: bool
    ) -> tuple[Tensor, Tensor | None]:
        query, key, value = self.family.projections(layer)
        k, v = self._heads(key(x)), self._heads(value(x))
        stay: Tensor | None = None
        if ends:
            stay = torch.zeros(1, dtype=torch.long, device=x.device)
        elif threshold > 0:
            rows = self._rows(x)
            asked = self._heads(query(x if rows is None else x[rows]))
            bias = self.family.bias(self.body, places if rows is None else places[rows], places)
            r = received_by(asked, k, bias)
            if self.rule.score == "relative":
                r = relative(r, (~protected).to(r.dtype))
            stay = ((r >= threshold) | protected).nonzero().squeeze(1)
            torch._check(stay.shape[0] >= 1)
            torch._check(stay.shape[0] <= x.shape[0])
        kept, at = (x, places) if stay is None else (x[stay], places[stay])
        q = self._heads(query(kept))
        logits = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]))
        bias = self.family.bias(self.body, at, places)
        p = (logits if bias is None else logits + bias).softmax(-1)
        context = (p @ v).transpose(0, 1).flatten(1)
        return self.family.feed_forward(layer, self.family.attended(layer, context, kept)), stay

    def _rows(self, x: Tensor) -> Tensor | None:
        """Ranks of the sampled rows; which they are depends on how many tokens are there."""
        if self.rule.rows is None:
            return None
        rank = torch.arange(x.shape[0], device=x.device)
        n = torch.ones_like(rank).sum()
        m = torch.clamp(n, max=self.rule.rows)
        rows = ((rank * m) % n < m).nonzero().squeeze(1)
        torch._check(rows.shape[0] >= 1)
        torch._check(rows.shape[0] <= x.shape[0])
        return rows

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], self.family.heads, self.family.width // self.family.heads).transpose(0, 1)


class GraphModel(nn.Module):
    """A pruned model whose input is the token ids of one text [1, n], and whose output is its logits or states.

    Args:
        task: a model of transformers with a `GraphEncoder` in its body's place, or a `GraphEncoder`.
        pairs: token type ids are a second input.
    """

    def __init__(self, task: nn.Module, pairs: bool = False) -> None:
        super().__init__()
        self.task, self.pairs = task, pairs

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Any:
        """Logits of the head (start and end for questions), or last states."""
        out = self.task(input_ids=input_ids, **({"token_type_ids": token_type_ids} if self.pairs else {}))
        if isinstance(out, PrunedOutput):
            return out.last_hidden_state
        return out.logits if "logits" in out else (out.start_logits, out.end_logits)


@contextmanager
def as_graph(model: Any, pairs: bool = False) -> Iterator[GraphModel]:
    """A pruned model's graph form; while it is used the model itself must not be."""
    encoder: PrunedEncoder = model.encoder
    if model.model is encoder:
        yield GraphModel(GraphEncoder(encoder), pairs).eval()
        return
    task = model.model
    setattr(task, task.base_model_prefix, GraphEncoder(encoder))
    try:
        yield GraphModel(task, pairs).eval()
    finally:
        setattr(task, task.base_model_prefix, encoder)
