"""Which route a request was answered by."""

from __future__ import annotations

from starlette.types import Scope


def route_of(scope: Scope) -> str:
    """The template of a request's path: paths themselves may hold secrets, and there is no end of them."""
    return str(getattr(scope.get("route"), "path", "")) or "other"
