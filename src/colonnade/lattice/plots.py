"""Figures of runs and trainings, as plotly objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from colonnade.lattice._types import FloatArray

if TYPE_CHECKING:
    from colonnade.lattice.diagnostics import Estimate
    from colonnade.lattice.ensemble import Ensemble
    from colonnade.lattice.train import History

# P. Tol's bright scheme: told apart by the colour-blind, and legible on light and dark pages
INK, RED, GREY = "#4477AA", "#EE6677", "#8a8a8a"
PALETTE = (INK, RED, "#228833", "#CCBB44", "#AA3377", GREY, "#66CCEE")


def _layout(figure: go.Figure, x: str, y: str, title: str = "") -> go.Figure:
    figure.update_layout(
        template="simple_white",
        title=title or None,
        xaxis_title=x,
        yaxis_title=y,
        font={"family": "Helvetica, Arial, sans-serif", "size": 13},
        margin={"l": 60, "r": 20, "t": 50 if title else 25, "b": 50},
    )
    return figure


def magnetisation(run: Ensemble, chains: int = 3, points: int = 500) -> go.Figure:
    """History of the magnetisation of a few chains beside the histogram of all."""
    m = run.magnetisation[:, 0]
    figure = make_subplots(cols=2, shared_yaxes=True, column_widths=[0.75, 0.25], horizontal_spacing=0.02)
    step = max(1, len(m) // points)
    for k in range(min(chains, m.shape[1])):
        line = {"color": PALETTE[k % len(PALETTE)], "width": 1}
        figure.add_scatter(
            x=np.arange(0, len(m), step),
            y=m[::step, k],
            mode="lines",
            line=line,
            name=f"chain {k}",
            row=1,
            col=1,
        )
    counts, edges = np.histogram(m, bins=80, density=True)
    centres = 0.5 * (edges[1:] + edges[:-1])
    figure.add_bar(x=counts, y=centres, orientation="h", marker_color=GREY, name="all chains", row=1, col=2)
    figure = _layout(figure, "kernel calls", "magnetisation M")
    figure.update_xaxes(title_text="density", row=1, col=2)
    return figure


def correlator(run: Ensemble) -> go.Figure:
    """C(t) on a logarithmic axis, beside the effective mass and the plateau taken as the pole mass."""
    figure = make_subplots(cols=2, column_titles=["C(t)", "m_eff(t)"], horizontal_spacing=0.12)

    def points(estimates: Sequence[Estimate | None], first: int, name: str, column: int) -> None:
        figure.add_scatter(
            x=list(range(first, first + len(estimates))),
            y=[e.value if e and e.value > 0 else None for e in estimates],
            error_y={"type": "data", "array": [e.error if e else None for e in estimates]},
            mode="markers+lines",
            name=name,
            line_color=INK,
            showlegend=False,
            row=1,
            col=column,
        )

    points(run.two_point, 0, "C(t)", 1)
    masses = [e if e and e.error < e.value else None for e in run.effective_mass()]
    points(masses, 1, "m_eff(t)", 2)
    mass = run.estimates.get("mass")
    if mass:
        figure.add_hline(y=mass.value, line_dash="dash", line_color=RED, row=1, col=2)
    figure = _layout(figure, "distance t", "")
    figure.update_xaxes(title_text="distance t", tickformat="d", dtick=max(1, len(run.two_point) // 8))
    figure.update_yaxes(type="log", row=1, col=1)
    figure.update_yaxes(rangemode="tozero", row=1, col=2)
    return figure


def training(history: History, exact_log_z: float | None = None) -> go.Figure:
    """Loss above, reverse and forward ESS below; the exact -log Z, which the reverse loss cannot pass, dashed."""
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.06)
    figure.add_scatter(y=history.loss, mode="lines", line={"color": GREY, "width": 1}, name="loss", row=1, col=1)
    if exact_log_z is not None:
        figure.add_hline(y=-exact_log_z, line_dash="dash", line_color=RED, row=1, col=1)
    for name, values, colour in (
        ("reverse ESS", history.reverse_ess, INK),
        ("forward ESS", history.forward_ess, RED),
    ):
        figure.add_scatter(x=history.step, y=values, mode="lines+markers", line_color=colour, name=name, row=2, col=1)
    figure = _layout(figure, "", "loss")
    top = np.percentile(history.loss, 95) if history.loss else 1.0
    figure.update_yaxes(range=[min(history.loss, default=0.0) - 1, float(top) + 1], row=1, col=1)
    figure.update_yaxes(title_text="ESS", range=[0, 1], row=2, col=1)
    figure.update_xaxes(title_text="step", row=2, col=1)
    return figure


def scan(coupling: Sequence[float], values: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> go.Figure:
    """An observable (value, error) along a coupling, one curve for every label."""
    figure = go.Figure()
    for k, (label, pairs) in enumerate(values.items()):
        error = {"type": "data", "array": [e for _, e in pairs]}
        line = {"color": PALETTE[k % len(PALETTE)]}
        figure.add_scatter(
            x=list(coupling),
            y=[v for v, _ in pairs],
            error_y=error,
            mode="markers+lines",
            name=label,
            line=line,
        )
    return _layout(figure, x, y)


def weights(log_w: Mapping[str, FloatArray]) -> go.Figure:
    """Histograms of log w, centred on their median: what the two effective sample sizes summarise."""
    figure = go.Figure()
    for k, (label, values) in enumerate(log_w.items()):
        centred = np.clip(values - np.median(values), -12, 12)
        counts, edges = np.histogram(centred, bins=120, range=(-12, 12), density=True)
        line = {"color": PALETTE[k % len(PALETTE)]}
        figure.add_scatter(x=0.5 * (edges[1:] + edges[:-1]), y=counts, mode="lines", name=label, line=line)
    figure.update_yaxes(type="log")
    return _layout(figure, "log w - median", "density")


def bars(values: Mapping[str, float], x: str, title: str = "") -> go.Figure:
    """Horizontal bars on a logarithmic axis, for independent samples a CPU-second."""
    names = list(values)
    figure = go.Figure(go.Bar(x=[values[n] for n in names], y=names, orientation="h", marker_color=INK))
    figure.update_xaxes(type="log")
    figure.update_yaxes(autorange="reversed")
    return _layout(figure, x, "", title)
