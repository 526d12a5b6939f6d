"""Data sets of latent states, drawn on demand."""

import numpy as np
import pytest

from colonnade.causal import CausalError, ChemistryWorld, PhysicsWorld, Transitions, ood_splits
from colonnade.causal.data import counts
from colonnade.causal.events import INVALID


def test_lazily_drawn_frames_are_the_environments():
    world = PhysicsWorld(objects=4)
    data = world.collect(3, 20, seed=7)
    envs = world.vector_env(3)
    frames = [envs.reset(seed=7 << 32)[0]]
    for step in range(20):
        frames.append(envs.step(data.actions[:, step].astype(int))[0])
    for episode in range(3):
        drawn = data.draw(np.full(21, episode), data.states[episode])
        np.testing.assert_array_equal(drawn, np.stack([f[episode] for f in frames]))


def test_invalid_pushes_are_left_out():
    data = PhysicsWorld(objects=8, grid=4).collect(200, 30, seed=0)
    assert (data.events == INVALID).any()
    episode, step = data.index.T
    assert (data.events[episode, step] != INVALID).all()
    assert len(data) == (data.events != INVALID).sum()
    assert ((data.before() != data.after()).sum(1)[data.interaction] == 2).all()


def test_the_interaction_policy_meets_more():
    world = PhysicsWorld(objects=5)
    plain, seeking = world.collect(200, 50, seed=1), world.collect(200, 50, seed=1, policy="interaction")
    assert seeking.contact.mean() > 2 * plain.contact.mean()
    assert counts(plain)["pushed"] == plain.interaction.sum()


def test_a_data_set_survives_a_file_and_is_small(tmp_path):
    sizes = 0
    for k, world in enumerate([PhysicsWorld(objects=5), ChemistryWorld(graph="chain5")]):
        data = world.collect(1000, 100, seed=k)
        data.save(tmp_path / f"{k}.npz")
        sizes += (tmp_path / f"{k}.npz").stat().st_size
        again = Transitions.load(tmp_path / f"{k}.npz")
        assert again.world == world
        rows = np.arange(0, len(data), 997)
        np.testing.assert_array_equal(again.pairs(rows), data.pairs(rows))
    assert sizes < 4_000_000  # 100,000 + 100,000 transitions


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(CausalError, match=r"'x.npz' is not a data set"):
        Transitions.load(tmp_path / "x.npz")


def test_minari_export_holds_the_same_frames(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    data = ChemistryWorld(graph="chain3").collect(4, 5, seed=0)
    data.to_minari("causal/test-v0", max_episodes=2)
    episodes = list(minari.load_dataset("causal/test-v0").iterate_episodes())
    assert len(episodes) == 2
    np.testing.assert_array_equal(episodes[1].observations, data.draw(np.full(6, 1), data.states[1]))
    np.testing.assert_array_equal(episodes[1].actions, data.actions[1])


def test_splits_differ_only_in_their_look():
    splits = ood_splits(PhysicsWorld(objects=3), 20, 5)
    assert list(splits) == ["train", "test-v1", "test-v2", "test-v3", "zero-shot", "zero-shot-shape"]
    assert splits["zero-shot-shape"].shapes.max() > 2 >= splits["train"].shapes.max()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"episodes": 0, "steps": 1}, "episodes must be from 1"),
        ({"episodes": 1_000_000, "steps": 1000}, "episodes x steps must be from 1 to 100000000"),
        ({"episodes": 1, "steps": 1, "policy": "greedy"}, "policy must be one of random, interaction"),
        ({"episodes": 1, "steps": 1, "seed": -1}, "seed must be from 0"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(CausalError) as caught:
        PhysicsWorld().collect(**options)
    assert sentence in str(caught.value)


def test_a_wrong_buffer_is_refused():
    data = PhysicsWorld(objects=3).collect(2, 3)
    wrong = np.zeros((4, 50, 50, 3), np.uint8)
    wrong.flags.writeable = False
    for out in (wrong, np.zeros((4, 50, 50, 6), np.uint8)[..., ::2], np.zeros((3, 50, 50, 3), np.uint8)):
        with pytest.raises(CausalError, match="writable contiguous uint8"):
            data.pairs(np.arange(2), out)
