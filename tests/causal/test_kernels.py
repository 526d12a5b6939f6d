"""The kernels against the slow reference, bit for bit, and against themselves without numba."""

import numpy as np
import pytest

from colonnade.causal import kernels_numpy
from colonnade.causal.errors import CausalError
from colonnade.causal.events import NAMES
from colonnade.causal.simulation import kernels, simulator
from colonnade.causal.world import ChemistryWorld, PhysicsWorld

from .reference_worlds import Blocks, Chemistry, random_number

BACKENDS = ["numba", "numpy"]
WORLDS = [
    PhysicsWorld(objects=5),
    PhysicsWorld(objects=3, split="zero-shot"),
    PhysicsWorld(objects=4, split="zero-shot-shape", cmap="reds", grid=4),
    PhysicsWorld(objects=4, mode="unobserved", few_shot=2),
    PhysicsWorld(objects=4, mode="fixed-unobserved", palette="pastel1"),
    ChemistryWorld(graph="chain5"),
    ChemistryWorld(graph="full5", positions="dynamic"),
    ChemistryWorld(graph="0-[2]->1->2, 0->3, 1-[1]->3", colors=3),
    ChemistryWorld(graph="3->{0-1}, 1->2", colors=4),
]


def started(world, batch, backend, seed=0, **options):
    sim = simulator(world, batch, backend=backend, **options)
    sim.seed(range(seed, seed + batch))
    sim.reset(sim.everywhere)
    return sim


@pytest.mark.parametrize("objects", [3, 5])
def test_physics_is_the_reference_bit_for_bit(objects):
    world = PhysicsWorld(objects=objects)
    sim = started(world, 200, "numba")
    frames = sim.frame_buffer()
    slow = [Blocks(5, sim.cell[b], sim.weight[b], sim.colour[b], sim.shape[b], world.lut) for b in range(sim.batch)]
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(25):
        action = rng.integers(world.actions, size=sim.batch)
        sim.step(action)
        shown = frames.draw(*sim.look(sim.state))
        distance = -sim.score()[0] * objects
        for b, one in enumerate(slow):
            event = one.step(action[b])
            seen.add(event)
            assert NAMES[sim.event[b]] == event
            assert one.cells == sim.state[b].tolist()
            assert round(float(distance[b])) == one.distance(sim.goal[b])
            np.testing.assert_array_equal(shown[b], one.render())
    assert seen == set(NAMES)


@pytest.mark.parametrize("world", WORLDS[5:], ids=lambda w: w.graph)
def test_chemistry_is_the_reference_bit_for_bit(world):
    sim = started(world, 200 if world.graph == "full5" else 50, "numba")
    frames = sim.frame_buffer()
    slow = [
        Chemistry(
            world.structure, world.mechanisms, world.colors, sim.colour[b], sim.cell[b], world.lut, sim.key[b],
            sim.counter[b],
        )
        for b in range(sim.batch)
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    for _ in range(25):
        action = rng.integers(world.actions, size=sim.batch)
        sim.step(action)
        shown = frames.draw(*sim.look(sim.state))
        for b, one in enumerate(slow):
            one.step(action[b])
            assert one.values == sim.state[b].tolist()
            np.testing.assert_array_equal(shown[b], one.render())


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: f"{w.kind}-{w.model_dump().get('mode', w.slots)}")
def test_numba_and_numpy_agree_bit_for_bit(world):
    sims = [started(world, 40, backend) for backend in BACKENDS]
    buffers = [sim.frame_buffer() for sim in sims]
    rng = np.random.default_rng(1)
    names = ["cell", "colour", "shape", "goal", "counter", "state"]
    names += ["weight", "event"] if world.kind == "physics" else ["noise", "past", "touched"]
    for step in range(20):
        action, mask = rng.integers(world.actions, size=40), rng.random(40) < 0.7
        for sim in sims:
            sim.step(action, mask)
        shown = [buffer.draw(*sim.look(sim.state)) for buffer, sim in zip(buffers, sims, strict=True)]
        np.testing.assert_array_equal(*shown)
        for name in names:
            np.testing.assert_array_equal(*(getattr(sim, name) for sim in sims), err_msg=name)
        np.testing.assert_array_equal(*(sim.score()[0] for sim in sims))
        np.testing.assert_array_equal(*(sim.counterfactual(action[::-1].copy()) for sim in sims))
        if step % 7 == 6:
            mask = rng.random(40) < 0.5
            for sim, buffer in zip(sims, buffers, strict=True):
                sim.reset(mask)
                buffer.stale(mask)


def test_random_numbers_are_splitmix64_and_uniform():
    from scipy.stats import kstest

    key, counters = np.uint64(0x9D1C0A87FFAA0001), np.arange(20_000, dtype=np.uint64)
    numbers = kernels_numpy.uniform(key, counters)
    assert numbers[:50].tolist() == [random_number(int(key), c) for c in range(50)]
    assert kernels("numba").uniform(key, np.uint64(7)) == numbers[7]
    assert kstest(numbers, "uniform").pvalue > 1e-3
    # Published first output of splitmix64 for seed 1234567.
    assert random_number(1234567, 0) == (6457827717110365317 >> 11) / 2**53


def test_what_changed_alone_is_painted_as_a_whole_redraw():
    sim = started(PhysicsWorld(objects=5, split="zero-shot-shape"), 300, "numba")
    buffer, rng = sim.frame_buffer(), np.random.default_rng(2)
    for _ in range(30):
        sim.step(rng.integers(25, size=300))
        np.testing.assert_array_equal(buffer.draw(sim.cell, sim.colour), sim.draw())


def test_threads_change_nothing():
    one, two = (started(ChemistryWorld(graph="full5"), 512, "numba", threads=threads) for threads in (1, 2))
    rng = np.random.default_rng(3)
    for _ in range(5):
        action = rng.integers(25, size=512)
        one.step(action)
        two.step(action)
        np.testing.assert_array_equal(one.draw(), two.draw())
    two.close()


def test_large_mechanisms_stay_networks():
    world = ChemistryWorld(graph="collider15", colors=8)
    assert world.mechanisms[-1].table is None
    sims = [started(world, 16, backend) for backend in BACKENDS]
    action = np.arange(16) * 7 % world.actions
    for sim in sims:
        sim.step(action)
    np.testing.assert_array_equal(sims[0].state, sims[1].state)
    alone = started(world, 1, "auto", seed=5)
    alone.step(action[5:6])
    np.testing.assert_array_equal(alone.state[0], sims[0].state[5])


def test_unknown_backend_is_refused():
    with pytest.raises(CausalError, match="backend must be one of auto, numba, numpy, but is 'jax'"):
        simulator(PhysicsWorld(), 1, backend="jax")
