"""Figures of pruned models, as plotly objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

if TYPE_CHECKING:
    from colonnade.pruning.training import Trace
    from colonnade.pruning.words import Survival

# P. Tol's bright scheme: told apart by the colour-blind, and legible on light and dark pages
INK, RED, GREEN, GREY = "#4477AA", "#EE6677", "#228833", "#8a8a8a"
# From gone at once (pale) to never gone; the text on a cell is dark or light with it.
DEPTHS = [[0.0, "#e8edf3"], [0.25, "#b9cde2"], [0.5, "#7fa6cc"], [0.75, "#4477AA"], [1.0, "#1f3f66"]]
LINE = 14  # words in a line of the strip
SHOWN = 48  # words that fit beside each other
LETTERS = 14  # of a word that are shown
LEAST = 420  # pixels: what a page gives every figure


def _layout(figure: go.Figure, x: str, y: str) -> go.Figure:
    figure.update_layout(xaxis_title=x, yaxis_title=y, margin={"l": 60, "r": 20, "t": 25, "b": 50})
    return figure


def words(found: Survival) -> go.Figure:
    """A short text's words by layer; a long text as a strip in reading order."""
    return by_layers(found) if len(found.words) <= SHOWN else strip(found)


def strip(found: Survival, most: int = 280) -> go.Figure:
    """The text in reading order, each word in the colour of the layers it outlives."""
    words, depth = found.words[:most], found.depth[:most]
    lines = -(-len(words) // LINE)
    z = np.full((lines, LINE), np.nan)
    z.flat[: len(words)] = depth
    cells = np.full(lines * LINE, "", dtype=object)
    cells[: len(words)] = [_short(word) for word in words]
    figure = go.Figure(
        go.Heatmap(
            z=z,
            zmin=0,
            zmax=found.layers,
            colorscale=DEPTHS,
            xgap=2,
            ygap=3,
            customdata=cells.reshape(lines, LINE),
            hovertemplate="%{customdata}: outlives %{z} layers<extra></extra>",
            colorbar={"title": "layers", "dtick": 1},
        )
    )
    for place, word in enumerate(words):
        dark = depth[place] > 0.6 * found.layers
        figure.add_annotation(
            x=place % LINE,
            y=place // LINE,
            text=_short(word),
            showarrow=False,
            font={"size": 11, "color": "#ffffff" if dark else "#202020"},
        )
    figure.update_yaxes(autorange="reversed", visible=False)
    figure.update_xaxes(visible=False)
    figure.update_layout(height=max(LEAST, 40 + 28 * lines), margin={"l": 10, "r": 10, "t": 10, "b": 10})
    return figure


def by_layers(found: Survival) -> go.Figure:
    """Words against layers: which are alive after each."""
    labels = [f"{k}. {_short(word)}" for k, word in enumerate(found.words, 1)]
    figure = go.Figure(
        go.Heatmap(
            z=found.kept.T.astype(int),
            x=labels,
            y=[f"layer {layer + 1}" for layer in range(found.layers)],
            zmin=0,
            zmax=1,
            colorscale=[[0, "#e8edf3"], [1, INK]],
            showscale=False,
            xgap=1,
            ygap=2,
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=-60)
    return _layout(figure, "", "")


def _short(word: str) -> str:
    return word if len(word) <= LETTERS else word[: LETTERS - 1] + "…"


def survivors(rates: Mapping[str, Sequence[float]]) -> go.Figure:
    """Share of the tokens that is left after each layer, by model or by data."""
    figure = go.Figure()
    for (name, values), color in zip(rates.items(), (INK, RED, GREEN, GREY), strict=False):
        figure.add_scatter(
            x=list(range(len(values) + 1)), y=[1.0, *values], mode="lines+markers", name=name, line_color=color
        )
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    figure.update_xaxes(dtick=1)
    return _layout(figure, "layer", "tokens left")


def pareto(
    points: Sequence[tuple[float, float, float]], quality: str, marked: tuple[float, float] | None = None
) -> go.Figure:
    """Quality against FLOPs ratio along the dial, the Pareto front as a line."""
    from colonnade.pruning.cost import pareto as front

    found = sorted((points[k][1], points[k][2]) for k in front([(gain, q) for _, gain, q in points]))
    figure = go.Figure()
    figure.add_scatter(
        x=[gain for _, gain, _ in points],
        y=[q for _, _, q in points],
        mode="markers",
        name="dial",
        marker={"color": INK, "size": 9},
        text=[f"dial {dial:g}" for dial, _, _ in points],
        hovertemplate="%{text}: %{x:.2f}×, %{y:.1%}<extra></extra>",
    )
    figure.add_scatter(
        x=[gain for gain, _ in found],
        y=[q for _, q in found],
        mode="lines",
        name="best",
        line={"color": INK, "width": 1, "shape": "vh"},
    )
    if marked is not None:
        figure.add_scatter(
            x=[marked[0]],
            y=[marked[1]],
            mode="markers",
            name="as set",
            marker={"color": RED, "size": 13, "symbol": "star"},
        )
    figure.update_yaxes(tickformat=".1%")
    return _layout(figure, "dense FLOPs / pruned FLOPs", quality)


def course(trace: Trace) -> go.Figure:
    """Loss of each stage, and the share of the dense FLOPs that the soft gates spend."""
    figure = go.Figure()
    steps = np.arange(1, len(trace.loss) + 1)
    stages = np.array(trace.stage)
    for stage, color in zip(("dense", "soft", "hard"), (GREY, RED, INK), strict=True):
        chosen = stages == stage
        if chosen.any():
            smooth = _smooth(np.array(trace.loss)[chosen])
            figure.add_scatter(x=steps[chosen], y=smooth, mode="lines", name=f"loss, {stage}", line_color=color)
    share = np.array(trace.share)
    soft = np.isfinite(share)
    if soft.any():
        figure.add_scatter(
            x=steps[soft], y=share[soft], mode="lines", name="share of FLOPs", line={"color": GREEN, "dash": "dot"}
        )
    return _layout(figure, "step", "loss, share")


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running mean over a twentieth of the steps."""
    width = max(1, len(values) // 20)
    kernel = np.ones(width) / width
    padded = np.concatenate([np.full(width - 1, values[0]), values])
    smoothed: NDArray[np.float64] = np.convolve(padded, kernel, mode="valid")
    return smoothed


def gains(lengths: Sequence[int], measured: Mapping[str, Sequence[float]], bound: Sequence[float]) -> go.Figure:
    """Measured gains over dense by length, beside what the FLOPs allow."""
    figure = go.Figure()
    for (name, values), color in zip(measured.items(), (INK, GREEN, GREY), strict=False):
        figure.add_scatter(x=list(lengths), y=list(values), mode="lines+markers", name=name, line_color=color)
    figure.add_scatter(
        x=list(lengths), y=list(bound), mode="lines", name="ratio of FLOPs", line={"color": RED, "dash": "dash"}
    )
    figure.add_hline(y=1, line={"color": GREY, "width": 1})
    figure.update_xaxes(type="log", tickvals=list(lengths), ticktext=[str(n) for n in lengths])
    return _layout(figure, "tokens", "times faster than dense")


def ratios(values: Sequence[float]) -> go.Figure:
    """How much less each text costs."""
    figure = go.Figure(go.Histogram(x=list(values), nbinsx=40, marker_color=INK))
    return _layout(figure, "dense FLOPs / pruned FLOPs of a text", "texts")
