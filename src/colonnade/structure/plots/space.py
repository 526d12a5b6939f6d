"""Figures of an interaction space: what the restraints allow, and which of them contradict the others."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from colonnade.structure.space_result import Contacts, InteractionSpace

SELDOM = 0.02
"""Residue pairs that touch in fewer of the complexes do not make a row of the interaction matrix."""


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
        marker={"color": "#CC79A7", "symbol": "diamond", "size": 9},
        hovertemplate="%{x}: false with probability %{y:.3f}<extra></extra>",
    )
    figure.add_hline(y=1.0, line_dash="dot", line_color="#D55E00")
    figure.update_layout(
        title="Restraints that the others contradict",
        yaxis_title="z-score of the mean violation",
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "range": [0, 1],
            "tickmode": "auto",
            "showgrid": False,
            "title": "probability to be false",
        },
        legend={"orientation": "h", "y": 1.12},
    )
    figure.update_xaxes(tickangle=-45)
    return figure


def subsets(space: InteractionSpace, most: int = 24) -> go.Figure:
    """UpSet plot: complexes by the exact set of restraints that they satisfy, the largest sets first.

    Arguments:
        space: a result.
        most: largest number of sets shown.
    """
    names = _restraint_names(space)
    sizes = np.bitwise_count(space.patterns)
    order = np.lexsort((space.patterns, -space.weights, -sizes.astype(int)))[:most]
    members = (space.patterns[order, None] >> np.arange(space.n)[None, :]) & 1
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=[0.55, 0.45])
    labels = [", ".join(str(i + 1) for i in np.flatnonzero(member)) or "none" for member in members]
    figure.add_bar(
        x=list(range(len(order))),
        y=space.weights[order],
        marker_color="#0072B2",
        customdata=labels,
        hovertemplate="exactly %{customdata}: %{y:.4g} complexes<extra></extra>",
        showlegend=False,
        row=1,
        col=1,
    )
    for value, color in ((0, "#DDDDDD"), (1, "#0072B2")):
        column, row = np.nonzero(members == value)
        figure.add_scatter(
            x=column.tolist(),
            y=[names[i] for i in row],
            mode="markers",
            marker={"size": 9, "color": color},
            hoverinfo="skip",
            showlegend=False,
            row=2,
            col=1,
        )
    figure.update_yaxes(type="log", title="complexes (weighted)", exponentformat="power", row=1, col=1)
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], row=2, col=1)
    figure.update_xaxes(showticklabels=False)
    shown = "" if len(order) == len(space.patterns) else f", the {len(order)} largest of {len(space.patterns)} sets"
    figure.update_layout(title="Complexes by the exact set of restraints" + shown, height=320 + 22 * space.n)
    return figure


def interaction_matrix(contacts: Contacts, restraints: int) -> go.Figure:
    """How often each pair of residues touches in the complexes that satisfy at least this many restraints.

    Residues that hardly touch anything are left out.
    """
    matrix = contacts.matrix[restraints - contacts.least]
    rows, columns = (np.flatnonzero(matrix.max(axis=axis) >= SELDOM) for axis in (1, 0))
    figure = go.Figure(
        go.Heatmap(
            x=[str(contacts.scanning[j]) for j in columns],
            y=[str(contacts.fixed[i]) for i in rows],
            z=matrix[np.ix_(rows, columns)],
            zmin=0,
            colorscale="Viridis",
            colorbar={"title": "share", "tickformat": ".0%"},
            hovertemplate="%{y} – %{x}: in %{z:.1%} of the complexes<extra></extra>",
        )
    )
    figure.update_xaxes(title="residues of the scanning body", tickangle=-60)
    figure.update_yaxes(title="residues of the fixed body", autorange="reversed")
    figure.update_layout(
        title=f"Contacts where at least {restraints} restraints hold", height=max(420, 140 + 9 * len(rows))
    )
    return figure


def residue_interactions(contacts: Contacts, restraints: int) -> go.Figure:
    """Mean number of contacts of each residue, of both bodies, one above the other."""
    figure = make_subplots(rows=2, cols=1, subplot_titles=("fixed body", "scanning body"), vertical_spacing=0.18)
    sides = (
        (contacts.fixed, contacts.of_fixed(restraints), "#0072B2"),
        (contacts.scanning, contacts.of_scanning(restraints), "#D55E00"),
    )
    for place, (residues, mean, color) in enumerate(sides, start=1):
        figure.add_bar(
            x=[str(residue) for residue in residues],
            y=mean,
            marker_color=color,
            hovertemplate="%{x}: %{y:.2f} contacts<extra></extra>",
            showlegend=False,
            row=place,
            col=1,
        )
    figure.update_yaxes(title="mean contacts")
    figure.update_xaxes(nticks=20, tickangle=-45)
    figure.update_layout(title=f"Interactions by residue where at least {restraints} restraints hold", height=560)
    return figure


def _restraint_names(space: InteractionSpace) -> list[str]:
    """Names for an axis, numbered where two are alike."""
    names = [str(restraint) for restraint in space.restraints]
    return [f"{i}: {name}" if names.count(name) > 1 else name for i, name in enumerate(names, start=1)]
