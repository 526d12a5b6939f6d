"""Figures of a fitted tensor: how well it explains the data, and how well the data fix it."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from colonnade.structure.tensor_data import TensorFit

OUTLIER = 3.0
"""Deviations beyond so many standard deviations are marked."""


def deviations(fit: TensorFit) -> NDArray[np.float64]:
    """(N,) observed less calculated, in units of the given errors or of the root-mean-square misfit."""
    apart = fit.tensor.observed - fit.tensor.calculated
    given = [datum.error for datum in fit.data if datum.error is not None]
    scale = np.array(given) if given else np.full(len(apart), np.sqrt((apart**2).mean()) or 1.0)
    result: NDArray[np.float64] = apart / scale
    return result


def correlation_plot(fit: TensorFit) -> go.Figure:
    """Calculated against observed values, with the line where both are the same."""
    name, unit = ("RDC", "Hz") if fit.kind == "rdc" else ("PCS", "ppm")
    observed, calculated = fit.tensor.observed, fit.tensor.calculated
    marked = np.abs(deviations(fit)) > OUTLIER
    ends = [float(min(observed.min(), calculated.min())), float(max(observed.max(), calculated.max()))]
    figure = go.Figure()
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": "#888888", "dash": "dot"}, showlegend=False)
    for wanted, color, label in ((False, "#0072B2", "data"), (True, "#D55E00", f"beyond {OUTLIER:g} σ")):
        chosen = np.flatnonzero(marked == wanted)
        if len(chosen):
            figure.add_scatter(
                x=observed[chosen],
                y=calculated[chosen],
                mode="markers",
                name=label,
                marker={"color": color, "size": 7},
                customdata=[str(fit.data[int(i)]) for i in chosen],
                hovertemplate=f"%{{customdata}}<br>observed %{{x:.3f}}, calculated %{{y:.3f}} {unit}<extra></extra>",
                error_x={"array": [fit.data[int(i)].error for i in chosen]} if fit.data[0].error else None,
            )
    figure.update_layout(
        title=f"{name}: Q = {fit.tensor.q_factor:.3f}, correlation {fit.tensor.correlation:.4f}",
        xaxis_title=f"observed ({unit})",
        yaxis_title=f"calculated ({unit})",
    )
    return figure


def deviation_plot(fit: TensorFit) -> go.Figure:
    """Deviation of each value by residue, in standard deviations."""
    apart = deviations(fit)
    figure = go.Figure(
        go.Bar(
            x=[datum.atoms[0].number for datum in fit.data],
            y=apart,
            marker_color=np.where(np.abs(apart) > OUTLIER, "#D55E00", "#56B4E9").tolist(),
            customdata=[str(datum) for datum in fit.data],
            hovertemplate="%{customdata}: %{y:.2f} σ<extra></extra>",
        )
    )
    figure.update_layout(
        title="Observed less calculated", xaxis_title="residue", yaxis_title="deviation (standard deviations)"
    )
    return figure


def resampling_plot(fit: TensorFit) -> go.Figure:
    """Axial and rhombic component of fits to resampled data, around the fit to all."""
    scale, unit = (1e4, "10⁻⁴") if fit.kind == "rdc" else (1.0, "10⁻³² m³")
    figure = go.Figure()
    figure.add_scatter(
        x=fit.bootstrap[:, 0] * scale,
        y=fit.bootstrap[:, 1] * scale,
        mode="markers",
        name="resampled data",
        marker={"color": "#56B4E9", "size": 4, "opacity": 0.6},
    )
    figure.add_scatter(
        x=[fit.tensor.axial * scale],
        y=[fit.tensor.rhombic * scale],
        mode="markers",
        name="all data",
        marker={"color": "#D55E00", "symbol": "diamond", "size": 11},
    )
    figure.update_layout(
        title="How well the data fix the tensor",
        xaxis_title=f"axial component ({unit})",
        yaxis_title=f"rhombic component ({unit})",
    )
    return figure
