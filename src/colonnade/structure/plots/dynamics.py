"""Figures of a simulation: energies, temperature, how far it moved, what moved most, restraints."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from colonnade.structure.dynamics import Dynamics


def energies(found: Dynamics) -> go.Figure:
    """Potential energy, restraint energy and temperature along the simulation."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.65, 0.35])
    shown = slice(1, None) if len(found.time) > 1 else slice(None)
    figure.add_scatter(x=found.time[shown], y=found.potential[shown], name="potential", line={"color": "#0072B2"})
    if found.restraints:
        figure.add_scatter(x=found.time[shown], y=found.restraint[shown], name="restraints", line={"color": "#D55E00"})
    figure.add_scatter(
        x=found.time[shown], y=found.temperature[shown], name="temperature", line={"color": "#009E73"}, row=2, col=1
    )
    figure.update_yaxes(title="kcal/mol", row=1, col=1)
    figure.update_yaxes(title="K", row=2, col=1)
    figure.update_xaxes(title="time (ps)", row=2, col=1)
    figure.update_layout(title="Energy and temperature", height=520)
    return figure


def rmsd(found: Dynamics) -> go.Figure:
    """RMSD of CA from the given structure along the simulation."""
    figure = go.Figure(go.Scatter(x=found.time, y=found.rmsd, mode="lines+markers", line={"color": "#0072B2"}))
    figure.update_xaxes(title="time (ps)")
    figure.update_yaxes(title="RMSD of CA (Å)", rangemode="tozero")
    figure.update_layout(title="Distance from the given structure")
    return figure


def rmsf(found: Dynamics) -> go.Figure:
    """RMSF of each residue's CA, a line per chain."""
    figure = go.Figure()
    chains = list(dict.fromkeys(chain for chain, _, _ in found.residues))
    for chain in chains:
        rows = [k for k, residue in enumerate(found.residues) if residue[0] == chain]
        figure.add_scatter(
            x=[found.residues[k][1] for k in rows],
            y=found.rmsf[rows],
            name=f"chain {chain}",
            text=[f"{found.residues[k][2]} {found.residues[k][1]}" for k in rows],
            hovertemplate="%{text}: %{y:.2f} Å<extra></extra>",
        )
    figure.update_xaxes(title="residue")
    figure.update_yaxes(title="RMSF of CA (Å)", rangemode="tozero")
    figure.update_layout(title="What moved most")
    return figure


def violations(found: Dynamics) -> go.Figure:
    """Violation of each restraint in the first and the last frame, and its mean over the free dynamics."""
    names = [str(restraint) for restraint in found.restraints]
    free = found.violations[2:] if len(found.violations) > 2 else found.violations
    figure = go.Figure()
    for name, values, colour in (
        ("minimised", found.violations[0], "#56B4E9"),
        ("mean of the dynamics", np.mean(free, axis=0), "#0072B2"),
        ("last frame", found.violations[-1], "#D55E00"),
    ):
        figure.add_bar(x=names, y=values, name=name, marker_color=colour)
    figure.update_yaxes(title="beyond the bounds (Å)", rangemode="tozero")
    figure.update_xaxes(tickangle=-45)
    figure.update_layout(title="Violations of the restraints", barmode="group", legend={"orientation": "h", "y": 1.1})
    return figure
