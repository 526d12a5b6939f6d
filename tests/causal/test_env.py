"""gymnasium environments: the checker, seeds, autoreset, interventions, counterfactuals, and misuse."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from colonnade.causal.env import env_ids
from colonnade.causal.errors import CausalError
from colonnade.causal.world import ChemistryWorld, PhysicsWorld

WORLDS = [PhysicsWorld(objects=4), ChemistryWorld(graph="full4", colors=3)]


@pytest.mark.parametrize("name", env_ids())
def test_every_id_passes_gymnasiums_checker_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(name).unwrapped)


def test_make_vec_takes_world_fields():
    envs = gym.make_vec("causal/Chemistry-v0", 3, vectorization_mode="vector_entry_point", graph="chain3", colors=4)
    frames, info = envs.reset(seed=0)
    assert frames.shape == (3, 50, 50, 3)
    assert frames.dtype == np.uint8
    assert envs.single_action_space.n == 12
    assert info["state"].shape == (3, 3)
    envs.close()


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.kind)
def test_results_do_not_depend_on_batch_or_threads(world):
    actions = np.random.default_rng(0).integers(world.actions, size=(30, 300))
    seen = {}
    for batch, threads in [(1, 1), (7, 1), (64, 1), (300, 1), (300, 2)]:
        envs = world.vector_env(batch, max_steps=9, threads=threads)
        first, _ = envs.reset(seed=10)
        frames = [first[0]]
        states = []
        for row in actions:
            observation, _, _, _, info = envs.step(row[:batch])
            frames.append(observation[0])
            states.append(info["state"][0])
        seen[batch, threads] = np.stack(frames).tobytes() + np.stack(states).tobytes()
        envs.close()
    assert len(set(seen.values())) == 1


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.kind)
def test_vector_env_is_gymnasiums_sync_vector_env(world):
    mode = AutoresetMode.NEXT_STEP
    ours = world.vector_env(3, max_steps=5)
    theirs = SyncVectorEnv([lambda: gym.wrappers.OrderEnforcing(world.env(max_steps=5))] * 3, autoreset_mode=mode)
    np.testing.assert_array_equal(ours.reset(seed=4)[0], theirs.reset(seed=4)[0])
    rng = np.random.default_rng(0)
    for _ in range(14):
        action = rng.integers(world.actions, size=3)
        for a, b in zip(ours.step(action)[:4], theirs.step(action)[:4], strict=True):
            np.testing.assert_allclose(a, b)


def test_same_step_reset_gives_the_last_frame():
    world = WORLDS[0]
    same = world.vector_env(2, max_steps=3, autoreset_mode="SameStep")
    off = world.vector_env(2, max_steps=3, autoreset_mode=AutoresetMode.DISABLED)
    same.reset(seed=1)
    off.reset(seed=1)
    for action in ([1, 2], [6, 7], [3, 11]):
        a, b = same.step(np.array(action)), off.step(np.array(action))
    assert a[3].all()
    np.testing.assert_array_equal(a[4]["final_obs"][0], b[0][0])
    np.testing.assert_array_equal(a[4]["final_info"]["state"], b[4]["state"])
    with pytest.raises(CausalError, match="sub-environment 0 is over; reset it first"):
        off.step(np.array([0, 0]))
    reset, _ = off.reset(options={"reset_mask": np.array([True, False])})
    np.testing.assert_array_equal(reset[0], a[0][0])
    np.testing.assert_array_equal(reset[1], b[0][1])


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.kind)
def test_counterfactuals_are_consistent_and_change_nothing(world):
    envs = world.vector_env(200)
    envs.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(5):
        before = envs.sim.state.copy()
        action, other = rng.integers(world.actions, size=(2, 200))
        envs.step(action)
        after, shown = envs.sim.state.copy(), envs.render()[0]
        np.testing.assert_array_equal(envs.counterfactual(action), after)
        elsewhere = envs.counterfactual(other)
        np.testing.assert_array_equal(envs.sim.state, after)
        np.testing.assert_array_equal(envs.render()[0], shown)
        if world.kind == "chemistry":
            target = other // world.colors
            np.testing.assert_array_equal(elsewhere[np.arange(200), target], other % world.colors)
            reach = world.structure.reach[target] | np.eye(4, dtype=bool)[target]
            assert (elsewhere == before)[~reach].all()


def test_setting_a_variable_to_its_value_changes_nothing():
    env = ChemistryWorld(graph="full5", min_edge_tv=0.2).env()
    env.reset(seed=3)
    for action in (3, 12, 7, 22, 1):
        state = env.step(action)[4]["state"]
        for variable, value in enumerate(state):
            env.do(variable, int(value))
            np.testing.assert_array_equal(env.sim.state[0], state)


def test_do_reaches_descendants_only():
    envs = ChemistryWorld(graph="0->1->2, 3->2", min_edge_tv=0.3).vector_env(500)
    envs.reset(seed=0)
    before = envs.sim.state.copy()
    envs.do(1, 2)
    np.testing.assert_array_equal(envs.sim.state[:, [0, 3]], before[:, [0, 3]])
    assert (envs.sim.state[:, 1] == 2).all()
    assert (envs.sim.state[:, 2] != before[:, 2]).any()


def test_blocks_can_be_placed_on_free_cells_only():
    env = PhysicsWorld(objects=3).env()
    env.reset(seed=0)
    taken = int(env.sim.state[0, 1])
    with pytest.raises(CausalError, match=f"cell {taken} is taken"):
        env.do(0, taken)
    free = next(c for c in range(25) if c not in env.sim.state[0])
    env.do(0, free)
    assert env.sim.state[0, 0] == free


def test_rewards_are_the_papers():
    env = PhysicsWorld(objects=3, goal_steps=3).env(end_at_goal=True)
    env.reset(seed=5)
    x, y = np.divmod(env.sim.state[0].astype(int), 5)
    u, v = np.divmod(env.goal().astype(int), 5)
    assert env.step(0)[1] == pytest.approx(-(abs(x - u) + abs(y - v)).sum() / 3)
    env.sim.cell[0] = env.goal()
    observation, reward, terminated, _, info = env.step(0)
    assert reward == 0
    assert terminated
    assert info["success"]
    np.testing.assert_array_equal(observation, env.goal_frame())


def test_observations_stay_valid():
    envs = WORLDS[0].vector_env(4)
    kept = [envs.reset(seed=0)[0]]
    copies = [kept[0].copy()]
    for _ in range(6):
        kept.append(envs.step(np.array([1, 6, 11, 16]))[0])
        copies.append(kept[-1].copy())
    np.testing.assert_array_equal(np.stack(kept), np.stack(copies))
    fast = WORLDS[0].vector_env(4, copy=False)
    first = fast.reset(seed=0)[0]
    remembered = first.copy()
    fast.step(np.array([1, 6, 11, 16]))
    np.testing.assert_array_equal(first, remembered)


def test_misuse_is_one_sentence():
    envs = WORLDS[0].vector_env(2)
    cases = [
        (lambda: envs.step(np.zeros(2, int)), "call reset first"),
        (lambda: envs.reset(seed=[1, 2, 3]), "seeds must be 2, one a sub-environment, but are 3"),
        (lambda: envs.reset(seed=-1), "seed must be from 0"),
        (lambda: envs.reset(options={"reset_mask": np.array([1, 0])}), "reset_mask must hold 2 booleans"),
        (lambda: WORLDS[0].vector_env(0), "batch must be from 1 to 1048576, but is 0"),
        (lambda: WORLDS[0].env(observation="pixels"), "observation must be one of frame, state"),
        (lambda: WORLDS[0].vector_env(2, autoreset_mode="Later"), "autoreset_mode must be one of"),
    ]
    for call, sentence in cases:
        with pytest.raises(CausalError) as caught:
            call()
        assert sentence in str(caught.value)
    envs.reset(seed=0)
    for actions, sentence in [
        (np.zeros(3, int), "must have shape (2,), but have (3,)"),
        (np.array([0, 20]), "an action must be from 0 to 19, but is 20"),
        (np.array([0, -1]), "an action must be from 0 to 19, but is -1"),
        (np.array([0.0, 1.0]), "must be whole numbers, but are float64"),
    ]:
        with pytest.raises(CausalError) as caught:
            envs.step(actions)
        assert sentence in str(caught.value)
    envs.close()
    with pytest.raises(CausalError, match="was closed"):
        envs.step(np.zeros(2, int))
