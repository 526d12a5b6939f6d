"""The templates of the pages, and the words that they put numbers and times in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

import colonnade
from colonnade.gateway.forms import RADIO_LIMIT, Bound
from colonnade.gateway.person import ALONE
from colonnade.inputs import LEVELS, Level
from colonnade.render import environment as results_environment

STATIC = "/static"
_ARXIV = re.compile(r"(?:arXiv:)?(\d{4}\.\d{4,5}(?:v\d+)?)", re.IGNORECASE)
_DOI = re.compile(r"(?:doi:)?(10\.\d{4,9}/\S+)", re.IGNORECASE)


@cache
def environment() -> jinja2.Environment:
    """The gateway's own templates over those that show results, which the report uses too."""
    shared = results_environment()
    own = shared.overlay(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader("colonnade.gateway"), shared.loader or jinja2.DictLoader({})]),
        cache_size=100,
    )
    own.filters = shared.filters | {
        "size": decimal_size,
        "binary": binary_size,
        "duration": duration,
        "moment": moment,
        "lowest_level": lowest_level,
        "above": above,
    }
    own.globals = shared.globals | {
        "asset": address,
        "paper": paper,
        "version": colonnade.__version__,
        "radio_limit": RADIO_LIMIT,
    }
    return own


def draw(template: str, **values: Any) -> str:
    """A page."""
    return environment().get_template(template).render({"signed_out": False, "me": ALONE} | values)


@cache
def address(name: str) -> str:
    """The address of a static file of ours; it changes with the content, so that browsers may keep it."""
    for package in ("colonnade.gateway", "colonnade"):
        file = resources.files(package) / "static" / name
        if file.is_file():
            return f"{STATIC}/{quote(name)}?v={hashlib.sha256(file.read_bytes()).hexdigest()[:10]}"
    raise FileNotFoundError(name)


def paper(reference: str) -> Markup:
    """Where a method is published, as a link when the text names an arXiv paper or a DOI."""
    arxiv, doi = _ARXIV.search(reference), _DOI.search(reference)
    if arxiv:
        href = f"https://arxiv.org/abs/{arxiv[1]}"
    elif doi:
        href = f"https://doi.org/{quote(doi[1], safe='/')}"
    else:
        return escape(reference)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(href, reference)


def decimal_size(size: int) -> str:
    """A number of bytes as people say it, e.g. "19 kB"."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"


def binary_size(size: int) -> str:
    """Memory as people say it, e.g. "2 GiB"."""
    value, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.4g} {unit}"


def duration(span: timedelta | float | None) -> str:
    """A time span in its two largest units, e.g. "1 h 5 min"."""
    if span is None:
        return "–"
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds else "0 s"
    left, parts = round(seconds), []
    for name, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def moment(time: datetime | None) -> Markup:
    """A point in time; the script of the page shows it in the reader's own zone."""
    if time is None:
        return Markup("–")
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        utc.isoformat(timespec="seconds"), utc.strftime("%Y-%m-%d %H:%M")
    )


def above(level: Level, allowed: Level) -> bool:
    """Whether a level is higher than the one allowed."""
    return LEVELS.index(level) > LEVELS.index(allowed)


def lowest_level(members: Sequence[Bound]) -> str:
    """The level at which a group of fields has something to show."""
    return min((bound.level for bound in members), key=LEVELS.index)
