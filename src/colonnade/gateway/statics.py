"""Style sheets and scripts: our own, and those that installed packages carry. Nothing is loaded from elsewhere."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from colonnade.assets import asset
from colonnade.gateway.access import CONTENT_POLICY
from colonnade.gateway.downloads import inside
from colonnade.gateway.templating import draw

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_KEEP = "public, max-age=31536000, immutable"

# The structure viewer compiles functions from text, which no page of ours may. It runs in a frame of its own that
# has no origin, no cookie and no way to the network: the page hands it the structure, and it can hand nothing back.
# Mol* sets styles inline, too.
VIEWER_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src data: blob:; connect-src blob: data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

router = APIRouter(prefix="/static", include_in_schema=False)


@router.get("/viewer")
def viewer() -> Response:
    """The frame that shows molecular structures."""
    headers = {"content-security-policy": VIEWER_POLICY, "x-frame-options": "SAMEORIGIN", "cache-control": "no-cache"}
    return Response(draw("viewer.html"), media_type="text/html", headers=headers)


@router.get("/packages/{name}")
def package_file(name: str) -> Response:
    """A script or style sheet of an installed package: "plotly", "molstar", "molstar-style"."""
    try:
        found = asset(name)
    except KeyError:
        found = None
    if found is None:
        raise HTTPException(404, "No installed package carries that file.")
    return _file(found.path, found.media_type, _KEEP)


@router.get("/{name}")
def own_file(request: Request, name: str) -> Response:
    """A style sheet, script or drawing of ours."""
    for package in ("colonnade.gateway", "colonnade"):
        path = inside(Path(str(resources.files(package))) / "static", name)
        if path is not None and path.suffix in _TYPES:
            return _file(path, _TYPES[path.suffix], _KEEP if "v" in request.query_params else "no-cache")
    raise HTTPException(404, "There is no such file.")


def _file(path: Path, media_type: str, cache_control: str) -> FileResponse:
    # The viewer's frame has no origin, and so asks for its scripts as a stranger; they hold no secret.
    headers = {
        "cache-control": cache_control,
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "content-security-policy": CONTENT_POLICY,
    }
    return FileResponse(path, media_type=media_type, headers=headers)
