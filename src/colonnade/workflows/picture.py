"""A workflow as a drawing: a box for each step, a line from each to what takes its results, coloured by state.

The colours stand on the elements for whoever opens the file; a page with a style sheet of its own overrules them by
class (`wf-step wf-running` ...), so that a strict content policy and a dark theme are served too.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from colonnade.workflows.document import Workflow
from colonnade.workflows.plan import needs, order
from colonnade.workflows.state import StepState

WIDTH, HEIGHT = 210, 66  # of a box
GAP_X, GAP_Y, EDGE = 26, 40, 10
COLORS = {
    "waiting": ("#f3f1ec", "#857c68"),
    "running": ("#e3eef7", "#1d5a86"),
    "succeeded": ("#e8f2ea", "#2a6541"),
    "failed": ("#fbeae7", "#a1261f"),
    "skipped": ("#f3f1ec", "#c4bba7"),
    "cancelled": ("#f3f1ec", "#857c68"),
}
MARKS = {"waiting": "○", "running": "◔", "succeeded": "✓", "failed": "✗", "skipped": "–", "cancelled": "■"}


def states_of(workflow: Workflow) -> list[StepState]:
    """The steps before anything has run, in an order in which they can."""
    from colonnade.errors import UnknownService
    from colonnade.service import get

    found = []
    for name in order(workflow):
        step = workflow.steps[name]
        try:
            title = step.title or get(step.service).title
        except UnknownService:
            title = step.title or step.service
        needed = sorted(needs(step) & set(workflow.steps))
        found.append(StepState(name=name, title=title, service=step.service, mapped=step.mapped, needs=needed))
    return found


def draw(steps: Sequence[StepState], title: str = "Workflow") -> str:
    """The drawing, as SVG.

    Args:
        steps: each behind those that it needs.
        title: what a screen reader calls it.
    """
    places, width, height = _places(steps)
    said = "; ".join(f"{step.name} {step.says}" for step in steps)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wf" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(title)}: {escape(said)}" '
        'font-family="system-ui, sans-serif" font-size="13">'
    ]
    by_name = {step.name: step for step in steps}
    parts += [_line(places[needed], places[step.name], by_name[needed]) for step in steps for needed in step.needs]
    parts += [_box(step, *places[step.name]) for step in steps]
    return "".join([*parts, "</svg>"])


def _places(steps: Sequence[StepState]) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Left upper corners: a layer for each length of the way to a step, the steps of a layer below their sources."""
    layer: dict[str, int] = {}
    for step in steps:
        layer[step.name] = 1 + max((layer[name] for name in step.needs), default=-1)
    layers: list[list[StepState]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for step in steps:
        layers[layer[step.name]].append(step)
    widest = max(len(row) for row in layers)
    width = widest * WIDTH + (widest - 1) * GAP_X + 2 * EDGE
    middle: dict[str, float] = {}
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(layers):
        row.sort(key=lambda step: sum(middle[name] for name in step.needs) / max(len(step.needs), 1))
        left = (width - len(row) * WIDTH - (len(row) - 1) * GAP_X) / 2
        for place, step in enumerate(row):
            x = left + place * (WIDTH + GAP_X)
            places[step.name] = (x, EDGE + number * (HEIGHT + GAP_Y))
            middle[step.name] = x + WIDTH / 2
    return places, width, 2 * EDGE + len(layers) * HEIGHT + (len(layers) - 1) * GAP_Y


def _line(source: tuple[float, float], target: tuple[float, float], of: StepState) -> str:
    x0, y0, x1, y1 = source[0] + WIDTH / 2, source[1] + HEIGHT, target[0] + WIDTH / 2, target[1]
    bend = (y1 - y0) / 2 if y1 - y0 < 2 * HEIGHT else HEIGHT
    way = f"M{x0:g} {y0:g}C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1 - 7:g}"
    colour = COLORS["succeeded"][1] if of.state == "succeeded" else COLORS["waiting"][1]
    done = " wf-done" if of.state == "succeeded" else ""
    head = f"M{x1 - 4.5:g} {y1 - 8:g}L{x1:g} {y1 - 1:g}L{x1 + 4.5:g} {y1 - 8:g}z"
    return (
        f'<path class="wf-line{done}" d="{way}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<path class="wf-head{done}" d="{head}" fill="{colour}"/>'
    )


def _box(step: StepState, x: float, y: float) -> str:
    fill, line = COLORS[step.state]
    shadow = ""
    if step.mapped:  # drawn as a pile
        shadow = (
            f'<rect x="{x + 5:g}" y="{y - 5:g}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{fill}" '
            f'stroke="{line}" stroke-width="1"/>'
        )
    share = (step.done + step.failed) / step.total if step.total and step.state != "succeeded" else 0
    bar = (
        f'<rect class="wf-share" x="{x + 1:g}" y="{y + HEIGHT - 5:g}" width="{share * (WIDTH - 2):g}" height="4" '
        f'fill="{line}"/>'
        if share
        else ""
    )
    return (
        f'<g class="wf-step wf-{step.state}" data-step="{escape(step.name)}">{shadow}'
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{fill}" stroke="{line}" '
        f'stroke-width="1.5"/>{bar}'
        f'<text class="wf-name" x="{x + 12:g}" y="{y + 21:g}" font-weight="600" fill="#1f2328">'
        f"{escape(_short(step.name, 22))}</text>"
        f'<text class="wf-mark" x="{x + WIDTH - 12:g}" y="{y + 21:g}" text-anchor="end" fill="{line}">'
        f"{MARKS[step.state]}</text>"
        f'<text class="wf-title" x="{x + 12:g}" y="{y + 38:g}" font-size="11" fill="#5a5d63">'
        f"{escape(_short(step.title, 33))}</text>"
        f'<text class="wf-says" x="{x + 12:g}" y="{y + 54:g}" font-size="11" fill="{line}">'
        f"{escape(_short(step.says, 33))}</text></g>"
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
