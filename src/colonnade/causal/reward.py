"""A head that predicts the reward from slots and the goal's slots, for planning: Ke et al., section 6.3."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from colonnade.causal.data import Transitions
from colonnade.causal.errors import CausalError, check_range
from colonnade.causal.models import WorldModel
from colonnade.causal.world import ChemistryWorld, PhysicsWorld, World

Array = NDArray[Any]
FURTHEST = 10  # steps between a state and its goal in training
CHUNK = 1024


class RewardHead(nn.Module):
    """Slots (batch, n, dim) and the goal's slots to a reward (batch,): one hidden layer of 512 units.

    Args:
        slots, dim: of the world model.
    """

    def __init__(self, slots: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * slots * dim, 512), nn.ReLU(), nn.Linear(512, 1))

    def forward(self, z: Tensor, goal: Tensor) -> Tensor:
        out: Tensor = self.layers(torch.cat([z, goal], 2).flatten(1))
        return out[:, 0]


def rewards(world: World, states: Array, goals: Array) -> Array:
    """(rows,) float32: minus the mean L1 distance in cells (physics), or the share of right colours (chemistry)."""
    if isinstance(world, ChemistryWorld):
        return np.asarray((states == goals).mean(1), np.float32)
    assert isinstance(world, PhysicsWorld)
    here, there = (np.stack(np.divmod(s.astype(np.int64), world.grid)) for s in (states, goals))
    return np.asarray(-abs(here - there).sum(0).mean(1), np.float32)


def fit_reward(
    model: WorldModel, data: Transitions, *, updates: int = 1000, batch: int = 512, rows: int = 10_000, seed: int = 0
) -> RewardHead:
    """Train a reward head on a frozen model with the L1 loss, as the paper does.

    Args:
        model: trained; it is not changed.
        data: episodes of at least 10 steps; a goal is a state at most 10 steps later in the same episode.
        updates, batch: of Adam at 1e-3.
        rows: pairs of state and goal; both are encoded once.
        seed: decides pairs, batches and initial weights.

    Raises:
        CausalError: an argument out of range, or episodes that are too short.
    """
    check_range("updates", updates, 1, 1_000_000)
    check_range("batch", batch, 1, 100_000)
    check_range("rows", rows, 2, 1_000_000)
    steps = data.actions.shape[1]
    if steps < FURTHEST:
        raise CausalError(f"data must have episodes of at least {FURTHEST} steps for rewards, but they have {steps}.")
    rng = np.random.default_rng(np.random.SeedSequence([seed, 5]))
    episode, start = rng.integers(len(data.states), size=rows), rng.integers(steps - FURTHEST + 1, size=rows)
    states = data.states[episode, start]
    goals = data.states[episode, start + rng.integers(FURTHEST + 1, size=rows)]
    wanted = torch.from_numpy(rewards(data.world, states, goals))
    here, there = (_encode(model, data, episode, part) for part in (states, goals))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = RewardHead(model.config.slots, model.config.dim)
    optimiser = torch.optim.Adam(head.parameters(), lr=1e-3)
    for _ in range(updates):
        at = torch.from_numpy(rng.integers(rows, size=min(batch, rows)))
        loss = (head(here[at], there[at]) - wanted[at]).abs().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return head.eval()


@torch.no_grad()
def _encode(model: WorldModel, data: Transitions, episode: Array, states: Array) -> Tensor:
    parts = [slice(k, k + CHUNK) for k in range(0, len(states), CHUNK)]
    return torch.cat([model.encode(data.draw(episode[part], states[part])) for part in parts])
