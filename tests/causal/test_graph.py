"""Graphs: families, the edge language, and what it refuses."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.causal.errors import CausalError
from colonnade.causal.graph import FAMILIES, Graph, parse_graph


def edges(text):
    return {(e.parent, e.child) for e in parse_graph(text).edges}


def test_families_are_the_papers():
    assert edges("chain5") == {(0, 1), (1, 2), (2, 3), (3, 4)}
    assert edges("full4") == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    assert edges("collider5") == {(i, 4) for i in range(4)}
    assert edges("fork3") == {(0, 1), (0, 2)}
    assert edges("tree7") == {(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)}
    assert edges("jungle7") == edges("tree7") | {(0, 3), (0, 4), (0, 5), (0, 6)}
    assert edges("bidiag4") == {(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)}
    assert edges("bidiag3") == edges("confounder3") == edges("full3")


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "confounder"])
@pytest.mark.parametrize("n", [3, 10, 15])
def test_every_family_is_acyclic_and_connected(family, n):
    graph = parse_graph(f"{family}{n}").to_networkx()
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.is_weakly_connected(graph)


def test_the_edge_language():
    assert edges("0->1->{2-3}") == {(0, 1), (1, 2), (1, 3)}
    assert edges("{0, 2-3}->4, 0->2") == {(0, 4), (2, 4), (3, 4), (0, 2)}
    assert [e.lag for e in parse_graph("0-[2]->1->2").edges] == [2, 0]
    assert parse_graph("0->1", nodes=4).nodes == 4


def test_any_acyclic_order_is_accepted():
    graph = parse_graph("2->1, 1->0")
    assert graph.order == (2, 1, 0)
    assert graph.descendants(2) == (0, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0->1->0", "closes a cycle"),
        ("1->1", "edge 1->1 leads from a variable to itself"),
        ("chian5", "graph must be one of chain<n>"),
        ("wheel", "graph must be one of chain<n>"),
        ("0->", "where a variable like 3"),
        ("0->{3-1}", "empty or too large range '3-1'"),
        ("0->{0-999999999}", "too large range"),
        ("chain99", "from 2 to 15, but is 99"),
        ("0->1, 0-[2]->1", "is given twice"),
        ("0-[7]->1", "lag of edge 0-[7]->1 must be from 0 to 3, but is 7"),
        ("", "chain<n>|from 2"),
        ("5", "has no arrow"),
    ],
)
def test_mistakes_are_one_sentence(text, sentence):
    if not text:
        assert parse_graph(text).edges == ()
        return
    with pytest.raises(CausalError) as caught:
        parse_graph(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_graph_of_another_size_is_refused():
    with pytest.raises(CausalError, match="has 5 variables, but 4 objects"):
        parse_graph("chain5", nodes=4)


@given(st.integers(2, 12), st.integers(0, 10**6))
def test_reach_is_networkx_transitive_closure(n, seed):
    graph = parse_graph(f"random{n}", seed=seed)
    closed = nx.transitive_closure_dag(graph.to_networkx())
    np.testing.assert_array_equal(graph.reach, nx.to_numpy_array(closed, nodelist=range(n)).astype(bool))
    place = {node: k for k, node in enumerate(graph.order)}
    assert all(place[e.parent] < place[e.child] for e in graph.edges)
    assert Graph.from_adjacency(graph.adjacency) == graph
