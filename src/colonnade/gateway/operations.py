"""What operators and their programs ask: is it alive, can it work, and the statistics as a table."""

from __future__ import annotations

import csv
import io

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from colonnade.gateway.api import Behind
from colonnade.gateway.store import Unavailable

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
