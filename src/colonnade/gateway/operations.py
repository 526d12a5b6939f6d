"""What operators and their programs ask: is it alive, can it work, and the statistics as a table."""

from __future__ import annotations

import csv
import io

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from colonnade.gateway.api import Behind
from colonnade.gateway.me import Me
from colonnade.gateway.store import Forbidden, Unavailable

YEAR = 365.25 * 86_400

router = APIRouter(include_in_schema=False)


@router.get("/health/live")
def live() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "live"})


@router.get("/health/ready")
def ready(gateway: Behind) -> JSONResponse:
    """The database answers and the engine has cores: 200; otherwise 503, and a proxy asks another gateway."""
    try:
        engine = str(gateway.health()["engine"])
    except Unavailable:
        return JSONResponse({"status": "not ready", "reason": "the database cannot be used"}, 503)
    if engine != "ready":
        return JSONResponse({"status": "not ready", "reason": f"the engine is {engine}"}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/api/v1/metrics")
def metrics(request: Request, me: Me) -> Response:
    """What Prometheus reads; for operators."""
    if not me.operator:
        raise Forbidden("Only an operator may read the metrics.")
    found = getattr(request.app.state, "metrics", None)
    if found is None:
        raise HTTPException(404, "This gateway keeps no metrics; COLONNADE_METRICS=true switches them on.")
    return Response(found.text(), media_type="text/plain; version=0.0.4")


@router.get("/usage/communities.csv")
def communities_csv(gateway: Behind) -> Response:
    """Jobs and CPU time by month and community; small communities are gathered, so that nobody is recognised."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["month", "community", "jobs", "cpu_seconds", "cpu_years"])
    for line in gateway.communities():
        years = f"{line.cpu_seconds / YEAR:.9f}"
        table.writerow([line.month, _no_formula(line.community), line.jobs, f"{line.cpu_seconds:.3f}", years])
    headers = {"content-disposition": 'attachment; filename="communities.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def _no_formula(text: str) -> str:
    """People name their communities: no spreadsheet shall take a name for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


@router.get("/usage.csv")
def usage_csv(gateway: Behind) -> Response:
    """Jobs and CPU time by month, service and outcome; nobody is named."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["month", "service", "outcome", "jobs", "cpu_seconds", "cpu_years"])
    for row in gateway.usage():
        years = f"{row.cpu_seconds / YEAR:.9f}"
        table.writerow([row.month, row.service, row.outcome, row.jobs, f"{row.cpu_seconds:.3f}", years])
    headers = {"content-disposition": 'attachment; filename="usage.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)
