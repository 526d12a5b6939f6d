"""Interactive figures of the physics column, as plotly figures, in the colours of Okabe & Ito."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from colonnade.physics import fourvectors as fv
from colonnade.physics.metrics import auc, calibration, roc
from colonnade.physics.schema import spec

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def roc_curves(scores: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> go.Figure:
    """Background rejection against signal efficiency of several models: name -> (labels, scores)."""
    figure = go.Figure()
    for (name, (label, score)), colour in zip(scores.items(), COLOURS * 3, strict=False):
        background, signal = roc(label, score)
        seen = background > 0
        thin = np.unique(np.linspace(0, max(int(seen.sum()) - 1, 0), 400).astype(int))
        figure.add_scatter(
            x=signal[seen][thin],
            y=1 / background[seen][thin],
            name=f"{name} (AUC {auc(label, score):.4f})",
            line={"color": colour},
        )
    figure.update_yaxes(type="log", title="1 / ε_B")
    figure.update_xaxes(title="signal efficiency ε_S", range=[0, 1])
    return figure


def calibration_curve(label: NDArray[Any], probability: NDArray[Any]) -> go.Figure:
    """Share of signal against predicted probability."""
    mean, share, count = calibration(label, probability)
    used = count > 0
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], name="perfect", line={"dash": "dot", "color": "#888888"}))
    figure.add_scatter(x=mean[used], y=share[used], name="model", mode="lines+markers", line={"color": COLOURS[0]})
    figure.update_layout(xaxis_title="predicted probability", yaxis_title="share of signal")
    return figure


def scatter(truth: NDArray[Any], predicted: NDArray[Any], unit: str) -> go.Figure:
    """Predicted against true values of a regression (at most 2000 points)."""
    figure = go.Figure(
        go.Scattergl(x=truth[:2000], y=predicted[:2000], mode="markers", marker={"size": 4, "opacity": 0.5})
    )
    ends = [float(np.min(truth)), float(np.max(truth))]
    figure.add_scatter(x=ends, y=ends, line={"color": COLOURS[1]}, name="equal")
    figure.update_layout(xaxis_title=f"true ({unit})", yaxis_title=f"predicted ({unit})", showlegend=False)
    return figure


def learning_curve(curves: Mapping[str, Sequence[tuple[int, float]]]) -> go.Figure:
    """Training loss against events seen: model -> [(events, loss)]."""
    figure = go.Figure()
    for (name, points), colour in zip(curves.items(), COLOURS * 3, strict=False):
        x, y = zip(*points, strict=True) if points else ((), ())
        figure.add_scatter(x=x, y=y, name=name, line={"color": colour})
    figure.update_layout(xaxis_title="events seen", yaxis_title="training loss")
    return figure


def jet_display(p4: NDArray[Any], near: NDArray[np.int64] | None = None) -> go.Figure:
    """One jet's constituents around its axis, area by pT, with the edges of its graph.

    Args:
        p4: (nodes, 4) E, px, py, pz in GeV.
        near: (nodes, k) neighbours, -1 for none.
    """
    real = p4[:, 0] > 0
    axis = p4.sum(axis=0)
    eta, phi = fv.eta(p4) - fv.eta(axis), fv.turn(fv.phi(p4) - fv.phi(axis))
    figure = go.Figure()
    if near is not None:
        node, slot = np.nonzero((near >= 0) & (near != np.arange(len(near))[:, None]))
        other = near[node, slot]
        lines = [np.stack([v[node], v[other], np.full(len(node), np.nan)], axis=1).ravel() for v in (eta, phi)]
        figure.add_scatter(x=lines[0], y=lines[1], mode="lines", line={"width": 0.5, "color": "#BBBBBB"}, name="edges")
    pt = fv.pt(p4)[real]
    sizes = 4 + 26 * np.sqrt(pt / max(pt.max(initial=1e-9), 1e-9))
    figure.add_scatter(
        x=eta[real],
        y=phi[real],
        mode="markers",
        marker={"size": sizes, "color": COLOURS[0], "opacity": 0.6},
        customdata=pt,
        hovertemplate="pT %{customdata:.1f} GeV<extra></extra>",
        name="constituents",
    )
    figure.update_layout(xaxis_title="Δη", yaxis_title="Δφ", showlegend=False)
    return figure


def image(values: NDArray[Any], x: str, y: str, bar: str) -> go.Figure:
    """A two-dimensional histogram as it is."""
    figure = go.Figure(go.Heatmap(z=values, colorscale="Viridis", colorbar={"title": bar}))
    figure.update_layout(xaxis_title=x, yaxis_title=y)
    return figure


def jet_image(p4: NDArray[Any], bins: int = 40, reach: float = 0.8) -> go.Figure:
    """Mean pT of many jets (n, nodes, 4) around their axes, on a logarithmic scale."""
    axis = p4.sum(axis=1)
    eta = fv.eta(p4) - fv.eta(axis)[:, None]
    phi = fv.turn(fv.phi(p4) - fv.phi(axis)[:, None])
    ends = ((-reach, reach), (-reach, reach))
    total, _, _ = np.histogram2d(phi.ravel(), eta.ravel(), bins, ends, weights=fv.pt(p4).ravel())
    return image(np.log10(total / max(len(p4), 1) + 1e-4), "Δη", "Δφ", "log10 pT/GeV")


def footprint(signal: NDArray[Any], time: NDArray[Any]) -> go.Figure:
    """One air shower: stations by place, area by signal, colour by arrival time."""
    from colonnade.physics.showers import stations

    place, total, when = stations() / 1000, signal.reshape(81, -1).sum(axis=1), time.reshape(81)
    hit = when != -1
    sizes = 6 + 7 * np.log10(np.maximum(total, 1))
    figure = go.Figure(
        go.Scatter(x=place[~hit, 0], y=place[~hit, 1], mode="markers", marker={"size": 4, "color": "#BBBBBB"})
    )
    marker = {"size": sizes[hit], "color": when[hit] * 1e6, "colorscale": "Viridis", "colorbar": {"title": "μs"}}
    figure.add_scatter(x=place[hit, 0], y=place[hit, 1], mode="markers", marker=marker, text=np.round(total[hit]))
    figure.update_layout(xaxis_title="x (km)", yaxis_title="y (km)", showlegend=False)
    return figure


def decay_graph(pdg: NDArray[Any], mother: NDArray[Any]) -> go.Figure:
    """One decay tree (nodes,), generations from top to bottom."""
    present = np.flatnonzero(pdg != 0)
    depth = np.zeros(len(pdg), int)
    for node in present[1:]:
        depth[node] = depth[mother[node]] + 1
    place = np.zeros(len(pdg))
    for level in range(depth.max() + 1):
        row = present[depth[present] == level]
        row = row[np.argsort(place[np.maximum(mother[row], 0)], kind="stable")]
        place[row] = (np.arange(len(row)) + 0.5) / len(row)
    child = present[mother[present] >= 0]
    gap = np.full(len(child), np.nan)
    x = np.stack([place[child], place[mother[child]], gap], axis=1).ravel()
    y = np.stack([-depth[child], -depth[mother[child]], gap], axis=1).ravel()
    figure = go.Figure(go.Scatter(x=x, y=y, mode="lines", line={"color": "#BBBBBB"}))
    names = [particle_name(int(pdg[node])) for node in present]
    figure.add_scatter(x=place[present], y=-depth[present], mode="markers+text", text=names, textposition="top center")
    figure.update_layout(showlegend=False, xaxis_visible=False, yaxis_visible=False)
    return figure


def particle_name(pdg: int) -> str:
    """A particle's name as it is written, or its number."""
    from particle import Particle

    try:
        return str(Particle.from_pdgid(pdg).name)
    except Exception:  # numbers that the table does not know, of several kinds
        return "Υ(4S)" if pdg == 300553 else str(pdg)


def marginals(name: str, arrays: Mapping[str, NDArray[Any]]) -> go.Figure:
    """One telling quantity of a data set, by class."""
    title, values = _telling(name, arrays)
    described = spec(name)
    figure = go.Figure()
    if described.task == "regression":
        figure.add_histogram(x=values, nbinsx=50, marker_color=COLOURS[0])
    else:
        for index, kind in enumerate(described.classes):
            chosen = values[arrays["label"] == index]
            figure.add_histogram(x=chosen, nbinsx=60, name=kind, opacity=0.6, marker_color=COLOURS[index])
    figure.update_layout(barmode="overlay", xaxis_title=title, yaxis_title="events")
    return figure


def _telling(name: str, arrays: Mapping[str, NDArray[Any]]) -> tuple[str, NDArray[Any]]:
    if name == "top":
        return "jet mass (GeV)", fv.mass(np.asarray(arrays["p4"], float).sum(axis=1))
    if name == "airshower":
        return "Xmax (g/cm²)", arrays["xmax"]
    if name == "belle":
        return "particles in the event", (arrays["particles"][..., 8] > 0).sum(axis=1)
    return "pions in the image", arrays["image"].sum(axis=(1, 2))
