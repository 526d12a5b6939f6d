"""Figures: heat maps between languages, layer curves, trees, bars with intervals, alignments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from colonnade.multilingual._types import BoolArray, FloatArray
from colonnade.multilingual.analyse.trees import Tree
from colonnade.multilingual.evaluate.statistics import Interval

# P. Tol's bright scheme: told apart by the colour-blind, and legible on light and dark pages
INK, RED, GREY = "#4477AA", "#EE6677", "#8a8a8a"
PALETTE = (INK, RED, "#228833", "#CCBB44", "#AA3377", GREY, "#66CCEE")


def _layout(figure: go.Figure, x: str, y: str, **more: object) -> go.Figure:
    figure.update_layout(
        template="simple_white",
        xaxis_title=x,
        yaxis_title=y,
        font={"family": "Helvetica, Arial, sans-serif", "size": 13},
        margin={"l": 70, "r": 20, "t": 25, "b": 60},
        **more,
    )
    return figure


def heat_map(
    values: FloatArray,
    names: Sequence[str],
    *,
    x: str = "",
    y: str = "",
    scale: str = "Blues",
    low: float | None = 0,
    high: float | None = 1,
) -> go.Figure:
    """A matrix between languages, its numbers written into the cells of up to 16 of them."""
    shown = [[f"{value:.2f}" for value in row] for row in values] if len(names) <= 16 else None
    figure = go.Figure(
        go.Heatmap(
            z=values.tolist(),
            x=list(names),
            y=list(names),
            colorscale=scale,
            zmin=low,
            zmax=high,
            text=shown,
            texttemplate="%{text}" if shown else None,
        )
    )
    figure.update_yaxes(autorange="reversed")
    return _layout(figure, x, y, height=max(380, 34 * len(names) + 130))


def curves(layers: Sequence[int], values: Mapping[str, Sequence[float]], y: str, top: float | None = 1) -> go.Figure:
    """Values by layer, one line for each name; controls in grey dashes."""
    figure = go.Figure()
    for k, (name, line) in enumerate(values.items()):
        control = name.startswith("control")
        style = {"color": GREY if control else PALETTE[k % len(PALETTE)], "dash": "dash" if control else "solid"}
        figure.add_scatter(x=list(layers), y=list(line), mode="lines+markers", name=name, line=style)
    figure.update_xaxes(tickformat="d")
    figure.update_yaxes(range=[0, top] if top else None)
    return _layout(figure, "layer (0: embeddings)", y)


def losses(values: Sequence[float]) -> go.Figure:
    """The loss by step of a training."""
    steps = list(range(1, len(values) + 1))
    figure = go.Figure(go.Scatter(x=steps, y=[round(value, 4) for value in values], line={"color": INK}))
    return _layout(figure, "step", "loss (nats)")


def bars(
    values: Mapping[str, Interval], x: str, control: Mapping[str, float] | None = None, name: str = "control"
) -> go.Figure:
    """Horizontal bars with intervals, and a mark for a control on each."""
    names = list(values)
    figure = go.Figure(
        go.Bar(
            y=names,
            x=[values[one].value for one in names],
            orientation="h",
            marker_color=INK,
            name=x,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [values[one].high - values[one].value for one in names],
                "arrayminus": [values[one].value - values[one].low for one in names],
            },
        )
    )
    if control:
        marks = [control[one] for one in names]
        marker = {"color": RED, "symbol": "line-ns-open", "size": 14, "line": {"width": 3}}
        figure.add_scatter(y=names, x=marks, mode="markers", name=name, marker=marker)
    figure.update_yaxes(autorange="reversed")
    return _layout(figure, x, "", height=max(320, 26 * len(names) + 130))


def tree(found: Tree, x: str) -> go.Figure:
    """A dendrogram, leaves on the left edge's right, joined where their mean distance is."""
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(found.linkage, no_plot=True, labels=list(found.names))
    figure = go.Figure()
    for height, place in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        figure.add_scatter(
            x=list(height),
            y=list(place),
            mode="lines",
            line={"color": INK, "width": 2},
            showlegend=False,
            hoverinfo="x",
        )
    ticks = [5 + 10 * i for i in range(len(drawn["ivl"]))]
    figure.update_yaxes(tickvals=ticks, ticktext=drawn["ivl"])
    figure.update_xaxes(rangemode="tozero")
    return _layout(figure, x, "", height=max(320, 26 * len(found.names) + 130))


def alignment(
    source: Sequence[str], target: Sequence[str], links: BoolArray, gold: BoolArray | None = None
) -> go.Figure:
    """Words of a pair against each other: squares are links found; rings, where there is gold, links that should be."""
    xs, ys = list(range(len(target))), list(range(len(source)))
    figure = go.Figure()
    rows, columns = links.nonzero()
    marker = {"color": INK, "symbol": "square", "size": 13}
    figure.add_scatter(x=columns.tolist(), y=rows.tolist(), mode="markers", name="found", marker=marker)
    if gold is not None:
        rows, columns = gold.nonzero()
        ring = {"color": RED, "symbol": "circle-open", "size": 17, "line": {"width": 2}}
        figure.add_scatter(x=columns.tolist(), y=rows.tolist(), mode="markers", name="gold", marker=ring)
    figure.update_xaxes(tickvals=xs, ticktext=list(target), tickangle=-60, range=[-0.6, len(xs) - 0.4])
    figure.update_yaxes(tickvals=ys, ticktext=list(source), range=[len(ys) - 0.4, -0.6])
    return _layout(figure, "", "", height=max(380, 24 * len(ys) + 170))
