"""A molecule's chains as lines through their alpha carbons (or phosphorus), for where there is no 3D view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from colonnade.drawing.svg import INK
from colonnade.results import Structure3D

MAX_ATOMS = 20_000
MAX_STEP = 8.0  # Å between neighbours of one unbroken chain

Point = tuple[str, int, float, float, float]  # chain, residue, x, y, z


def draw(structure: Structure3D, path: Path) -> Figure | None:
    """Chains of the first model, seen along their shortest direction, in the colours of the selections.

    Args:
        structure: the result; its selections give the colours.
        path: its file.

    Returns:
        The drawing, or None when no chain could be read.
    """
    try:
        points = _pdb(path) if structure.format == "pdb" else _mmcif(path)
    except (OSError, ValueError, IndexError, KeyError):
        return None
    if len(points) < 2:
        return None
    places = np.array([point[2:] for point in points])
    centered = places - places.mean(axis=0)
    flat = centered @ np.linalg.svd(centered, full_matrices=False)[2].T[:, :2]
    depth = centered @ np.linalg.svd(centered, full_matrices=False)[2][-1]
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(7.2, 4.6), dpi=72)
        axes: Any = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_aspect("equal")
        _lines(axes, structure, points, flat, depth)
        axes.autoscale_view()
    return figure


def _lines(axes: Any, structure: Structure3D, points: list[Point], flat: Any, depth: Any) -> None:
    from matplotlib.collections import LineCollection

    whole = {chosen.chain: chosen.color for chosen in structure.selections if not chosen.residues}
    single = {(chosen.chain, residue): chosen.color for chosen in structure.selections for residue in chosen.residues}
    near = (depth - depth.min()) / (np.ptp(depth) or 1.0)
    segments, shades, widths, order = [], [], [], []
    for index in range(1, len(points)):
        last, this = points[index - 1], points[index]
        if last[0] != this[0] or np.linalg.norm(np.subtract(last[2:], this[2:])) > MAX_STEP:
            continue
        segments.append(flat[index - 1 : index + 1])
        shades.append(single.get(this[:2]) or whole.get(this[0]) or INK)
        widths.append(1.0 + 2.0 * near[index])
        order.append(near[index])
    nearest_last = np.argsort(order)
    axes.add_collection(
        LineCollection(
            [segments[i] for i in nearest_last],
            colors=[shades[i] for i in nearest_last],
            linewidths=[widths[i] for i in nearest_last],
            capstyle="round",
        )
    )


def _pdb(path: Path) -> list[Point]:
    points: list[Point] = []
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("ENDMDL") or len(points) >= MAX_ATOMS:
                break
            if line.startswith("ATOM") and line[12:16].strip() in ("CA", "P") and line[16] in " A1":
                at = (float(line[30:38]), float(line[38:46]), float(line[46:54]))
                points.append((line[21].strip(), int(line[22:26]), *at))
    return points


def _mmcif(path: Path) -> list[Point]:
    try:
        import gemmi  # the only reader of mmCIF here; without it there is no drawing
    except ImportError:
        return []
    model = gemmi.read_structure(str(path))[0]
    return [
        (str(chain.name), int(residue.seqid.num or 0), atom.pos.x, atom.pos.y, atom.pos.z)
        for chain in model
        for residue in chain
        for atom in residue
        if atom.name in ("CA", "P") and atom.altloc in ("\0", "A")
    ][:MAX_ATOMS]
