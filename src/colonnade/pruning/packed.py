"""The encoder on texts laid end to end: no padding, tokens really gone. The fast one on a CPU.

A layer costs what its survivors cost: who stays is decided from the sampled rows before any other query is made, so
that queries, attention output and feed-forward block are computed for survivors only, keys and values for all that came
in. The outcome is that of masking; only the states of tokens that leave are not computed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from colonnade.pruning.batch import Batch, Run, padded_index, starts_of
from colonnade.pruning.gate import top_k
from colonnade.pruning.score import TINY, pseudo_random, received, received_by, row_weights, sampled_rows

if TYPE_CHECKING:
    from colonnade.pruning.encoder import PrunedEncoder

SHORT = 64  # up to so many tokens, one padded attention is faster than a call for each text


def run_packed(encoder: PrunedEncoder, batch: Batch, x: Tensor, protected: Tensor, *, first_only: bool) -> Run:
    """Run the layers on packed tokens (arguments as in `padded.run_padded`)."""
    walk = Walk(encoder, batch, x, protected, first_only)
    for number, layer in enumerate(walk.layers):
        walk.step(number, layer)
    starts = torch.tensor(starts_of(walk.lengths), device=x.device)
    return Run(walk.x[starts], walk.states, walk.kept)


class Walk:
    """The survivors on their way through the layers."""

    def __init__(self, encoder: PrunedEncoder, batch: Batch, x: Tensor, protected: Tensor, first_only: bool) -> None:
        self.encoder, self.family, self.rule = encoder, encoder.family, encoder.rule
        self.layers = encoder.layers()
        self.learned: list[float] = encoder.thresholds.tolist()
        self.batch, self.protected, self.first_only = batch, protected, first_only
        self.x = x
        self.lengths = batch.lengths
        self.index = torch.arange(len(x), device=x.device)  # which of the T tokens are still here
        self.states = None if first_only else x.clone()
        self.kept: list[Tensor] = []
        self.all_protected = bool(protected.all())
        self.biased = self.family.bias(encoder.body, self.index[:1], self.index[:1]) is not None
        self.dropout = encoder.family.attention_dropout(encoder.body) if encoder.training else 0.0

    def step(self, number: int, layer: torch.nn.Module) -> None:
        """One layer: decide who stays, then compute what they need."""
        query, key, value = self.family.projections(layer)
        k, v = key(self.x), value(self.x)
        ends = self.first_only and number == len(self.layers) - 1
        passive = self.all_protected or self.rule.passive(number, self.learned)
        starts = starts_of(self.lengths)
        short = max(self.lengths) <= SHORT
        context = None
        if ends:
            stay = torch.tensor(starts, device=self.x.device)
        elif passive:
            stay = None
        elif short and self.rule.score != "random":
            context, r = self._padded(query(self.x), k, v)
            stay = self._judge(number, r)
        else:
            stay = self._judge(number, self._score(number, query, k, starts))
        lengths = self.lengths if stay is None else self._counts(stay)
        x = self.x if stay is None else self.x[stay]
        if context is not None:
            context = context if stay is None else context[stay]
        elif short and not ends:
            context = self._padded(query(self.x), k, v)[0]
            context = context if stay is None else context[stay]
        else:
            context = self._attend(query(x), k, v, stay, lengths, starts)
        out = self.family.feed_forward(layer, self.family.attended(layer, context, x))
        self._go_on(out, stay, lengths)

    def unprotected_scores(self, number: int, layer: torch.nn.Module) -> Tensor:
        """r of the tokens here that a layer may remove."""
        query, key, _ = self.family.projections(layer)
        r = self._score(number, query, key(self.x), starts_of(self.lengths))
        return self._relative(r)[~self.protected[self.index]]

    def _go_on(self, out: Tensor, stay: Tensor | None, lengths: list[int]) -> None:
        if stay is not None:
            self.index, self.lengths = self.index[stay], lengths
        if self.states is not None:
            self.states = self.states.index_put((self.index,), out)
        self.x = out
        self.kept.append(self.index)

    def _counts(self, stay: Tensor) -> list[int]:
        found: list[int] = torch.bincount(self.batch.text[self.index[stay]], minlength=len(self.lengths)).tolist()
        return found

    def _judge(self, number: int, r: Tensor) -> Tensor | None:
        """The places of the survivors among those here, or None when all stay."""
        protected = self.protected[self.index]
        if self.rule.rule == "topk":
            index, real = padded_index(self.lengths, r.device)
            real = torch.ones_like(index, dtype=torch.bool) if real is None else real
            n0 = torch.tensor(self.batch.lengths, device=r.device)
            best = r.masked_fill(protected, torch.inf)[index]
            stay = top_k(best, real, self.encoder.counts(n0, number))[real] | protected
        else:
            stay = (self._relative(r) >= self.learned[number] * self.rule.dial) | protected
        found = stay.nonzero().squeeze(1)
        return None if len(found) == len(r) else found

    def _relative(self, r: Tensor) -> Tensor:
        """Scores in the unit that thresholds have."""
        if self.rule.score != "relative":
            return r
        text, free = self.batch.text[self.index], (~self.protected[self.index]).to(r.dtype)
        sums = r.new_zeros(2, len(self.lengths)).index_add_(1, text, torch.stack([r * free, free]))
        return r * (sums[1] / sums[0].clamp(min=TINY))[text]

    def _score(self, number: int, query: torch.nn.Module, k: Tensor, starts: list[int]) -> Tensor:
        """r of all that are here, text by text, from the sampled rows."""
        if self.rule.score == "random":
            places, ids = self.batch.places[self.index], self.batch.ids[self.index]
            return pseudo_random(places, ids, number, self.rule.seed).to(k.dtype)
        with torch.no_grad():
            rows = [sampled_rows(n, self.rule.rows) for n in self.lengths]
            q = query(self.x[torch.cat([row + start for row, start in zip(rows, starts, strict=True)])])
            found, done = [], 0
            for row, start, n in zip(rows, starts, self.lengths, strict=True):
                bias = self._bias(start + row, slice(start, start + n))
                asked = _heads(q[done : done + len(row)], self.family.heads)
                found.append(received_by(asked, _heads(k[start : start + n], self.family.heads), bias))
                done += len(row)
            return torch.cat(found)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, stay: Tensor | None, lengths: list[int], starts: list[int]
    ) -> Tensor:
        """Heads' outputs of the survivors, one text at a time."""
        found, done, heads = [], 0, self.family.heads
        for n, m, start in zip(self.lengths, lengths, starts, strict=True):
            keys = slice(start, start + n)
            asking = keys if stay is None else stay[done : done + m]
            bias = self._bias(asking, keys)
            qh, kh, vh = (_heads(t, heads).unsqueeze(0) for t in (q[done : done + m], k[keys], v[keys]))
            mask = None if bias is None else bias.unsqueeze(0)
            context = functional.scaled_dot_product_attention(qh, kh, vh, attn_mask=mask, dropout_p=self.dropout)
            found.append(context.squeeze(0).transpose(0, 1).flatten(1))
            done += m
        return found[0] if len(found) == 1 else torch.cat(found)

    def _padded(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Heads' outputs and r of all, through one padded attention."""
        heads = self.family.heads
        index, real = padded_index(self.lengths, k.device)
        qh, kh, vh = (t[index].unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        logits = qh @ kh.transpose(-1, -2) * (1 / math.sqrt(qh.shape[-1]))
        if self.biased:
            places = self.batch.places[self.index][index]
            logits = logits + self.family.bias(self.encoder.body, places, places)
        if real is not None:
            logits = logits.masked_fill(~real[:, None, None, :], -torch.inf)
        p = logits.softmax(-1)
        context = (functional.dropout(p, self.dropout) @ vh).transpose(1, 2).flatten(2)
        n = torch.tensor(self.lengths, device=k.device).unsqueeze(1)
        rank = torch.arange(index.shape[1], device=k.device).unsqueeze(0)
        weights = row_weights(rank, n, self.rule.rows) * (rank < n)
        r = received(p.detach(), weights, n)
        return (context.flatten(0, 1), r.flatten()) if real is None else (context[real], r[real])

    def _bias(self, queries: Tensor | slice, keys: slice) -> Tensor | None:
        if not self.biased:
            return None
        places = self.batch.places[self.index]
        return self.family.bias(self.encoder.body, places[queries], places[keys])


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.view(len(x), heads, -1).transpose(0, 1)
