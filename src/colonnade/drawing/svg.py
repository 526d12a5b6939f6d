"""matplotlib's SVG made fit for a page: no style attributes (a strict page refuses them), unique ids, page colours."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import matplotlib as mpl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Axes and labels are drawn in this shade, which no trace happens to have; inside a page its text colour replaces it.
INK = "#1d2431"
_PAPER = "paper"
HEADING = "heading"  # a title that a page shows above the drawing anyway
_SVG = "http://www.w3.org/2000/svg"
_REFERENCES = ("{http://www.w3.org/1999/xlink}href", "href")
_FONT = "system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif"
_RC: Any = {"svg.fonttype": "none", "svg.hashsalt": "colonnade", "axes.unicode_minus": True}


def standalone(figure: Figure) -> str:
    """A drawing as a file of its own: dark ink on white, the same bytes for the same figure."""
    stream = io.BytesIO()
    with mpl.rc_context(_RC):
        figure.savefig(
            stream, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.1,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )  # fmt: skip
    root = ElementTree.fromstring(stream.getvalue())
    _strip(root)
    for element in root.iter():
        _attributes(element)
    box = root.get("viewBox", "0 0 1 1").split()
    paper = {"width": box[2], "height": box[3], "fill": "#ffffff", "class": _PAPER}
    root.insert(0, ElementTree.Element(f"{{{_SVG}}}rect", paper))
    root.set("font-family", _FONT)
    root.set("stroke-linejoin", "round")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + _written(root)


def inline(svg: str, anchor: str) -> str:
    """A `standalone` drawing as markup of a page: no size or paper of its own, ink in the page's text colour."""
    root = ElementTree.fromstring(svg.encode())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("class") == _PAPER or child.get("id") == HEADING:
                parent.remove(child)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    for element in root.iter():
        for name in ("fill", "stroke"):
            if element.get(name) == INK:
                element.set(name, "currentColor")
    _rename(root, f"{anchor}-")
    return _written(root)


def _written(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ElementTree.tostring(root, encoding="unicode")


def _strip(root: ElementTree.Element) -> None:
    """Drop metadata and style sheets; what they say is set on the elements."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)


def _attributes(element: ElementTree.Element) -> None:
    style = element.attrib.pop("style", "")
    for part in style.split(";"):
        name, _, value = (piece.strip() for piece in part.partition(":"))
        if name == "font":
            size = re.search(r"([\d.]+)px", value)
            if size:
                element.set("font-size", size[1])
            for word, attribute in (("italic", "font-style"), ("bold", "font-weight")):
                if word in value:
                    element.set(attribute, word)
        elif name and name not in ("font-family", "white-space"):
            element.set(name, value)


def _rename(root: ElementTree.Element, prefix: str) -> None:
    """Keep only the ids that something in the drawing refers to, and make them the drawing's own."""
    used: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in _REFERENCES:
                used.add(value.removeprefix("#"))
            used.update(re.findall(r"url\(#([^)]+)\)", value))
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in used:
            element.set("id", prefix + str(identity))
        for name, value in list(element.attrib.items()):
            if name in _REFERENCES and value.startswith("#"):
                element.set(name, f"#{prefix}{value[1:]}")
            elif "url(#" in value:
                element.set(name, value.replace("url(#", f"url(#{prefix}"))
