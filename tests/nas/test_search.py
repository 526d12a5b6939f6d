"""Searching: limits, order, Pareto front, proxies, evolution on a table, refinement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr

from colonnade.nas import (
    Architecture,
    Images,
    Limits,
    Macro,
    NasError,
    cells,
    evolution,
    oracle,
    params,
    scores,
    search,
)
from colonnade.nas.ensemble import Predicted
from colonnade.nas.proxies import PROXIES
from colonnade.nas.refinement import refine
from colonnade.nas.searching import pareto
from colonnade.nas.space import NAS_BENCH_201


def test_a_search_keeps_within_its_limits(signs: Images) -> None:
    found = search(signs, Limits(params=20_000, macs=300_000), top=5)
    assert len(found.ranked) == 5 and found.scored[0] == 5_389 * 24 and not found.warnings
    assert all(c.params <= 20_000 and c.macs <= 300_000 for c in found.ranked)
    standings = [c.standing for c in found.ranked]
    rounded = np.round(standings, 4).tolist()  # what differs by less does not decide
    assert rounded == sorted(rounded, reverse=True)
    network = found.best.build(signs.classes, signs.channels)
    assert sum(p.numel() for p in network.parameters()) == found.best.params
    assert all(c.lower < c.accuracy < c.upper for c in found.ranked)
    x, _ = signs.tensors(found.best.architecture.macro.resolution, test=True)
    assert network.eval()(x).shape == (len(x), 10)


def test_the_front_is_what_no_smaller_one_beats(signs: Images) -> None:
    found = search(signs, top=1)
    costs, values = ([getattr(c, name) for c in found.front] for name in ("macs", "standing"))
    assert costs == sorted(costs) and values == sorted(values) and len(set(costs)) == len(costs)
    assert found.best.macs > 600_000 and "their order is extrapolated" in found.warnings[-1]
    rng = np.random.default_rng(0)
    value, cost = rng.normal(size=300), rng.integers(1, 40, 300)
    front = pareto(value, cost, np.arange(300))
    for i in range(300):
        beaten = ((cost <= cost[i]) & (value > value[i])) | ((cost < cost[i]) & (value >= value[i]))
        assert (i in front) == (not beaten.any())


def test_limits_that_nothing_meets_name_the_least(signs: Images) -> None:
    with pytest.raises(NasError, match=r"at most 1,000 parameters: the fewest parameters are 4,894"):
        search(signs, Limits(params=1_000))
    with pytest.raises(NasError, match=r"no network answers within 0\.0001 ms on this machine: the fastest"):
        search(signs, Limits(latency_ms=0.0001))
    with pytest.raises(NasError, match="rerank must be one of none, naswot"):
        search(signs, rerank="magic")


def test_latency_is_measured_and_bounds(signs: Images) -> None:
    free = search(signs, top=1)
    assert free.best.latency_ms is not None and free.best.latency_ms > 0.05
    bound = 1e4
    assert search(signs, Limits(latency_ms=bound), top=2).best.latency_ms <= bound  # type: ignore[operator]


@pytest.mark.parametrize("rerank", ["none", "ensemble"])
def test_the_order_depends_on_the_seed_only(signs: Images, rerank: str) -> None:
    orders = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found = search(signs, Limits(params=30_000), top=8, rerank=rerank, seed=4)
        orders.append([c.architecture for c in found.ranked])
    torch.set_num_threads(1)
    assert orders[0] == orders[1]


def test_the_generator_draws_what_is_searched(signs: Images) -> None:
    found = search(signs, top=3, generate=200)
    assert found.scored[0] <= 200
    assert all(cells.connected(cells.from_index(c.architecture.cell)) for c in found.ranked)


def test_proxies_order_cells(signs: Images, tables: Path) -> None:
    """Rank correlations with the table's CIFAR-10 accuracies on a fixed sample of 150 cells, on other images."""
    truth = oracle("cifar10", tables).test
    sample = np.random.default_rng(0).choice(cells.searchable(), 150, replace=False)
    listed = [Architecture(int(c), Macro(8, 1, 16)) for c in sample]
    found = {name: scores(listed, signs, name) for name in ("naswot", "synflow")}
    found["params"] = params(cells.every_cell()[sample], NAS_BENCH_201)
    rho = {name: spearmanr(value, truth[sample]).statistic for name, value in found.items()}
    both = spearmanr(sum(rankdata(value) for value in found.values()), truth[sample]).statistic
    assert rho["naswot"] >= 0.70 and rho["synflow"] >= 0.73 and rho["params"] >= 0.75
    assert both >= 0.82


@pytest.mark.parametrize("name", sorted(PROXIES))
def test_a_proxy_is_finite_and_repeats(name: str, signs: Images) -> None:
    listed = [Architecture(i, Macro(4, 1, 8)) for i in (7_777, 12_345, 0)]
    one, two = (scores(listed, signs, name, seed=2) for _ in range(2))
    assert np.isfinite(one[:2]).all() and np.array_equal(one, two)
    assert one[2] == -np.inf  # its output does not depend on its input


def test_an_unknown_proxy_is_refused(signs: Images) -> None:
    with pytest.raises(NasError, match="proxy must be one of params, macs, naswot"):
        scores([], signs, "magic")


def test_searches_on_the_table_reproduce_the_known_figures(tables: Path) -> None:
    """Regularised evolution with 300 cells and random search with 100, seeing 12 epochs, judged after 200."""
    truth = {name: oracle(name, tables) for name in ("cifar10", "cifar100", "imagenet16")}
    known = {"evolution": (300, 60, (94.17, 72.57, 46.13)), "random": (100, 60, (93.70, 71.12, 44.78))}
    for method, (evaluations, repeats, expected) in known.items():
        for name, value in zip(truth, expected, strict=True):
            table = truth[name]
            assert table.short is not None
            rng = np.random.default_rng(0)
            rows = evolution.anytime(method, table.short, table.test, evaluations, repeats, rng)
            assert abs(rows[:, -1].mean() - value) < (0.15 if name == "cifar10" else 0.4), (method, name)


def test_local_search_ends_where_no_neighbour_is_better(tables: Path) -> None:
    table = oracle("cifar10", tables)
    tried = evolution.local_search(lambda c: float(table.test[c]), 400, np.random.default_rng(1))
    assert len(tried) == len(set(tried)) == 400
    assert table.regret(max(tried, key=lambda c: table.test[c])) < 0.2
    assert len(evolution.neighbours(12_345)) == 24


def test_a_method_nobody_knows_is_refused() -> None:
    with pytest.raises(NasError, match="method must be one of random, evolution, local"):
        evolution.anytime("magic", np.zeros(1), np.zeros(1), 1, 1, np.random.default_rng(0))


def test_the_tables_are_the_published_ones(tables: Path) -> None:
    found = {name: oracle(name, tables) for name in ("cifar10", "cifar100", "imagenet16")}
    assert [round(t.best, 4) for t in found.values()] == [94.3733, 73.5133, 47.3111]
    test = [t.test for t in found.values()]
    pairs = [spearmanr(test[a], test[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))]
    assert np.allclose(pairs, [0.980, 0.959, 0.964], atol=1e-3)
    assert all(t.regret(int(t.test.argmax())) == 0 for t in found.values())


def test_a_table_that_is_not_there_or_another_is_told(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="set COLONNADE_DATA"):
        oracle("cifar10", tmp_path)
    with pytest.raises(NasError, match="dataset must be one of cifar10"):
        oracle("mnist", tmp_path)
    (tmp_path / "nats_bench.csv").write_text("x")
    with pytest.raises(NasError, match="not the published table"):
        oracle("cifar10", tmp_path)


def test_refinement_learns_from_trainings(signs: Images) -> None:
    """A predictor that is wrong in a smooth way is put right by a few looks, and stops when little is left to gain."""
    rng = np.random.default_rng(0)
    n = 120
    sizes = rng.normal(size=(n, 2))
    standing = rng.normal(size=n)
    truth = 0.3 * standing + 0.8 * sizes[:, 0] - 1.0
    predicted = Predicted(standing, 0.3 * standing, 1.5, np.zeros(n))
    listed = [Architecture(int(i)) for i in cells.searchable()[:n]]
    place = {a: i for i, a in enumerate(listed)}

    def look(architecture: Architecture) -> float:
        return float(100 / (1 + np.exp(-truth[place[architecture]])))

    learned = refine(listed, predicted, sizes, signs, trainings=16, evaluate=look, worth=0.2)
    assert 4 <= len(learned.trained) <= 16
    gained = truth[learned.order[0]] - truth[int(standing.argmax())]
    assert gained > 0.3
    assert spearmanr(learned.logits, truth).statistic > spearmanr(standing, truth).statistic + 0.2
    low, high = learned.interval(learned.trained[0])
    assert low < look(listed[learned.trained[0]]) < high
    flat = refine(listed, predicted, sizes, signs, trainings=16, evaluate=lambda a: 50.0, worth=5.0)
    assert len(flat.trained) < 16 and "promised" in flat.stopped
