"""Plotly figures of graphs, trainings and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

Array = NDArray[Any]
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e")


def graph_figure(
    adjacency: Array, names: Sequence[str] | None = None, truth: Array | None = None, labels: Array | None = None
) -> go.Figure:
    """A graph drawn in layers from causes to effects.

    Args:
        adjacency: (n, n) bool at [cause, effect].
        names: of the variables.
        truth: colours edges by whether the true graph has them: found, wrong, missed.
        labels: (n, n) text or numbers shown when pointing at an edge.
    """
    found = np.asarray(adjacency, bool)
    names = [str(i) for i in range(len(found))] if names is None else list(names)
    place = _layers(found if truth is None else found | np.asarray(truth, bool))
    figure = go.Figure()
    for i, j in np.argwhere(found if truth is None else found | truth):
        kind = (
            "edge"
            if truth is None
            else "found"
            if found[i, j] and truth[i, j]
            else "wrong"
            if found[i, j]
            else "missed"
        )
        colour = {"edge": "#4269d0", "found": "#3ca951", "wrong": "#ff725c", "missed": "#9498a0"}[kind]
        text = f"{names[i]} → {names[j]}" + (f" ({kind})" if truth is not None else "")
        text += "" if labels is None else f": {labels[i, j]:.3g}"
        _arrow(figure, place[i], place[j], colour, text, dashed=kind == "missed")
    figure.add_trace(
        go.Scatter(
            x=place[:, 0], y=place[:, 1], mode="markers+text", text=names,
            textposition="top center" if max(map(len, names)) > 3 else "middle center",
            marker={"size": 34, "color": "#e8edf7", "line": {"color": "#4269d0", "width": 2}}, hoverinfo="text",
            textfont=None if max(map(len, names)) > 3 else {"color": "#1b1e23"}, showlegend=False,
        )
    )  # fmt: skip
    hidden = {"visible": False, "range": [place.min() - 0.6, place.max() + 0.6]}
    figure.update_layout(
        xaxis=hidden, yaxis={**hidden, "scaleanchor": "x"}, height=380, margin=dict.fromkeys("lrtb", 10)
    )
    return figure


def _arrow(figure: go.Figure, start: Array, end: Array, colour: str, text: str, dashed: bool) -> None:
    middle = (start + end) / 2
    line = {"color": colour, "width": 2, "dash": "dot" if dashed else "solid"}
    figure.add_trace(
        go.Scatter(
            x=[start[0], end[0]], y=[start[1], end[1]], mode="lines", line=line, hoverinfo="skip", showlegend=False
        )
    )
    figure.add_trace(
        go.Scatter(x=[middle[0]], y=[middle[1]], mode="markers", marker={"size": 9, "color": colour}, text=[text],
                   hoverinfo="text", showlegend=False)
    )  # fmt: skip
    figure.add_annotation(
        x=end[0], y=end[1], ax=start[0], ay=start[1], xref="x", yref="y", axref="x", ayref="y", showarrow=True,
        arrowhead=3, arrowsize=1.4, arrowwidth=1.5, arrowcolor=colour, standoff=19, startstandoff=17, opacity=0.9,
    )  # fmt: skip


def _layers(adjacency: Array) -> Array:
    """(n, 2) places on a circle; causes first, so that edges mostly run clockwise."""
    n = len(adjacency)
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angle), np.sin(angle)], 1) * max(1.0, n / 5)


def heatmap(matrix: Array, names: Sequence[str], title: str = "") -> go.Figure:
    """A matrix at [cause, effect]."""
    figure = go.Figure(
        go.Heatmap(
            z=np.asarray(matrix, float), x=list(names), y=list(names), colorscale="Blues", texttemplate="%{z:.2f}"
        )
    )
    figure.update_layout(
        xaxis_title="effect", yaxis={"title": "cause", "autorange": "reversed"}, title=title, height=380
    )
    return figure


def curve_figure(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, log: bool = False
) -> go.Figure:
    """Lines by name: (x values, y values)."""
    figure = go.Figure()
    for k, (name, (xs, ys)) in enumerate(curves.items()):
        figure.add_trace(go.Scatter(x=list(xs), y=list(ys), name=name, line={"color": COLOURS[k % len(COLOURS)]}))
    figure.update_layout(xaxis_title=x, yaxis_title=y, yaxis_type="log" if log else "linear", height=380)
    return figure


def bars(values: Mapping[str, Mapping[str, float]], y: str) -> go.Figure:
    """Groups of bars: {series: {group: value}}."""
    figure = go.Figure()
    for k, (series, groups) in enumerate(values.items()):
        figure.add_trace(
            go.Bar(x=list(groups), y=list(groups.values()), name=series, marker_color=COLOURS[k % len(COLOURS)])
        )
    figure.update_layout(barmode="group", yaxis_title=y, height=380)
    return figure
