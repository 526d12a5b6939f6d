"""Who may talk to a single-user gateway: the holder of one token, from pages of this very gateway.

As with Jupyter, the first address carries the token; it is exchanged for a cookie and taken out of the address. The
command line on the same account finds the token in a file that only this account can read. Every request is also
held to a known host name (DNS rebinding) and, when it changes something, to an origin of our own (cross-site forms).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from colonnade.errors import ColonnadeError

TOKEN_FILE = "token"
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = ("/static/",)  # style sheets and scripts hold no secret, and the page that asks for the token needs them
SIGN_IN = "/sign-in"

NO_TOKEN = "This gateway needs its access token: open the address that `colonnade serve` printed."
WRONG_TOKEN = "That is not the access token of this gateway."
WRONG_HOST = "This gateway does not answer under that host name."
CROSS_SITE = "A page of another site tried to change something here; the gateway refused it."

# Empty style elements are what Plotly and the structure viewer start their style sheets from; the hash is of nothing.
_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; "
    f"style-src 'self' {_EMPTY_STYLE}; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; media-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def read_token(folder: Path) -> str:
    """The token of the gateway that keeps its data in `folder`; made on first use, readable by this account only.

    Raises:
        ColonnadeError: other accounts can read the file, so it protects nothing.
    """
    path = folder / TOKEN_FILE
    folder.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise ColonnadeError(
                f"Other accounts can read the access token in {str(path)!r}; remove that file and start again."
            ) from None
        token = path.read_text().strip()
        if token:
            return token
        path.unlink()
        return read_token(folder)
    with os.fdopen(handle, "w") as stream:
        token = secrets.token_urlsafe(32)
        stream.write(token + "\n")
    return token


@dataclass(frozen=True)
class Access:
    """What a request is held against.

    Args:
        token: the secret of this gateway.
        port: part of the cookie's name, since browsers share cookies between the ports of one host.
        hosts: host names, without port, under which the gateway answers.
    """

    token: str
    port: int
    hosts: frozenset[str] = LOCAL_HOSTS

    @property
    def cookie(self) -> str:
        return f"colonnade-{self.port}"

    @property
    def cookie_value(self) -> str:
        """Derived from the token, so that a cookie that leaks does not give the token away."""
        return hmac.new(self.token.encode(), b"colonnade cookie", hashlib.sha256).hexdigest()

    def knows(self, host: str) -> bool:
        """Whether a Host header names this gateway."""
        name = urlsplit(f"//{host}").hostname or ""
        return (f"[{name}]" if ":" in name else name) in self.hosts

    def holds_cookie(self, request: Request) -> bool:
        return _same(request.cookies.get(self.cookie, ""), self.cookie_value)

    def holds_bearer(self, headers: Mapping[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and _same(given.strip(), self.token)

    def is_token(self, given: str) -> bool:
        return _same(given, self.token)

    def sign_in(self, location: str) -> Response:
        """Send the browser to `location` with the cookie that lets it in."""
        response = RedirectResponse(location, status_code=303)
        response.set_cookie(self.cookie, self.cookie_value, httponly=True, samesite="strict", path="/")
        return response


def _same(given: str, expected: str) -> bool:
    """Comparison in constant time, whatever characters came."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def own_origin(headers: Headers, scheme: str) -> bool:
    """Whether a request that changes something comes from a page of this gateway, or from no page at all."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = f"{scheme}://{headers.get('host', '')}"
    if site is None:
        return origin in (None, own)
    # Pages that send no referrer name their origin "null" in a form's request; the browser itself tells whose it is.
    return site in ("same-origin", "none") and origin in (None, "null", own)


class Denied(Exception):
    """A request that is not let in: status and one sentence; the application draws it as page or problem."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status, self.sentence = status, sentence
        super().__init__(sentence)


RefusalView = Callable[[Request, Denied], Response]


class Guard:
    """ASGI middleware: lets a request in, exchanges the token for the cookie, or answers why not.

    Args:
        app: what stands behind.
        access: token, port and hosts.
        refuse: draws a refusal as a response for the request (a page, or a problem for the API).
    """

    def __init__(self, app: ASGIApp, access: Access, refuse: RefusalView) -> None:
        self.app, self.access, self.refuse = app, access, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        send = with_headers(send)
        try:
            answer = self._answer(request)
        except Denied as refused:
            answer = self.refuse(request, refused)
        await (answer or self.app)(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        """None to let the request pass, else what to answer instead."""
        if not self.access.knows(request.headers.get("host", "")):
            raise Denied(403, WRONG_HOST)
        safe, path = request.method in SAFE_METHODS, request.url.path
        if not safe and not own_origin(request.headers, request.url.scheme):
            raise Denied(403, CROSS_SITE)
        if path.startswith(OPEN_PATHS) or (path == SIGN_IN and not safe):
            return None
        if safe and "token" in request.query_params and not path.startswith("/api/"):
            return self._exchange(request)
        if self.access.holds_bearer(request.headers):
            return None
        if "authorization" in request.headers:
            raise Denied(401, WRONG_TOKEN)
        if self.access.holds_cookie(request):
            return None
        if safe and is_visit(request):
            return load_again(request)
        raise Denied(401, NO_TOKEN)

    def _exchange(self, request: Request) -> Response:
        if not self.access.is_token(request.query_params["token"]):
            raise Denied(403, WRONG_TOKEN)
        rest = [(name, value) for name, value in parse_qsl(request.url.query) if name != "token"]
        return self.access.sign_in(clean_path(request.url.path) + ("?" + urlencode(rest) if rest else ""))


def clean_path(path: str) -> str:
    """A path of this gateway to send a browser to: never one that a browser reads as another host."""
    return "/" + path.lstrip("/\\")


def is_visit(request: Request) -> bool:
    """Whether a link on another site led here. Its request lacks the strict cookie even when the browser holds it."""
    headers = request.headers
    return headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate"


def load_again(request: Request) -> Response:
    """Have the browser ask once more from a page of ours, which brings the cookie along when there is one."""
    query = f"?{request.url.query}" if request.url.query else ""
    response = HTMLResponse(
        '<!doctype html><html lang="en"><title>Colonnade</title><p>Opening the gateway …</p></html>'
    )
    response.headers["refresh"] = f"0; url={quote(clean_path(request.url.path), safe=_IN_PATH)}{query}"
    return response


_IN_PATH = "/~:@!$&'()*+,=-._"


def with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
