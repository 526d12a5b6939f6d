"""The encoder on padded batches: masking (soft for training, or hard), and removal by gathering.

Soft gates here differ from the published code in one point, so that the hard gate is their limit: the logits of later
layers carry log M of each key, as a token that is half gone is attended to half as much. (With M multiplied onto the
states only, layer normalisation undoes the scaling, and tokens that are gone are still attended to.) A token that
leaves keeps the state it came with: x ← x + C (layer(x) − x) with C the product of its gates so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from colonnade.pruning.batch import Batch, Run, padded_index
from colonnade.pruning.gate import top_k
from colonnade.pruning.score import pseudo_random, received, relative, row_weights

if TYPE_CHECKING:
    from colonnade.pruning.encoder import PrunedEncoder

HIDDEN = -1e9  # what a hidden key's logit gets: finite, so that a soft gate's gradient stays finite


@dataclass
class SoftRun(Run):
    """A run with soft gates.

    Attributes:
        gates: C of each layer, the product of the gates so far [L, B, n]; padding is 0.
        real: which places are tokens [B, n].
    """

    gates: Tensor
    real: Tensor

    def mass(self) -> Tensor:
        """How many tokens leave each layer of each text, as a differentiable number [L, B]."""
        return self.gates.sum(-1)


@dataclass
class _Places:
    """Tokens in padded form [B, n]."""

    x: Tensor
    alive: Tensor
    index: Tensor
    protected: Tensor
    places: Tensor
    ids: Tensor

    def take(self, columns: Tensor, alive: Tensor) -> _Places:
        wide = columns.unsqueeze(-1).expand(-1, -1, self.x.shape[-1])
        x = self.x.gather(1, wide)
        return _Places(x, alive, *(t.gather(1, columns) for t in (self.index, self.protected, self.places, self.ids)))


def run_padded(
    encoder: PrunedEncoder,
    batch: Batch,
    x: Tensor,
    protected: Tensor,
    *,
    remove: bool,
    first_only: bool,
    temperature: float | None = None,
) -> Run:
    """Run the layers on padded tensors.

    Args:
        encoder: body, family and rule.
        x: embeddings [T, d].
        protected: which tokens always stay [T].
        remove: gather the survivors after each layer, else mask.
        first_only: only the first token's last state is wanted.
        temperature: soft gates of this temperature; None for hard ones.
    """
    index, real = padded_index(batch.lengths, x.device)
    real = torch.ones_like(index, dtype=torch.bool) if real is None else real
    now = _Places(x[index], real, index, protected[index], batch.places[index], batch.ids[index])
    log_c = torch.zeros_like(index, dtype=x.dtype).masked_fill(~real, HIDDEN)
    n0 = torch.tensor(batch.lengths, device=x.device)
    states = None if first_only else x.clone()
    kept: list[Tensor] = []
    gates: list[Tensor] = []
    learned = encoder.thresholds.tolist()
    layers = encoder.layers()
    for number, layer in enumerate(layers):
        ends = first_only and number == len(layers) - 1
        a, r = _attention(encoder, layer, now, log_c, number)
        stay, log_m = _gates(encoder, number, now, r, n0, learned, temperature)
        if ends:
            stay = torch.zeros_like(stay).index_fill(1, torch.zeros(1, dtype=torch.long, device=x.device), True)
            log_m = None
        stay = stay & now.alive
        out = encoder.family.feed_forward(layer, a)
        if log_m is not None and temperature is not None:
            log_c = log_c + log_m
            out = now.x + log_c.exp().unsqueeze(-1) * (out - now.x)
        else:
            log_c = log_c.masked_fill(~stay, HIDDEN)
            out = torch.where(stay.unsqueeze(-1), out, now.x)
        gates.append(log_c.exp())
        kept.append(now.index[stay].sort().values)
        now.x, now.alive = out, stay
        if states is not None and remove:
            states = states.index_put((now.index[stay],), out[stay])
        if remove and not ends:
            now, log_c = _compact(now, log_c)
    first = now.x[:, 0]
    if states is not None and not remove:
        states = states.index_put((index[real],), now.x[real])
    if temperature is not None:
        return SoftRun(first, states, kept, torch.stack(gates), real)
    return Run(first, states, kept)


def _attention(
    encoder: PrunedEncoder, layer: torch.nn.Module, now: _Places, log_c: Tensor, number: int
) -> tuple[Tensor, Tensor]:
    """What the attention block hands on [B, n, d], and the scores [B, n]."""
    family, rule = encoder.family, encoder.rule
    query, key, value = family.projections(layer)
    q, k, v = (_heads(module(now.x), family.heads) for module in (query, key, value))
    logits = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1])) + log_c[:, None, None, :]
    bias = family.bias(encoder.body, now.places, now.places)
    p = (logits if bias is None else logits + bias).softmax(-1)
    dropout = encoder.family.attention_dropout(encoder.body) if encoder.training else 0.0
    context = (functional.dropout(p, dropout) @ v).transpose(1, 2).flatten(2)
    a = family.attended(layer, context, now.x)
    if rule.score == "random":
        return a, pseudo_random(now.places, now.ids, number, rule.seed).to(now.x.dtype)
    c = log_c.exp()
    rank, alive = now.alive.cumsum(1) - 1, now.alive.sum(1, keepdim=True)
    weights = row_weights(rank, alive, rule.rows) * now.alive * c
    weights = weights / weights.sum(1, keepdim=True)
    r = received(p, weights, c.sum(1, keepdim=True))
    return a, r if rule.score == "received" else relative(r, c * (now.alive & ~now.protected))


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


def _gates(
    encoder: PrunedEncoder,
    number: int,
    now: _Places,
    r: Tensor,
    n0: Tensor,
    learned: list[float],
    temperature: float | None,
) -> tuple[Tensor, Tensor | None]:
    """Who stays by the hard rule, and log M of the soft one."""
    rule = encoder.rule
    if rule.passive(number, learned) and temperature is None:
        return now.alive, None
    if rule.rule == "topk":
        best = r.masked_fill(now.protected, torch.inf)
        return top_k(best, now.alive, encoder.counts(n0, number)) | now.protected, None
    threshold = encoder.thresholds[number] * rule.dial
    stay = (r.detach() >= threshold.detach()) | now.protected
    if temperature is None:
        return stay, None
    return stay, functional.logsigmoid((r - threshold) / temperature).masked_fill(now.protected, 0.0)


def _compact(now: _Places, log_c: Tensor) -> tuple[_Places, Tensor]:
    """Survivors moved together, in order, in as few columns as the fullest text needs."""
    longest = int(now.alive.sum(1).max())
    columns = (~now.alive).long().argsort(dim=1, stable=True)[:, :longest]
    alive = now.alive.gather(1, columns)
    return now.take(columns, alive), log_c.gather(1, columns)
