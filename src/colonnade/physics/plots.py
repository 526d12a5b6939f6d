"""Interactive figures of the physics column, as plotly figures, in the colours of Okabe & Ito."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from colonnade.physics import fourvectors as fv
from colonnade.physics.metrics import against, auc, calibration, roc
from colonnade.physics.schema import spec

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#888888")


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


def jet_images(p4: NDArray[Any], label: NDArray[Any], bins: int = 40, reach: float = 0.8) -> go.Figure:
    """Mean pT of QCD and top jets (n, nodes, 4) around their axes, on a logarithmic scale, side by side.

    Jets are turned so that their two hardest constituents lie on a vertical line.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=[f"{kind} jets" for kind in spec("top").classes])
    axis = p4.sum(axis=1)
    eta, phi = fv.eta(p4) - fv.eta(axis)[:, None], fv.turn(fv.phi(p4) - fv.phi(axis)[:, None])
    second = p4[:, 1:2, 0] > 0
    angle = np.where(second, np.arctan2(phi[:, 1:2] - phi[:, :1], eta[:, 1:2] - eta[:, :1]), 0) - np.pi / 2
    x, y = eta * np.cos(angle) + phi * np.sin(angle), phi * np.cos(angle) - eta * np.sin(angle)
    edges = np.linspace(-reach, reach, bins + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    for kind in (0, 1):
        mine = label == kind
        total, _, _ = np.histogram2d(y[mine].ravel(), x[mine].ravel(), edges, weights=fv.pt(p4[mine]).ravel())
        heat = go.Heatmap(
            x=middle,
            y=middle,
            z=np.log10(total / max(int(mine.sum()), 1) + 1e-3),
            zmin=-3,
            zmax=2,
            colorscale="Viridis",
            colorbar={"title": "log10 pT/GeV"},
            showscale=kind == 1,
        )
        figure.add_trace(heat, 1, kind + 1)
        figure.update_xaxes(title="turned Δη", row=1, col=kind + 1)
    figure.update_yaxes(title="turned Δφ", row=1, col=1)
    return figure


def occlusion_display(p4: NDArray[Any], change: NDArray[Any]) -> go.Figure:
    """One jet's constituents around its axis, area by pT, colour by what each adds to the score.

    Args:
        p4: (nodes, 4) E, px, py, pz in GeV.
        change: (nodes,) of the log odds when a constituent is left out (`training.occlusion`).
    """
    real = p4[:, 0] > 0
    axis = p4.sum(axis=0)
    pt = fv.pt(p4)[real]
    most = max(float(np.abs(change).max(initial=0)), 1e-6)
    marker = {
        "size": 6 + 26 * np.sqrt(pt / max(pt.max(initial=1e-9), 1e-9)),
        "color": change[real],
        "colorscale": [[0, COLOURS[1]], [0.5, "#DDDDDD"], [1, COLOURS[0]]],
        "cmin": -most,
        "cmax": most,
        "colorbar": {"title": "adds to<br>log odds"},
        "opacity": 0.85,
    }
    figure = go.Figure(
        go.Scatter(
            x=(fv.eta(p4) - fv.eta(axis))[real],
            y=fv.turn(fv.phi(p4) - fv.phi(axis))[real],
            mode="markers",
            marker=marker,
            customdata=pt,
            hovertemplate="pT %{customdata:.1f} GeV<br>adds %{marker.color:.2f}<extra></extra>",
        )
    )
    figure.update_layout(xaxis_title="Δη", yaxis_title="Δφ")
    return figure


def score_against_mass(mass: NDArray[Any], score: NDArray[Any]) -> go.Figure:
    """Probability against jet mass: a tagger that has learnt the mass alone shows a step."""
    figure = go.Figure(go.Scattergl(x=mass, y=score, mode="markers", marker={"size": 5, "opacity": 0.6}))
    figure.update_layout(xaxis_title="jet mass (GeV)", yaxis_title="probability of a top quark")
    return figure


def residuals(truth: NDArray[Any], predicted: NDArray[Any], unit: str) -> go.Figure:
    """Bias (points) and resolution (bars) of a regression in bins of the truth."""
    rows = against(truth, predicted, np.asarray(truth, float))
    figure = go.Figure(
        go.Scatter(
            x=rows["centre"],
            y=rows["bias"],
            error_y={"array": rows["resolution"]},
            mode="markers",
            marker={"size": 8, "color": COLOURS[0]},
        )
    )
    figure.add_hline(y=0, line={"dash": "dot", "color": "#888888"})
    figure.update_layout(xaxis_title=f"true ({unit})", yaxis_title=f"predicted - true ({unit})")
    return figure


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
    """One decay tree (nodes,), generations from top to bottom; no lines cross."""
    present = np.flatnonzero(pdg != 0)
    place, depth = _tidy(present, mother)
    child = present[mother[present] >= 0]
    gap = np.full(len(child), np.nan)
    x = np.stack([place[child], place[mother[child]], gap], axis=1).ravel()
    y = np.stack([-depth[child], -depth[mother[child]], gap], axis=1).ravel()
    figure = go.Figure(go.Scatter(x=x, y=y, mode="lines", line={"color": "#BBBBBB"}, hoverinfo="skip"))
    figure.add_scatter(
        x=place[present],
        y=-depth[present],
        mode="markers+text",
        text=[particle_name(int(pdg[node])) for node in present],
        textposition="top center",
        marker={"color": COLOURS[0], "size": 7},
        hoverinfo="text",
    )
    figure.update_layout(
        showlegend=False, xaxis_visible=False, yaxis_visible=False, yaxis_range=[-depth.max() - 0.4, 0.6]
    )
    return figure


def _tidy(present: NDArray[Any], mother: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Places of a tree's nodes, stable particles side by side and each mother over the middle of her daughters."""
    daughters: dict[int, list[int]] = {int(node): [] for node in present}
    depth, place = np.zeros(len(mother), int), np.zeros(len(mother))
    for node in present:
        if mother[node] >= 0:
            daughters[int(mother[node])].append(int(node))
            depth[node] = depth[mother[node]] + 1
    leaves, waiting = 0, [int(node) for node in present if mother[node] < 0]
    order = []
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting.extend(reversed(daughters[node]))
    for node in order:
        if not daughters[node]:
            place[node], leaves = leaves, leaves + 1
    for node in reversed(order):
        if daughters[node]:
            place[node] = np.mean([place[daughter] for daughter in daughters[node]])
    return place, depth


_GREEK = {
    "Upsilon": "Υ", "gamma": "γ", "pi": "π", "mu": "μ", "nu": "ν", "tau": "τ", "rho": "ρ", "omega": "ω", "eta": "η",
    "phi": "φ", "psi": "ψ", "chi": "χ", "Lambda": "Λ", "Sigma": "Σ", "Delta": "Δ", "Xi": "Ξ", "Omega": "Ω",
}  # fmt: skip


def particle_name(pdg: int) -> str:
    """A particle's name as it is written, or its number."""
    from particle import Particle

    try:
        name = str(Particle.from_pdgid(pdg).name)
    except Exception:  # numbers that the table does not know, of several kinds
        return "Υ(4S)" if pdg == 300553 else str(pdg)
    return (
        re.sub("|".join(_GREEK), lambda found: _GREEK[found[0]], name).replace("K(S)0", "K_S").replace("K(L)0", "K_L")
    )


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
