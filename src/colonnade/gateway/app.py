"""The ASGI application, and the server around it."""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

import colonnade
from colonnade.errors import ColonnadeError
from colonnade.gateway import api, api_services, form_pages, operations, pages, statics
from colonnade.gateway.access import LOCAL_HOSTS, SECURITY_HEADERS, Access, Denied, Guard, read_token
from colonnade.gateway.core import Gateway
from colonnade.gateway.limits import MAX_FORM_TEXT, MAX_JSON, BodyLimit
from colonnade.gateway.problems import problem
from colonnade.gateway.settings import Settings
from colonnade.gateway.workflows import api as workflow_api
from colonnade.gateway.workflows import pages as workflow_pages

CLOSING = 3  # seconds that open connections get when the server stops
KEEP_ALIVE = 75  # seconds that an idle connection stays: longer than nginx (60) and browsers keep using it


def create_app(source: Settings | Gateway | None = None) -> FastAPI:
    """The application: REST, pages, static files, behind the checks of `access`.

    Args:
        source: options of a gateway that the application starts and stops; or a gateway whose life is its maker's.
    """
    owned = not isinstance(source, Gateway)
    gateway = source if isinstance(source, Gateway) else Gateway(source)
    settings = gateway.settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if owned:
            await asyncio.to_thread(gateway.start)
        yield
        if owned:
            await asyncio.to_thread(gateway.stop)

    app = FastAPI(
        title="Colonnade",
        version=colonnade.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{api.PREFIX}/openapi.json",
        lifespan=lifespan,
    )
    app.state.gateway = gateway
    # Where people have accounts the token opens nothing; nobody knows this one.
    token = secrets.token_urlsafe(32) if settings.accounts else read_token(settings.data)
    app.state.access = Access(token, settings.port, _hosts(settings))
    routers = [
        api.router,
        api_services.make_router(),
        statics.router,
        operations.router,
        form_pages.router,
        workflow_api.router,
        workflow_pages.router,
        pages.router,
    ]
    if gateway.office is not None:
        from colonnade.gateway.accounts import web

        routers = [*web.routers(), *routers]
    for router in routers:
        app.include_router(router)
    api_services.install_schema(app)
    for kind in (ColonnadeError, HTTPException, RequestValidationError, OSError, Exception):
        app.add_exception_handler(kind, _answer_error)
    if settings.metrics:
        from colonnade.gateway.metrics import Measured, Metrics

        app.state.metrics = Metrics(gateway)
    upload_limit = int(settings.upload_limit)
    app.add_middleware(BodyLimit, limit=lambda request: _body_limit(request, upload_limit))
    if gateway.office is not None:
        web.guard(app, gateway.office, _refuse)
    else:
        app.add_middleware(Guard, access=app.state.access, refuse=_refuse)
    # Outermost: what is refused is measured and logged too.
    if settings.metrics:
        app.add_middleware(Measured, metrics=app.state.metrics)
    if settings.log_format == "json":
        from colonnade.gateway.logs import Logged

        app.add_middleware(Logged, trusted=bool(settings.trusted_proxies))
    return app


def _hosts(settings: Settings) -> frozenset[str]:
    named = {settings.host} if settings.host not in ("0.0.0.0", "::", "") else set()
    if public := urlsplit(settings.public_url).hostname:
        named.add(public)
    return LOCAL_HOSTS | {f"[{name}]" if ":" in name else name for name in (*named, *settings.hosts)}


def _body_limit(request: Request, upload_limit: int) -> int:
    path = request.url.path
    if path.startswith(f"{api.PREFIX}/uploads/"):
        return upload_limit
    return MAX_JSON if pages.is_api(path) else upload_limit + MAX_FORM_TEXT


def _answer_error(request: Request, error: Exception) -> Response:
    answer = problem(error) if pages.is_api(request.url.path) else pages.error_page(error)
    for name, value in SECURITY_HEADERS.items():  # an unexpected error is answered outside the other middleware
        answer.headers.setdefault(name, value)
    return answer


def _refuse(request: Request, denied: Denied) -> Response:
    """What a request that is not let in gets to see."""
    error = HTTPException(denied.status, denied.sentence)
    if pages.is_api(request.url.path):
        answer: Response = problem(error)
        if denied.status == 401:
            answer.headers["www-authenticate"] = "Bearer"
        return answer
    location = request.url.path if request.method == "GET" else "/"
    alone = request.app.state.gateway.office is None
    return pages.error_page(error, signed_out=alone, next=location)


# --- the server ----------------------------------------------------------------------------------


def serve(settings: Settings) -> int:
    """Serve until interrupted, after printing the address that lets a browser in.

    Returns:
        Exit code: 0, or 2 when the address cannot be bound.
    """
    try:
        listener = _listen(settings)
    except OSError as error:
        print(f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}.", file=sys.stderr)
        return 2
    if settings.log_format == "json":
        from colonnade.gateway import logs

        logs.set_up(settings.log_format)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    app = create_app(settings)
    # The access log would hold the token of the first address.
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE,
        log_config=None if settings.log_format == "json" else uvicorn.config.LOGGING_CONFIG,
        timeout_graceful_shutdown=CLOSING,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )
    address = settings.public_url if settings.accounts else first_address(settings, app.state.access.token)
    server = _Announcing(config, address)
    with listener, suppress(KeyboardInterrupt):  # Ctrl-C is how it ends; the server has closed in order by then
        server.run(sockets=[listener])
    return 0


class _Announcing(uvicorn.Server):
    """Prints the address once the server answers, not before."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self.address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"Colonnade is at {self.address}", flush=True)


def first_address(settings: Settings, token: str) -> str:
    """The address to open first; it carries the token."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{settings.port}/?token={token}"


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
