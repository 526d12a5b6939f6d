"""The larger space: codes and text, sizes, networks, masks of its graphs, and how candidates are proposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from colonnade.nas import Architecture, Images, Limits, Mobile, NasError, build, metadb, mobilenet, proposing, search
from colonnade.nas import describe as described
from colonnade.nas.ensemble import carried
from colonnade.nas.fitting import fit
from colonnade.nas.generator import Generator, quality
from colonnade.nas.graphs import FIRST
from colonnade.nas.proxies import PROXIES, scores
from colonnade.nas.spaces import MOBILENET, of

SMALL = "k3e2|k3e2-k5e4|k3e6|k7e2"


def some(n: int, seed: int = 0) -> list[Mobile]:
    return mobilenet.random(np.random.default_rng(seed), n)


@given(st.integers(0, mobilenet.COUNT - 1))
@settings(max_examples=200, deadline=None)
def test_every_code_is_written_and_read_back(code: int) -> None:
    stages = mobilenet.from_code(code)
    assert mobilenet.to_code(stages) == code and len(stages) == mobilenet.STAGES
    assert all(1 <= len(stage) <= mobilenet.DEPTH and all(1 <= k <= 9 for k in stage) for stage in stages)
    assert mobilenet.from_string(mobilenet.to_string(stages)) == stages


def test_codes_count_the_space() -> None:
    assert mobilenet.PER_STAGE == 9 + 81 + 729 and mobilenet.COUNT == 819**4
    firsts = {mobilenet.from_code(code)[-1] for code in range(mobilenet.PER_STAGE)}
    assert len(firsts) == mobilenet.PER_STAGE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k3e2|k4e2|k3e2|k3e2", "kernel 3, 5 or 7 and expansion 2, 4 or 6, but found 'k4e2' at position 6"),
        ("k3e2|k3e2|k3e2-k3e2-k3e2-k3e2|k3e2", "more than 3 blocks in a stage at position 26"),
        ("k3e2|k3e2", "there must be 4 stages, but there are 2"),
        ("k3e2|k3e2|k3e2|k3e2|k3e2", "more than 4 stages at position 21"),
        ("k3e2||k3e2|k3e2", "position 6"),
        ("", "position 1"),
    ],
)
def test_malformed_blocks_are_refused_with_the_position(text: str, message: str) -> None:
    with pytest.raises(NasError, match=message):
        Mobile.of(text)


def test_knobs_out_of_range_are_refused() -> None:
    with pytest.raises(NasError, match="width must be from 1 to 64, but is 0"):
        Mobile.of(SMALL, 0)
    with pytest.raises(NasError, match="resolution must be from 8 to 224 pixels"):
        Mobile.of(SMALL, 8, 4)


@pytest.mark.parametrize("seed", [0, 1])
def test_closed_form_is_the_built_module(seed: int) -> None:
    listed = [*some(12, seed), Mobile.of(SMALL, 5, 15)]
    params, macs = mobilenet.sizes(listed, 2, 7)
    for network, p, m in zip(listed, params, macs, strict=True):
        made = build(network, 2, 7)
        assert p == sum(value.numel() for value in made.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            made(torch.zeros(1, 2, network.resolution, network.resolution))
        assert m == counter.get_total_flops() / 2


def test_blocks_do_what_they_say() -> None:
    """Depthwise filters of the given size, expansions of the given width, shortcuts where the shapes agree."""
    made = build(Mobile.of("k3e2|k5e4-k7e6|k3e6|k7e2", 4, 16), 1, 3)
    first, second, third, *_ = made.stages
    assert second.filter[0].kernel_size == (5, 5) and third.filter[0].kernel_size == (7, 7)
    assert second.filter[0].groups == second.filter[0].out_channels == 16 and third.filter[0].groups == 48
    assert [first.residual, second.residual, third.residual] == [False, False, True]
    x = torch.randn(2, 8, 8, 8)
    third.eval()
    with torch.no_grad():
        for parameter in third.project.parameters():
            parameter.zero_()
    assert torch.equal(third(x), x)


def test_graphs_go_there_and_back_and_masks_know_the_space() -> None:
    listed = some(50)
    types = MOBILENET.node_types(listed)
    back = [MOBILENET.network(t, MOBILENET.knob_values(a)) for t, a in zip(types.tolist(), listed, strict=True)]
    assert back == listed and MOBILENET.valid(types).all()
    empty, gap = types.clone(), types.clone()
    empty[:, 4] = FIRST  # the first place of the second stage
    gap[:, 5], gap[:, 6] = FIRST, FIRST + 1  # a block behind an empty place
    assert not MOBILENET.valid(empty).any() and not MOBILENET.valid(gap).any()
    assert all(of(a) is MOBILENET for a in listed)


def test_masked_drawing_is_always_valid() -> None:
    generator = Generator(12, space=MOBILENET)  # untrained: nothing but the mask makes it valid
    drawn = generator.draw(torch.randn(200, generator.latent), torch.Generator().manual_seed(1))
    assert quality(drawn, set()).validity == 100 and len(set(drawn.architectures())) > 150
    free = generator.draw(torch.randn(200, generator.latent), torch.Generator().manual_seed(1), masked=False)
    assert quality(free, set()).validity < 50


def test_mutation_changes_one_thing_and_stays_inside() -> None:
    rng = np.random.default_rng(0)
    network = some(1)[0]
    for _ in range(300):
        other = mobilenet.mutated(network, rng)
        assert other != network
        changed = [other.width != network.width, other.resolution != network.resolution, other.code != network.code]
        assert sum(changed) == 1 and Mobile.of(str(other), other.width, other.resolution) == other
        network = other


def test_a_search_keeps_within_its_limits(signs: Images) -> None:
    found = search(signs, Limits(params=20_000, macs=400_000), top=4, space="mobilenet", generate=400, timed=False)
    assert len(found.ranked) == 4 and found.scored[0] <= 400
    assert all(c.params <= 20_000 and c.macs <= 400_000 for c in found.ranked)
    network = found.best.build(signs.classes, signs.channels)
    assert sum(p.numel() for p in network.parameters()) == found.best.params
    again = search(signs, Limits(params=20_000, macs=400_000), top=4, space="mobilenet", generate=400, timed=False)
    assert again.ranked == found.ranked
    with pytest.raises(NasError, match="at most 1,000 parameters: the fewest parameters are"):
        search(signs, Limits(params=1_000), space="mobilenet", generate=50)
    with pytest.raises(NasError, match="space must be one of cells, mobilenet, but is 'resnet'"):
        search(signs, space="resnet")


@pytest.mark.parametrize("method", proposing.METHODS)
def test_proposals_cost_no_more_than_was_allowed(method: str, signs: Images) -> None:
    model = carried(space="mobilenet")
    fits = proposing.within(30_000, 600_000, signs.channels, signs.classes)
    found = proposing.propose(method, model, described(signs), 150, fits, seed=3)
    assert 75 <= len(found) <= 150 and len(set(found)) == len(found) and fits(found).all()


def test_guided_proposals_are_predicted_better_than_random_ones(signs: Images) -> None:
    model, description = carried(space="mobilenet"), described(signs)
    fits = proposing.within(50_000, 600_000, signs.channels, signs.classes)
    best = {
        method: model.predict(proposing.propose(method, model, description, 400, fits), description).standing.max()
        for method in ("random", "generator and evolution")
    }
    assert best["generator and evolution"] > best["random"]


def test_free_drawing_has_learned_the_space(signs: Images) -> None:
    model = carried(space="mobilenet")
    free = quality(model.draw(described(signs), 300, seed=1, masked=False), set(model.known))
    assert free.validity >= 90 and free.uniqueness >= 60


def test_proxies_and_training_take_its_networks(clothes: Images) -> None:
    network = Mobile.of(SMALL, 4, 12)
    for name in PROXIES:
        assert np.isfinite(scores([network], clothes, name)).all(), name
    done = fit([network], clothes, epochs=2, baselines=("resnet",))
    assert done.rows[0].params == mobilenet.sizes([network], clothes.channels, clothes.classes)[0][0]
    assert 0.6 < done.rows[1].params / done.rows[0].params < 1.6


def test_it_is_saved_and_read_back(clothes: Images, tmp_path: Path) -> None:
    from colonnade.nas import load_network, save_network

    network = build(Mobile.of(SMALL, 4, 12), clothes.channels, clothes.classes).eval()
    save_network(network, clothes, tmp_path / "m.safetensors")
    ready = load_network(tmp_path / "m.safetensors")
    x = torch.rand(3, clothes.channels, 12, 12)
    own = torch.softmax(network((x - ready.mean) / ready.spread), 1)
    assert torch.allclose(ready(x), own, atol=1e-6) and ready.network.architecture == network.architecture


def test_the_plan_of_the_larger_space() -> None:
    trials = metadb.plan(["a", "b"], 8, space="mobilenet")
    assert len(set(trials)) == len(trials) == 18 and {t.space for t in trials} == {"mobilenet"}
    listed = [t.architecture for t in trials]
    assert all(isinstance(a, Mobile) for a in listed) and not any(isinstance(a, Architecture) for a in listed)
    assert mobilenet.sizes(listed)[1].max() <= metadb.LARGEST
    assert listed == [t.architecture for t in metadb.plan(["a", "b"], 8, space="mobilenet")]
    assert [metadb.Trial.of(t.task, a, t.seed) for t, a in zip(trials, listed, strict=True)] == trials
