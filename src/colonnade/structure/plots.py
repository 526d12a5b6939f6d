"""Interactive figures of the structure column, as plotly figures.

Colours are those of Okabe & Ito, which people with a colour-vision deficiency can tell apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from colonnade.structure.affinity import CLASS_NAMES, CLASSES, BindingAffinity
from colonnade.structure.structures import ResidueId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from colonnade.structure.space import InteractionSpace

CLASS_COLOURS = {
    "CC": "#D55E00",
    "CP": "#E69F00",
    "AC": "#CC79A7",
    "PP": "#0072B2",
    "AP": "#56B4E9",
    "AA": "#009E73",
}


def contact_map(affinity: BindingAffinity) -> go.Figure:
    """Interface residues of the first partner against those of the others, a square per contact.

    The colour of a square is the class of the contact; hovering gives the closest distance of heavy atoms.
    """
    rows = _axis(row.residue for row in affinity.interface if row.group == 0)
    if len(affinity.selection) > 2:  # a contact between the second and third partner needs both on both axes
        rows = _axis(row.residue for row in affinity.interface if row.group < len(affinity.selection) - 1)
    columns = _axis(row.residue for row in affinity.interface if row.group > 0)
    figure = go.Figure()
    for kind in CLASSES:
        contacts = [contact for contact in affinity.contact_list if contact.kind == kind]
        if contacts:
            figure.add_scatter(
                x=[str(contact.second) for contact in contacts],
                y=[str(contact.first) for contact in contacts],
                mode="markers",
                name=f"{CLASS_NAMES[kind]} ({len(contacts)})",
                marker={"symbol": "square", "size": 11, "color": CLASS_COLOURS[kind]},
                customdata=np.array([[contact.distance] for contact in contacts]),
                hovertemplate="%{y} – %{x}<br>%{customdata[0]:.2f} Å<extra>" + CLASS_NAMES[kind] + "</extra>",
            )
    titles = [", ".join(group) for group in affinity.selection]
    figure.update_xaxes(title=f"residues of {' and '.join(titles[1:])}", categoryarray=columns, tickangle=-60)
    figure.update_yaxes(title=f"residues of {' and '.join(titles[:-1])}", categoryarray=rows, autorange="reversed")
    figure.update_layout(
        title=f"Contacts of heavy atoms within {affinity.distance_cutoff:g} Å",
        height=max(420, 120 + 16 * len(rows)),
        legend_title="class",
    )
    return figure


def contact_classes(affinity: BindingAffinity) -> go.Figure:
    """Number of contacts by class, as bars."""
    counts = [affinity.contacts[kind] for kind in CLASSES]
    figure = go.Figure(
        go.Bar(
            x=[CLASS_NAMES[kind] for kind in CLASSES],
            y=counts,
            text=counts,
            marker_color=[CLASS_COLOURS[kind] for kind in CLASSES],
            hovertemplate="%{x}: %{y} contacts<extra></extra>",
        )
    )
    figure.update_layout(title=f"{affinity.n_contacts} contacts by class", yaxis_title="residue contacts")
    return figure


def _axis(residues: Iterable[ResidueId]) -> list[str]:
    return [str(residue) for residue in residues]


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
