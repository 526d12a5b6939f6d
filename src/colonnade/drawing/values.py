"""What a Plotly specification holds, as numpy and matplotlib want it: arrays, colours, dashes, markers, text."""

from __future__ import annotations

import base64
import html
import re
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgba

# The colours of plotly.js for traces that name none.
COLORWAY = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip
DASHES: dict[str, Any] = {
    "solid": "-",
    "dot": (0, (1, 1.5)),
    "dash": (0, (4, 2)),
    "longdash": (0, (7, 2.5)),
    "dashdot": (0, (4, 2, 1, 2)),
    "longdashdot": (0, (7, 2, 1, 2)),
}
MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "cross": "P", "x": "X", "triangle-up": "^", "triangle-down": "v",
    "triangle-left": "<", "triangle-right": ">", "pentagon": "p", "hexagon": "h", "star": "*", "hourglass": "d",
}  # fmt: skip


def array(value: Any) -> np.ndarray[Any, Any]:
    """A list, or Plotly's typed array in base64, as a numpy array; None among numbers becomes NaN."""
    if value is None:
        return np.array([])
    if isinstance(value, dict) and "bdata" in value:
        flat = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]).newbyteorder("<"))
        shape = value.get("shape")
        if isinstance(shape, str):
            shape = [int(size) for size in shape.split(",")]
        return flat.reshape(shape) if shape else flat
    if isinstance(value, list | tuple):
        if any(isinstance(item, list | tuple | dict) for item in value):
            return np.array([numbers(array(item)) for item in value])
        if any(isinstance(item, str) for item in value):
            return np.array(["" if item is None else str(item) for item in value], dtype=object)
        return np.array([np.nan if item is None else item for item in value], dtype=float)
    return np.atleast_1d(np.asarray(value))


def numbers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array as floats; what is not a number becomes NaN."""
    if values.dtype != object:
        return values.astype(float)
    return np.array([_float(value) for value in values.ravel()]).reshape(values.shape)


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def dates(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """An array of ISO dates as datetime64, or None when it is something else."""
    if values.dtype != object or not len(values) or not re.match(r"\d{4}-\d\d", str(values[0])):
        return None
    try:
        return np.array([str(value).replace(" ", "T").removesuffix("Z") for value in values], dtype="datetime64[ms]")
    except ValueError:
        return None


def color(value: Any, fallback: Any) -> Any:
    """A CSS colour as red, green, blue, opacity."""
    if not isinstance(value, str):
        return to_rgba(fallback)
    text = value.strip().lower()
    found = re.fullmatch(r"rgba?\(([^)]*)\)", text)
    try:
        if found:
            parts = [part.strip() for part in re.split(r"[,\s/]+", found[1].strip())]
            levels = [float(p[:-1]) / 100 if p.endswith("%") else float(p) / 255 for p in parts[:3]]
            return (*levels, float(parts[3]) if len(parts) > 3 else 1.0)
        return to_rgba(text.replace(" ", ""))
    except (ValueError, IndexError):
        return to_rgba(fallback)


def colormap(value: Any, *, reverse: bool = False) -> Colormap:
    """A Plotly colour scale, by name or as a list of (position, colour); Viridis when there is none."""
    if isinstance(value, str):
        from plotly.colors import get_colorscale

        try:
            value = get_colorscale(value)
        except Exception:  # plotly's own error class for a name that it does not know
            value = None
    if not value:
        from plotly.colors import get_colorscale

        value = get_colorscale("Viridis")
    stops = [(min(max(float(position), 0.0), 1.0), color(shade, "#888888")) for position, shade in value]
    stops = [(0.0, stops[0][1]), *stops[1:-1], (1.0, stops[-1][1])] if len(stops) > 1 else [(0.0, stops[0][1])] * 2
    made = LinearSegmentedColormap.from_list("scale", stops)
    return made.reversed() if reverse else made


_TAG = re.compile(r"<[^>]*>")


def text(value: Any) -> str:
    """A Plotly label as plain text: its few HTML tags become lines and super- or subscripts that have a character.

    A label that is one LaTeX formula (`$...$`) stays one, matplotlib sets it.
    """
    if isinstance(value, dict):
        value = value.get("text")
    if value is None:
        return ""
    given = str(value)
    if len(given) > 2 and given.startswith("$") and given.endswith("$") and "$" not in given[1:-1]:
        from matplotlib.mathtext import MathTextParser

        try:
            MathTextParser("path").parse(given)
            return given
        except ValueError:
            pass
    given = re.sub(r"<br\s*/?>", "\n", given)
    given = re.sub(r"<sup>(.*?)</sup>", lambda m: m[1].translate(_SUPER), given)
    given = re.sub(r"<sub>(.*?)</sub>", lambda m: m[1].translate(_SUB), given)
    return html.unescape(_TAG.sub("", given)).replace("$", r"\$")


_SUPER = str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
_SUB = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
