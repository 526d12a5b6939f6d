"""Transition models with a memory: LSTM, RIM and SCOFF.

Each maps slots (batch, n, d), actions (batch, n, a) and a memory to a change of the slots and the next memory; `None`
is the memory at the start. They need several steps in a row to learn what to keep: see `horizon` in `training.fit`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Memory = Any


class BatchedLinear(nn.Module):
    """Several linear layers of one shape, run as one product: (layers, batch, inputs) to (layers, batch, outputs)."""

    def __init__(self, layers: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(layers, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(layers, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class LSTM(nn.Module):
    """One LSTM over all slots and actions at once: the monolithic model with a memory."""

    recurrent = True

    def __init__(self, slots: int, dim: int, hidden: int, per_object: int) -> None:
        super().__init__()
        self.into = nn.Linear(slots * (dim + per_object), 2 * hidden)
        self.cell, self.out = nn.LSTMCell(2 * hidden, 2 * hidden), nn.Linear(2 * hidden, slots * dim)

    def forward(self, z: Tensor, action: Tensor, memory: Memory = None) -> tuple[Tensor, Memory]:
        seen = F.relu(self.into(torch.cat([z, action], 2).flatten(1)))
        memory = self.cell(seen, memory)
        return self.out(memory[0]).view(z.shape), memory


class Blocks(nn.Module):
    """Recurrent blocks that compete for the input and then talk to each other.

    With `schemata=0` every block has dynamics of its own: recurrent independent mechanisms (RIM; Goyal et al. 2019,
    arXiv:1909.10893). Otherwise blocks are object files that share so many dynamics, each choosing one at each step:
    SCOFF (Goyal et al. 2020, arXiv:2006.16225); the choice is the best, with the softmax's gradient, and not drawn.

    Args:
        blocks, active: how many there are, and how many may change in a step: those that attend least to nothing.
    """

    recurrent = True

    def __init__(
        self, slots: int, dim: int, hidden: int, per_object: int, blocks: int, active: int, schemata: int = 0
    ) -> None:
        super().__init__()
        size = hidden // 2
        self.blocks, self.active, self.schemata, self.size = blocks, active, schemata, size
        self.identity = nn.Parameter(torch.randn(slots, dim) * 0.5)
        self.offered = nn.Linear(2 * dim + per_object, 2 * size)  # keys and values of the slots
        self.ask = BatchedLinear(blocks, size, size)
        kinds = schemata or blocks
        self.from_input, self.from_memory = BatchedLinear(kinds, size, 3 * size), BatchedLinear(kinds, size, 3 * size)
        self.choose = nn.Linear(size, size, bias=False) if schemata else None
        self.talk, self.said = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.out = nn.Linear(blocks * size, slots * dim)

    def forward(self, z: Tensor, action: Tensor, memory: Memory = None) -> tuple[Tensor, Memory]:
        batch = len(z)
        before: Tensor = z.new_zeros(self.blocks, batch, self.size) if memory is None else memory
        heard, ignored = self._listen(z, action, before)
        after = self._shared(heard, before) if self.schemata else self._gru(heard, before)
        chosen = torch.zeros_like(ignored).scatter(0, ignored.topk(self.active, 0, largest=False).indices, 1.0)
        after = after + self._talk(after)
        after = chosen[:, :, None] * after + (1 - chosen)[:, :, None] * before
        delta: Tensor = self.out(after.transpose(0, 1).reshape(batch, -1))
        return delta.view(z.shape), after

    def _listen(self, z: Tensor, action: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """(blocks, batch, size) what each block attends to, and (blocks, batch) its attention to nothing."""
        seen = torch.cat([z, self.identity.expand(len(z), -1, -1), action], 2)
        key, value = self.offered(seen).chunk(2, 2)
        score = torch.einsum("kbs,bns->kbn", self.ask(before), key) * self.size**-0.5
        attention = torch.softmax(F.pad(score, (0, 1)), 2)  # the last is nothing: key and value zero
        return torch.einsum("kbn,bns->kbs", attention[:, :, :-1], value), attention[:, :, -1]

    def _gru(self, x: Tensor, h: Tensor) -> Tensor:
        """Gated recurrent units (Cho et al. 2014), one for each first index."""
        new, update, reset = self.from_input(x).chunk(3, 2)
        kept, old, gate = self.from_memory(h).chunk(3, 2)
        fresh = torch.tanh(new + torch.sigmoid(reset + gate) * kept)
        share = torch.sigmoid(update + old)
        return share * h + (1 - share) * fresh

    def _shared(self, x: Tensor, h: Tensor) -> Tensor:
        """Every schema applied to every object file; each file keeps the one that suits it best."""
        assert self.choose is not None
        blocks, batch, size = h.shape
        flat = [part.reshape(1, blocks * batch, size).expand(self.schemata, -1, -1) for part in (x, h)]
        candidates = self._gru(*flat).view(self.schemata, blocks, batch, size)
        score = (self.choose(candidates) * (x + h)).sum(3) * size**-0.5
        soft = torch.softmax(score, 0)
        hard = torch.zeros_like(soft).scatter(0, soft.argmax(0, keepdim=True), 1.0)
        return ((hard + soft - soft.detach())[..., None] * candidates).sum(0)

    def _talk(self, h: Tensor) -> Tensor:
        query, key, value = self.talk(h.transpose(0, 1)).chunk(3, 2)
        said: Tensor = self.said(F.scaled_dot_product_attention(query, key, value))
        return said.transpose(0, 1)
