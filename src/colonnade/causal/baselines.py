"""Predictors to hold a model against: the exact oracle, and those that know nothing of causes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.data import Transitions
from colonnade.causal.simulation import PhysicsSimulator, physics_tables, simulator
from colonnade.causal.world import ChemistryWorld, PhysicsWorld, World

Array = NDArray[Any]
ORACLE_SAMPLES = 128  # futures drawn for the oracle's conditional mean over several steps


class Predictor(Protocol):
    """What can be scored: a place for states, and predictions in that place."""

    def embed(self, data: Transitions, episodes: Array, states: Array) -> Array:
        """(rows, d) where states (rows, n) of the given episodes lie."""
        ...

    def predict(self, data: Transitions, episodes: Array, states: Array, actions: Array) -> Array:
        """(rows, d) where the states after actions (rows, steps) are expected."""
        ...


def one_hot(world: World, states: Array) -> Array:
    """(rows, n * values) float64."""
    values = world.colors if isinstance(world, ChemistryWorld) else (world.size // 10) ** 2
    return np.asarray(np.eye(values)[states.astype(np.int64)].reshape(len(states), -1))


class StatePredictor:
    """A predictor of true states, as one-hot vectors or their mean.

    Args:
        rule: (data, episodes, states, actions (rows, steps)) -> (rows, n) states or (rows, d) mean one-hot vectors.
    """

    def __init__(self, rule: Callable[[Transitions, Array, Array, Array], Array]) -> None:
        self._rule = rule

    def embed(self, data: Transitions, episodes: Array, states: Array) -> Array:
        return one_hot(data.world, states)

    def predict(self, data: Transitions, episodes: Array, states: Array, actions: Array) -> Array:
        result = self._rule(data, episodes, states, actions)
        return one_hot(data.world, result) if result.dtype.kind in "iu" else result


def trivial_predictors(world: World) -> dict[str, StatePredictor]:
    """The oracle first, then the trivial predictors.

    `identity`: nothing changes. `no interaction`: the acting object moves into free cells only, or the variable that
    is set changes alone. `marginal`: the same guess for all, the mean of all states.
    """
    return {
        "oracle": StatePredictor(_oracle),
        "no interaction": StatePredictor(alone),
        "identity": StatePredictor(lambda data, episodes, states, actions: states),
        "marginal": StatePredictor(_marginal),
    }


def _marginal(data: Transitions, episodes: Array, states: Array, actions: Array) -> Array:
    flat = data.states.reshape(-1, data.world.slots)
    return np.repeat(one_hot(data.world, flat[:: max(1, len(flat) // 20_000)]).mean(0)[None], len(states), 0)


def _oracle(data: Transitions, episodes: Array, states: Array, actions: Array) -> Array:
    if isinstance(data.world, PhysicsWorld):
        return push(data, episodes, states, actions)
    assert isinstance(data.world, ChemistryWorld)
    if actions.shape[1] == 1 and data.world.structure.max_lag == 0:
        from colonnade.causal.oracle import next_state

        return next_state(data.world, states, actions[:, 0]).marginals.reshape(len(states), -1)
    total = np.zeros((len(states), data.world.slots * data.world.colors))
    # Many futures of each row at once; their mean is what minimises the expected squared distance.
    block = max(1, 200_000 // ORACLE_SAMPLES)
    for start in range(0, len(states), block):
        rows = slice(start, start + block)
        total[rows] = _futures(data.world, states[rows], actions[rows])
    return total


def _futures(world: ChemistryWorld, states: Array, actions: Array) -> Array:
    sim = simulator(world, len(states) * ORACLE_SAMPLES)
    sim.key[:] = np.random.default_rng(0).integers(2**63, size=sim.batch, dtype=np.uint64)
    sim.colour[:] = np.repeat(states, ORACLE_SAMPLES, axis=0)
    sim.past[:] = sim.colour[:, None]  # type: ignore[attr-defined]
    for step in range(actions.shape[1]):
        sim.step(np.repeat(actions[:, step], ORACLE_SAMPLES).astype(np.int64))
    return np.asarray(one_hot(world, sim.colour).reshape(len(states), ORACLE_SAMPLES, -1).mean(1))


def push(data: Transitions, episodes: Array, states: Array, actions: Array, law: bool = True) -> Array:
    """(rows, n) cells after actions by the true law, or (`law=False`) without anything ever being pushed."""
    assert isinstance(data.world, PhysicsWorld)
    sim = simulator(data.world, len(states))
    assert isinstance(sim, PhysicsSimulator)
    sim.cell[:] = states
    if law:
        sim.weight[:] = weights(data.world, data.fixed[episodes])
    for step in range(actions.shape[1]):
        sim.step(actions[:, step].astype(np.int64))
    return sim.cell.copy()


def weights(world: PhysicsWorld, colours: Array) -> Array:
    """(rows, n) twice the weight of each object in episodes with these colour numbers."""
    n = world.objects
    if world.mode == "unobserved":
        return np.asarray(world.weight_of_colour[colours])
    return np.broadcast_to(2 * (n - np.arange(n)), colours.shape)


def alone(data: Transitions, episodes: Array, states: Array, actions: Array) -> Array:
    """(rows, n) states if objects never acted on each other."""
    if isinstance(data.world, PhysicsWorld):
        return push(data, episodes, states, actions, law=False)
    assert isinstance(data.world, ChemistryWorld)
    out, rows = states.copy(), np.arange(len(states))
    for step in range(actions.shape[1]):
        target, colour = np.divmod(actions[:, step].astype(np.int64), data.world.colors)
        out[rows, target] = colour
    return out


def forbidden_push(world: PhysicsWorld, states: Array, actions: Array) -> tuple[Array, Array]:
    """States if every push succeeded, and (rows,) where that differs: a free cell behind a block that is run into."""
    rows, neighbour = np.arange(len(states)), physics_tables(world).neighbour
    actor, direction = np.divmod(actions.astype(np.int64), 5)
    target = neighbour[states[rows, actor], direction]
    behind, hit = neighbour[target, direction], states == target[:, None]
    free = hit.any(1) & (behind != len(neighbour) - 1) & ~(states == behind[:, None]).any(1)
    out, other = states.copy(), hit.argmax(1)
    out[rows[free], actor[free]] = target[free]
    out[rows[free], other[free]] = behind[free]
    return out, free
