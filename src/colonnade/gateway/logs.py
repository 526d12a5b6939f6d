"""Logs that programs read: one JSON object a line, with the request and the job that it is about.

A request's id comes from the proxy (`X-Request-ID`, when it is a proxy that is trusted) or is made here, and is
answered in the same header. Paths are logged as routes: an address may hold a secret.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from colonnade.gateway.routes import route_of

HEADER = "x-request-id"
_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_request: ContextVar[str] = ContextVar("colonnade_request", default="")
log = logging.getLogger("colonnade.gateway.requests")


class JsonLines(logging.Formatter):
    """A record as one line of JSON; what was given as `extra` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := _request.get():
            found["request"] = request
        found |= {name: value for name, value in vars(record).items() if name not in _KNOWN}
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


def set_up(kind: Literal["text", "json"]) -> None:
    """Write the logs of this process to standard error: warnings as text, or everything as JSON."""
    if kind == "text":
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("colonnade").setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


class Logged:
    """ASGI middleware that gives every request an id and a line in the log.

    Args:
        app: what stands behind.
        trusted: whether a proxy in front may name the request.
    """

    def __init__(self, app: ASGIApp, trusted: bool) -> None:
        self.app, self.trusted = app, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "") if self.trusted else ""
        id = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        token = _request.set(id)
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = id
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            seconds = round(time.perf_counter() - began, 4)
            level = logging.WARNING if status >= 500 else logging.INFO
            more: dict[str, Any] = {"method": scope["method"], "route": route_of(scope), "status": status}
            if job := scope.get("path_params", {}).get("id"):
                more["job"] = str(job)[:40]
            log.log(level, "request", extra=more | {"seconds": seconds})
            _request.reset(token)
