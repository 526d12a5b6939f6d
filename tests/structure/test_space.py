"""The interaction space against DisVis, against brute force, and against itself."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.structure import (
    DensityMap,
    InteractionSpace,
    Restraint,
    RestraintError,
    Structure,
    StructureError,
    advice,
    complexes_by_restraints,
    crosslink,
    distances,
    example,
    interaction_space,
    read_restraints,
    read_structure,
    restraint_scores,
    violation_map,
)
from colonnade.structure._space_counting import ContactCounts
from colonnade.structure._space_search import Grids, Pairs, Search
from colonnade.structure._space_shapes import fast_length, needed_length, shared_shapes
from colonnade.structure.restraints import AtomId
from colonnade.structure.rotations import RotationSet, angles, cube_rotations, rotation_set
from colonnade.structure.voxels import fill_spheres

# DisVis 2.2, 648 rotations (20.83°), 2 Å, default clash and interaction volumes.
COARSE = (8483223.8887, 905642.0167, 363548.1734, 1013340.3029, 125017.4252, 8199.4522, 6959.5155, 4113.0995)


def inputs() -> tuple[Structure, Structure, list[Restraint]]:
    fixed, scanning = (read_structure(example(name)) for name in ("PRE5", "PUP2"))
    return fixed, scanning, read_restraints(example("PRE5").with_name("PRE5-PUP2.dat"))


@pytest.fixture(scope="module")
def coarse() -> InteractionSpace:
    return interaction_space(*inputs(), angle=20.83, contacts_from=6)


def test_complexes_are_those_of_disvis(coarse: InteractionSpace) -> None:
    assert coarse.rotations == 648
    assert coarse.complexes == pytest.approx(COARSE, rel=1e-6)
    assert coarse.at_least[1] / coarse.total == pytest.approx(0.222439, abs=1e-6)


def test_subsets_are_those_of_disvis_run_without_a_restraint(coarse: InteractionSpace) -> None:
    """DisVis's counts over seven restraints and over six, one left out, give the exact joint counts."""
    assert coarse.joint[-1] == pytest.approx(4113.0995, rel=1e-6)
    only = {i: coarse.joint[(2**7 - 1) ^ (1 << i)] for i in (0, 1, 4)}
    assert [only[i] for i in (0, 1, 4)] == pytest.approx([2731.7009, 2408.5761, 1401.9734], rel=1e-6)
    assert coarse.leave_one_out()[[0, 1, 4]] == pytest.approx(np.array([*only.values()]) + 4113.0995, rel=1e-6)


def test_joint_counts_marginalise_to_everything_published(coarse: InteractionSpace) -> None:
    masks = np.arange(2**7)
    size = np.bitwise_count(masks)
    assert np.bincount(size, coarse.joint) == pytest.approx(coarse.complexes)
    for k in range(1, 8):
        for i in range(7):
            violating = coarse.joint[(size >= k) & ((masks >> i) & 1 == 0)].sum()
            assert coarse.violations[k - 1, i] == pytest.approx(violating / coarse.at_least[k])
    assert coarse.superset_counts[0] == pytest.approx(coarse.total)
    for subset in ([0], [1, 4], [0, 2, 3, 6]):
        assert coarse.superset_counts[sum(1 << i for i in subset)] == pytest.approx(coarse.count(subset))


def test_restricting_is_searching_with_fewer_restraints(coarse: InteractionSpace) -> None:
    fewer = coarse.restricted([6, 2, 3])
    fixed, scanning, restraints = inputs()
    fresh = interaction_space(fixed, scanning, [restraints[i] for i in (6, 2, 3)], angle=20.83)
    assert fewer.restraints == fresh.restraints and np.array_equal(fewer.patterns, fresh.patterns)
    assert fewer.weights == pytest.approx(fresh.weights)
    assert coarse.restricted([1]).complexes[1] == pytest.approx(coarse.count([1]))
    with pytest.raises(RestraintError, match="index outside the range of 0 to 6"):
        coarse.restricted([7])


def test_suspects_and_best_subsets(coarse: InteractionSpace) -> None:
    assert coarse.suspects() == [0, 1]
    assert coarse.consistent == 7 and coarse.best_subset() == (
        tuple(range(7)),
        pytest.approx(4113.0995, rel=1e-6),
    )
    subset, count = coarse.best_subset(6)
    assert len(subset) == 6 and count == pytest.approx(max(coarse.leave_one_out()))
    assert set(range(7)) - set(subset) == {int(coarse.leave_one_out().argmax())}


def test_no_restraint_is_called_false_where_all_agree(coarse: InteractionSpace) -> None:
    """All seven hold in one region, which hardly happens by chance: the posteriors fall below the prior."""
    assert (coarse.false_positive_probability(prior=0.1) < 0.05).all()


def test_space_is_consistent_with_the_counts(coarse: InteractionSpace, tmp_path: Path) -> None:
    values = coarse.space.values
    assert values.max() == 7 and values.min() == 0
    coarse.space.to_mrc(tmp_path / "space.mrc")
    ccp4 = gemmi.read_ccp4_map(str(tmp_path / "space.mrc"))
    assert np.array_equal(np.array(ccp4.grid, copy=False).transpose(2, 1, 0), values)
    assert [ccp4.header_float(word) for word in (50, 51, 52)] == pytest.approx(coarse.space.origin, abs=1e-4)
    assert ccp4.grid.unit_cell.a == pytest.approx(values.shape[2] * 2.0)


def test_figures(coarse: InteractionSpace) -> None:
    bars, heat, scores = (
        json.loads(figure(coarse).to_json()) for figure in (complexes_by_restraints, violation_map, restraint_scores)
    )
    assert bars["data"][0]["type"] == "bar" and "7 of 7" in bars["layout"]["title"]["text"]
    assert len(heat["data"][0]["x"]) == 7 and heat["data"][0]["zmax"] == 1
    assert scores["data"][0]["marker"]["color"].count("#D55E00") == 2  # the two with z >= 1
    doubled = coarse.restricted([0, 1])
    twins = replace(doubled, restraints=(doubled.restraints[0],) * 2)
    assert len(set(json.loads(violation_map(twins).to_json())["data"][0]["x"])) == 2


def test_contacts(coarse: InteractionSpace) -> None:
    assert coarse.contacts is not None
    matrix = coarse.contacts.matrix
    assert matrix.shape == (2, 225, 240) and matrix.min() >= 0.0 and matrix.max() <= 1.0
    assert 0.5 < coarse.contacts.of_fixed(7).sum() == pytest.approx(coarse.contacts.of_scanning(7).sum())


@pytest.mark.slow
def test_fine_search_is_that_of_disvis() -> None:
    """7416 rotations (9.72°): cumulative fractions and z-scores of DisVis 2.2."""
    result = interaction_space(*inputs(), angle=9.72)
    fractions = (0.222325, 0.139341, 0.106038, 0.013160, 0.001771, 0.001032, 0.000387)
    assert result.at_least[1:] / result.total == pytest.approx(fractions, abs=1e-6)
    assert result.z_scores == pytest.approx((1.546, 1.356, -0.224, -0.028, -0.412, -0.970, -1.268), abs=5e-3)
    full = 2**7 - 1
    joint = [result.joint[full], *(result.joint[full ^ (1 << i)] for i in (0, 1, 4))]
    assert joint == pytest.approx((48283.0856, 31104.3156, 28959.1288, 15418.6914), rel=1e-6)


@pytest.mark.slow
def test_planted_false_crosslinks_are_found_and_probabilities_mean_what_they_say(benchmark81: dict) -> None:
    """Four known complexes, 60 random plantings each; benchmarks/false_crosslinks.py has twenty."""
    path = Path(__file__).parents[2] / "benchmarks" / "false_crosslinks.py"
    spec = importlib.util.spec_from_file_location("false_crosslinks", path)
    assert spec is not None and spec.loader is not None
    planting = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(planting)
    rng, rows = np.random.default_rng(1), []
    for name in ("1GCQ", "1EMV", "1PPE", "1ACB"):
        done = planting.searched(benchmark81[name][0], 20.83, None)
        rows.append(planting.plantings(*done, 60, rng))
    false, z, probability = np.concatenate(rows).T
    false = false == 1
    assert (z[false] >= 1).mean() > 0.45 and (z[~false] >= 1).mean() < 0.15
    assert (probability[false] >= 0.5).mean() > 0.35 and (probability[~false] >= 0.5).mean() < 0.08
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.0)):
        inside = (probability >= low) & (probability <= high)
        assert probability[inside].mean() == pytest.approx(false[inside].mean(), abs=0.15)


def test_rotation_sets_cover() -> None:
    rng = np.random.default_rng(3)
    from scipy.spatial.transform import Rotation

    probes = Rotation.random(2000, rng=rng).as_matrix()
    for angle in angles()[:5]:
        rotations, weights = rotation_set(angle).all()
        trace = np.einsum("pij,nij->pn", probes, rotations).max(axis=1)
        assert np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))).max() <= angle + 0.02
        assert weights.mean() == pytest.approx(1.0, abs=1e-5)
        assert len(rotations) == len(rotation_set(angle))
    group = cube_rotations()
    assert len(np.unique(group.reshape(24, 9), axis=0)) == 24 and np.array_equal(group[0], np.eye(3))


def toy(rng: np.random.Generator, shape: tuple[int, int, int], lower: float = 0.0) -> Search:
    middle = np.array(shape[::-1]) / 2
    receptor = middle + rng.normal(0, 1.5, (6, 3))
    ligand = rng.normal(0, 1.2, (4, 3))
    ligand -= ligand.mean(axis=0)
    pairs = Pairs(
        first=receptor[[0, 1, 2, 3]],
        second=ligand[[0, 1, 2, 3]],
        lower=np.full(4, lower),
        upper=np.array([4.0, 5.0, 3.0, 6.0]),
        owner=np.array([0, 1, 1, 2]),
        count=3,
    )
    grids = Grids(
        core=fill_spheres(receptor, np.full(6, 1.3), shape),
        surface=fill_spheres(receptor, np.full(6, 2.5), shape),
        ligand=fill_spheres(ligand, np.full(4, 1.2), shape),
        reach=int(np.ceil(np.linalg.norm(ligand, axis=1).max() + 1.2)) + 1,
    )
    return Search(grids, pairs, max_clash=2.0, min_interaction=6.0)


def brute_force(search: Search, rotations: RotationSet) -> tuple[dict[int, float], np.ndarray]:
    """Every rotation, every translation, every voxel, every restraint, without transforms or symmetry."""
    grids, pairs = search.grids, search.pairs
    shape, pad = grids.core.shape, grids.reach
    core, surface = (np.pad(grid, pad) for grid in (grids.core, grids.surface))
    counts: dict[int, float] = {}
    space = np.zeros(shape, dtype=int)
    matrices, weights = rotations.all()
    steps = np.arange(-pad, pad + 1)
    ball = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    ball = ball[(ball**2).sum(axis=1) <= pad**2]
    for matrix, weight in zip(matrices, weights, strict=True):
        back = ball @ matrix
        source = (np.sign(back) * np.floor(np.abs(back) + 0.5)).astype(int) % np.array(shape[::-1])
        points = ball[grids.ligand[source[:, 2], source[:, 1], source[:, 0]] > 0][:, ::-1] + pad
        parts = [tuple(slice(p, p + n) for p, n in zip(point, shape, strict=True)) for point in points]
        clash, touch = (sum(grid[part] for part in parts) for grid in (core, surface))
        centres = pairs.first - pairs.second @ matrix.T
        for t in np.argwhere((clash <= search.max_clash) & (touch >= search.min_interaction)):
            d = np.linalg.norm(t[::-1] - centres, axis=1)
            good = (d <= pairs.upper) & (d >= pairs.lower)
            pattern = sum(1 << n for n in range(pairs.count) if good[pairs.owner == n].any())
            counts[pattern] = counts.get(pattern, 0.0) + weight
            space[tuple(t)] = max(space[tuple(t)], pattern.bit_count())
    return counts, space


@pytest.mark.parametrize(("shape", "lower"), [((20, 20, 20), 0.0), ((20, 24, 22), 2.0), ((22, 20, 26), 1.0)])
def test_the_search_equals_brute_force(shape: tuple[int, int, int], lower: float) -> None:
    """On cubic and other grids, with ambiguous restraints and lower bounds.

    Both ways to count poses: in torch, as on any device, and in the compiled loop.
    """
    search = toy(np.random.default_rng(sum(shape)), shape, lower)
    rotations = rotation_set(62.8)
    base = rotation_set(20.83)
    rotations = replace(rotations, matrices=base.matrices[5:6], weights=base.weights[5:6])
    counts, space = brute_force(search, rotations)
    assert len(counts) > 3
    for search.compiled in (True, False):
        search.__post_init__()
        found = search.run(rotations)
        assert dict(zip(found.patterns.tolist(), found.weights.tolist(), strict=True)) == pytest.approx(counts)
        assert np.array_equal(found.space, space)


def test_double_precision_and_sparse_counting_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    plain = toy(rng, (16, 16, 16)).run(rotation_set(62.8))
    monkeypatch.setattr("colonnade.structure._space_search.SINGLE_ERROR", 0.0)
    monkeypatch.setattr("colonnade.structure._space_search.CACHE_BYTES", 0)
    search = toy(np.random.default_rng(5), (16, 16, 16))
    # Twenty-five copies of the third restraint: more than the bits that single precision adds up.
    extra = [*search.pairs.owner, *range(3, 28)]
    order = [*range(4), *([3] * 25)]
    search.pairs = Pairs(
        *(getattr(search.pairs, name)[order] for name in ("first", "second", "lower", "upper")),
        np.array(extra),
        28,
    )
    search.__post_init__()
    wide = search.run(rotation_set(62.8))
    assert wide.weights.sum() == pytest.approx(plain.weights.sum())
    folded: dict[int, float] = {}
    for pattern, weight in zip(wide.patterns.tolist(), wide.weights.tolist(), strict=True):
        copies = pattern >> 3
        assert copies == (0 if not pattern & 4 else (1 << 25) - 1)
        folded[pattern & 7] = folded.get(pattern & 7, 0.0) + weight
    assert folded == pytest.approx(dict(zip(plain.patterns.tolist(), plain.weights.tolist(), strict=True)))


def small() -> tuple[Structure, Structure, list[Restraint]]:
    """Two fragments of real proteins, for quick searches."""
    fixed, scanning, _ = inputs()
    fixed = fixed.select((fixed.resid > 20) & (fixed.resid < 60))
    scanning = scanning.select((scanning.resid > 100) & (scanning.resid < 130))
    links = [
        crosslink("A 27", "A 122", 14.0),
        crosslink("A 40", "A 110", 18.0),
        crosslink("A 55", "A 128", 25.0),
    ]
    return fixed, scanning, links


def test_moving_the_input_by_whole_voxels_changes_nothing() -> None:
    fixed, scanning, links = small()
    still = interaction_space(fixed, scanning, links, angle=62.8)
    moved = interaction_space(
        fixed.moved(np.eye(3), np.array([8.0, -4.0, 2.0])),
        scanning.moved(np.eye(3), np.array([-16.0, 64.0, 2.0])),
        links,
        angle=62.8,
    )
    assert still.total > 1000 and np.array_equal(still.patterns, moved.patterns)
    assert still.weights == pytest.approx(moved.weights, rel=2e-3)  # centres are rounded in their last digits
    assert moved.space.origin - still.space.origin == pytest.approx([8.0, -4.0, 2.0])


def test_contacts_are_those_of_the_distance_matrix() -> None:
    rng = np.random.default_rng(30)
    first, second = rng.normal(0, 4, (40, 3)), rng.normal(0, 4, (30, 3))
    turn, poses, satisfied = cube_rotations()[11], rng.normal(0, 5, (60, 3)), rng.integers(0, 4, 60)
    counts = ContactCounts(first, second, 3.0, 1, 3)
    counts.add(turn, poses, satisfied, 0.5)
    expected = np.zeros((3, 40, 30))
    for pose, level in zip(poses, satisfied, strict=True):
        near = np.linalg.norm(first[:, None] - (second @ turn.T + pose)[None], axis=-1) <= 3.0
        expected[level - 1] += 0.5 * near if level else 0.0
    assert np.array_equal(counts.counts, expected) and expected[0].sum() > 0


def test_grids_are_long_enough_and_no_longer() -> None:
    """On the length that is asked for, a cyclic correlation finds the same large overlaps as the plain one."""
    rng = np.random.default_rng(6)
    for _ in range(40):
        a, b = (rng.random((n, 3, 3)) < 0.6 for n in rng.integers(3, 12, 2))
        least = float(rng.uniform(1, 12))
        plain = np.array([
            [(a[max(0, t) : t + len(b)] & b[max(0, -t) :][: max(0, len(a) - max(0, t))]).sum()]
            for t in range(-len(b) + 1, len(a))
        ])[:, 0]  # fmt: skip
        length = needed_length(a.sum(axis=(1, 2)), b.sum(axis=(1, 2)), least)
        cyclic = np.bincount(np.arange(len(plain)) % length, plain)
        assert ((cyclic >= least).sum() == (plain >= least).sum()) and length <= len(plain)
    assert needed_length(np.full(5, 100), np.full(4, 100), 1.0) == 8
    assert all(n <= fast_length(n) < 1.4 * n + 4 for n in range(1, 200))
    assert shared_shapes([(9, 9, 9)] * 50 + [(9, 9, 8)]) == [(9, 9, 9)] * 51
    assert shared_shapes([(9, 9, 9)] * 50 + [(9, 8, 8)] * 50) == [(9, 9, 9)] * 50 + [(9, 8, 8)] * 50


def test_the_best_pose_satisfies_what_it_says(coarse: InteractionSpace) -> None:
    fixed, scanning, restraints = inputs()
    assert coarse.best is not None and coarse.best.satisfied == coarse.consistent == 7
    length = distances(restraints, fixed, coarse.best.of(scanning))
    assert all(r.lower <= d <= r.upper for r, d in zip(restraints, length, strict=True))


def test_tight_ambiguous_restraints_are_warned_of() -> None:
    sites = tuple(AtomId("A", number) for number in (27, 28))
    air = Restraint(sites, (AtomId("A", 110),), 0.0, 2.0)
    assert "wider upper distance" in advice([air])[0]
    assert advice([replace(air, upper=10.0), crosslink("A 27", "A 110", 6.0)]) == []


def test_order_and_width_of_restraints() -> None:
    fixed, scanning, links = small()
    plain = interaction_space(fixed, scanning, links, angle=36.47)
    turned = interaction_space(fixed, scanning, links[::-1], angle=36.47)
    assert turned.z_scores == pytest.approx(plain.z_scores[::-1])
    assert turned.complexes == pytest.approx(plain.complexes)
    wider = interaction_space(fixed, scanning, [replace(r, upper=r.upper + 4) for r in links], angle=36.47)
    assert (wider.at_least >= plain.at_least - 1e-9).all() and wider.at_least[3] > plain.at_least[3]


def test_no_restraints_and_restraints_that_nothing_satisfies() -> None:
    fixed, scanning, links = small()
    free = interaction_space(fixed, scanning, [], angle=62.8)
    assert free.n == 0 and free.complexes == pytest.approx([free.total]) and free.consistent == 0
    hopeless = [Restraint((AtomId("A", 27, "CA"),), (AtomId("A", 110, "CA"),), 0.0, 0.01), *links]
    result = interaction_space(fixed, scanning, hopeless, angle=62.8)
    assert result.complexes[4] == 0.0 and result.consistent < 4
    assert np.isnan(result.violations[3]).all() and not np.isnan(result.z_scores).any()
    assert result.false_positive_probability()[0] > 0.8
    assert result.total == pytest.approx(free.total)


def test_more_than_one_word_of_restraints() -> None:
    fixed, scanning, links = small()
    result = interaction_space(fixed, scanning, links * 8, angle=62.8)
    plain = interaction_space(fixed, scanning, links, angle=62.8)
    assert result.total == pytest.approx(plain.total)
    assert result.complexes[24] == pytest.approx(plain.complexes[3])
    assert result.best_subset()[1] == pytest.approx(plain.best_subset()[1])
    with pytest.raises(RestraintError, match="all subsets of 24 restraints is too large"):
        _ = result.joint


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_posterior_of_a_planted_false_restraint(seed: int) -> None:
    """By the formula itself: where the true ones agree in one pattern, only the false one keeps a high
    posterior.
    """
    rng = np.random.default_rng(seed)
    n, false = 6, int(rng.integers(6))
    patterns = rng.integers(0, 2**n, 200)
    patterns = np.unique(np.append(patterns & ~(1 << false), (2**n - 1) ^ (1 << false)))
    weights = np.where(patterns == (2**n - 1) ^ (1 << false), 50.0, 1000.0 / (1 + 30.0 ** np.bitwise_count(patterns)))
    result = InteractionSpace(
        tuple(crosslink("A 1", "B 2") for _ in range(n)), patterns.astype(np.int64), weights + 1e-9,
        DensityMap(np.zeros((1, 1, 1)), 1.0, np.zeros(3)), 20.83, 648,
    )  # fmt: skip
    posterior = result.false_positive_probability(prior=0.2)
    assert int(posterior.argmax()) == false and posterior[false] > 0.8
    assert (np.delete(posterior, false) < 0.2).all()


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"spacing": 0.1}, r"spacing: 0.1 Å is outside the range of 0.5 to 4 Å"),
        ({"angle": float("nan")}, "angle: nan ° is outside"),
        ({"max_clash": -1.0}, "max_clash: -1 Å³ is outside"),
        ({"contacts_from": 9}, "contacts_from: 9 is outside the range of 0 to 3"),
    ],
)
def test_settings_out_of_range(settings_: dict[str, float], message: str) -> None:
    fixed, scanning, links = small()
    with pytest.raises((StructureError, RestraintError), match=message):
        interaction_space(fixed, scanning, links, **settings_)  # type: ignore[arg-type]


def test_bad_restraints_and_bodies() -> None:
    fixed, scanning, links = small()
    with pytest.raises(RestraintError, match="A 5 CA in PRE5, A 6 CA in PUP2"):
        interaction_space(fixed, scanning, [crosslink("A 5", "A 6"), *links])
    with pytest.raises(RestraintError, match="63 are more than the 62"):
        interaction_space(fixed, scanning, links * 21)
    with pytest.raises(StructureError, match="scanning: PUP2 has no atoms but waters"):
        interaction_space(fixed, scanning.select(scanning.resid < 0), links)
    result = interaction_space(fixed, scanning, links, angle=62.8)
    with pytest.raises(RestraintError, match="prior: 1 is outside"):
        result.false_positive_probability(prior=1.0)
    with pytest.raises(RestraintError, match="size: 9 is outside the range of 0 to 3"):
        result.best_subset(9)


def test_filled_spheres_and_lengths() -> None:
    points = np.array([[2.2, 3.1, -0.4], [5.0, 5.0, 5.0]])
    grid = fill_spheres(points, np.array([1.5, 2.0]), (8, 9, 10))
    expected = np.zeros_like(grid)
    for z, y, x in np.ndindex(grid.shape):
        for (px, py, pz), radius in zip(points, (1.5, 2.0), strict=True):
            dz = min(abs(z - pz), abs(z - 8 - pz))
            expected[z, y, x] = max(expected[z, y, x], (x - px) ** 2 + (y - py) ** 2 + dz**2 <= radius**2)
    assert np.array_equal(grid, expected)
