"""Worlds, mechanisms and the oracle."""

import numpy as np
import pytest
from scipy.stats import chisquare

from colonnade.causal import oracle
from colonnade.causal.errors import CausalError
from colonnade.causal.mechanism import edge_information, edge_strength
from colonnade.causal.simulation import simulator
from colonnade.causal.world import JITTER, ChemistryWorld, PhysicsWorld


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        (PhysicsWorld, {"objects": 13}, "objects must be at most 12, half the cells of a 5x5 grid, but is 13."),
        (PhysicsWorld, {"grid": 1}, "grid must be from 2 to 12, but is 1."),
        (PhysicsWorld, {"mode": "unobserved", "objects": 10}, "objects must be at most 9"),
        (PhysicsWorld, {"mode": "unobserved", "few_shot": 9}, "few_shot must be from 0 to 8, but is 9"),
        (PhysicsWorld, {"few_shot": 2}, "few_shot must be 0 in the observed mode, but is 2."),
        (PhysicsWorld, {"mode": "unobserved", "split": "test-v1"}, "split must be train or zero-shot-shape"),
        (PhysicsWorld, {"split": "v1"}, "split must be 'train', 'test-v1'"),
        (PhysicsWorld, {"weight": 1}, "weight must be one of objects, mode"),
        (ChemistryWorld, {"colors": 10}, "colors must be from 2 to 9, but is 10."),
        (ChemistryWorld, {"graph": "0->1->0"}, "closes a cycle"),
        (ChemistryWorld, {"graph": "chain5", "objects": 4}, "4 objects were asked for"),
        (ChemistryWorld, {"min_edge_tv": float("nan")}, "min_edge_tv must be"),
    ],
)
def test_mistakes_are_one_sentence(kind, fields, sentence):
    with pytest.raises(CausalError) as caught:
        kind(**fields)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_colours_stay_within_their_split():
    for split, share in JITTER.items():
        world = PhysicsWorld(objects=5, split=split)
        sim = simulator(world, 500)
        sim.seed(range(500))
        sim.reset(sim.everywhere)
        centre = np.arange(4, -1, -1) / 4 * 256
        away = np.abs(sim.colour - np.minimum(centre, 255))
        assert away.max() <= share / 4 * 256 + 1
        assert away.max() > 0.9 * share / 4 * 256
        assert (np.diff(sim.weight, axis=1) < 0).all()


def test_unobserved_weights_follow_colour_and_few_shot_lies_between():
    world = PhysicsWorld(objects=4, mode="unobserved", few_shot=3)
    sim = simulator(world, 300)
    sim.seed(range(300))
    sim.reset(sim.everywhere)
    np.testing.assert_array_equal(sim.weight, world.weight_of_colour[sim.colour])
    assert all(len(set(row)) == 4 for row in sim.colour.tolist())
    assert (world.weight_of_colour[9:] % 2 == 1).all()
    assert (world.weight_of_colour[:9] % 2 == 0).all()


def test_edges_have_the_strength_asked_for():
    world = ChemistryWorld(graph="full4", min_edge_tv=0.3, seed=4)
    for mechanism in world.mechanisms:
        for k in range(len(mechanism.parents)):
            assert edge_strength(mechanism, k) >= 0.3
            assert edge_information(mechanism, k) > 0.05
    np.testing.assert_allclose(world.mechanisms[0].table, 1 / 5)


def test_too_strong_edges_are_refused():
    with pytest.raises(CausalError, match="min_edge_tv must be at most 0"):
        _ = ChemistryWorld(graph="chain3", colors=2, min_edge_tv=0.8).mechanisms


def test_a_table_is_the_network_it_was_made_from():
    mechanism = ChemistryWorld(graph="collider4", colors=3).mechanisms[3]
    rows = np.indices((3, 3, 3)).reshape(3, -1).T
    table = mechanism.table
    object.__setattr__(mechanism, "table", None)
    np.testing.assert_array_equal(mechanism.law(rows), table)
    np.testing.assert_allclose(table.sum(1), 1)


@pytest.mark.parametrize("graph", ["chain4", "full4", "collider4"])
def test_interventional_law_is_the_exact_one(graph):
    world, batch = ChemistryWorld(graph=graph, colors=4, seed=1), 1_000_000
    sim = simulator(world, batch)
    sim.key[:] = np.random.default_rng(0).integers(2**63, size=batch, dtype=np.uint64)
    sim.reset(sim.everywhere)
    start = sim.state.copy()
    for variable in range(4):
        fresh = sim.state.copy()
        sim.step(np.full(batch, variable * 4 + 2))
        moved = {variable, *world.structure.descendants(variable)}
        for other in set(range(4)) - moved:
            assert (sim.state[:, other] == fresh[:, other]).all()
        assert (sim.state[:, variable] == 2).all()
    sim.colour[:] = start
    sim.step(np.full(batch, 1 * 4 + 3))
    exact = oracle.interventional(world, 1, 3)
    for node in range(4):
        counts = np.bincount(sim.state[:, node], minlength=4)
        possible = exact[node] > 1e-12
        assert counts[~possible].sum() == 0
        if possible.sum() > 1:
            share = exact[node][possible] / exact[node][possible].sum()
            assert chisquare(counts[possible], share * batch).pvalue > 1e-3


def test_oracle_sums_and_entropy_agree_with_likelihoods():
    world = ChemistryWorld(graph="jungle5", colors=3, seed=2)
    data = world.collect(2000, 5, seed=0)
    law = oracle.next_state(world, data.before(), data.action())
    assert law.exact
    np.testing.assert_allclose(law.marginals.sum(2), 1)
    likelihood = oracle.log_likelihood(world, data.before(), data.action(), data.after())
    assert np.isfinite(likelihood).all()
    error = np.std(likelihood) / len(likelihood) ** 0.5
    assert abs(-likelihood.mean() - law.entropy.mean()) < 4 * error
    wrong = data.after().copy()
    wrong[np.arange(len(wrong)), data.action() // 3] += 1
    assert (oracle.log_likelihood(world, data.before(), data.action(), wrong % 3) == -np.inf).all()


def test_large_sums_are_sampled_and_close():
    world = ChemistryWorld(graph="chain10", colors=6, seed=0)
    law = oracle.next_state(world, np.zeros((1, 10), int), np.array([0]))
    assert not law.exact
    sim = simulator(world, 50_000)
    sim.key[:] = np.random.default_rng(0).integers(2**63, size=sim.batch, dtype=np.uint64)
    sim.step(np.zeros(sim.batch, int))
    counted = np.stack([np.bincount(sim.state[:, v], minlength=6) / sim.batch for v in range(10)])
    np.testing.assert_allclose(law.marginals[0], counted, atol=0.02)


def test_certificate_says_what_rows_can_show():
    world = ChemistryWorld(graph="chain5", min_edge_tv=0.2)
    enough, few = oracle.certificate(world, 5000), oracle.certificate(world, 10)
    assert all(edge.identifiable for edge in enough)
    assert not any(edge.identifiable for edge in few)
    constant = ChemistryWorld(graph="chain5")
    for mechanism in constant.mechanisms[1:2]:
        mechanism.table[:] = mechanism.table.mean(0)
    assert np.isinf(oracle.certificate(constant, 10**9)[0].rows_needed)
    assert oracle.certificate(PhysicsWorld(objects=3), 10_000)[0].identifiable


def test_exact_laws_refuse_delays_and_physics():
    with pytest.raises(CausalError, match="no delayed edges"):
        oracle.next_state(ChemistryWorld(graph="0-[1]->1"), np.zeros((1, 2), int), np.array([0]))
    with pytest.raises(CausalError, match="must be a chemistry world"):
        oracle.interventional(PhysicsWorld())


def test_delayed_edges_act_when_they_should():
    world = ChemistryWorld(graph="0-[2]->1", colors=3, min_edge_tv=0.3)
    sim = simulator(world, 4000)
    sim.seed(range(4000))
    sim.reset(sim.everywhere)
    idle, before = np.full(4000, 0 * 3), sim.state[:, 1].copy()
    sim.step(idle + np.arange(4000) % 3)
    assert (sim.state[:, 1] == before).all()
    set_value = np.arange(4000) % 3
    sim.step(np.zeros(4000, int))
    assert (sim.state[:, 1] == before).all()
    sim.step(np.zeros(4000, int))
    law = world.mechanisms[1].table
    for value in range(3):
        counted = np.bincount(sim.state[set_value == value, 1], minlength=3)
        possible = law[value] > 1e-9
        assert counted[~possible].sum() == 0
        share = law[value][possible] / law[value][possible].sum()
        assert chisquare(counted[possible], share * counted.sum()).pvalue > 1e-3
