"""Scores of a world model beside the oracle's ceiling and the trivial baselines, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import colonnade.causal.baselines as base
from colonnade.causal.baselines import Predictor, trivial_predictors
from colonnade.causal.data import Transitions
from colonnade.causal.errors import CausalError, check_range
from colonnade.causal.metrics import Identification, identification, nearer_share, ranking
from colonnade.causal.models import WorldModel
from colonnade.causal.simulation import simulator
from colonnade.causal.world import ChemistryWorld, PhysicsWorld, chemistry

Array = NDArray[Any]
CHUNK = 1024
OTHER_ACTIONS = 8  # alternatives of the counterfactual test


class ModelPredictor:
    """A trained model as a predictor, in the space of its slots."""

    def __init__(self, model: WorldModel) -> None:
        self.model = model.eval()

    @torch.no_grad()
    def slots(self, data: Transitions, episodes: Array, states: Array) -> torch.Tensor:
        """(rows, n, dim) encodings of drawn states."""
        parts = [slice(k, k + CHUNK) for k in range(0, len(states), CHUNK)]
        return torch.cat([self.model.encode(data.draw(episodes[part], states[part])) for part in parts])

    def embed(self, data: Transitions, episodes: Array, states: Array) -> Array:
        return self.slots(data, episodes, states).flatten(1).numpy()

    @torch.no_grad()
    def predict(self, data: Transitions, episodes: Array, states: Array, actions: Array) -> Array:
        z = self.slots(data, episodes, states)
        steps = torch.from_numpy(actions.astype(np.int64))
        parts = [slice(k, k + CHUNK) for k in range(0, len(z), CHUNK)]
        return torch.cat([self.model.rollout(z[part], steps[part])[:, -1] for part in parts]).flatten(1).numpy()


@dataclass(frozen=True)
class Scores:
    """One predictor's scores, percentages unless said otherwise.

    Attributes:
        name: whose.
        hits, strict_hits, mrr: by number of steps; strict counts ties against.
        interaction: share of interactions (pushes, or reactions of descendants) whose prediction is nearer to what
            happened than to what would have happened without.
        restraint: share of blocked pushes whose prediction is nearer to what happened than to the forbidden push
            (physics; NaN in chemistry). 50 and 50 is chance for the mean of the two.
        counterfactual: share of rows nearer to what happened than to what any of 8 other actions would have done.
        excess_nats: mean log-likelihood lost against the exact law (chemistry; NaN in physics).
        mcc: latent identification (models only, else NaN); see `metrics.identification`.
        distinct: how many different true states there were at one step.
    """

    name: str
    hits: dict[int, float]
    strict_hits: dict[int, float]
    mrr: dict[int, float]
    interaction: float
    restraint: float
    counterfactual: float
    excess_nats: float
    mcc: float
    distinct: int

    @property
    def causal(self) -> float:
        """Mean of interaction and restraint: 50 without any knowledge of who pushes whom; interaction in chemistry."""
        return self.interaction if np.isnan(self.restraint) else (self.interaction + self.restraint) / 2


def evaluate(
    models: Mapping[str, WorldModel | Predictor],
    test: Transitions,
    *,
    train: Transitions | None = None,
    steps: Sequence[int] = (1, 5, 10),
    rows: int = 2000,
    with_baselines: bool = True,
    seed: int = 0,
) -> list[Scores]:
    """Score models and baselines on the same test episodes.

    Args:
        models: by name.
        test: episodes of at least `max(steps)` steps under the random policy.
        train: where likelihood read-outs are fitted (chemistry); `test` is never used for that.
        steps: numbers of steps to predict without looking.
        rows: ranked candidates, one an episode; 10,000 in the paper.
        with_baselines: score the oracle and the trivial predictors too.
        seed: of the counterfactual test's actions.

    Raises:
        CausalError: the test episodes are too short.
    """
    if max(steps) > test.actions.shape[1]:
        raise CausalError(f"steps must be at most {test.actions.shape[1]}, the test episodes' length, but are {steps}.")
    check_range("rows", rows, 1, 1_000_000)
    chosen: dict[str, Predictor] = {
        name: ModelPredictor(model) if isinstance(model, WorldModel) else model for name, model in models.items()
    }
    if with_baselines:
        chosen |= trivial_predictors(test.world)
    return [_score(name, one, test, train, steps, rows, seed) for name, one in chosen.items()]


def _score(
    name: str, one: Predictor, test: Transitions, train: Transitions | None, steps: Sequence[int], rows: int, seed: int
) -> Scores:
    episodes = np.arange(min(rows, len(test.states)))
    start = test.states[episodes, 0]
    ranked = {}
    for k in steps:
        truth = test.states[episodes, k]
        codes = np.unique(
            np.concatenate([truth, test.fixed[episodes], test.shapes[episodes]], 1), axis=0, return_inverse=True
        )[1]
        predicted = one.predict(test, episodes, start, test.actions[episodes, :k])
        ranked[k] = ranking(predicted, one.embed(test, episodes, truth), codes.ravel())
    interaction, restraint = interactions(one, test)
    return Scores(
        name,
        {k: r.hits() for k, r in ranked.items()},
        {k: r.strict_hits() for k, r in ranked.items()},
        {k: r.mrr for k, r in ranked.items()},
        interaction,
        restraint,
        counterfactual_hits(one, test, min(rows, 1000), seed),
        excess_nats(one, test, train),
        latent_identification(one, test).mcc if isinstance(one, ModelPredictor) else float("nan"),
        ranked[min(steps)].distinct,
    )


def interactions(one: Predictor, test: Transitions, limit: int = 2000) -> tuple[float, float]:
    """(interaction, restraint) percentages; see `Scores`."""
    rows = np.flatnonzero(test.interaction)[:limit]
    if not len(rows):
        return float("nan"), float("nan")
    episode, before, action = test.index[rows, 0], test.before(rows), test.action(rows)[:, None]
    without = base.alone(test, episode, before, action)
    predicted = one.predict(test, episode, before, action)
    truth = one.embed(test, episode, test.after(rows))
    # A push is also told apart from "nothing moved"; in physics both are the same picture.
    negatives = [one.embed(test, episode, without), one.embed(test, episode, before)]
    share = nearer_share(predicted, truth, negatives)
    if not isinstance(test.world, PhysicsWorld):
        return share, float("nan")
    held = np.flatnonzero(test.contact & ~test.interaction)
    pushed, possible = base.forbidden_push(test.world, test.before(held), test.action(held))
    held, pushed = held[possible][:limit], pushed[possible][:limit]
    episode, before, action = test.index[held, 0], test.before(held), test.action(held)[:, None]
    predicted, truth = one.predict(test, episode, before, action), one.embed(test, episode, before)
    return share, nearer_share(predicted, truth, [one.embed(test, episode, pushed)])


def counterfactual_hits(one: Predictor, test: Transitions, rows: int = 1000, seed: int = 0) -> float:
    """Share of rows nearer to what happened than to each state that another action would have led to.

    The alternatives come from the world itself, with all noise as it was: hard negatives that differ by the action.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 3]))
    sim = simulator(test.world, rows)
    sim.seed([(1 << 40) + seed * rows + i for i in range(rows)])
    sim.reset(sim.everywhere)
    physics = isinstance(test.world, PhysicsWorld)
    episodes = np.arange(rows)
    looks = Transitions(
        test.world, sim.state[:, None].copy(), np.zeros((rows, 0), np.int16), np.zeros((rows, 0), np.uint8),
        (sim.colour if physics else sim.cell).copy(), sim.shape.copy(),
    )  # fmt: skip
    before = sim.state.copy()
    action = rng.integers(test.world.actions, size=rows)
    sim.step(action)
    after = sim.state.copy()
    predicted = one.predict(looks, episodes, before, action[:, None])
    others = [sim.counterfactual(rng.integers(test.world.actions, size=rows)) for _ in range(OTHER_ACTIONS)]
    negatives = [one.embed(looks, episodes, state) for state in others]
    return nearer_share(predicted, one.embed(looks, episodes, after), negatives)


def latent_identification(one: ModelPredictor, test: Transitions, rows: int = 2000) -> Identification:
    """Slots against the true variables: row and column of each object, or the one-hot colour's components."""
    index = test.index[: rows * 7 : 7]
    episodes, states = index[:, 0], test.states[index[:, 0], index[:, 1]].astype(np.int64)
    slots = one.slots(test, episodes, states.astype(np.uint8)).numpy()
    if isinstance(test.world, PhysicsWorld):
        found = [identification(slots, part) for part in (states // test.world.grid, states % test.world.grid)]
    else:
        found = [identification(slots, states == value) for value in range(chemistry(test.world).colors)]
    r2 = np.mean([f.r2 for f in found], axis=0)
    return Identification(
        r2, float(np.mean([f.mcc for f in found])), found[0].matched, float(np.mean([f.off for f in found]))
    )


def excess_nats(one: Predictor, test: Transitions, train: Transitions | None, rows: int = 3000) -> float:
    """Mean nats a row that one-step predictions lose against the exact joint law; 0 is perfect, NaN without a law.

    A model's slots are read out by a linear softmax fitted on training predictions; factorised laws (the oracle's
    marginals too) lose what the reacting variables tell about each other.
    """
    world = test.world
    if not isinstance(world, ChemistryWorld) or world.structure.max_lag:
        return float("nan")
    from colonnade.causal.oracle import log_likelihood

    at = np.arange(min(rows, len(test)))
    exact = log_likelihood(world, test.before(at), test.action(at), test.after(at)).mean()
    predicted = one.predict(test, test.index[at, 0], test.before(at), test.action(at)[:, None])
    if isinstance(one, ModelPredictor):
        if train is None:
            return float("nan")
        law = _read_out(one, train, predicted, world)
    else:
        # Predictors that are sure of what then does not happen would lose infinitely; 1 % is left to chance.
        law = 0.99 * predicted.reshape(len(at), world.slots, world.colors) + 0.01 / world.colors
    picked = np.take_along_axis(law, test.after(at).astype(np.int64)[:, :, None], 2)[:, :, 0]
    return float(exact - np.log(picked).sum(1).mean())


def _read_out(one: ModelPredictor, train: Transitions, predicted: Array, world: ChemistryWorld) -> Array:
    at = np.arange(min(10_000, len(train)))
    x = torch.from_numpy(one.predict(train, train.index[at, 0], train.before(at), train.action(at)[:, None]))
    y = torch.from_numpy(train.after(at).astype(np.int64))
    centre, scale = x.mean(0), x.std(0) + 1e-6
    layer = torch.nn.Linear(x.shape[1], world.slots * world.colors)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(200):
        logits = layer((x - centre) / scale).view(-1, world.colors)
        loss = torch.nn.functional.cross_entropy(logits, y.reshape(-1)) + 1e-4 * layer.weight.pow(2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        logits = layer((torch.from_numpy(predicted) - centre) / scale).view(-1, world.slots, world.colors)
        return np.asarray(torch.softmax(logits, 2).numpy(), np.float64)


def reconstruction(model: WorldModel, test: Transitions, rows: int = 512) -> float:
    """Binary cross-entropy a channel value of reconstructed frames, as the paper reports it (divided by 7500)."""
    frames = torch.from_numpy(test.frames(np.arange(min(rows, len(test))))[0])
    with torch.no_grad():
        logits = model.decode(model.encode(frames))
        pixels = frames.flatten(1).float() / 255
        return float(torch.nn.functional.binary_cross_entropy_with_logits(logits, pixels))
