"""Transition models: how slots and an action become the next slots.

All map slots (batch, n, d) and actions (batch,) to a change of the slots; the next slots are their sum (Kipf et al.
2020, arXiv:1911.12247; Ke et al. 2021, section 5). Those with a memory are in `recurrent`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colonnade.causal.errors import check_choice
from colonnade.causal.recurrent import LSTM, BatchedLinear, Blocks


def action_slots(action: Tensor, slots: int, per_object: int) -> Tensor:
    """(batch, slots, per_object) one-hot action, at the slot of the object it concerns and zero elsewhere."""
    return F.one_hot(action, slots * per_object).reshape(-1, slots, per_object).float()


class Flat(nn.Module):
    """One network over all slots at once: the monolithic model."""

    def __init__(self, slots: int, dim: int, hidden: int, per_object: int) -> None:
        super().__init__()
        self.from_action, self.from_slots = nn.Linear(slots * per_object, hidden), nn.Linear(slots * dim, hidden)
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Linear(2 * hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, slots * dim),
        )  # fmt: skip

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        parts = [self.from_action(action.flatten(1)), self.from_slots(z.flatten(1))]
        out: Tensor = self.rest(torch.cat(parts, 1))
        return out.reshape(z.shape)


class Modular(nn.Module):
    """One network of `hidden // slots` units for each slot, each seeing all slots; run as one batched product."""

    def __init__(self, slots: int, dim: int, hidden: int, per_object: int) -> None:
        super().__init__()
        width = max(8, hidden // slots)
        self.slots, self.width = slots, width
        # All modules read the same input: their first layers are one wide layer.
        self.from_action = nn.Linear(slots * per_object, slots * width)
        self.from_slots = nn.Linear(slots * dim, slots * width)
        self.second, self.third = BatchedLinear(slots, 2 * width, width), BatchedLinear(slots, width, width)
        self.last = BatchedLinear(slots, width, dim)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        shape = (len(z), self.slots, self.width)
        a, s = self.from_action(action.flatten(1)).view(shape), self.from_slots(z.flatten(1)).view(shape)
        h = F.relu(torch.cat([a, s], 2)).transpose(0, 1)
        h = F.relu(self.norm1(self.second(h)))
        h = F.relu(self.norm2(self.third(h)))
        out: Tensor = self.last(h)
        return out.transpose(0, 1)


class GNN(nn.Module):
    """Messages between all pairs of slots, then an update of each slot.

    C-SWM lets only the acting slot see the action, so an object can never know that it is being pushed. With
    `edge_actions` every message also carries its sender's action, and `identity` tells each slot who it is.

    The first edge layer is split: W [z_i, z_j] = U z_i + V z_j takes n products instead of n (n - 1).
    """

    def __init__(
        self, slots: int, dim: int, hidden: int, per_object: int, edge_actions: bool = True, identity: bool = True
    ) -> None:
        super().__init__()
        self.slots, self.edge_actions = slots, edge_actions
        self.identity = nn.Parameter(torch.randn(slots, dim) * 0.5) if identity else None
        inputs = dim * (2 if identity else 1)
        self.sender = nn.Linear(inputs + per_object * edge_actions, hidden)
        self.receiver = nn.Linear(inputs, hidden, bias=False)
        self.edge = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU())
        self.edge_out = nn.Linear(hidden, hidden)
        self.node = nn.Sequential(
            nn.Linear(inputs + hidden + per_object, hidden), nn.ReLU(), nn.Linear(hidden, hidden),
            nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, dim),
        )  # fmt: skip
        pairs = [(i, j) for j in range(slots) for i in range(slots) if i != j]
        self.register_buffer("senders", torch.tensor([i for i, _ in pairs]), persistent=False)
        self.register_buffer("receivers", torch.tensor([j for _, j in pairs]), persistent=False)

    def forward(self, z: Tensor, action: Tensor) -> Tensor:
        x = z if self.identity is None else torch.cat([z, self.identity.expand(len(z), -1, -1)], 2)
        sent = self.sender(torch.cat([x, action], 2) if self.edge_actions else x)
        pairs = sent[:, self.senders] + self.receiver(x)[:, self.receivers]
        h = self.edge(pairs).view(len(z), self.slots, self.slots - 1, -1).sum(2)
        # The last edge layer is linear, so it acts on the sum of messages: n products instead of n (n - 1).
        messages = F.linear(h, self.edge_out.weight, self.edge_out.bias * (self.slots - 1))
        out: Tensor = self.node(torch.cat([x, messages, action], 2))
        return out


MAKERS: dict[str, Callable[[int, int, int, int], nn.Module]] = {
    "flat": Flat,
    "modular": Modular,
    "gnn": GNN,
    "csgnn": partial(GNN, edge_actions=False, identity=False),
    "lstm": LSTM,
    "rim": partial(Blocks, blocks=6, active=4),
    "scoff": partial(Blocks, blocks=4, active=3, schemata=2),
}
TRANSITIONS = tuple(MAKERS)


def transition(name: str, slots: int, dim: int, hidden: int, per_object: int) -> nn.Module:
    """A transition by name; `gnn` is our default, `csgnn` the GNN of C-SWM whose messages carry no action."""
    check_choice("transition", name, TRANSITIONS)
    return MAKERS[name](slots, dim, hidden, per_object)
