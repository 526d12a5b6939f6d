"""Planning towards a goal: with the true law, with a learned model, by replaying, or at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.causal.data import Transitions
from colonnade.causal.errors import CausalError, check_choice, check_range
from colonnade.causal.models import WorldModel
from colonnade.causal.oracle import expected_match
from colonnade.causal.reward import RewardHead
from colonnade.causal.simulation import PhysicsSimulator, Simulator, simulator
from colonnade.causal.world import ChemistryWorld, World

Array = NDArray[Any]
Planner = Literal["oracle", "model", "replay", "no interaction", "random"]


@dataclass(frozen=True)
class Plans:
    """What planning reached.

    Attributes:
        reward: (episodes,) at the end; minus the mean distance in cells, or the share of colours that match.
        success: (episodes,) whether the goal was reached at the end.
        states: (episodes, steps + 1, n) uint8 the way there.
        goal: (episodes, n) uint8.
        actions: (episodes, steps).
        fixed, shapes: look of the episodes, as in `Transitions`.
    """

    reward: Array
    success: Array
    states: Array
    goal: Array
    actions: Array
    fixed: Array
    shapes: Array


def plan(
    world: World,
    planner: Planner,
    *,
    steps: int = 1,
    episodes: int = 1000,
    model: WorldModel | None = None,
    head: RewardHead | None = None,
    look: bool = True,
    seed: int = 0,
) -> Plans:
    """Act greedily towards goals that lie `steps` random actions away: Ke et al., section 6.3.

    Args:
        world: which.
        planner: `oracle`: the action with the best exact expected reward; `model`: the action whose predicted slots
            are nearest to the goal's; `replay`: the actions that led to the goal; `no interaction`: as the oracle, but
            believing that objects never act on each other; `random`.
        steps: actions to the goal, and actions taken.
        episodes: how many.
        model: a trained model for `model`.
        head: its reward head; the action with the best predicted reward is taken instead.
        look: whether the model sees each frame; without, it plans from the first one alone, as in the paper.
        seed: decides starts, goals and noise; planners with one seed face the same tasks.

    Raises:
        CausalError: an argument out of range, or no model for `model`.
    """
    check_choice("planner", planner, get_args(Planner))
    check_range("steps", steps, 1, 20)
    check_range("episodes", episodes, 1, 100_000)
    if planner == "model" and model is None:
        raise CausalError("planner 'model' needs a trained model.")
    rng = np.random.default_rng(np.random.SeedSequence([seed, 4]))
    sim, goal, replay = _tasks(world, steps, episodes, seed, rng)
    learned = _Learned(model, head, sim, goal, look) if planner == "model" and model is not None else None
    states, actions = [sim.state.copy()], []
    for step in range(steps):
        if learned is not None:
            action = learned.choose(sim)
        elif planner in ("oracle", "no interaction"):
            action = _exact(world, sim, planner == "oracle", rng)
        else:
            action = replay[step] if planner == "replay" else rng.integers(world.actions, size=episodes)
        sim.step(action)
        states.append(sim.state.copy())
        actions.append(action)
    reward, success = sim.score()
    fixed = sim.colour if isinstance(sim, PhysicsSimulator) else sim.cell
    return Plans(reward, success, np.stack(states, 1), goal, np.stack(actions, 1), fixed.copy(), sim.shape.copy())


def _tasks(
    world: World, steps: int, episodes: int, seed: int, rng: np.random.Generator
) -> tuple[Simulator, Array, Array]:
    """A simulator at the starts, the goals, and the actions that led to them."""
    sims = []
    for _ in range(2):
        sim = simulator(world, episodes)
        sim.seed([(seed << 32) + i for i in range(episodes)])
        sim.reset(sim.everywhere)
        sims.append(sim)
    towards, sim = sims
    replay = rng.integers(world.actions, size=(steps, episodes))
    for action in replay:
        towards.step(action)
    sim.goal[:] = towards.state
    sim.counter += np.uint64(1 << 32)  # other noise than that which led to the goal
    return sim, towards.state.copy(), replay


def _exact(world: World, sim: Simulator, interacting: bool, rng: np.random.Generator) -> Array:
    """The best action by the exact expected reward, or by that of a world without interactions; ties at random."""
    count = world.actions
    states, goal = np.repeat(sim.state, count, axis=0), np.repeat(sim.goal, count, axis=0)
    actions = np.tile(np.arange(count), sim.batch)
    if isinstance(world, ChemistryWorld):
        if interacting:
            value = expected_match(world, states, actions, goal)
        else:
            states[np.arange(len(states)), actions // world.colors] = actions % world.colors
            value = (states == goal).mean(1)
    else:
        assert isinstance(sim, PhysicsSimulator)
        ahead = simulator(world, len(states))
        assert isinstance(ahead, PhysicsSimulator)
        ahead.cell[:], ahead.goal[:] = states, goal
        ahead.weight[:] = np.repeat(sim.weight, count, axis=0) * interacting
        ahead.step(actions)
        value = ahead.score()[0].astype(np.float64)
    value = value.reshape(sim.batch, count) + 1e-9 * rng.random((sim.batch, count))
    return np.asarray(value.argmax(1))


class _Learned:
    """Greedy planning with a world model."""

    def __init__(self, model: WorldModel, head: RewardHead | None, sim: Simulator, goal: Array, look: bool) -> None:
        self.model, self.head, self.look = model, head, look
        self.goal, self.z = self._encode(sim, goal), self._encode(sim, sim.state)

    @torch.no_grad()
    def _encode(self, sim: Simulator, states: Array) -> torch.Tensor:
        frames = sim.draw(states)
        return torch.cat([self.model.encode(frames[k : k + 1024]) for k in range(0, len(frames), 1024)])

    @torch.no_grad()
    def choose(self, sim: Simulator) -> Array:
        """(batch,) the action whose predicted slots are nearest to the goal's, or promise the most."""
        if self.look:
            self.z = self._encode(sim, sim.state)
        count = self.model.config.slots * self.model.config.per_object
        best = np.empty(sim.batch, np.int64)
        for k in range(0, sim.batch, 128):
            part = self.z[k : k + 128]
            goal = self.goal[k : k + 128].repeat_interleave(count, 0)
            ahead = self.model.predict(part.repeat_interleave(count, 0), torch.arange(count).repeat(len(part)))
            value = -(ahead - goal).pow(2).sum((1, 2)) if self.head is None else self.head(ahead, goal)
            best[k : k + 128] = value.view(len(part), count).argmax(1).numpy()
        self.z = self.model.predict(self.z, best)
        return best


def side_by_side(world: World, plans: Plans, count: int) -> Array:
    """(count, steps + 4, 2 size + 4, size, 3) uint8 film of some episodes: the way above, the goal below."""
    empty = np.zeros_like(plans.actions, np.uint8)
    data = Transitions(world, plans.states, plans.actions, empty, plans.fixed, plans.shapes)
    films = []
    for episode in range(min(count, len(plans.states))):
        states = plans.states[episode]
        way = data.draw(np.full(len(states), episode), states)
        goal = data.draw(np.array([episode]), plans.goal[episode : episode + 1])
        line = np.full((len(states), 4, world.size, 3), 90, np.uint8)
        film = np.concatenate([way, line, np.repeat(goal, len(states), 0)], 1)
        films.append(np.concatenate([film, np.repeat(film[-1:], 3, 0)]))  # the end stays for a moment
    return np.stack(films)
