"""Figures of docked models: scores against likeness, and clusters."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from colonnade.structure.capri import Capri

CLUSTER_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00", "#5E0E47")
OTHER_COLOUR = "#999999"


def cluster_colour(number: int) -> str:
    """Colour of a cluster by its rank from 1; grey from the ninth on, and for models in none."""
    return CLUSTER_COLOURS[number - 1] if 1 <= number <= len(CLUSTER_COLOURS) else OTHER_COLOUR


def scores_against_likeness(
    scores: Sequence[float], clusters: Sequence[int], measures: Sequence[Capri], reference: str
) -> go.Figure:
    """Score of each model against its irmsd, fnat and lrmsd to the reference, coloured by cluster."""
    figure = make_subplots(rows=1, cols=3, shared_yaxes=True, horizontal_spacing=0.04)
    panels = (("irmsd", "interface RMSD (Å)"), ("fnat", "share of native contacts"), ("lrmsd", "ligand RMSD (Å)"))
    for number in [*sorted({c for c in clusters if 1 <= c <= len(CLUSTER_COLOURS)}), 0]:
        rows = [k for k, c in enumerate(clusters) if (c if c <= len(CLUSTER_COLOURS) else 0) == number]
        for column, (measure, _) in enumerate(panels, start=1):
            figure.add_scatter(
                x=[getattr(measures[k], measure) for k in rows],
                y=[scores[k] for k in rows],
                mode="markers",
                name=f"cluster {number}" if number else "others",
                legendgroup=str(number),
                showlegend=column == 1 and bool(rows),
                marker={"color": cluster_colour(number), "size": 7, "opacity": 0.85},
                customdata=[[k + 1, measures[k].dockq] for k in rows],
                hovertemplate="model %{customdata[0]}<br>score %{y:.1f}<br>"
                + measure
                + " %{x:.2f}<br>DockQ %{customdata[1]:.2f}<extra></extra>",
                row=1,
                col=column,
            )
    for column, (_, title) in enumerate(panels, start=1):
        figure.update_xaxes(title=title, rangemode="tozero", row=1, col=column)
    figure.update_yaxes(title="score", row=1, col=1)
    figure.update_layout(title=f"Score against likeness to {reference}", legend={"orientation": "h", "y": -0.25})
    return figure


def cluster_boxes(scores: Sequence[float], clusters: Sequence[int], most: int = 12) -> go.Figure:
    """Scores of the models of each cluster as a box with its points, the best clusters first."""
    figure = go.Figure()
    for number in sorted({c for c in clusters if c > 0})[:most]:
        members = [k for k, c in enumerate(clusters) if c == number]
        figure.add_box(
            y=[scores[k] for k in members],
            name=f"{number} ({len(members)})",
            boxpoints="all",
            jitter=0.4,
            pointpos=0,
            marker={"color": cluster_colour(number), "size": 4},
            line={"color": cluster_colour(number)},
            showlegend=False,
        )
    figure.update_xaxes(title="cluster (number of models)", type="category")
    figure.update_yaxes(title="score")
    figure.update_layout(title="Scores by cluster")
    return figure
