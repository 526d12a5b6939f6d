"""Interactive figures of the nas column, as plotly figures, in the colours of Okabe & Ito."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from colonnade.nas import cells, mobilenet
from colonnade.nas.mobilenet import Mobile
from colonnade.nas.searching import Candidate

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#888888")
GREY = "#888888"
_SHORT = {1: "skip", 2: "conv 1×1", 3: "conv 3×3", 4: "pool 3×3"}
_PLACES = ((0.0, 0.0), (1.15, 1.0), (2.3, 0.0), (3.6, 0.35))  # of the four nodes
# Where on an edge its label stands, and how far it bends away from the straight line.
_BENDS = {(0, 1): 0.0, (0, 2): 0.0, (1, 2): 0.0, (0, 3): -0.75, (1, 3): 0.35, (2, 3): 0.0}


def pareto(ranked: Sequence[Candidate], front: Sequence[Candidate], cost: str = "macs") -> go.Figure:
    """Predicted accuracy with its interval against size: the ranked networks, and the best at every size."""
    title = {"macs": "multiply-adds of one image", "params": "parameters"}[cost]
    figure = go.Figure()
    figure.add_scatter(
        x=[getattr(c, cost) for c in front], y=[round(c.accuracy, 2) for c in front], mode="lines+markers",
        name="best at its size", line={"color": GREY}, marker={"size": 4}, text=[str(c.architecture) for c in front],
    )  # fmt: skip
    figure.add_scatter(
        x=[getattr(c, cost) for c in ranked], y=[round(c.accuracy, 2) for c in ranked], mode="markers", name="ranked",
        marker={"color": COLOURS[1], "size": 9}, text=[f"{i + 1}: {c.architecture}" for i, c in enumerate(ranked)],
        error_y={
            "type": "data", "symmetric": False, "thickness": 1,
            "array": [round(c.upper - c.accuracy, 2) for c in ranked],
            "arrayminus": [round(c.accuracy - c.lower, 2) for c in ranked],
        },
    )  # fmt: skip
    figure.update_xaxes(type="log", title=title)
    figure.update_yaxes(title="predicted accuracy after a short training (%)")
    return figure


def cell_drawing(number: int) -> go.Figure:
    """A cell as a graph of four nodes; edges that carry nothing are left out."""
    cell = cells.from_index(number)
    live = cells.live_edges(cell)
    figure = go.Figure()
    colours = {1: GREY, 2: COLOURS[4], 3: COLOURS[0], 4: COLOURS[2]}
    shown: set[int] = set()
    for (source, target), operation, used in zip(cells.EDGES, cell, live, strict=True):
        if not used:
            continue
        x, y = _curve(source, target)
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": colours[operation], "width": 3}, name=_SHORT[operation],
            legendgroup=_SHORT[operation], showlegend=operation not in shown, hoverinfo="name",
        )  # fmt: skip
        shown.add(operation)
        middle = len(x) // 2
        figure.add_annotation(x=x[middle], y=y[middle], text=_SHORT[operation], showarrow=False, yshift=9)
        figure.add_annotation(
            x=x[-3], y=y[-3], ax=x[-8], ay=y[-8], xref="x", yref="y", axref="x", ayref="y", text="",
            showarrow=True, arrowhead=2, arrowcolor=colours[operation], arrowwidth=3,
        )  # fmt: skip
    kept = sorted({0, 3}.union(*({s, t} for (s, t), used in zip(cells.EDGES, live, strict=True) if used)))
    names = ["in", "1", "2", "out"]
    figure.add_scatter(
        x=[_PLACES[n][0] for n in kept], y=[_PLACES[n][1] for n in kept], mode="markers+text", showlegend=False,
        text=[names[n] for n in kept], textposition="bottom center", hoverinfo="text",
        marker={"size": 16, "color": GREY},
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[-0.4, 4.0])
    figure.update_yaxes(visible=False, range=[-1.0, 1.4])
    figure.update_layout(height=300)
    return figure


def blocks(network: Mobile) -> go.Figure:
    """The inverted residual blocks of a network in their order: width inside by height, kernel by colour."""
    figure = go.Figure()
    shown: set[int] = set()
    inputs, place = network.width, 0
    for number, (stage, growth) in enumerate(zip(mobilenet.from_code(network.code), mobilenet.GROWTH, strict=True)):
        for kind in stage:
            kernel, expansion = mobilenet.KINDS[kind - 1]
            figure.add_bar(
                x=[place], y=[expansion * inputs], name=f"kernel {kernel}×{kernel}", legendgroup=str(kernel),
                showlegend=kernel not in shown, text=f"k{kernel} e{expansion}", textposition="outside", width=0.8,
                marker={"color": COLOURS[mobilenet.KERNELS.index(kernel)]},
            )  # fmt: skip
            shown.add(kernel)
            inputs, place = growth * network.width, place + 1
        figure.add_annotation(
            x=place - 0.5 - len(stage) / 2, y=0, yshift=-16, text=f"stage {number + 1}", showarrow=False
        )
        if number < mobilenet.STAGES - 1:
            figure.add_vline(x=place - 0.5, line={"color": GREY, "dash": "dot", "width": 1})
    figure.update_xaxes(showticklabels=False, showgrid=False)
    figure.update_yaxes(title="channels inside the block")
    figure.update_layout(height=320)
    return figure


def _curve(source: int, target: int) -> tuple[list[float], list[float]]:
    (x0, y0), (x1, y1) = _PLACES[source], _PLACES[target]
    t = np.linspace(0, 1, 41)
    bend = _BENDS[(source, target)] * np.sin(np.pi * t)
    return (x0 + (x1 - x0) * t).tolist(), (y0 + (y1 - y0) * t + bend).tolist()


def contact_sheet(x: np.ndarray, y: np.ndarray, names: Sequence[str], columns: int = 10, rows: int = 10) -> go.Figure:
    """Images of up to ten classes, a row for each, in shades of their brightness."""
    shown = range(min(len(names), rows))
    side = x.shape[1]
    sheet = np.full((len(shown) * (side + 2), columns * (side + 2)), np.nan)
    for row, label in enumerate(shown):
        for column, image in enumerate(x[y == label][:columns]):
            top, left = row * (side + 2), column * (side + 2)
            sheet[top : top + side, left : left + side] = image.mean(-1)
    figure = go.Figure(
        go.Heatmap(z=np.round(sheet), colorscale="gray", showscale=False, zmin=0, zmax=255, hoverinfo="skip")
    )
    middles = [row * (side + 2) + side / 2 for row in range(len(shown))]
    figure.update_yaxes(autorange="reversed", tickvals=middles, ticktext=[names[label][:20] for label in shown])
    figure.update_xaxes(visible=False)
    return figure


def learning_curves(curves: Mapping[str, Sequence[tuple[int, float]]]) -> go.Figure:
    """Training loss against steps, averaged a little: name -> [(step, loss)]."""
    figure = go.Figure()
    for (name, points), colour in zip(curves.items(), COLOURS * 3, strict=False):
        steps, losses = np.array([p[0] for p in points]), np.array([p[1] for p in points])
        window = max(1, len(losses) // 20)
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        figure.add_scatter(x=steps[window - 1 :], y=smooth, name=name, line={"color": colour})
    figure.update_yaxes(type="log", title="training loss (nats)")
    figure.update_xaxes(title="step")
    return figure


def confusion(matrix: np.ndarray, names: Sequence[str]) -> go.Figure:
    """Share of each true class that was taken for each class, in %."""
    share = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    labels = [name[:20] for name in names]
    figure = go.Figure(go.Heatmap(z=np.round(share, 1), x=labels, y=labels, colorscale="Blues", zmin=0, zmax=100,
                                  colorbar={"title": "%"}))  # fmt: skip
    figure.update_xaxes(title="taken for", type="category")
    figure.update_yaxes(title="truth", autorange="reversed", type="category")
    return figure


def compared(
    names: Sequence[str], values: Sequence[float], lower: Sequence[float], upper: Sequence[float]
) -> go.Figure:
    """Test accuracies with their intervals."""
    figure = go.Figure(go.Scatter(
        x=list(values), y=list(names), mode="markers", marker={"color": COLOURS[0], "size": 10},
        error_x={"type": "data", "symmetric": False, "array": [u - v for u, v in zip(upper, values, strict=True)],
                 "arrayminus": [v - u for u, v in zip(lower, values, strict=True)]},
    ))  # fmt: skip
    figure.update_xaxes(title="test accuracy (%)")
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def regret(curves: Mapping[str, np.ndarray], best: float) -> go.Figure:
    """How far the leading cell is from the best one after each evaluation: median and quartiles over the repeats."""
    figure = go.Figure()
    for (name, rows), colour in zip(curves.items(), COLOURS, strict=False):
        lost = np.maximum(best - rows, 1e-2)
        low, middle, high = np.quantile(lost, [0.25, 0.5, 0.75], axis=0)
        steps = np.arange(1, rows.shape[1] + 1)
        around = {"x": [*steps, *steps[::-1]], "y": [*high, *low[::-1]]}
        figure.add_scatter(**around, fill="toself", fillcolor=colour, opacity=0.15, line={"width": 0}, showlegend=False,
                           hoverinfo="skip")  # fmt: skip
        figure.add_scatter(x=steps, y=middle, name=name, line={"color": colour})
    figure.update_xaxes(title="cells evaluated", type="log")
    figure.update_yaxes(title="regret (points of test accuracy)", type="log")
    return figure


def agreement(x: Sequence[float], y: Sequence[float], x_title: str, y_title: str, text: Sequence[str]) -> go.Figure:
    """Two scores of the same networks."""
    figure = go.Figure(go.Scatter(x=list(x), y=list(y), mode="markers", text=list(text), marker={"color": COLOURS[0]}))
    figure.update_layout(xaxis_title=x_title, yaxis_title=y_title)
    return figure


def bars(names: Sequence[str], values: Sequence[float], title: str) -> go.Figure:
    """Shares in %."""
    figure: Any = go.Figure(go.Bar(x=list(names), y=list(values), marker={"color": COLOURS[0]}))
    figure.update_yaxes(title=title)
    return figure
