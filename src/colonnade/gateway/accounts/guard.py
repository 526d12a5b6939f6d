"""Finds out who makes a request, and lets through what everybody may see and what that person may ask for.

What is not named here as open needs a person who is signed in: a new route is closed until somebody opens it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from colonnade.gateway.access import (
    CROSS_SITE,
    SAFE_METHODS,
    WRONG_HOST,
    Access,
    Denied,
    RefusalView,
    clean_path,
    is_visit,
    load_again,
    own_origin,
    with_headers,
)
from colonnade.gateway.accounts import sessions, shares, tokens
from colonnade.gateway.accounts.office import Office
from colonnade.gateway.accounts.tables import AccountRow
from colonnade.gateway.person import VISITOR, Person, set_asking
from colonnade.gateway.person import Scope as TokenScope
from colonnade.gateway.store import now

SIGN_IN = "Sign in to use this part of the gateway."
WRONG_TOKEN = "That token does not exist, was revoked, or has ended."
NO_CONSENT = "The terms of use have changed; agree to them on the gateway's pages first."
ONLY_API = "API tokens open /api/ only; sign in with a browser for the pages."

OPEN = re.compile(
    r"/|/services/[^/]+|/usage|/usage\.csv|/usage/communities\.csv|/reference|/terms|/sign-in|/register|/register/[^/]+|/forgotten|/reset/[^/]+"
    r"|/oidc/[^/]+/(begin|callback)|/shared/[^/]+|/static/.*|/health/(live|ready)"
    r"|/api/v1/(services|services/[^/]+|health|usage|openapi\.json)"
)
OPEN_POSTS = re.compile(r"/sign-in|/register|/register/[^/]+|/forgotten|/reset/[^/]+")
SHARED = re.compile(
    r"(?:/api/v1)?/(?:jobs|workflows)/([0-9A-Z]{26})"
    r"(?:/(?:result|files|events|report|archive|pictures|picture\.svg|crate)(?:/.*)?)?"
)
BEFORE_CONSENT = re.compile(r"/consent|/sign-out|/terms|/static/.*")
SUBMITS = re.compile(r"/api/v1/(uploads/.*|services/.*|jobs/[^/]+/rerun|workflows.*)")
OPERATES = re.compile(r"/api/v1/(operator(/.*)?|metrics)")


def scope_of(method: str, path: str) -> TokenScope:
    """What a token must have been given to make a request."""
    if OPERATES.fullmatch(path):
        return "operate"
    if method in SAFE_METHODS:
        return "read"
    return "submit" if SUBMITS.fullmatch(path) else "manage"


class Cookies:
    """Names and attributes of the cookies of a gateway with accounts.

    Args:
        public_url: with https, cookies are bound to this host and never sent unprotected.
    """

    def __init__(self, public_url: str) -> None:
        self.secure = urlsplit(public_url).scheme == "https"
        prefix = "__Host-" if self.secure else ""
        self.session, self.shares, self.state = (f"{prefix}colonnade-{name}" for name in ("session", "shares", "state"))

    def keep(self, response: Response, name: str, secret: str, seconds: float | None, lax: bool = False) -> None:
        """Have the browser keep a secret."""
        response.set_cookie(
            name,
            secret,
            max_age=None if seconds is None else int(seconds),
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax" if lax else "strict",
        )

    def drop(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="strict")


class AccountGuard:
    """ASGI middleware: says who makes a request, or answers why it is not let in.

    Args:
        app: what stands behind.
        office: accounts of the gateway.
        access: the host names it answers under.
        refuse: draws a refusal as a response.
    """

    def __init__(self, app: ASGIApp, office: Office, access: Access, refuse: RefusalView) -> None:
        self.app, self.office, self.access, self.refuse = app, office, access, refuse
        self.cookies = Cookies(office.settings.public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        send = with_headers(send)
        set_asking(VISITOR)
        request.state.person = VISITOR
        fresh: str | None = None
        try:
            if not self.access.knows(request.headers.get("host", "")):
                raise Denied(403, WRONG_HOST)
            if request.method not in SAFE_METHODS and not own_origin(request.headers, self._scheme(request)):
                raise Denied(403, CROSS_SITE)
            answer: Response | None = None
            if not request.url.path.startswith("/static/"):
                answer, fresh = await self._find(request)
        except Denied as refused:
            answer = self.refuse(request, refused)
        await (answer or self.app)(scope, receive, self._renewing(send, fresh) if fresh else send)

    def _scheme(self, request: Request) -> str:
        """The scheme that the browser used, which a proxy in front may have taken off."""
        return "https" if self.cookies.secure else request.url.scheme

    async def _find(self, request: Request) -> tuple[Response | None, str | None]:
        """Say who it is, and whether the request passes: what to answer instead (or None), and a new cookie."""
        path, safe = request.url.path, request.method in SAFE_METHODS
        person, consented, fresh = await run_in_threadpool(self._person, request)
        set_asking(person)
        request.state.person = person
        if not person.known and safe and is_visit(request) and not path.startswith("/api/"):
            return load_again(request), None  # the strict cookie did not come along on a link from elsewhere
        if person.known and not consented and not BEFORE_CONSENT.fullmatch(path):
            if path.startswith("/api/"):
                raise Denied(403, NO_CONSENT)
            return RedirectResponse(f"/consent?{urlencode({'next': clean_path(path)})}", 303), fresh
        if person.known or (OPEN.fullmatch(path) if safe else OPEN_POSTS.fullmatch(path)):
            return None, fresh
        shared = SHARED.fullmatch(path)
        if safe and shared and shared[1] in person.shares:
            return None, None
        if path.startswith("/api/"):
            raise Denied(401, SIGN_IN)
        wanted = clean_path(path) + (f"?{request.url.query}" if request.url.query else "") if safe else "/"
        return RedirectResponse(f"/sign-in?{urlencode({'next': wanted})}", status_code=303), None

    def _person(self, request: Request) -> tuple[Person, bool, str | None]:
        """Who it is, whether the person has agreed to the terms, and the new secret of a session that is exchanged."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme:
            return (*self._of_token(request, given.strip() if scheme.lower() == "bearer" else ""), None)
        fresh = None
        person, consented = VISITOR, True
        with self.office.store.read() as session:
            secret = request.cookies.get(self.cookies.session, "")
            found = sessions.find(session, secret, self.office.settings) if secret else None
            if found is not None:
                person, consented = found.person, self.office.people.has_consented(session, found.account.id)
            kept = [part for part in request.cookies.get(self.cookies.shares, "").split(".") if part]
            if kept:
                person = replace(person, shares=shares.opened(session, kept))
        if found is not None:
            fresh = self._renew(request, found)
        return person, consented, fresh

    def _renew(self, request: Request, found: sessions.Found) -> str | None:
        page = request.method == "GET" and request.headers.get("sec-fetch-dest", "document") == "document"
        if not (found.stale and page):
            if found.unseen:
                with self.office.store.write() as session:
                    sessions.touch(session, found.person.session)
            return None
        with self.office.store.write() as session:
            return sessions.rotate(session, found.person.session)

    def _of_token(self, request: Request, secret: str) -> tuple[Person, bool]:
        with self.office.store.read() as session:
            found = tokens.find(session, secret)
            consented = found is not None and self.office.people.has_consented(session, str(found[0].id))
        if found is None:
            raise Denied(401, WRONG_TOKEN)
        person, _, row = found
        path = request.url.path
        if not path.startswith("/api/"):
            raise Denied(403, ONLY_API)
        wanted = scope_of(request.method, path)
        if wanted not in person.scopes:
            raise Denied(403, f"This token was not given the scope {wanted!r}, which the request needs.")
        if row.used is None or (now() - row.used) > tokens.USED:
            with self.office.store.write() as session:
                tokens.touch(session, row.id)
        return person, consented

    def _renewing(self, send: Send, secret: str) -> Send:
        """Send the new cookie along with the answer."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                response = Response()
                self.cookies.keep(response, self.cookies.session, secret, self.office.settings.session_days * 86_400)
                headers = MutableHeaders(scope=message)
                if f"{self.cookies.session}=" not in headers.get("set-cookie", ""):  # signing out has the last word
                    headers.append("set-cookie", response.headers["set-cookie"])
            await send(message)

        return sending


def account_of(session: Session, person: Person) -> AccountRow:
    """The row of a signed-in person's account."""
    return session.get_one(AccountRow, person.id)
