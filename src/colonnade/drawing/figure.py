"""A Plotly figure drawn by matplotlib: where its subplots are, their axes, titles, legends, shapes and notes.

What cannot be drawn is said in the picture, never left out in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateFormatter, ConciseDateFormatter
from matplotlib.figure import Figure

from colonnade.drawing.svg import HEADING, INK
from colonnade.drawing.values import COLORWAY, DASHES, array, color, dates, numbers, text

WIDTH, HEIGHT = 7.2, 4.3  # inches; the page scales it
DPI = 72
_RC: Any = {
    "font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9, "legend.fontsize": 8, "xtick.labelsize": 8,
    "ytick.labelsize": 8, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.titlecolor": INK, "legend.labelcolor": INK, "axes.linewidth": 0.8,
    "lines.linewidth": 1.5, "font.family": "DejaVu Sans", "axes.formatter.use_mathtext": False,
}  # fmt: skip


@dataclass
class Subplot:
    """One pair of axes (or one 3D scene, or one pie) of a figure.

    Attributes:
        categories: by axis ("x", "y"), the categories seen so far in order; empty for numbers and dates.
        labelled: how many of its traces belong in the legend.
        drawn: how many of its traces are drawn.
        stacked: what bars have been piled up, by position, for stacked bars.
    """

    axes: Any
    x: dict[str, Any]
    y: dict[str, Any]
    categories: dict[str, list[str]] = field(default_factory=lambda: {"x": [], "y": []})
    labelled: int = 0
    drawn: int = 0
    stacked: dict[tuple[float, bool], float] = field(default_factory=dict)
    bars: tuple[int, int] = (0, 0)  # how many bar traces stand side by side, how many are drawn

    def coordinates(self, axis: str, values: Any) -> np.ndarray[Any, Any]:
        """Values of a trace along an axis as matplotlib draws them: numbers, dates, or places of categories."""
        given = array(values)
        settings = self.x if axis == "x" else self.y
        kind = settings.get("type")
        if given.dtype != object and kind != "category":
            return given.astype(float)
        if kind in (None, "-", "date") and (times := dates(given)) is not None:
            return times
        if kind in ("linear", "log") or (kind in (None, "-") and not np.isnan(numbers(given)).any()):
            return numbers(given)
        known = self.categories[axis]
        if not known and settings.get("categoryarray") is not None:
            known += [str(item) for item in array(settings["categoryarray"])]
        for item in given:
            if str(item) not in known:
                known.append(str(item))
        return np.array([float(known.index(str(item))) for item in given])


def draw(spec: dict[str, Any], title: str = "") -> Figure:
    """Draw a Plotly specification.

    Args:
        spec: `{"data": [...], "layout": {...}}`.
        title: stands above the drawing when the layout has no title of its own.
    """
    from colonnade.drawing.traces import draw_trace

    layout = spec.get("layout") or {}
    data = [trace for trace in spec.get("data") or [] if trace.get("visible", True) is True]
    missing: list[str] = []
    with mpl.rc_context(_RC):
        figure = Figure(figsize=_size(layout), dpi=DPI)
        subplots = _subplots(figure, layout, data)
        colorway = layout.get("colorway") or COLORWAY
        for index, trace in enumerate(data):
            subplot = subplots[_place(trace)]
            problem = _attempt(draw_trace, subplot, trace, layout, color(colorway[index % len(colorway)], COLORWAY[0]))
            if problem is None:
                subplot.drawn += 1
            else:
                missing.append(problem)
        for place, subplot in subplots.items():
            _finish(subplot, layout)
            if (layout.get(place) or {}).get("aspectmode") == "data" and hasattr(subplot.axes, "zaxis"):
                subplot.axes.set_aspect("equal")
        _decorate(figure, layout, subplots, missing)
        heading = text(layout.get("title"))
        if heading or title:
            top = max((s.axes.get_position().y1 for s in subplots.values()), default=0.9)
            look: Any = {"ha": "center", "va": "bottom", "fontsize": 11, "gid": None if heading else HEADING}
            figure.text(0.5, top + 0.06, heading or text(title), **look)
        if missing or not data:
            figure.text(0.02, -0.02, _confession(missing, bool(data)), ha="left", va="top", fontsize=9, style="italic")
    return figure


def _attempt(function: Any, subplot: Subplot, trace: dict[str, Any], layout: dict[str, Any], shade: Any) -> str | None:
    """Draw one trace; one that cannot be drawn, whatever the reason, is named and does not spoil the rest."""
    kind = str(trace.get("type") or "scatter")
    try:
        return None if function(subplot, trace, layout, shade) else kind
    except Exception:
        return kind


def _confession(missing: list[str], any_data: bool) -> str:
    if not any_data:
        return "The figure holds no data."
    kinds = ", ".join(sorted(set(missing)))
    word = "trace" if len(missing) == 1 else "traces"
    return f"Not in this drawing: {len(missing)} {word} of type {kinds}; the interactive figure shows them."


def _size(layout: dict[str, Any]) -> tuple[float, float]:
    """The figure's own proportions, within what reads well on a page."""
    width, height = layout.get("width"), layout.get("height")
    ratio = HEIGHT / WIDTH
    if isinstance(height, int | float) and height > 0:
        ratio = float(height) / (float(width) if isinstance(width, int | float) and width > 0 else 750.0)
    return WIDTH, WIDTH * min(max(ratio, 0.25), 2.5)


def _place(trace: dict[str, Any]) -> str:
    kind = trace.get("type") or "scatter"
    if kind in ("scatter3d", "surface", "mesh3d"):
        return str(trace.get("scene", "scene"))
    if kind == "pie":
        domain = trace.get("domain") or {}
        return f"pie {domain.get('x', [0, 1])} {domain.get('y', [0, 1])}"
    return f"{trace.get('xaxis', 'x')} {trace.get('yaxis', 'y')}"


def _axis(layout: dict[str, Any], name: str) -> dict[str, Any]:
    """The settings of axis "x", "y2" ... of the layout."""
    return layout.get(f"{name[0]}axis{name[1:]}") or {}


def _subplots(figure: Figure, layout: dict[str, Any], data: list[dict[str, Any]]) -> dict[str, Subplot]:
    places = {_place(trace): trace for trace in data} or {"x y": {}}
    made: dict[str, Subplot] = {}
    shared: dict[str, Axes] = {}
    for place, trace in places.items():
        if place.startswith("scene"):
            scene = layout.get(place) or {}
            domain = scene.get("domain") or {}
            axes: Any = figure.add_axes(_box(domain.get("x"), domain.get("y")), projection="3d")
            for name in "xyz":
                settings = scene.get(f"{name}axis") or {}
                getattr(axes, f"set_{name}label")(text(settings.get("title")) or name)
            made[place] = Subplot(axes, {}, {})
        elif place.startswith("pie"):
            domain = trace.get("domain") or {}
            made[place] = Subplot(figure.add_axes(_box(domain.get("x"), domain.get("y"))), {}, {})
            made[place].axes.set_axis_off()
        else:
            made[place] = _cartesian(figure, layout, place, shared, first=not made)
    _count_bars(made, data, layout)
    return made


def _cartesian(figure: Figure, layout: dict[str, Any], place: str, shared: dict[str, Axes], first: bool) -> Subplot:
    xname, yname = place.split(" ")
    x, y = _axis(layout, xname), _axis(layout, yname)
    over_y, over_x = y.get("overlaying"), x.get("overlaying")
    base_x = _axis(layout, over_x) if over_x else x
    base_y = _axis(layout, over_y) if over_y else y
    axes: Any = figure.add_axes(
        _box(base_x.get("domain"), base_y.get("domain")),
        label=place,
        sharex=shared.get(x.get("matches") or xname),
        sharey=shared.get(y.get("matches") or yname),
    )
    shared.setdefault(x.get("matches") or xname, axes)
    shared.setdefault(y.get("matches") or yname, axes)
    if over_y or y.get("side") == "right":
        axes.yaxis.set_label_position("right")
        axes.yaxis.tick_right()
    if over_x or x.get("side") == "top":
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
    if over_y or over_x:
        axes.patch.set_visible(False)
        axes.xaxis.set_visible(bool(over_x))
    else:
        axes.set_axisbelow(True)
        axes.grid(color=INK, alpha=0.15, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(side == "right" and bool(over_y))
    return Subplot(axes, x, y)


def _box(x: Any, y: Any) -> tuple[float, float, float, float]:
    left, right = x or (0.0, 1.0)
    bottom, top = y or (0.0, 1.0)
    return (0.1 + 0.86 * left, 0.12 + 0.76 * bottom, 0.86 * (right - left), 0.76 * (top - bottom))


def _count_bars(subplots: dict[str, Subplot], data: list[dict[str, Any]], layout: dict[str, Any]) -> None:
    """Bars of several traces stand side by side unless the layout stacks or overlays them."""
    for place, subplot in subplots.items():
        count = sum(1 for trace in data if trace.get("type") in ("bar", "box", "violin") and _place(trace) == place)
        subplot.bars = (count, 0)


def _finish(subplot: Subplot, layout: dict[str, Any]) -> None:
    axes = subplot.axes
    if not subplot.drawn:
        axes.set_axis_off()
    if hasattr(axes, "zaxis") or not axes.axison:
        return
    for name, settings in (("x", subplot.x), ("y", subplot.y)):
        axis = getattr(axes, f"{name}axis")
        if settings.get("visible") is False:
            axis.set_visible(False)
        label = text(settings.get("title"))
        if label:
            getattr(axes, f"set_{name}label")(label)
        categories = subplot.categories[name]
        if categories:
            _name_categories(axes, name, [text(item) for item in categories])
        if settings.get("tickvals") is not None and not categories:
            places = array(settings["tickvals"])
            names = [text(item) for item in settings.get("ticktext") or [f"{place:g}" for place in numbers(places)]]
            getattr(axes, f"set_{name}ticks")(numbers(places), names[: len(places)])
        if settings.get("type") == "log":
            getattr(axes, f"set_{name}scale")("log")
        if isinstance(axis.get_major_formatter(), AutoDateFormatter):
            axis.set_major_formatter(ConciseDateFormatter(axis.get_major_locator()))  # type: ignore[no-untyped-call]
        _limit(axes, name, settings)
        if settings.get("showticklabels") is False:
            axis.set_tick_params(labelbottom=False, labelleft=False, labelright=False, labeltop=False)
        if settings.get("scaleanchor"):
            axes.set_aspect("equal", adjustable="box")
    asked = layout.get("showlegend")
    if asked is not False and (subplot.labelled > 1 or (subplot.labelled and asked)):
        _legend(axes)


def _name_categories(axes: Axes, name: str, categories: list[str]) -> None:
    step = max(1, len(categories) // 40)
    longest = max(len(item) for item in categories)
    tilted = name == "x" and longest * min(len(categories), 40) > 70
    turn: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if tilted else {}
    getattr(axes, f"set_{name}ticks")(range(0, len(categories), step), categories[::step], **turn)


def _limit(axes: Axes, name: str, settings: dict[str, Any]) -> None:
    given = settings.get("range")
    if given is not None and len(given) == 2 and None not in given:
        moments = dates(array(list(given)))
        low, high = moments if moments is not None else numbers(array(list(given)))
        if settings.get("type") == "log":
            low, high = 10.0**low, 10.0**high
        getattr(axes, f"set_{name}lim")(low, high)
    elif settings.get("autorange") == "reversed" and not getattr(axes, f"{name}axis_inverted")():
        getattr(axes, f"invert_{name}axis")()


def _legend(axes: Axes) -> None:
    entries = len(axes.get_legend_handles_labels()[0])
    outside = entries > 6
    legend = axes.legend(
        loc="upper left" if outside else "best",
        bbox_to_anchor=(1.01, 1.0) if outside else None,
        frameon=False,
        ncols=1 + entries // 24,
    )
    legend.set_in_layout(True)


def _decorate(figure: Figure, layout: dict[str, Any], subplots: dict[str, Subplot], missing: list[str]) -> None:
    """Lines, rectangles and notes that the layout lays over the plots."""
    for shape in layout.get("shapes") or []:
        try:
            if not _shape(shape, subplots):
                missing.append(f"shape ({shape.get('type')})")
        except Exception:
            missing.append(f"shape ({shape.get('type')})")
    for note in layout.get("annotations") or []:
        try:
            _annotate(figure, note, subplots)
        except Exception:
            missing.append("annotation")


def _target(item: dict[str, Any], subplots: dict[str, Subplot]) -> tuple[Subplot, str, str] | None:
    """The subplot that an item's references name, and how its x and y are meant: "data" or "axes"."""
    xref, yref = str(item.get("xref") or "x"), str(item.get("yref") or "y")
    for place, subplot in subplots.items():
        names = place.split(" ")
        fits = len(names) == 2 and all(
            ref.removesuffix(" domain") in (name, "paper") for ref, name in zip((xref, yref), names, strict=True)
        )
        if fits:
            how_x, how_y = ("axes" if ref == "paper" or ref.endswith(" domain") else "data" for ref in (xref, yref))
            return subplot, how_x, how_y
    return None


def _shape(shape: dict[str, Any], subplots: dict[str, Subplot]) -> bool:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Ellipse, Rectangle
    from matplotlib.transforms import blended_transform_factory

    found = _target(shape, subplots)
    if found is None:
        return False
    subplot, how_x, how_y = found
    axes = subplot.axes
    across = axes.transData if how_x == "data" else axes.transAxes
    along = axes.transData if how_y == "data" else axes.transAxes
    where = across if across is along else blended_transform_factory(across, along)
    ends = [
        subplot.coordinates(name, [shape[f"{name}{end}"]])[0] if how == "data" else float(shape[f"{name}{end}"])
        for end in (0, 1)
        for name, how in (("x", how_x), ("y", how_y))
    ]
    x0, y0, x1, y1 = ends
    line = shape.get("line") or {}
    look = {"linewidth": float(line.get("width", 2)) * 0.75, "linestyle": DASHES.get(line.get("dash", "solid"), "-")}
    edge = color(line.get("color"), INK)
    opacity = shape.get("opacity", 1.0)
    if shape.get("type") == "line":
        axes.add_line(Line2D([x0, x1], [y0, y1], color=edge, alpha=opacity, transform=where, **look))
    elif shape.get("type") in ("rect", "circle"):
        fill = color(shape.get("fillcolor"), (0, 0, 0, 0))
        fill = (*fill[:3], fill[3] * opacity)
        if shape["type"] == "rect":
            patch: Any = Rectangle((x0, y0), x1 - x0, y1 - y0, facecolor=fill, edgecolor=edge, transform=where, **look)
        else:
            middle = (x0 + (x1 - x0) / 2, y0 + (y1 - y0) / 2)
            patch = Ellipse(middle, x1 - x0, y1 - y0, facecolor=fill, edgecolor=edge, transform=where, **look)
        axes.add_patch(patch)
    else:
        return False
    return True


def _annotate(figure: Figure, note: dict[str, Any], subplots: dict[str, Subplot]) -> None:
    said = text(note.get("text"))
    if not said:
        return
    shade = color((note.get("font") or {}).get("color"), INK)
    ha = {"left": "left", "right": "right"}.get(note.get("xanchor", ""), "center")
    va = {"top": "top", "bottom": "bottom"}.get(note.get("yanchor", ""), "center")
    if note.get("xref") == "paper" and note.get("yref") == "paper":
        left, bottom, width, height = _box(None, None)
        figure.text(left + width * note["x"], bottom + height * note["y"], said, ha=ha, va=va, color=shade)
        return
    found = _target(note, subplots)
    if found is None:
        raise ValueError("the note refers to no subplot")
    subplot, how_x, how_y = found
    x, y = (
        subplot.coordinates(name, [note[name]])[0] if how == "data" else float(note[name])
        for name, how in (("x", how_x), ("y", how_y))
    )
    frames = tuple("data" if how == "data" else "axes fraction" for how in (how_x, how_y))
    arrow = note.get("showarrow", True)
    away = (float(note.get("ax", -10)) * 0.75, -float(note.get("ay", -30)) * 0.75) if arrow else (0.0, 0.0)
    subplot.axes.annotate(
        said, (x, y), xycoords=frames, xytext=away, textcoords="offset points", ha=ha, va=va, color=shade, fontsize=8,
        arrowprops={"arrowstyle": "->", "color": shade} if arrow else None,
    )  # fmt: skip
