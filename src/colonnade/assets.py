"""Third-party browser code, taken from the installed packages that carry it; nothing of it is copied into ours."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# The widget that renders MolViewSpec scenes with Mol*, and its styles, are one module and one sheet of ipymolstar.
_FILES = {
    "plotly": ("plotly", "package_data/plotly.min.js", "text/javascript"),
    "molstar": ("ipymolstar", "static/molviewspec.js", "text/javascript"),
    "molstar-style": ("ipymolstar", "static/molviewspec.css", "text/css"),
}


@dataclass(frozen=True)
class Asset:
    """One file for the browser.

    Attributes:
        name: "plotly", "molstar" or "molstar-style", as `static/results.js` asks for it.
    """

    name: str
    path: Path
    media_type: str

    @property
    def packed(self) -> str:
        """The file as gzip in base64, to be carried inside a page."""
        return _packed(self.path)


def asset(name: str) -> Asset | None:
    """Where a file for the browser is installed; None when the package that carries it is not."""
    package, inner, media_type = _FILES[name]
    spec = find_spec(package)  # finds the package without importing it
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / inner
    return Asset(name, path, media_type) if path.is_file() else None


@cache
def _packed(path: Path) -> str:
    return base64.b64encode(gzip.compress(path.read_bytes(), 9, mtime=0)).decode()
