"""The pages by which people come in: sign in, make an account, set a password, agree to the terms."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from colonnade.errors import BadInput, ColonnadeError
from colonnade.gateway.access import clean_path
from colonnade.gateway.accounts import sessions
from colonnade.gateway.accounts.people import CONSENTS
from colonnade.gateway.accounts.tables import AccountRow
from colonnade.gateway.accounts.web import TheOffice, origin
from colonnade.gateway.me import Me
from colonnade.gateway.pages import page
from colonnade.gateway.problems import Trouble

router = APIRouter(include_in_schema=False)

Next = Annotated[str, Query(max_length=2000)]
Typed = Annotated[str, Form(max_length=500)]


class Findings(dict[str, str]):
    """What is wrong with the fields of a form; nothing with all others."""

    def __missing__(self, field: str) -> str:
        return ""


def form_page(template: str, error: Exception | None = None, **values: Any) -> HTMLResponse:
    """A page with a form: fresh, or with what was wrong with it."""
    problems = Findings()
    status, sentence = 200, ""
    if error is not None:
        trouble = Trouble(error)
        status, sentence = trouble.status, trouble.sentence
        if isinstance(error, BadInput):
            problems, sentence = Findings({item.field: item.message for item in error.problems}), ""
    answer = page(template, status, **({"here": ""} | values), problems=problems, sentence=sentence)
    if error is not None:
        answer.headers.update(trouble.headers)
    return answer


def see(location: str) -> RedirectResponse:
    """Send the browser on, with a GET."""
    return RedirectResponse(location, status_code=303)


def signed_in(request: Request, office: TheOffice, secret: str, location: str) -> Response:
    """Send the browser on with the cookie of its new session."""
    answer = see(location)
    cookies = request.app.state.cookies
    cookies.keep(answer, cookies.session, secret, office.settings.session_days * 86_400)
    return answer


# --- signing in and out --------------------------------------------------------------------------


@router.get("/sign-in")
def ask(
    request: Request, office: TheOffice, me: Me, next: Next = "/", done: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    """The form to sign in by."""
    if me.known:
        return see(clean_path(next))
    return _ask(office, next=clean_path(next), done=done)


def _ask(office: TheOffice, error: Exception | None = None, **values: Any) -> HTMLResponse:
    shown = {"done": "", "email": "", **values}
    return form_page(
        "accounts/sign_in.html",
        error,
        providers=office.settings.oidc,
        can_register=office.settings.registration and office.postman.works,
        **shown,
    )


@router.post("/sign-in")
def sign_in(
    request: Request, office: TheOffice, me: Me, email: Typed = "", password: Typed = "", next: Typed = "/"
) -> Response:
    """Let in who knows the password; the session that the browser had before ends."""
    try:
        _, secret = office.people.sign_in(email, password, origin(request))
    except ColonnadeError as error:
        return _ask(office, error, next=clean_path(next), email=email)
    _end(office, me.session)
    return signed_in(request, office, secret, clean_path(next))


def _end(office: TheOffice, session_digest: str) -> None:
    if session_digest:
        with office.store.write() as session:
            sessions.end(session, session_digest)


@router.post("/sign-out")
def sign_out(request: Request, office: TheOffice, me: Me) -> Response:
    """End the session of this browser."""
    _end(office, me.session)
    answer, cookies = see("/sign-in?done=out"), request.app.state.cookies
    cookies.drop(answer, cookies.session)
    return answer


# --- identity providers --------------------------------------------------------------------------


@router.get("/oidc/{name}/begin")
async def begin(request: Request, office: TheOffice, name: str, next: Next = "/") -> Response:
    """Send the browser to an identity provider."""
    try:
        location, state = await run_in_threadpool(request.app.state.providers.begin, name, clean_path(next))
    except ColonnadeError as error:
        return _ask(office, error, next=clean_path(next))
    answer, cookies = see(location), request.app.state.cookies
    # The answer comes by a link from elsewhere, with which a strict cookie would not come along.
    cookies.keep(answer, cookies.state, state, 600, lax=True)
    return answer


@router.get("/oidc/{name}/callback")
async def callback(request: Request, office: TheOffice, me: Me, name: str, state: Next = "") -> Response:
    """Take the identity provider's answer."""
    providers, cookies = request.app.state.providers, request.app.state.cookies
    cookie = request.cookies.get(cookies.state, "")
    try:
        account, next = await run_in_threadpool(providers.finish, name, str(request.url), state, cookie)
    except ColonnadeError as error:
        return _ask(office, error, next="/")
    secret = await run_in_threadpool(_begin_session, office, account, me.session)
    answer = signed_in(request, office, secret, clean_path(next))
    cookies.drop(answer, cookies.state)
    return answer


def _begin_session(office: TheOffice, account: AccountRow, before: str) -> str:
    _end(office, before)
    with office.store.write() as session:
        return sessions.begin(session, account.id)


# --- accounts and passwords ----------------------------------------------------------------------


@router.get("/register")
def ask_for_account(office: TheOffice) -> Response:
    """Where somebody begins to make an account."""
    return form_page("accounts/mail_me.html", kind="register", email="", sent=False, open=_is_open(office))


def _is_open(office: TheOffice) -> bool:
    return office.settings.registration and office.postman.works


@router.post("/register")
def mail_for_account(request: Request, office: TheOffice, email: Typed = "") -> Response:
    """Send the link by which the account is made; the page says the same whether or not there is one."""
    try:
        office.people.request_account(email, origin(request))
    except ColonnadeError as error:
        return form_page(
            "accounts/mail_me.html", error, kind="register", email=email, sent=False, open=_is_open(office)
        )
    return form_page("accounts/mail_me.html", kind="register", email=email, sent=True, open=True)


@router.get("/register/{secret}")
def show_account_form(office: TheOffice, secret: str) -> Response:
    """The form that a mailed link opens. Nothing happens before it is sent: mail scanners follow links."""
    try:
        email = office.people.ticket(secret, "register").email
    except ColonnadeError as error:
        return form_page("accounts/mail_me.html", error, kind="register", email="", sent=False, open=_is_open(office))
    return _account_form(office, email)


def _account_form(office: TheOffice, email: str, error: Exception | None = None, **typed: str) -> HTMLResponse:
    shown = {"name": "", "community": "", "consents": (), **typed}
    return form_page("accounts/register.html", error, email=email, days=office.settings.result_days, **shown)


@router.post("/register/{secret}")
def register(
    request: Request,
    office: TheOffice,
    secret: str,
    name: Typed = "",
    password: Typed = "",
    community: Typed = "",
    consents: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Make the account, and sign in."""
    given = [kind for kind in consents or [] if kind in CONSENTS]
    try:
        account = office.people.register(secret, name, password, community, given)
    except BadInput as error:
        email = office.people.ticket(secret, "register").email
        return _account_form(office, email, error, name=name, community=community, consents=given)  # type: ignore[arg-type]
    except ColonnadeError as error:
        return form_page("accounts/mail_me.html", error, kind="register", email="", sent=False, open=_is_open(office))
    return signed_in(request, office, _begin_session(office, account, ""), "/")


@router.get("/forgotten")
def ask_for_password() -> Response:
    """Where somebody asks for a new password."""
    return form_page("accounts/mail_me.html", kind="forgotten", email="", sent=False, open=True)


@router.post("/forgotten")
def mail_for_password(request: Request, office: TheOffice, email: Typed = "") -> Response:
    """Send the link by which a password is set; the page says the same whether or not there is an account."""
    try:
        office.people.request_reset(email, origin(request))
    except ColonnadeError as error:
        return form_page("accounts/mail_me.html", error, kind="forgotten", email=email, sent=False, open=True)
    return form_page("accounts/mail_me.html", kind="forgotten", email=email, sent=True, open=True)


@router.get("/reset/{secret}")
def show_password_form(office: TheOffice, secret: str) -> Response:
    """The form that a mailed link opens."""
    try:
        email = office.people.ticket(secret, "reset").email
    except ColonnadeError as error:
        return form_page("accounts/mail_me.html", error, kind="forgotten", email="", sent=False, open=True)
    return form_page("accounts/reset.html", email=email)


@router.post("/reset/{secret}")
def reset(office: TheOffice, secret: str, password: Typed = "") -> Response:
    """Set the password; then one signs in with it."""
    try:
        office.people.reset(secret, password)
    except BadInput as error:
        return form_page("accounts/reset.html", error, email=office.people.ticket(secret, "reset").email)
    except ColonnadeError as error:
        return form_page("accounts/mail_me.html", error, kind="forgotten", email="", sent=False, open=True)
    return see("/sign-in?done=password")


# --- terms ---------------------------------------------------------------------------------------


@router.get("/terms")
def terms(office: TheOffice) -> HTMLResponse:
    """The terms of use and what is kept for how long."""
    settings = office.settings
    text = settings.terms.read_text() if settings.terms is not None else ""
    return page("accounts/terms.html", here="", text=text, version=settings.terms_version, days=settings.result_days)


@router.get("/consent")
def ask_consent(office: TheOffice, next: Next = "/") -> HTMLResponse:
    """Ask somebody who is signed in to agree to the texts in force."""
    return form_page("accounts/consent.html", next=clean_path(next), days=office.settings.result_days)


@router.post("/consent")
def consent(
    office: TheOffice, me: Me, next: Typed = "/", consents: Annotated[list[str] | None, Form()] = None
) -> Response:
    """Write down that somebody agrees."""
    if set(consents or []) < set(CONSENTS):
        return see(f"/consent?next={clean_path(next)}")
    with office.store.write() as session:
        office.people.consent(session, str(me.id))
    return see(clean_path(next))
