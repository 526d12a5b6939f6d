"""Figures of fits into a map."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from colonnade.structure.fitting import MapFit


def fit_scores(found: MapFit) -> go.Figure:
    """Fisher's z of the fits by rank, over its standard error; a gap below the first says that it is the one."""
    ranks = list(range(1, len(found.fits) + 1))
    figure = go.Figure(
        go.Bar(
            x=ranks,
            y=[fit.relative_z for fit in found.fits],
            width=0.6,
            marker_color=["#D55E00"] + ["#56B4E9"] * (len(ranks) - 1),
            customdata=np.array([[fit.correlation, fit.fisher_z] for fit in found.fits]),
            hovertemplate="rank %{x}: %{y:.1f} σ<br>correlation %{customdata[0]:.3f}, Fisher z %{customdata[1]:.3f}"
            "<extra></extra>",
        )
    )
    figure.update_layout(
        title="Fits by rank",
        xaxis_title="rank",
        yaxis_title="Fisher z over its standard error",
        xaxis_dtick=1,
        xaxis_range=[0.4, max(len(ranks), 5) + 0.6],
    )
    return figure


def correlation_slices(found: MapFit) -> go.Figure:
    """Largest local cross-correlation along z at each x and y, with the places of the fits."""
    _, y, x = found.lcc.values.shape
    origin, spacing = found.lcc.origin, found.lcc.spacing
    figure = go.Figure(
        go.Heatmap(
            x=origin[0] + spacing * np.arange(x),
            y=origin[1] + spacing * np.arange(y),
            z=found.lcc.values.max(axis=0),
            colorscale="Viridis",
            colorbar={"title": "correlation"},
            hovertemplate="x %{x:.0f} Å, y %{y:.0f} Å: %{z:.3f}<extra></extra>",
        )
    )
    figure.update_layout(
        title="Local cross-correlation, seen along z",
        xaxis_title="x (Å)",
        yaxis_title="y (Å)",
        xaxis_constrain="domain",
        yaxis_scaleanchor="x",
    )
    return figure
