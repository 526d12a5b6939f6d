"""Figures of a binding affinity: which residues touch, and of what class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from colonnade.structure.affinity import CLASS_NAMES, CLASSES, BindingAffinity
from colonnade.structure.structures import ResidueId

if TYPE_CHECKING:
    from collections.abc import Iterable

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
