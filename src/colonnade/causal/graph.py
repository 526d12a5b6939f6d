"""Causal graphs over numbered variables: named families, a small edge language, and time-delayed edges."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.errors import CausalError, check_range

if TYPE_CHECKING:
    import networkx as nx

MIN_NODES, MAX_NODES = 2, 15
MAX_LAG = 3

_NAME = re.compile(r"([a-z]+)(\d+)")
_ARROW = re.compile(r"-(?:\[(\d+)\]-)?>")
_GROUP = re.compile(r"\{([\d\s,-]+)\}|(\d+)")


@dataclass(frozen=True, order=True)
class Edge:
    """`parent` acts on `child`, `lag` steps later (0: within the step)."""

    parent: int
    child: int
    lag: int = 0

    def __str__(self) -> str:
        return f"{self.parent}->{self.child}" if self.lag == 0 else f"{self.parent}-[{self.lag}]->{self.child}"


@dataclass(frozen=True)
class Graph:
    """A directed acyclic graph over `nodes` numbered variables.

    Args:
        nodes: how many variables.
        edges: its edges, sorted; at most one between a parent and a child.

    Raises:
        CausalError: a self-edge, an unknown node, a double edge, a lag out of range, or a cycle; names the edge.
    """

    nodes: int
    edges: tuple[Edge, ...]

    def __post_init__(self) -> None:
        check_range("nodes of the graph", self.nodes, 1, 1000)
        seen: set[tuple[int, int]] = set()
        for edge in self.edges:
            if edge.parent == edge.child:
                raise CausalError(f"edge {edge} leads from a variable to itself.")
            for node in (edge.parent, edge.child):
                if not 0 <= node < self.nodes:
                    raise CausalError(f"edge {edge} names variable {node}, but there are only 0 to {self.nodes - 1}.")
            check_range(f"lag of edge {edge}", edge.lag, 0, MAX_LAG)
            if (edge.parent, edge.child) in seen:
                raise CausalError(f"edge {edge} is given twice.")
            seen.add((edge.parent, edge.child))
        self.order  # noqa: B018  (finds cycles)

    @classmethod
    def of(cls, nodes: int, edges: Iterable[tuple[int, int] | Edge]) -> Graph:
        """The graph with these edges, e.g. `Graph.of(3, [(0, 1), (1, 2)])`."""
        made = (edge if isinstance(edge, Edge) else Edge(*edge) for edge in edges)
        return cls(nodes, tuple(sorted(made)))

    @classmethod
    def from_adjacency(cls, adjacency: NDArray[Any]) -> Graph:
        """From a square matrix whose entry [parent, child] is not zero where there is an edge."""
        return cls.of(len(adjacency), [(int(i), int(j)) for i, j in np.argwhere(np.asarray(adjacency))])

    @cached_property
    def order(self) -> tuple[int, ...]:
        """A topological order: every variable after its parents (Kahn's algorithm, smallest number first)."""
        missing = {node: set(self.parents(node)) for node in range(self.nodes)}
        order: list[int] = []
        while missing:
            ready = [node for node, parents in missing.items() if not parents]
            if not ready:
                child = min(missing)
                raise CausalError(f"edge {min(missing[child])}->{child} closes a cycle; the graph must be acyclic.")
            order.append(ready[0])
            del missing[ready[0]]
            for parents in missing.values():
                parents.discard(ready[0])
        return tuple(order)

    @cached_property
    def adjacency(self) -> NDArray[np.bool_]:
        """(nodes, nodes) matrix, true at [parent, child]."""
        matrix = np.zeros((self.nodes, self.nodes), bool)
        for edge in self.edges:
            matrix[edge.parent, edge.child] = True
        return matrix

    @cached_property
    def lags(self) -> NDArray[np.int8]:
        """(nodes, nodes) lag of each edge at [parent, child]; -1 where there is none."""
        matrix = np.full((self.nodes, self.nodes), -1, np.int8)
        for edge in self.edges:
            matrix[edge.parent, edge.child] = edge.lag
        return matrix

    @property
    def max_lag(self) -> int:
        return max((edge.lag for edge in self.edges), default=0)

    def parents(self, node: int) -> tuple[int, ...]:
        """The parents of `node`, ascending."""
        return tuple(sorted(edge.parent for edge in self.edges if edge.child == node))

    @cached_property
    def reach(self) -> NDArray[np.bool_]:
        """(nodes, nodes) transitive closure: true at [ancestor, descendant]."""
        matrix = self.adjacency.copy()
        for node in range(self.nodes):
            matrix |= np.outer(matrix[:, node], matrix[node])
        return matrix

    def descendants(self, node: int) -> tuple[int, ...]:
        """All variables that a change of `node` can reach, without itself."""
        return tuple(int(i) for i in np.flatnonzero(self.reach[node]))

    def to_networkx(self) -> nx.DiGraph[int]:
        """As a `networkx.DiGraph` with a `lag` on every edge."""
        import networkx as nx

        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(self.nodes))
        graph.add_edges_from((edge.parent, edge.child, {"lag": edge.lag}) for edge in self.edges)
        return graph

    def __str__(self) -> str:
        return ", ".join(str(edge) for edge in self.edges) or "no edges"


def parse_graph(text: str, nodes: int | None = None, seed: int = 0) -> Graph:
    """Read a graph from a family's name ("chain5") or from edges ("0->1->{2-3}, 0-[2]->3").

    The edge language: comma-separated paths of variables or groups joined by arrows; `{1,3-5}` is a group, an arrow
    between groups joins each with each, `-[2]->` acts two steps later. The families are those of Ke et al. (2021),
    arXiv:2107.00848, section 4: chain, full, collider, tree, jungle, bidiag, fork, confounder, and random.

    Args:
        text: name or edges.
        nodes: how many variables; by default the name's number, or one more than the largest in the edges.
        seed: decides the edges of `random<n>`.

    Raises:
        CausalError: what is wrong, naming the edge.
    """
    stripped = text.strip()
    named = _NAME.fullmatch(stripped)
    if named:
        graph = preset(named[1], int(named[2]), seed)
    else:
        if re.search(r"[a-zA-Z]", stripped):
            raise CausalError(f"graph must be one of {_families()} or edges like '0->1->{{2-3}}', but is {text!r}.")
        edges = [edge for path in _paths(stripped) for edge in _edges(path)]
        graph = Graph.of(nodes or 1 + max((max(e.parent, e.child) for e in edges), default=1), set(edges))
    if nodes is not None and graph.nodes != nodes:
        raise CausalError(f"graph {text!r} has {graph.nodes} variables, but {nodes} objects were asked for.")
    check_range("variables of the graph", graph.nodes, MIN_NODES, MAX_NODES)
    return graph


def preset(family: str, nodes: int, seed: int = 0) -> Graph:
    """The graph of a named family, e.g. `preset("chain", 5)`; see `parse_graph`."""
    if family not in FAMILIES and family != "random":
        raise CausalError(f"graph must be one of {_families()} or edges like '0->1->{{2-3}}', but is {family!r}.")
    check_range("variables of the graph", nodes, MIN_NODES, MAX_NODES)
    if family == "confounder" and nodes != 3:
        raise CausalError(f"the confounder graph has 3 variables, but {nodes} were asked for.")
    if family == "random":
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0x6A47]))
        # As in the paper's generator: variable i has about min(i / 2, 5) parents.
        return Graph.of(
            nodes,
            [(j, i) for i in range(1, nodes) for j in range(i) if rng.random() < min(i / 2, 5) / (i + 1)],
        )
    return Graph.of(nodes, [(p, i) for i in range(1, nodes) for p in FAMILIES[family](i, nodes)])


FAMILIES: dict[str, Callable[[int, int], Iterable[int]]] = {  # the parents of variable i among n
    "chain": lambda i, n: [i - 1],
    "full": lambda i, n: range(i),
    "collider": lambda i, n: range(i) if i == n - 1 else [],
    "tree": lambda i, n: [(i - 1) // 2],
    "jungle": lambda i, n: sorted({(i - 1) // 2, ((i - 1) // 2 - 1) // 2} - {-1}),
    "bidiag": lambda i, n: [p for p in (i - 1, i - 2) if p >= 0],
    "fork": lambda i, n: [0],
    "confounder": lambda i, n: range(i),
}


def _families() -> str:
    return ", ".join(f"{name}<n>" for name in [*FAMILIES, "random"])


def _paths(text: str) -> list[str]:
    """Split at commas outside braces."""
    return [path.strip() for path in re.split(r",(?![^{]*\})", text) if path.strip()]


def _edges(path: str) -> Iterable[Edge]:
    parts = _ARROW.split(path)
    groups = [_group(part.strip(), path) for part in parts[::2]]
    if len(groups) < 2:
        raise CausalError(f"graph part {path!r} has no arrow; write edges like '0->1'.")
    for left, lag, right in zip(groups, parts[1::2], groups[1:], strict=False):
        yield from (Edge(i, j, int(lag or 0)) for i in left for j in right)


def _group(text: str, path: str) -> list[int]:
    found = _GROUP.fullmatch(text)
    if not found:
        raise CausalError(
            f"graph part {path!r} has {text!r} where a variable like 3 or a group like {{1,3-5}} belongs."
        )
    if found[2]:
        return [int(found[2])]
    members: list[int] = []
    for item in found[1].split(","):
        ends = item.strip().split("-")
        if not all(end.strip().isdigit() for end in ends) or len(ends) > 2:
            raise CausalError(f"graph part {path!r} has the malformed group {text!r}.")
        low, high = int(ends[0]), int(ends[-1])
        if low > high or high > 10 * MAX_NODES:
            raise CausalError(f"graph part {path!r} has the empty or too large range {item.strip()!r}.")
        members.extend(range(low, high + 1))
    return members
