"""Metrics against brute force, and the planners and predictors whose order is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.causal import (
    CausalError,
    ChemistryWorld,
    PhysicsWorld,
    evaluate,
    fit_reward,
    identification,
    plan,
    pretrained,
    ranking,
)
from colonnade.causal.metrics import bootstrap_interval, nearer_share
from colonnade.causal.reward import rewards


def brute(predicted, true):
    distance = ((true[:, None] - predicted[None]) ** 2).sum(-1)
    own = distance.diagonal()[:, None]
    return (distance < own).sum(1), distance == own


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 10**6), st.sampled_from([0.0, 1e-9, 1e-3, 1.0]))
def test_ranking_is_the_float64_brute_force(rows, values, seed, noise):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, values, size=(rows, 3)).astype(float) + 1000
    predicted = rng.integers(0, values, size=(rows, 3)) + noise * rng.normal(size=(rows, 3)) + 1000
    found = ranking(predicted, true)
    rank, even = brute(predicted, true)
    np.testing.assert_array_equal(found.rank, rank)
    codes = np.unique(true, axis=0, return_inverse=True)[1].ravel()
    np.testing.assert_array_equal(found.tied, (even & (codes[:, None] != codes[None])).sum(1))
    assert found.distinct == len(set(codes))


def test_many_near_ties_over_several_blocks():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(700, 80)) * 100
    predicted = true[rng.integers(700, size=700)] + rng.normal(size=(700, 80)) * 1e-5
    np.testing.assert_array_equal(ranking(predicted, true).rank, brute(predicted, true)[0])


def test_a_perfect_predictor_scores_100_with_half_of_the_states_doubled():
    true = np.random.default_rng(0).integers(0, 3, size=(400, 4)).astype(float)
    found = ranking(true, true)
    assert found.distinct < 100
    assert found.hits() == found.strict_hits() == found.mrr == 100


def test_a_constant_predictor_shows_what_ties_in_favour_hide():
    true = np.random.default_rng(0).normal(size=(50, 3))
    found = ranking(np.ones((50, 3)), true)
    assert found.hits() == 100
    assert found.strict_hits() == 0


def test_one_row_and_one_state():
    assert ranking(np.ones((1, 2)), np.zeros((1, 2))).hits() == 100
    same = ranking(np.random.default_rng(0).normal(size=(9, 2)), np.zeros((9, 2)))
    assert same.distinct == 1


@pytest.mark.parametrize(
    ("predicted", "true", "sentence"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "must have one shape"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "must have one shape and a row"),
        (np.full((2, 3), np.nan), np.zeros((2, 3)), "must be finite"),
    ],
)
def test_bad_rows_are_refused(predicted, true, sentence):
    with pytest.raises(CausalError, match=sentence):
        ranking(predicted, true)


def test_identification_finds_a_permutation():
    rng = np.random.default_rng(0)
    variables = rng.normal(size=(2000, 4))
    order = [2, 0, 3, 1]
    slots = np.stack([np.stack([variables[:, k], variables[:, k] * -2], 1) for k in order], 1)
    slots += 0.05 * rng.normal(size=slots.shape)
    found = identification(slots, variables)
    assert found.mcc > 0.99
    assert [order[slot] for slot in found.matched] == [0, 1, 2, 3]
    assert found.off < 0.05
    assert identification(rng.normal(size=slots.shape), variables).mcc < 0.2


def test_nearer_share_counts_strictly():
    zero, one = np.zeros((4, 2)), np.ones((4, 2))
    assert nearer_share(zero + 0.4, zero, [one]) == 100
    assert nearer_share(zero + 0.5, zero, [one]) == 0
    assert nearer_share(one, zero, [zero]) == 100  # a negative that is the truth does not count


def test_bootstrap_interval_covers():
    rng = np.random.default_rng(0)
    hits = [low <= 0 <= high for low, high in (bootstrap_interval(rng.normal(size=40), seed=k) for k in range(100))]
    assert 85 <= sum(hits) <= 100


def test_known_predictors_score_as_they_must():
    world = PhysicsWorld(objects=4)
    scores = {s.name: s for s in evaluate({}, world.collect(600, 10, seed=0), rows=600)}
    assert set(scores["oracle"].hits.values()) == {100.0}
    assert scores["oracle"].interaction == scores["oracle"].restraint == scores["oracle"].counterfactual == 100
    assert scores["no interaction"].interaction == 0
    assert scores["no interaction"].restraint == 100
    assert scores["no interaction"].hits[5] > 90  # what the paper's metric cannot tell
    assert scores["identity"].hits[10] < scores["no interaction"].hits[10]
    assert scores["marginal"].hits[1] == 100
    assert scores["marginal"].strict_hits[1] < 2


def test_the_chemistry_oracle_is_a_ceiling_below_100():
    world = ChemistryWorld(graph="chain5", min_edge_tv=0.2)
    scores = {s.name: s for s in evaluate({}, world.collect(600, 10, seed=0), rows=600)}
    best = scores.pop("oracle")
    assert best.strict_hits[1] < 80
    for other in scores.values():
        assert other.strict_hits[1] < best.strict_hits[1]
        assert other.excess_nats > best.excess_nats > -0.05
        assert other.counterfactual < best.counterfactual


@pytest.mark.parametrize("steps", [1, 5])
def test_oracle_plans_better_than_replay_better_than_random(steps):
    chemistry = ChemistryWorld(graph="full4", colors=4, min_edge_tv=0.2)
    reward = {p: plan(chemistry, p, steps=steps).reward.mean() for p in ("oracle", "replay", "random")}
    assert reward["oracle"] > reward["replay"] > reward["random"]


def test_physics_is_planned_exactly():
    world = PhysicsWorld(objects=5)
    done = plan(world, "oracle", steps=1)
    assert done.success.all()
    assert plan(world, "replay", steps=5, episodes=200).success.all()
    assert plan(world, "random", steps=5, episodes=200).success.mean() < 0.2
    with pytest.raises(CausalError, match="needs a trained model"):
        plan(world, "model")


def test_planning_without_interactions_lies_between():
    world = PhysicsWorld(objects=5)
    success = {p: plan(world, p, steps=5, episodes=400).success.mean() for p in ("oracle", "no interaction", "random")}
    assert success["oracle"] > success["no interaction"] > success["random"]


def test_a_model_plans_with_and_without_looking_and_by_its_reward_head():
    world = PhysicsWorld(objects=5)
    model, data = pretrained("physics5-gnn"), world.collect(100, 20, seed=3)
    head = fit_reward(model, data, updates=150, rows=2000)
    options = {"steps": 3, "episodes": 150, "model": model}
    looking, blind, headed = (plan(world, "model", **options, **more) for more in ({}, {"look": False}, {"head": head}))
    lost = plan(world, "random", steps=3, episodes=150).reward.mean()
    assert looking.success.mean() > 0.4
    assert blind.reward.mean() > lost
    assert headed.reward.mean() > lost
    with pytest.raises(CausalError, match="episodes of at least 10 steps"):
        fit_reward(model, world.collect(5, 4))


def test_rewards_are_the_environments():
    for world in (PhysicsWorld(objects=4), ChemistryWorld(graph="chain4")):
        envs = world.vector_env(50)
        envs.reset(seed=0)
        reward = envs.step(np.zeros(50, int))[1]
        np.testing.assert_allclose(rewards(world, envs.sim.state, envs.goal()), reward, atol=1e-6)
