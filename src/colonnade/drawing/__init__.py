"""Static drawings: a Plotly figure, or the trace of a molecule, as SVG drawn by matplotlib.

    draw_figure(spec, title)         an SVG file of its own, dark on white
    draw_molecule(structure, path)   the same of a molecule's chains, seen along their shortest direction
    inline(svg, anchor)              such a file as markup inside a page: in the page's text colour, its ids its own

The first two are None when matplotlib is not installed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from colonnade.results import Structure3D


def draw_figure(spec: dict[str, Any], title: str) -> str | None:
    """Draw a Plotly specification; what cannot be drawn is named in the picture."""
    if find_spec("matplotlib") is None:
        return None
    from colonnade.drawing.figure import draw
    from colonnade.drawing.svg import standalone

    return standalone(draw(spec, title))


def draw_molecule(structure: Structure3D, path: Path) -> str | None:
    """Draw a structure's chains; None also when the file cannot be read as the structure it claims to be."""
    if find_spec("matplotlib") is None:
        return None
    from colonnade.drawing.molecule import draw
    from colonnade.drawing.svg import standalone

    drawn = draw(structure, path)
    return None if drawn is None else standalone(drawn)


def inline(svg: str, anchor: str) -> str:
    """Markup of one of the drawings above for use inside a page; its ids begin with `anchor`."""
    from colonnade.drawing.svg import inline as convert

    return convert(svg, anchor)
