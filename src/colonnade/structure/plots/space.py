"""Figures of an interaction space: what the restraints allow, and which of them contradict the others."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from colonnade.structure.space import InteractionSpace


def complexes_by_restraints(space: InteractionSpace) -> go.Figure:
    """Number of complexes that satisfy at least k restraints, on a logarithmic axis."""
    counts = space.at_least
    figure = go.Figure(
        go.Bar(
            x=list(range(space.n + 1)),
            y=np.where(counts > 0, counts, np.nan),
            customdata=(counts / space.total if space.total else counts)[:, None],
            marker_color="#0072B2",
            hovertemplate="%{x} restraints or more: %{y:.4g} complexes (%{customdata[0]:.3%})<extra></extra>",
        )
    )
    figure.update_yaxes(type="log", title="complexes (weighted)", exponentformat="power")
    figure.update_xaxes(title="restraints satisfied, at least", dtick=1)
    figure.update_layout(title=f"{space.consistent} of {space.n} restraints can hold at once")
    return figure


def violation_map(space: InteractionSpace) -> go.Figure:
    """Share of the complexes with at least k restraints that violate each restraint."""
    names = _restraint_names(space)
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=list(range(1, space.n + 1)),
            z=space.violations,
            zmin=0,
            zmax=1,
            colorscale="Viridis",
            colorbar={"title": "violated", "tickformat": ".0%"},
            hovertemplate="%{x}<br>at least %{y} satisfied: violated in %{z:.1%}<extra></extra>",
        )
    )
    figure.update_yaxes(title="restraints satisfied, at least", dtick=1)
    figure.update_xaxes(tickangle=-45)
    figure.update_layout(title="Violations by number of satisfied restraints")
    return figure


def restraint_scores(space: InteractionSpace, prior: float = 0.1) -> go.Figure:
    """z-score of each restraint as bars, with its probability to be false as points on a second axis."""
    names = _restraint_names(space)
    suspect = space.z_scores >= 1.0
    figure = go.Figure()
    figure.add_bar(
        x=names,
        y=space.z_scores,
        name="z-score",
        marker_color=np.where(suspect, "#D55E00", "#56B4E9").tolist(),
        hovertemplate="%{x}: z = %{y:.2f}<extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=space.false_positive_probability(prior),
        name="probability to be false",
        mode="markers",
        yaxis="y2",
        marker={"color": "black", "symbol": "diamond", "size": 9},
        hovertemplate="%{x}: false with probability %{y:.3f}<extra></extra>",
    )
    figure.add_hline(y=1.0, line_dash="dot", line_color="#D55E00")
    figure.update_layout(
        title="Restraints that the others contradict",
        yaxis_title="z-score of the mean violation",
        yaxis2={"overlaying": "y", "side": "right", "range": [0, 1], "title": "probability to be false"},
        legend={"orientation": "h"},
    )
    figure.update_xaxes(tickangle=-45)
    return figure


def _restraint_names(space: InteractionSpace) -> list[str]:
    """Names for an axis, numbered where two are alike."""
    names = [str(restraint) for restraint in space.restraints]
    return [f"{i}: {name}" if names.count(name) > 1 else name for i, name in enumerate(names, start=1)]
