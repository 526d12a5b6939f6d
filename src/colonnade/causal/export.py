"""A found graph in the formats of other programs."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.discovery import Discovery


def _edges(found: Discovery) -> list[tuple[str, str, dict[str, float | int]]]:
    out = []
    for i, j in np.argwhere(found.adjacency):
        marks: dict[str, float | int] = {"lag": int(found.lag[i, j])}
        for name in ("pvalue", "strength", "stability"):
            value = float(getattr(found, name)[i, j])
            if np.isfinite(value):
                marks[name] = value
        out.append((found.names[i], found.names[j], marks))
    return out


def edge_columns(found: Discovery) -> dict[str, list[Any]]:
    """The edges as columns of a table; None where the method gives no number."""
    edges = [(int(i), int(j)) for i, j in np.argwhere(found.adjacency)]

    def numbers(matrix: NDArray[Any]) -> list[float | None]:
        return [None if np.isnan(matrix[at]) else float(f"{matrix[at]:.3g}") for at in edges]

    return {
        "cause": [found.names[i] for i, _ in edges],
        "effect": [found.names[j] for _, j in edges],
        "direction known": [not bool(found.adjacency[j, i]) for i, j in edges],
        "p-value": numbers(found.pvalue),
        "strength": numbers(found.strength),
        "stability": numbers(found.stability),
        "lag": [int(found.lag[at]) for at in edges],
    }


def undecided_columns(found: Discovery) -> dict[str, list[str]]:
    """The pairs of which no edge was found, but one could have been missed."""
    pairs = np.argwhere(found.undecided & ~found.adjacency)
    return {"cause": [found.names[i] for i, _ in pairs], "effect": [found.names[j] for _, j in pairs]}


def graphml(found: Discovery) -> str:
    """GraphML, for yEd, Gephi, Cytoscape or networkx."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(found.names)
    for cause, effect, marks in _edges(found):
        graph.add_edge(cause, effect, **marks)
    buffer = io.BytesIO()
    nx.write_graphml(graph, buffer)
    return buffer.getvalue().decode()


def dot(found: Discovery) -> str:
    """DOT, for Graphviz; an edge of open direction has no arrow head."""
    number = {name: i for i, name in enumerate(found.names)}
    lines = [f"  {json.dumps(name, ensure_ascii=False)};" for name in found.names]
    for cause, effect, _ in _edges(found):
        open_ended = bool(found.adjacency[number[effect], number[cause]])
        if open_ended and number[cause] > number[effect]:
            continue
        ends = f"{json.dumps(cause, ensure_ascii=False)} -> {json.dumps(effect, ensure_ascii=False)}"
        lines.append(f"  {ends}{' [dir=none]' if open_ended else ''};")
    return "digraph {\n" + "\n".join(lines) + "\n}\n"


def to_json(found: Discovery) -> str:
    """Names, edges with their numbers, and what is undecided."""
    edges = [{"cause": cause, "effect": effect, **marks} for cause, effect, marks in _edges(found)]
    pairs = np.argwhere(found.undecided & ~found.adjacency)
    undecided = [[found.names[i], found.names[j]] for i, j in pairs]
    content = {"variables": list(found.names), "method": found.method, "edges": edges, "undecided": undecided}
    return json.dumps(content, indent=1, ensure_ascii=False)
