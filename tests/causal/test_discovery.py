"""Discovery on graphs that are known, and tables that must be refused."""

import numpy as np
import pytest

from colonnade.causal import (
    CausalError,
    ChemistryWorld,
    Knowledge,
    compare,
    discover,
    make_table,
    next_intervention,
    table_of,
)
from colonnade.causal.influence import auroc
from colonnade.causal.table import read_table


def table(graph, episodes=500, seed=0, **options):
    world = ChemistryWorld(graph=graph, colors=4, min_edge_tv=0.25, seed=seed, **options)
    return world, table_of(world.collect(episodes, 20, seed=seed))


@pytest.mark.parametrize("graph", ["chain5", "full4", "collider4", "jungle5", "fork4"])
def test_interventions_reveal_the_graph(graph):
    world, rows = table(graph)
    found = discover(rows, alpha=1e-3)
    score = compare(found.adjacency, world.structure.adjacency, -np.log10(found.pvalue + 1e-300))
    assert score.shd <= 1
    assert score.recall == 1
    assert score.auroc > 0.9
    assert np.nanmax(found.pvalue[found.adjacency]) < 1e-3


def test_permuting_columns_permutes_the_graph():
    _, rows = table("full4", episodes=100)
    order = [2, 0, 3, 1]
    number = np.argsort(order)
    moved = type(rows)(tuple(rows.names[i] for i in order), rows.values[:, order], rows.levels, number[rows.target])
    a, b = discover(rows), discover(moved)
    np.testing.assert_array_equal(a.adjacency[np.ix_(order, order)], b.adjacency)


def test_no_edges_are_found_where_there_are_none():
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(20):
        columns = {name: rng.integers(3, size=300) for name in "abcd"}
        targets = rng.choice(list("abcd"), size=300)
        false += discover(make_table(columns, targets), alpha=0.01).adjacency.sum()
    assert false <= 3  # Holm: an error in at most 1 % of the tables is expected


def test_few_rows_are_undecided_not_absent():
    world, rows = table("chain4", episodes=2)
    found = discover(rows.rows(np.arange(30)), alpha=0.01)
    missed = world.structure.adjacency & ~found.adjacency
    assert missed.any()
    assert found.undecided[missed].all()
    _, many = table("chain4", episodes=1500)
    assert not discover(many, alpha=0.01).undecided.any()


def test_stability_tells_real_edges():
    world, rows = table("chain4", episodes=200)
    found = discover(rows, bootstrap=5)
    assert found.stability[world.structure.adjacency].min() > 0.7
    assert found.stability[~world.structure.reach].max() < 0.5
    assert len(found.samples) == 5


def gaussian(n=2000):
    rng = np.random.default_rng(0)
    a = rng.normal(size=n)
    b = a + rng.normal(size=n)
    c = b + 0.7 * rng.normal(size=n)
    d = c + a + rng.normal(size=n)
    return make_table({"a": a, "b": b, "c": c, "d": d})


TRUE = {frozenset("ab"), frozenset("bc"), frozenset("cd"), frozenset("ad")}


@pytest.mark.parametrize("method", ["pc", "ges"])
def test_libraries_find_the_skeleton(method):
    found = discover(gaussian(), method)
    assert {frozenset(edge) for edge in found.edges()} == TRUE
    assert ("a", "d") in found.edges()
    assert ("d", "a") not in found.edges()


@pytest.mark.slow
def test_notears_finds_strong_links():
    found = discover(gaussian(), "notears")
    assert {frozenset(edge) for edge in found.edges()} <= TRUE
    assert len(found.edges()) >= 2


def test_tiers_orient_what_data_leave_open():
    rng = np.random.default_rng(1)
    x = rng.normal(size=1000)
    rows = make_table({"late": x, "early": x + rng.normal(size=1000)})
    assert len(discover(rows, "pc").edges()) == 2  # both ways: open
    assert discover(rows, "pc", knowledge=Knowledge(tiers=[["early"], ["late"]])).edges() == [("early", "late")]


def test_pcmci_finds_lags_and_reports_drift():
    rng = np.random.default_rng(0)
    x = np.zeros((800, 3))
    for t in range(2, 800):
        x[t] = 0.5 * x[t - 1] + rng.normal(size=3)
        x[t, 1] += 0.8 * x[t - 1, 0]
        x[t, 2] += 0.8 * x[t - 2, 1]
    found = discover(make_table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}), "pcmci", alpha=1e-4)
    assert found.edges() == [("a", "b"), ("b", "c")]
    assert found.lag[0, 1] == 1
    assert found.lag[1, 2] == 2
    drifting = make_table({"a": x[:, 0] + np.arange(800) / 100, "b": x[:, 1]})
    assert any("a is not stationary" in note for note in discover(drifting, "pcmci").notes)


def test_comparison_of_known_graphs():
    truth = np.triu(np.ones((4, 4), bool), 1)
    perfect = compare(truth, truth)
    assert (perfect.shd, perfect.sid, perfect.aid, perfect.auroc) == (0, 0, 0, 1)
    turned = truth.copy()
    turned[0, 1], turned[1, 0] = False, True
    assert compare(turned, truth).shd == 1
    assert compare(turned, truth).sid > 0
    assert np.isnan(compare(truth | truth.T, truth).sid)
    assert auroc(np.array([1.0, 2, 2, 3]), np.array([False, True, False, True]))[0] == 0.875
    with pytest.raises(CausalError, match="square matrices of one size"):
        compare(truth, truth[:3])


def test_the_most_telling_intervention_is_chosen():
    chain, other = np.zeros((3, 3), bool), np.zeros((3, 3), bool)
    chain[0, 1] = chain[1, 2] = True
    other[0, 1] = True
    variable, information = next_intervention([chain, other])
    assert variable in (0, 1)
    assert information[2] == pytest.approx(0, abs=1e-9)
    assert information[variable] > 0.3
    assert next_intervention([chain, chain])[1].max() == pytest.approx(0, abs=1e-9)


COLUMN = list(range(5)) * 4


@pytest.mark.parametrize(
    ("columns", "targets", "sentence"),
    [
        ({"a": COLUMN}, None, "from 2 to 100 variables, but has 1"),
        ({f"x{i}": COLUMN for i in range(101)}, None, "from 2 to 100 variables, but has 101"),
        ({"a": [1, 2], "b": [2, 1]}, None, "at least 10 rows, but has 2"),
        ({"a": COLUMN, "b": [1.5, np.nan] * 10}, None, "column 'b' has 10 missing or infinite values"),
        ({"a": COLUMN, "b": ["x", None] * 10}, None, "column 'b' has 10 missing values"),
        ({"a": COLUMN, "b": [7] * 20}, None, "column 'b' has the same value in every row"),
        ({"a": COLUMN, "b": COLUMN}, None, "columns 'a' and 'b' hold the same values"),
        ({"a": COLUMN, "b": COLUMN[:-1]}, None, "same number of rows"),
        ({"a": COLUMN, "b": [0, 1] * 10}, ["c"] * 20, "the target of row 1 must be one of a, b or empty, but is 'c'"),
        ({"a": COLUMN, "b": [0, 1] * 10}, ["a"] * 3, "targets must be 20, one a row, but are 3"),
    ],
)
def test_bad_tables_are_refused_in_a_sentence(columns, targets, sentence):
    with pytest.raises(CausalError) as caught:
        make_table(columns, targets)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(("method", "variables", "limit"), [("ges", 31, 30), ("interventional", 41, 40)])
def test_methods_that_search_widely_refuse_many_variables(method, variables, limit):
    rng = np.random.default_rng(0)
    columns = {f"x{i}": rng.integers(3, size=60) for i in range(variables)}
    with pytest.raises(CausalError, match=f"at most {limit} variables, but has {variables}; use 'pc'"):
        discover(make_table(columns, ["x0", "x1", ""] * 20), method)


def test_odd_tables_are_said_to_be_odd():
    rng = np.random.default_rng(0)
    columns = {"a": rng.integers(4, size=50), "b": rng.integers(2, size=50)}
    one = make_table(columns, ["a"] * 50)
    assert any("All rows are interventions on a" in note for note in one.notes)
    few = make_table(columns, ["a"] * 3 + [""] * 47)
    assert any("a was set in only 3 rows" in note for note in few.notes)
    with pytest.raises(CausalError, match="needs rows in which a variable was set"):
        discover(make_table(columns))
    assert any("does not use which variable was set" in note for note in discover(one, "pc").notes)
    assert make_table({"a": ["x", "y"] * 10, "b": [True, False, False, True] * 5}).levels == (2, 2)


def test_knowledge_is_checked():
    rows = gaussian(100)
    with pytest.raises(CausalError, match="must name one of a, b, c, d, but names 'z'"):
        discover(rows, "pc", knowledge=Knowledge(forbidden=[("a", "z")]))
    with pytest.raises(CausalError, match="both required and forbidden"):
        discover(rows, "pc", knowledge=Knowledge(forbidden=[("a", "b")], required=[("a", "b")]))
    with pytest.raises(CausalError, match=r"alpha must be from 1e-06 to 0.2, but is 0.5"):
        discover(rows, "pc", alpha=0.5)
    with pytest.raises(CausalError, match=r"method must be one of .*; did you mean 'pc'"):
        discover(rows, "pcs")


def test_files_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b;set\n" + "".join(f"{i % 3};{i % 2};{'a' if i % 2 else ''}\n" for i in range(24)))
    read = read_table(path, "set")
    assert read.names == ("a", "b")
    assert (read.target == 0).sum() == 12
    with pytest.raises(CausalError, match="target column must be one of a, b, set, but is 'do'"):
        read_table(path, "do")
    (tmp_path / "bad.parquet").write_bytes(b"nothing")
    with pytest.raises(CausalError, match=r"'bad.parquet' cannot be read as a table"):
        read_table(tmp_path / "bad.parquet")
