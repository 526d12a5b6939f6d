"""Figures of a ligand's affinity: which atoms are near it, and which residues make its pocket."""

from __future__ import annotations

import plotly.graph_objects as go

from colonnade.structure.ligands import CLASSES, LigandAffinity


def atom_contacts(affinity: LigandAffinity) -> go.Figure:
    """Number of atom pairs by the elements of both, as bars."""
    counts = [affinity.contacts[kind] for kind in CLASSES]
    names = ["–".join("other" if letter == "X" else letter for letter in kind) for kind in CLASSES]
    figure = go.Figure(
        go.Bar(x=names, y=counts, text=counts, marker_color="#0072B2", hovertemplate="%{x}: %{y} pairs<extra></extra>")
    )
    figure.update_layout(
        title=f"{sum(counts)} pairs of atoms within {affinity.distance:g} Å", yaxis_title="pairs of atoms"
    )
    return figure


def pocket(affinity: LigandAffinity, most: int = 30) -> go.Figure:
    """The closest residues: their distance from the ligand, and the number of atom pairs as colour."""
    rows = affinity.near[:most][::-1]
    figure = go.Figure(
        go.Bar(
            x=[row.closest for row in rows],
            y=[str(row.residue) for row in rows],
            orientation="h",
            marker={"color": [row.pairs for row in rows], "colorscale": "Viridis", "colorbar": {"title": "pairs"}},
            customdata=[row.pairs for row in rows],
            hovertemplate="%{y}: %{x:.2f} Å, %{customdata} pairs<extra></extra>",
        )
    )
    figure.update_layout(
        title=f"The {len(rows)} residues closest to {affinity.ligand.name}",
        xaxis_title="closest distance of heavy atoms (Å)",
        height=max(420, 120 + 18 * len(rows)),
    )
    return figure
