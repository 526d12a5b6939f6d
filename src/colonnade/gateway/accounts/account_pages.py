"""The page of one's own account: name, password, tokens, level, and what one has used."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from sqlalchemy import select
from starlette.responses import HTMLResponse, Response

from colonnade.errors import BadInput, ColonnadeError, Problem
from colonnade.gateway.accounts import erasure, sessions, tokens
from colonnade.gateway.accounts.guard import account_of
from colonnade.gateway.accounts.sign_in_pages import Typed, form_page, see
from colonnade.gateway.accounts.tables import ConsentRow, IdentityRow, SessionRow
from colonnade.gateway.accounts.web import TheOffice
from colonnade.gateway.api import Behind
from colonnade.gateway.me import Me
from colonnade.gateway.person import ROLES, SCOPES, Person

router = APIRouter(prefix="/account", include_in_schema=False)
MAX_REASON = 1000


def _draw(office: TheOffice, me: Person, error: Exception | None = None, **values: Any) -> HTMLResponse:
    with office.store.read() as session:
        account = account_of(session, me)
        id = account.id
        shown: dict[str, Any] = {
            "account": account,
            "tokens": tokens.listed(session, id),
            "standing": office.quotas.standing(session, id, account.role),
            "sessions": list(
                session.scalars(select(SessionRow).where(SessionRow.account == id, SessionRow.replaced.is_(None)))
            ),
            "consents": list(session.scalars(select(ConsentRow).where(ConsentRow.account == id))),
            "identities": list(session.scalars(select(IdentityRow).where(IdentityRow.account == id))),
        }
    higher = [role for role in ROLES[ROLES.index(me.role) + 1 :] if role != "operator"]
    fresh = {"secret": "", "done": ""} | values
    return form_page(
        "accounts/account.html",
        error,
        here="account",
        higher=higher,
        scopes=[scope for scope in SCOPES if scope != "operate" or me.role == "operator"],
        longest=tokens.LONGEST_DAYS,
        **shown,
        **fresh,
    )


@router.get("")
def show(office: TheOffice, me: Me, done: str = "") -> HTMLResponse:
    """One's own account."""
    return _draw(office, me, done=done[:20])


@router.post("/profile")
def profile(office: TheOffice, me: Me, name: Typed = "", community: Typed = "", notify: Typed = "") -> Response:
    """Set what one is called, and whether one wants mails."""
    if not name.strip():
        return _draw(office, me, BadInput([Problem("name", "name must not be empty.")]))
    with office.store.write() as session:
        account = account_of(session, me)
        account.name, account.community = " ".join(name.split())[:100], " ".join(community.split())[:100]
        account.notify = notify == "on"
    return see("/account?done=saved")


@router.post("/password")
def password(request: Request, office: TheOffice, me: Me, old: Typed = "", password: Typed = "") -> Response:
    """Set another password; one signs in anew with it, everywhere."""
    try:
        office.people.change_password(str(me.id), old, password)
    except ColonnadeError as error:
        if not isinstance(error, BadInput):
            error = BadInput([Problem("old", str(error))])
        return _draw(office, me, error)
    answer, cookies = see("/sign-in?done=password"), request.app.state.cookies
    cookies.drop(answer, cookies.session)
    return answer


@router.post("/level")
def ask_level(
    office: TheOffice, me: Me, role: Typed = "", reason: Annotated[str, Form(max_length=MAX_REASON)] = ""
) -> Response:
    """Ask the operators for a higher level."""
    if role not in ROLES or role == "operator" or ROLES.index(role) <= ROLES.index(me.role):
        return _draw(office, me, BadInput([Problem("role", "role must be a level above your own.")]))
    with office.store.write() as session:
        account = account_of(session, me)
        account.asked_role, account.asked_reason = role, reason.strip()
    return see("/account?done=asked")


@router.post("/tokens")
def make_token(
    office: TheOffice,
    me: Me,
    label: Typed = "",
    days: Typed = "90",
    scopes: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Make an API token; the page that answers is the only one that ever shows it."""
    try:
        number = None if days == "never" else int(days) if days.isdecimal() else 0
        with office.store.write() as session:
            _, secret = tokens.make(session, me, label, scopes or [], number)
    except ColonnadeError as error:
        return _draw(office, me, error)
    return _draw(office, me, secret=secret)


@router.post("/tokens/{token}/revoke")
def revoke_token(office: TheOffice, me: Me, token: str) -> Response:
    """End an API token."""
    with office.store.write() as session:
        tokens.revoke(session, str(me.id), token)
    return see("/account?done=revoked")


@router.post("/sessions/end")
def end_sessions(request: Request, office: TheOffice, me: Me) -> Response:
    """Sign out everywhere, here too."""
    with office.store.write() as session:
        sessions.end_all(session, str(me.id))
    answer, cookies = see("/sign-in?done=out"), request.app.state.cookies
    cookies.drop(answer, cookies.session)
    return answer


@router.get("/export")
def export(office: TheOffice, me: Me) -> Response:
    """Everything that the gateway knows of a person, as JSON."""
    with office.store.read() as session:
        known = erasure.known_of(session, str(me.id))
    headers = {"content-disposition": 'attachment; filename="my-account.json"', "cache-control": "no-store"}
    return Response(json.dumps(known, indent=1, default=str), media_type="application/json", headers=headers)


@router.post("/erase")
def erase(request: Request, gateway: Behind, office: TheOffice, me: Me, sure: Typed = "") -> Response:
    """Delete the account with its jobs and files."""
    if sure != "on":
        return _draw(office, me, BadInput([Problem("sure", "sure must be ticked: nothing can be brought back.")]))
    try:
        erasure.erase(gateway, office, str(me.id))
    except ColonnadeError as error:
        return _draw(office, me, error)
    answer, cookies = see("/sign-in?done=erased"), request.app.state.cookies
    cookies.drop(answer, cookies.session)
    return answer
