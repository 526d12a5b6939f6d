"""Each type of Plotly trace that a static drawing shows, drawn on matplotlib's axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from colonnade.drawing.svg import INK
from colonnade.drawing.values import COLORWAY, DASHES, MARKERS, array, color, colormap, numbers, text

if TYPE_CHECKING:
    from colonnade.drawing.figure import Subplot

MAX_LABELS = 400  # texts of one trace; more would be a smear
Trace = dict[str, Any]


def draw_trace(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> bool:
    """Draw one trace; False when its type is not among those drawn here.

    Args:
        subplot: where.
        trace: one item of a specification's `data`.
        layout: the specification's layout.
        shade: the colour of a trace that names none.
    """
    draw = _TYPES.get(str(trace.get("type") or "scatter"))
    if draw is None:
        return False
    draw(subplot, trace, layout, shade)
    return True


def _label(subplot: Subplot, trace: Trace) -> str | None:
    if trace.get("showlegend") is False or not trace.get("name"):
        return None
    subplot.labelled += 1
    return text(trace["name"])


def _opacity(trace: Trace, shade: Any) -> Any:
    return (*shade[:3], shade[3] * float(trace.get("opacity", 1.0)))


def _errors(trace: Trace, axis: str) -> Any:
    """Lengths of error bars as matplotlib takes them, or None."""
    given = trace.get(f"error_{axis}") or {}
    if not given or given.get("visible") is False:
        return None
    size = len(array(trace.get("y" if axis == "y" else "x")))
    if given.get("type") in ("constant", "percent"):
        value = float(given.get("value", 10))
        values = numbers(array(trace.get(axis)))
        up = np.full(size, value) if given["type"] == "constant" else np.abs(values) * value / 100
    elif given.get("array") is None:
        return None
    else:
        up = numbers(array(given["array"]))
    down = numbers(array(given["arrayminus"])) if given.get("arrayminus") is not None else up
    return np.nan_to_num(np.abs(np.stack([down[:size], up[:size]])))


def _scale(settings: dict[str, Any], values: np.ndarray[Any, Any], prefix: str = "c") -> tuple[Any, Any]:
    """Colour map and range of a coloured trace."""
    low, high = settings.get(f"{prefix}min"), settings.get(f"{prefix}max")
    finite = values[np.isfinite(values)]
    low = float(low) if low is not None else float(finite.min()) if finite.size else 0.0
    high = float(high) if high is not None else float(finite.max()) if finite.size else 1.0
    middle = settings.get(f"{prefix}mid")
    if middle is not None:
        reach = max(abs(low - float(middle)), abs(high - float(middle)))
        low, high = float(middle) - reach, float(middle) + reach
    return colormap(settings.get("colorscale"), reverse=bool(settings.get("reversescale"))), Normalize(low, high)


def _colored(trace: Trace, settings: dict[str, Any], layout: dict[str, Any]) -> dict[str, Any]:
    """Settings of a colour scale, with those of the shared colour axis that the trace may refer to."""
    name = settings.get("coloraxis") or trace.get("coloraxis")
    return {**settings, **(layout.get(str(name)) or {})} if name else settings


def _colorbar(subplot: Subplot, drawn: Any, settings: dict[str, Any], shown: bool) -> None:
    if not shown:
        return
    bar = subplot.axes.figure.colorbar(drawn, ax=subplot.axes, fraction=0.05, pad=0.03)
    bar.outline.set_visible(False)
    label = text((settings.get("colorbar") or {}).get("title"))
    if label:
        bar.set_label(label)


def _scatter(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    given_x, given_y = trace.get("x"), trace.get("y")
    y = subplot.coordinates("y", given_y if given_y is not None else list(range(len(array(given_x)))))
    x = subplot.coordinates("x", given_x) if given_x is not None else np.arange(float(len(y)))
    size = min(len(x), len(y))
    x, y = x[:size], y[:size]
    mode = trace.get("mode") or ("lines+markers" if size < 20 else "lines")
    line, marker = trace.get("line") or {}, trace.get("marker") or {}
    axes = subplot.axes
    single = marker.get("color") if isinstance(marker.get("color"), str) else None
    main = _opacity(trace, color(line.get("color") if "lines" in mode else single, color(single, shade)))
    label = _label(subplot, trace)
    if trace.get("fill") not in (None, "none"):
        area = _fill(axes, trace, (x, y), color(trace.get("fillcolor"), (*main[:3], 0.4 * main[3])))
        if mode == "none" or line.get("width") == 0:  # the area is all that is seen of it
            area.set_label(label)
            label = None
    if "lines" in mode:
        style = DASHES.get(str(line.get("dash", "solid")), "-")
        steps = {"hv": "steps-post", "vh": "steps-pre", "hvh": "steps-mid"}.get(str(line.get("shape")), "default")
        axes.plot(
            x, y, color=main, linestyle=style, linewidth=float(line.get("width", 2)) * 0.75, drawstyle=steps,
            label=label if "markers" not in mode else None,
        )  # fmt: skip
    if "markers" in mode:
        shade = main if single is None else _opacity(trace, color(single, shade))
        _markers(subplot, trace, layout, (x, y), {"shade": shade, "label": label})
    elif "lines" not in mode and label:
        axes.plot([], [], color=main, label=label)
    bars = {f"{name}err": _errors(trace, name) for name in "xy"}
    if any(value is not None for value in bars.values()):
        look = trace.get("error_y") or trace.get("error_x") or {}
        axes.errorbar(x, y, **bars, fmt="none", ecolor=color(look.get("color"), main), elinewidth=1.0, capsize=2.5)
    if "text" in mode and trace.get("text") is not None:
        _texts(axes, trace, x, y)


def _fill(axes: Any, trace: Trace, at: tuple[Any, Any], shade: Any) -> Any:
    """The area under a curve; between a curve and the one before it, the area between the two."""
    (x, y), kind = at, trace["fill"]
    if kind == "toself":
        return axes.fill(x, y, color=shade, linewidth=0)[0]
    if kind in ("tozerox", "tonextx"):
        return axes.fill_betweenx(y, x, 0, color=shade, linewidth=0)
    if kind == "tonexty" and axes.lines and len(axes.lines[-1].get_xdata()) == len(x):
        return axes.fill_between(x, y, np.asarray(axes.lines[-1].get_ydata()), color=shade, linewidth=0)
    return axes.fill_between(x, y, 0, color=shade, linewidth=0)


def _markers(subplot: Subplot, trace: Trace, layout: dict[str, Any], at: tuple[Any, Any], look: dict[str, Any]) -> None:
    marker = trace.get("marker") or {}
    symbol = marker.get("symbol", "circle")
    name = str(symbol[0] if isinstance(symbol, list) and symbol else symbol)
    shape = MARKERS.get(name.removesuffix("-open").removesuffix("-dot"), "o")
    sizes = numbers(array(marker.get("size", 6)))
    if marker.get("sizemode") == "area":
        sizes = np.sqrt(np.abs(sizes)) * 1.1
    areas = (sizes / float(marker.get("sizeref") or 1.0) * 0.75) ** 2
    edge, shade = marker.get("line") or {}, look.pop("shade")
    rim = color(edge.get("color") if isinstance(edge.get("color"), str) else None, shade)
    look |= {"marker": shape, "s": areas if len(areas) == len(at[0]) else float(areas[0])}
    look["linewidths"] = float(edge.get("width") or 0) * 0.75
    given = marker.get("color")
    if given is None or isinstance(given, str):
        face: Any = "none" if name.endswith("-open") else _opacity(marker, shade)
        width = max(look.pop("linewidths"), 1.0 if name.endswith("-open") else 0.0)
        subplot.axes.scatter(*at, c=[face] if face != "none" else "none", edgecolors=[rim], linewidths=width, **look)
        return
    values = array(given)
    if values.dtype == object:
        subplot.axes.scatter(*at, c=[color(item, shade) for item in values][: len(at[0])], **look)
        return
    settings = _colored(trace, marker, layout)
    scale, span = _scale(settings, values)
    drawn = subplot.axes.scatter(*at, c=values[: len(at[0])], cmap=scale, norm=span, **look)
    asked = marker.get("showscale") or marker.get("colorbar") or settings is not marker
    _colorbar(subplot, drawn, settings, bool(asked))


def _texts(axes: Any, trace: Trace, x: Any, y: Any) -> None:
    given = trace["text"]
    said = [str(given)] * len(x) if isinstance(given, str) else [str(item) for item in array(given)]
    where = str(trace.get("textposition", "middle center"))
    up = 4 if "top" in where else -4 if "bottom" in where else 0
    ha = "right" if "left" in where else "left" if "right" in where else "center"
    va = "bottom" if up > 0 else "top" if up < 0 else "center"
    for place_x, place_y, words in list(zip(x, y, said, strict=False))[:MAX_LABELS]:
        axes.annotate(text(words), (place_x, place_y), (0, up), textcoords="offset points", ha=ha, va=va, fontsize=7)


def _bar(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    flat = trace.get("orientation") == "h"
    places = subplot.coordinates("y" if flat else "x", trace.get("y" if flat else "x"))
    lengths = numbers(array(trace.get("x" if flat else "y")))
    if not len(places):
        places = np.arange(float(len(lengths)))
    if places.dtype.kind == "M":
        from matplotlib.dates import date2num

        (subplot.axes.yaxis if flat else subplot.axes.xaxis).axis_date()
        places = np.asarray(date2num(places))  # type: ignore[no-untyped-call]
    size = min(len(places), len(lengths))
    places, lengths = places[:size].astype(float), lengths[:size]
    gap = np.diff(np.unique(places)).min() if len(np.unique(places)) > 1 else 1.0
    width, mode = 0.8 * gap, layout.get("barmode", "group")
    base = np.zeros(size)
    if mode in ("stack", "relative"):
        for index, (place, length) in enumerate(zip(places, lengths, strict=True)):
            key = (float(place), length < 0)
            base[index] = subplot.stacked.get(key, 0.0)
            subplot.stacked[key] = base[index] + (0.0 if np.isnan(length) else float(length))
    elif mode == "group":
        count, done = subplot.bars
        width /= max(count, 1)
        places = places + (done - (count - 1) / 2) * width
        subplot.bars = (count, done + 1)
    if trace.get("base") is not None:
        base = base + numbers(array(trace["base"]))[:size]
    given = (trace.get("marker") or {}).get("color")
    faces: Any = _opacity(trace, color(given, shade))
    if given is not None and not isinstance(given, str):
        values = array(given)
        scale, span = _scale(_colored(trace, trace["marker"], layout), numbers(values))
        faces = [color(item, shade) for item in values] if values.dtype == object else scale(span(values))
    look = {"color": faces, "label": _label(subplot, trace), "linewidth": 0}
    bars = {f"{name}err": _errors(trace, name) for name in "xy"}
    bars = {name: value for name, value in bars.items() if value is not None}
    if bars:
        look |= bars | {"ecolor": INK, "capsize": 2.5}
    if flat:
        drawn = subplot.axes.barh(places, lengths, height=width, left=base, **look)
    else:
        drawn = subplot.axes.bar(places, lengths, width=width, bottom=base, **look)
    if trace.get("text") is not None and size <= MAX_LABELS:
        given_text = trace["text"]
        words = [given_text] * size if isinstance(given_text, str) else list(array(given_text))
        subplot.axes.bar_label(drawn, [text(word) for word in words[:size]], fontsize=7, padding=1)


def _histogram(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    flat = trace.get("x") is None
    name = "y" if flat else "x"
    values = subplot.coordinates(name, trace.get(name))
    if values.dtype.kind != "M":
        values = values[np.isfinite(values)]
    bins = trace.get(f"{name}bins") or {}
    edges: Any = trace.get(f"nbins{name}") or "auto"
    if subplot.categories[name]:
        edges = np.arange(len(subplot.categories[name]) + 1) - 0.5
    elif bins.get("size") and values.dtype.kind != "M":
        start = float(bins.get("start", values.min()))
        edges = np.arange(start, float(bins.get("end", values.max())) + float(bins["size"]), float(bins["size"]))
    weight = None
    if trace.get("histnorm") in ("percent", "probability") and len(values):
        weight = np.full(len(values), (100.0 if trace["histnorm"] == "percent" else 1.0) / len(values))
    subplot.axes.hist(
        values, bins=edges, density="density" in str(trace.get("histnorm", "")), weights=weight,
        cumulative=bool((trace.get("cumulative") or {}).get("enabled")),
        orientation="horizontal" if flat else "vertical",
        color=_opacity(trace, color((trace.get("marker") or {}).get("color"), shade)), label=_label(subplot, trace),
    )  # fmt: skip


def _grid(subplot: Subplot, trace: Trace) -> tuple[Any, Any, Any]:
    z = array(trace.get("z")).astype(float)
    if trace.get("transpose"):
        z = z.T
    axes = []
    for name, size in (("x", z.shape[1]), ("y", z.shape[0])):
        if trace.get(name) is None:
            start, step = float(trace.get(f"{name}0", 0)), float(trace.get(f"d{name}", 1))
            axes.append(start + step * np.arange(size))
        else:
            axes.append(subplot.coordinates(name, trace[name]))
    return axes[0], axes[1], z


def _edges(centers: Any, size: int) -> Any:
    """Cell edges of a heatmap whose cells are given by their centres (or, one more than cells, by their edges)."""
    if centers.dtype.kind == "M":
        from matplotlib.dates import date2num

        centers = np.asarray(date2num(centers))  # type: ignore[no-untyped-call]
    if len(centers) == size + 1:
        return centers
    if len(centers) == 1:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    middle = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middle[0]], middle, [2 * centers[-1] - middle[-1]]])


def _heatmap(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    x, y, z = _grid(subplot, trace)
    settings = _colored(trace, trace, layout)
    scale, span = _scale(settings, z, "c" if settings is not trace else "z")
    edges = (_edges(x, z.shape[1]), _edges(y, z.shape[0]))
    # A picture of the cells inside the drawing: thousands of vector rectangles would weigh megabytes.
    drawn = subplot.axes.pcolormesh(*edges, z, cmap=scale, norm=span, rasterized=z.size > 400, linewidth=0)
    subplot.axes.grid(False)
    _colorbar(subplot, drawn, settings, settings.get("showscale") is not False)
    if trace.get("texttemplate") and z.size <= MAX_LABELS and x.dtype.kind != "M":
        given = trace.get("text")
        for row in range(z.shape[0]):
            for column in range(z.shape[1]):
                words = given[row][column] if isinstance(given, list) else f"{z[row, column]:.3g}"
                bright = np.dot(scale(span(z[row, column]))[:3], (0.299, 0.587, 0.114)) > 0.55
                subplot.axes.text(
                    x[column], y[row], text(words), ha="center", va="center", fontsize=7,
                    color="black" if bright else "white",
                )  # fmt: skip


def _contour(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    x, y, z = _grid(subplot, trace)
    settings = _colored(trace, trace, layout)
    scale, span = _scale(settings, z, "c" if settings is not trace else "z")
    given = trace.get("contours") or {}
    levels: Any = int(trace.get("ncontours") or 15)
    if given.get("size") and given.get("start") is not None and given.get("end") is not None:
        levels = np.arange(float(given["start"]), float(given["end"]) + float(given["size"]) / 2, float(given["size"]))
    if given.get("coloring") == "lines":
        drawn: Any = subplot.axes.contour(x, y, z, levels=levels, cmap=scale, norm=span)
    else:
        drawn = subplot.axes.contourf(x, y, z, levels=levels, cmap=scale, norm=span, extend="both")
    _colorbar(subplot, drawn, settings, settings.get("showscale") is not False)


def _groups(subplot: Subplot, trace: Trace, layout: dict[str, Any]) -> tuple[list[Any], list[float], float, bool]:
    """Samples of a box or violin trace by their place, the width of each, and whether they lie flat."""
    flat = trace.get("orientation") == "h" or (trace.get("y") is None and trace.get("x") is not None)
    values, by = (trace.get("x"), trace.get("y")) if flat else (trace.get("y"), trace.get("x"))
    samples = numbers(array(values))
    axis = "y" if flat else "x"
    count, done = subplot.bars
    side = layout.get("boxmode" if trace.get("type") == "box" else "violinmode") == "group" and by is not None
    subplot.bars = (count, done + 1)
    if by is None:
        name = str(trace.get("name") or f"trace {done}")
        places = np.repeat(subplot.coordinates(axis, [name]) if trace.get("name") else [float(done)], len(samples))
    else:
        places = subplot.coordinates(axis, by).astype(float)
    shift = (done - (count - 1) / 2) * 0.7 / max(count, 1) if side else 0.0
    sets = [samples[(places == place) & np.isfinite(samples)] for place in np.unique(places)]
    kept = [(group, float(place)) for group, place in zip(sets, np.unique(places), strict=True) if len(group)]
    width = 0.6 / max(count, 1) if side else 0.6
    return [group for group, _ in kept], [place + shift for _, place in kept], width, flat


def _box(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    main = color((trace.get("line") or {}).get("color"), color((trace.get("marker") or {}).get("color"), shade))
    look: dict[str, Any] = {
        "patch_artist": True, "manage_ticks": False, "boxprops": {"facecolor": (*main[:3], 0.4), "edgecolor": main},
        "medianprops": {"color": main}, "whiskerprops": {"color": main}, "capprops": {"color": main},
        "flierprops": {"marker": "o", "markersize": 3, "markerfacecolor": main, "markeredgecolor": main},
    }  # fmt: skip
    if trace.get("median") is not None:  # the quartiles are given instead of the samples
        parts = {name: numbers(array(trace.get(name))) for name in ("q1", "median", "q3", "lowerfence", "upperfence")}
        given = trace.get("x")
        at: Any = np.arange(len(parts["median"])) if given is None else subplot.coordinates("x", given)
        stats = [
            {
                "q1": parts["q1"][i], "med": parts["median"][i], "q3": parts["q3"][i], "fliers": [],
                "whislo": parts["lowerfence"][i] if len(parts["lowerfence"]) else parts["q1"][i],
                "whishi": parts["upperfence"][i] if len(parts["upperfence"]) else parts["q3"][i],
            }
            for i in range(len(parts["median"]))
        ]  # fmt: skip
        drawn = subplot.axes.bxp(stats, positions=at, widths=0.6, showfliers=False, **look)
    else:
        groups, places, width, flat = _groups(subplot, trace, layout)
        drawn = subplot.axes.boxplot(
            groups, positions=places, widths=width, orientation="horizontal" if flat else "vertical", **look
        )
    if trace.get("name") and not subplot.categories["x"] + subplot.categories["y"]:
        drawn["boxes"][0].set_label(_label(subplot, trace))


def _violin(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    main = color((trace.get("line") or {}).get("color"), shade)
    groups, places, width, flat = _groups(subplot, trace, layout)
    drawn = subplot.axes.violinplot(
        groups, positions=places, widths=width, showmedians=True, orientation="horizontal" if flat else "vertical"
    )
    for body in drawn["bodies"]:
        body.set(facecolor=(*main[:3], 0.4), edgecolor=main, alpha=None)
    for name in ("cmins", "cmaxes", "cbars", "cmedians"):
        drawn[name].set(color=main, linewidth=1.0)


def _pie(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    values = numbers(array(trace.get("values")))
    names = [text(item) for item in array(trace.get("labels"))] or [str(index) for index in range(len(values))]
    given = (trace.get("marker") or {}).get("colors")
    shades = list(array(given)) if given is not None else []
    faces = [color(shades[i] if i < len(shades) else None, COLORWAY[i % len(COLORWAY)]) for i in range(len(values))]
    hole = float(trace.get("hole") or 0)
    subplot.axes.pie(
        values, labels=names, colors=faces, autopct="%.1f%%", startangle=90, counterclock=False,
        wedgeprops={"width": 1 - hole} if hole else {}, textprops={"color": INK, "fontsize": 8},
    )  # fmt: skip


def _scatter3d(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    at = [numbers(array(trace.get(name))) for name in "xyz"]
    mode = trace.get("mode") or "lines+markers"
    line, marker = trace.get("line") or {}, trace.get("marker") or {}
    label = _label(subplot, trace)
    if "lines" in mode:
        subplot.axes.plot(*at, color=color(line.get("color"), shade), linewidth=1.2, label=label)
        label = None
    if "markers" in mode:
        given = marker.get("color")
        look = {"s": 8.0, "label": label, "linewidths": 0}
        if given is None or isinstance(given, str):
            subplot.axes.scatter(*at, color=[color(given, shade)], **look)
        else:
            values = numbers(array(given))
            scale, span = _scale(_colored(trace, marker, layout), values)
            drawn = subplot.axes.scatter(*at, c=values, cmap=scale, norm=span, **look)
            _colorbar(subplot, drawn, marker, bool(marker.get("showscale") or marker.get("colorbar")))


def _surface(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    z = array(trace.get("z")).astype(float)
    x = array(trace["x"]) if trace.get("x") is not None else np.arange(z.shape[1])
    y = array(trace["y"]) if trace.get("y") is not None else np.arange(z.shape[0])
    if x.ndim == 1:
        x, y = np.meshgrid(x, y)
    scale, span = _scale(_colored(trace, trace, layout), z)
    drawn = subplot.axes.plot_surface(x, y, z, cmap=scale, norm=span, rasterized=True, linewidth=0)
    _colorbar(subplot, drawn, trace, trace.get("showscale") is not False)


def _mesh3d(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    """Triangles named by i, j, k; a mesh that leaves them to the browser (a hull) is drawn as its points."""
    at = [numbers(array(trace.get(name))) for name in "xyz"]
    if any(trace.get(name) is None for name in "ijk"):
        subplot.axes.scatter(*at, s=4.0, linewidths=0, color=[color(trace.get("color"), shade)])
        return
    corners = np.stack([array(trace[name]).astype(int) for name in "ijk"], axis=1)
    given = trace.get("facecolor")
    faces = [color(item, shade) for item in array(given)] if given is not None else [color(trace.get("color"), shade)]
    opacity = trace.get("opacity")
    drawn = Poly3DCollection(np.stack(at, axis=1)[corners], facecolors=faces, alpha=opacity, linewidths=0)
    subplot.axes.add_collection3d(drawn)
    subplot.axes.auto_scale_xyz(*at)


def _histogram2d(subplot: Subplot, trace: Trace, layout: dict[str, Any], shade: Any) -> None:
    x, y = (subplot.coordinates(name, trace.get(name)) for name in "xy")
    bins = [int(trace.get(f"nbins{name}") or 30) for name in "xy"]
    counts, across, along = np.histogram2d(x, y, bins=bins)
    scale, span = _scale(_colored(trace, trace, layout), counts)
    drawn = subplot.axes.pcolormesh(across, along, counts.T, cmap=scale, norm=span, rasterized=True)
    _colorbar(subplot, drawn, trace, trace.get("showscale") is not False)


_TYPES: dict[str, Callable[[Subplot, Trace, dict[str, Any], Any], None]] = {
    "scatter": _scatter,
    "scattergl": _scatter,
    "bar": _bar,
    "histogram": _histogram,
    "histogram2d": _histogram2d,
    "heatmap": _heatmap,
    "contour": _contour,
    "box": _box,
    "violin": _violin,
    "pie": _pie,
    "scatter3d": _scatter3d,
    "surface": _surface,
    "mesh3d": _mesh3d,
}
