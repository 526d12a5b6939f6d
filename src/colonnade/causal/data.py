"""Transitions kept as latent states; frames are drawn when they are needed.

100,000 transitions take a megabyte instead of the six gigabytes of stored float frames, and are drawn faster than
those could be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.causal import sprites
from colonnade.causal.errors import CausalError, check_choice, check_range
from colonnade.causal.events import HELD, INVALID, NOTHING, PUSHED, WALL
from colonnade.causal.simulation import PhysicsSimulator, kernels, physics_tables, simulator
from colonnade.causal.world import ChemistryWorld, PhysicsWorld, World, observed_splits

if TYPE_CHECKING:
    from minari import MinariDataset

Array = NDArray[Any]
Policy = Literal["random", "interaction"]
MAX_TRANSITIONS = 100_000_000
FORMAT = 1


@dataclass(frozen=True)
class Transitions:
    """Episodes of one world.

    Attributes:
        world: which.
        states: (episodes, steps + 1, n) uint8: cells in physics, colours in chemistry.
        actions: (episodes, steps) int16.
        events: (episodes, steps) uint8 what each physics step did (see `events`); zero in chemistry.
        fixed: (episodes, n) uint8 what stays in an episode: colour numbers in physics, cells in chemistry.
        shapes: (episodes, n) uint8.
    """

    world: World
    states: Array
    actions: Array
    events: Array
    fixed: Array
    shapes: Array

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def index(self) -> Array:
        """(transitions, 2) episode and step of every valid one; invalid pushes are left out, as in the paper."""
        return np.argwhere(self.events != INVALID)

    @cached_property
    def interaction(self) -> Array:
        """(transitions,) true where an object acted on another: a push, or in chemistry a reacting descendant."""
        episode, step = self.index.T
        if isinstance(self.world, PhysicsWorld):
            return np.asarray(self.events[episode, step] == PUSHED)
        return np.asarray((self.states[episode, step] != self.states[episode, step + 1]).sum(1) >= 2)

    @cached_property
    def contact(self) -> Array:
        """(transitions,) true where a move ran into another object: pushes, and blocks that held (physics only)."""
        episode, step = self.index.T
        return np.isin(self.events[episode, step], [PUSHED, HELD, WALL])

    def before(self, rows: Array | slice = slice(None)) -> Array:
        """(rows, n) states before the transitions."""
        episode, step = self.index[rows].T
        return np.asarray(self.states[episode, step])

    def after(self, rows: Array | slice = slice(None), k: int = 1) -> Array:
        """(rows, n) states `k` steps after they began."""
        episode, step = self.index[rows].T
        return np.asarray(self.states[episode, step + k])

    def action(self, rows: Array | slice = slice(None)) -> Array:
        """(rows,) int64."""
        episode, step = self.index[rows].T
        return np.asarray(self.actions[episode, step], np.int64)

    def frames(self, rows: Array) -> tuple[Array, Array]:
        """Frames before and after the transitions: two (rows, size, size, 3) uint8 arrays, drawn now."""
        both = self.pairs(rows)
        return both[: len(rows)], both[len(rows) :]

    def pairs(self, rows: Array, out: Array | None = None) -> Array:
        """(2 rows, size, size, 3) uint8: all frames before, then all frames after; into `out` when given."""
        return self.sequence(rows, 1, out)

    def sequence(self, rows: Array, steps: int, out: Array | None = None) -> Array:
        """((steps + 1) rows, size, size, 3) uint8: all frames before, then all one step later, and so on.

        Raises:
            CausalError: an episode ends before that.
        """
        episode, step = self.index[rows].T
        if len(rows) and step.max() + steps >= self.states.shape[1]:
            raise CausalError(f"steps must be at most {self.states.shape[1] - 1 - step.max()} here, but are {steps}.")
        states = np.concatenate([self.states[episode, step + k] for k in range(steps + 1)])
        return self.draw(np.tile(episode, steps + 1), states, out)

    def actions_from(self, rows: Array, steps: int) -> Array:
        """(rows, steps) int64 actions from the transitions on."""
        episode, step = self.index[rows].T
        return np.asarray(self.actions[episode[:, None], step[:, None] + np.arange(steps)], np.int64)

    def draw(self, episodes: Array, states: Array, out: Array | None = None) -> Array:
        """(rows, size, size, 3) uint8 frames of states (rows, n) in the look of their episodes.

        Raises:
            CausalError: `out` is not a writable, contiguous uint8 array of that shape.
        """
        rows, size = len(states), self.world.size
        shape = (rows, size, size, 3)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not (out.flags.c_contiguous and out.flags.writeable):
            raise CausalError(f"out must be a writable contiguous uint8 array of shape {shape}.")
        fixed = self.fixed[episodes]
        physics = isinstance(self.world, PhysicsWorld)
        cell, colour = (states, fixed) if physics else (fixed, states)
        kernels().draw(
            0, rows, np.ascontiguousarray(cell), np.ascontiguousarray(colour), self.shapes[episodes],
            sprites.ink(self.world.lut), sprites.canvas(size // sprites.CELL), out.reshape(-1), np.empty_like(states),
            np.empty_like(states), np.ones(rows, bool),
        )  # fmt: skip
        return out

    def batches(self, batch: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array, Array]]:
        """One pass in random order: (frames before, actions, frames after)."""
        order = rng.permutation(len(self))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            before, after = self.frames(rows)
            yield before, self.action(rows), after

    def save(self, path: str | Path) -> None:
        """Write everything to a compressed `.npz`."""
        description = {"format": FORMAT, "kind": self.world.kind, "world": self.world.model_dump()}
        arrays = {name: getattr(self, name) for name in ("states", "actions", "events", "fixed", "shapes")}
        np.savez_compressed(path, description=json.dumps(description), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Transitions:
        """Read what `save` wrote.

        Raises:
            CausalError: the file is not such a data set.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                description = json.loads(str(stored["description"]))
                arrays = {name: stored[name] for name in ("states", "actions", "events", "fixed", "shapes")}
        except (KeyError, ValueError, OSError) as error:
            raise CausalError(f"{Path(path).name!r} is not a data set of transitions ({error}).") from None
        kind = PhysicsWorld if description["kind"] == "physics" else ChemistryWorld
        return cls(kind(**description["world"]), **arrays)

    def to_minari(self, name: str, max_episodes: int = 100) -> MinariDataset:
        """A Minari data set (e.g. "causal/chain5-v0") with drawn frames, of the first `max_episodes`."""
        import minari
        from gymnasium import spaces
        from minari.data_collector import EpisodeBuffer

        from colonnade.causal.env import observation_space

        episodes = range(min(max_episodes, len(self.states)))
        buffers = []
        for episode in episodes:
            steps = self.actions.shape[1]
            frames = self.draw(np.full(steps + 1, episode), self.states[episode])
            ends = np.arange(steps) == steps - 1
            buffers.append(
                EpisodeBuffer(
                    id=episode,
                    observations=list(frames),
                    actions=[int(a) for a in self.actions[episode]],
                    rewards=[0.0] * steps,
                    terminations=[False] * steps,
                    truncations=ends.tolist(),
                )
            )
        return minari.create_dataset_from_buffers(
            name,
            buffers,
            observation_space=observation_space(self.world, "frame"),
            action_space=spaces.Discrete(self.world.actions),
            algorithm_name="random policy",
            jpeg_encoding=False,  # lossy by default
        )


def collect(
    world: World, episodes: int, steps: int, policy: Policy = "random", seed: int = 0, backend: str = "auto"
) -> Transitions:
    """Act in a world and keep what happened.

    Args:
        world: which.
        episodes, steps: how many and how long.
        policy: `random`: uniform actions, as in the paper; `interaction`: half of the actions move an object against
            a neighbour when one stands next to it (physics only).
        seed: decides worlds and actions; episode i starts as an environment reset with seed `seed * 2**32 + i`.
        backend: see `simulation.kernels`.

    Raises:
        CausalError: an argument out of range, or more than 10^8 transitions.
    """
    check_range("episodes", episodes, 1, 1 << 20)
    check_range("steps", steps, 1, 100_000)
    check_range("episodes x steps", episodes * steps, 1, MAX_TRANSITIONS)
    check_range("seed", seed, 0, 2**31 - 1)
    check_choice("policy", policy, ["random", "interaction"])
    sim = simulator(world, episodes, backend=backend)
    sim.seed([(seed << 32) + i for i in range(episodes)])
    sim.reset(sim.everywhere)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    states = np.empty((steps + 1, episodes, world.slots), np.uint8)
    actions = rng.integers(world.actions, size=(steps, episodes))
    events = np.zeros((steps, episodes), np.uint8)
    fixed = (sim.colour if isinstance(sim, PhysicsSimulator) else sim.cell).copy()
    if isinstance(sim, PhysicsSimulator) and policy == "random":
        sim.run(sim.kernels.physics_roll, actions, sim.cell, sim.weight, states, events, sim.tables)
    else:
        states[0] = sim.state
        for step in range(steps):
            if isinstance(sim, PhysicsSimulator):
                _seek(world, sim.cell, actions[step], rng)
            sim.step(actions[step])
            states[step + 1] = sim.state
            if isinstance(sim, PhysicsSimulator):
                events[step] = sim.event
    return Transitions(
        world, states.swapaxes(0, 1).copy(), actions.T.astype(np.int16), events.T.copy(), fixed, sim.shape.copy()
    )


def _seek(world: World, cell: Array, actions: Array, rng: np.random.Generator) -> None:
    """Replace half of the actions by moves against a neighbour, where there is one."""
    assert isinstance(world, PhysicsWorld)
    target = physics_tables(world).neighbour[cell]
    against = (target[..., None] == cell[:, None, None, :]).any(3)
    options = against.reshape(len(cell), -1)
    chosen = (options * rng.random(options.shape)).argmax(1)
    use = options.any(1) & (rng.random(len(cell)) < 0.5)
    actions[use] = chosen[use]


def ood_splits(world: PhysicsWorld, episodes: int, steps: int, seed: int = 0) -> dict[str, Transitions]:
    """Test data of every out-of-distribution split that the world's mode has, and of `train` itself."""
    return {
        name: collect(split, episodes, steps, seed=seed + i)
        for i, (name, split) in enumerate(observed_splits(world).items())
    }


def counts(data: Transitions) -> dict[str, int]:
    """How many transitions did what: nothing, moved, pushed, and so on."""
    episode, step = data.index.T
    if isinstance(data.world, PhysicsWorld):
        from colonnade.causal.events import NAMES

        events = data.events[episode, step]
        return {name: int((events == code).sum()) for code, name in enumerate(NAMES) if code != INVALID}
    changed = (data.before() != data.after()).sum(1)
    return {
        "nothing": int((changed == NOTHING).sum()),
        "one": int((changed == 1).sum()),
        "more": int((changed > 1).sum()),
    }
