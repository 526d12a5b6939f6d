"""Plotly figures of jumps, maps and runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from colonnade.quadruped.certificate import capsule_ends
from colonnade.quadruped.jump_spec import PHASES, Array, JumpPlan, Window
from colonnade.quadruped.mjcf import Box
from colonnade.quadruped.robot import Robot
from colonnade.quadruped.sketch import FACES, Solids, bricks, robot_solids

COLORS = ("#4477aa", "#66ccee", "#ee6677", "#228833")
WALL = "rgba(150,110,85,0.55)"


def jump_strip(plan: JumpPlan, window: Window | None = None, poses: int = 9) -> go.Figure:
    """The robot from the side at moments of a jump, with the window."""
    figure = go.Figure()
    window = window or plan.spec.window
    if window is not None:
        near, far = plan.spec.near, plan.spec.near + window.depth
        for low, high in ((0.0, window.sill), (window.lintel, window.lintel + 0.15)):
            figure.add_shape(type="rect", x0=near, x1=far, y0=low, y1=high, fillcolor=WALL, line_width=0)
    times = np.linspace(0, plan.t[-1], poses)
    q = np.array([[np.interp(t, plan.t, plan.q[:, k]) for k in range(7)] for t in times])
    for index, ends in enumerate(capsule_ends(plan.spec.robot, q)):
        phase = int(plan.phase[min(int(np.searchsorted(plan.t, times[index], side="right")) - 1, len(plan.phase) - 1)])
        xs, zs = [], []
        for link in ends:
            xs += [*link[:, 0].tolist(), None]
            zs += [*link[:, 1].tolist(), None]
        line = {"color": COLORS[phase], "width": 4}
        name = f"{times[index]:.2f} s, {PHASES[phase]}"
        figure.add_trace(go.Scatter(x=xs, y=zs, mode="lines", line=line, name=name, opacity=0.35 + 0.6 * index / poses))
    figure.add_trace(
        go.Scatter(x=plan.q[:, 0], y=plan.q[:, 1], mode="lines", line={"dash": "dot", "color": "#888"}, name="trunk")
    )
    figure.update_layout(xaxis_title="x (m)", yaxis_title="z (m)", yaxis_scaleanchor="x", height=420)
    return figure


def torque_envelope(robot: Robot, torque: Array, rate: Array) -> go.Figure:
    """Joint torque against joint speed, with what the motors can give.

    Args:
        torque, rate: (T, 12) of a simulated run, or (T, 4, 3); N m and rad/s.
    """
    torque, rate = np.reshape(torque, (-1, 4, 3)), np.reshape(rate, (-1, 4, 3))
    figure = go.Figure()
    for joint, name, color in ((1, "hip", COLORS[0]), (2, "knee", COLORS[2])):
        speed = np.linspace(-robot.speed_limit[joint], robot.speed_limit[joint], 101)
        top = np.minimum(robot.torque_limit[joint], robot.stall_torque[joint] * (1 - speed / robot.speed_limit[joint]))
        bottom = -top[::-1]
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([speed, speed[::-1], speed[:1]]), y=np.concatenate([top, bottom[::-1], top[:1]]),
                mode="lines", line={"color": color, "width": 1.5}, name=f"{name}: envelope",
            )
        )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=rate[:, :, joint].ravel(), y=torque[:, :, joint].ravel(), mode="markers", name=name,
                marker={"size": 3, "color": color, "opacity": 0.5},
            )
        )  # fmt: skip
    figure.update_layout(xaxis_title="joint speed (rad/s)", yaxis_title="torque of one leg (N m)", height=420)
    return figure


def jump_forces(plan: JumpPlan) -> go.Figure:
    """Planned forces of the front and rear pair over time."""
    figure = go.Figure()
    middle = (plan.t[1:] + plan.t[:-1]) / 2
    for column, (name, color) in enumerate(
        (("front, x", COLORS[1]), ("front, z", COLORS[0]), ("rear, x", "#ccbb44"), ("rear, z", COLORS[2]))
    ):
        figure.add_trace(go.Scatter(x=middle, y=plan.f[:, column], mode="lines", name=name, line={"color": color}))
    figure.update_layout(xaxis_title="time (s)", yaxis_title="force of the pair (N)", height=320)
    return figure


def feasibility_map(sills: Sequence[float], lengths: Sequence[float], cost: Array) -> go.Figure:
    """Cost of the best jump by sill and length; blank where none was found."""
    figure = go.Figure(
        go.Heatmap(x=list(lengths), y=list(sills), z=np.where(np.isfinite(cost), cost, np.nan), colorbar_title="cost")
    )
    figure.update_layout(xaxis_title="length (m)", yaxis_title="sill (m)", height=420)
    return figure


def asked_and_met(asked: Sequence[float], met: Sequence[float], upright: Sequence[bool]) -> go.Figure:
    """Speeds asked for and reached, with the line on which they would be equal; a cross for who fell."""
    figure = go.Figure(
        go.Scatter(
            x=list(asked), y=list(met), mode="markers", name="trials",
            marker={"size": 10, "color": COLORS[0], "symbol": ["circle" if stood else "x" for stood in upright]},
        )
    )  # fmt: skip
    ends = [min(0.0, *asked), max(0.0, *asked)]
    line = {"color": "#888", "width": 1, "dash": "dot"}
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", line=line, name="as asked"))
    figure.update_layout(xaxis_title="asked speed (m/s)", yaxis_title="mean speed (m/s)", height=360)
    return figure


def mission_map(
    floor: Array,
    bounds: tuple[float, float, float, float],
    cell: float,
    boxes: Sequence[Box],
    track: Array,
    plan: Sequence[tuple[float, float]] = (),
    goal: tuple[float, float] | None = None,
) -> go.Figure:
    """The map as the robot saw it, the true obstacles, its way and its last plan.

    Args:
        floor: (rows, columns) heights, m; track: (n, 2) where the trunk was.
    """
    rows, columns = floor.shape
    x, y = bounds[0] + cell * (np.arange(columns) + 0.5), bounds[1] + cell * (np.arange(rows) + 0.5)
    figure = go.Figure(
        go.Heatmap(
            x=x, y=y, z=np.round(np.where(floor > 0, floor, np.nan), 3), colorscale="YlOrBr",
            colorbar_title="seen height (m)",
        )
    )  # fmt: skip
    for box in boxes:
        outline = _outline(box)
        figure.add_trace(
            go.Scatter(
                x=outline[:, 0], y=outline[:, 1], mode="lines", line={"color": "#777", "width": 1}, showlegend=False
            )
        )
    if len(plan):
        points = np.array(plan)
        figure.add_trace(
            go.Scatter(
                x=points[:, 0], y=points[:, 1], mode="lines", line={"dash": "dot", "color": COLORS[3]}, name="plan"
            )
        )
    figure.add_trace(go.Scatter(x=track[:, 0], y=track[:, 1], mode="lines", line={"color": COLORS[0]}, name="way"))
    if goal is not None:
        marker = {"symbol": "star", "size": 12, "color": COLORS[2]}
        figure.add_trace(go.Scatter(x=[goal[0]], y=[goal[1]], mode="markers", marker=marker, name="goal"))
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}  # beside the colour bar there is no room
    figure.update_layout(xaxis_title="x (m)", yaxis_title="y (m)", yaxis_scaleanchor="x", height=480, legend=legend)
    return figure


def _outline(box: Box) -> Array:
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1], [1, 1]]) * np.array(box.half[:2])
    c, s = np.cos(box.yaw), np.sin(box.yaw)
    outline: Array = corners @ np.array([[c, s], [-s, c]]) + np.array(box.centre[:2])
    return outline


# --- the run in three dimensions ------------------------------------------------------------------


def run_3d(robot: Robot, t: Array, qpos: Array, boxes: Sequence[Box], frames: int = 120) -> go.Figure:
    """A recorded run as an animation that the browser turns and plays.

    Args:
        t: (T,) s; qpos: (T, 19); frames: at most so many are kept.
    """
    pick = np.unique(np.linspace(0, len(t) - 1, min(frames, len(t))).astype(int))
    way = np.round(qpos[pick, :3], 3)
    line = {"width": 3, "color": COLORS[2]}
    track = go.Scatter3d(x=way[:, 0], y=way[:, 1], z=way[:, 2], mode="lines", line=line, name="way of the trunk")
    walls = bricks(boxes, math.inf)
    figure = go.Figure(data=[_mesh(robot_solids(robot, qpos[pick[0]]), "robot"), track, _mesh(walls, "walls", 0.4)])
    figure.frames = [
        go.Frame(data=[_moved(robot_solids(robot, qpos[k]))], name=f"{t[k]:.2f}", traces=[0]) for k in pick
    ]
    step = {"frame": {"duration": 60, "redraw": True}, "mode": "immediate", "transition": {"duration": 0}}
    play = {**step, "fromcurrent": True}
    figure.update_layout(
        scene={"aspectmode": "data", "xaxis_title": "x (m)", "yaxis_title": "y (m)", "zaxis_title": "z (m)"},
        height=560,
        updatemenus=[{"type": "buttons", "buttons": [
            {"label": "Play", "method": "animate", "args": [None, play]},
            {"label": "Pause", "method": "animate", "args": [[None], {**step, "mode": "immediate"}]},
        ]}],
        sliders=[
            {
                "steps": [
                    {"label": frame.name, "method": "animate", "args": [[frame.name], step]} for frame in figure.frames
                ],
                "currentvalue": {"prefix": "time (s) "},
            }
        ],
    )  # fmt: skip
    return figure


def _mesh(solids: Solids, name: str, opacity: float = 1.0) -> go.Mesh3d:
    """Bricks as triangles, two to a face."""
    first = 8 * np.arange(len(solids.corners))[:, None, None]
    triangles = (first + FACES[:, [[0, 1, 2], [0, 2, 3]]].reshape(1, 12, 3)).reshape(-1, 3)
    paint = [f"rgb({r:.0f},{g:.0f},{b:.0f})" for r, g, b, _ in solids.colours.tolist() for _ in range(12)]
    return _moved(solids).update(
        i=triangles[:, 0], j=triangles[:, 1], k=triangles[:, 2], facecolor=paint, opacity=opacity, name=name,
        flatshading=True, hoverinfo="skip",
    )  # fmt: skip


def _moved(solids: Solids) -> go.Mesh3d:
    """Only where the corners are: all that changes from frame to frame."""
    x, y, z = np.round(solids.corners.reshape(-1, 3), 3).T
    return go.Mesh3d(x=x, y=y, z=z)
