"""The pages of groups: make one, invite, join, leave."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from colonnade.errors import BadInput, ColonnadeError, Problem
from colonnade.gateway.accounts import groups
from colonnade.gateway.accounts.sign_in_pages import Typed, form_page, see
from colonnade.gateway.accounts.web import TheOffice
from colonnade.gateway.me import Me
from colonnade.gateway.person import Person

router = APIRouter(include_in_schema=False)


@router.get("/groups")
def listed(office: TheOffice, me: Me) -> HTMLResponse:
    """The groups one is in."""
    return _list(office, me)


def _list(office: TheOffice, me: Person, error: Exception | None = None) -> HTMLResponse:
    with office.store.read() as session:
        named = groups.named(session, me)
    return form_page("accounts/groups.html", error, here="groups", named=named)


@router.post("/groups")
def make(office: TheOffice, me: Me, name: Typed = "") -> Response:
    """Make a group."""
    try:
        with office.store.write() as session:
            row = groups.make(session, me, name)
    except ColonnadeError as error:
        return _list(office, me, error)
    return see(f"/groups/{row.id}")


def _draw(office: TheOffice, me: Person, id: str, error: Exception | None = None, **values: Any) -> HTMLResponse:
    with office.store.read() as session:
        group = groups.get(session, me, id)
    shown = {"invited": "", "can_invite": office.postman.works} | values
    return form_page("accounts/group.html", error, here="groups", group=group, **shown)


@router.get("/groups/{group}")
def show(office: TheOffice, me: Me, group: str) -> HTMLResponse:
    """A group and its members."""
    return _draw(office, me, group)


@router.post("/groups/{group}/invite")
def invite(office: TheOffice, me: Me, group: str, email: Typed = "") -> Response:
    """Mail somebody a link to join; the page says the same whether or not there is an account."""
    with office.store.read() as session:
        found = groups.managed(session, me, group)
    try:
        office.people.invite(email, group, found.row.name, me.name)
    except ColonnadeError as error:
        return _draw(office, me, group, error)
    return _draw(office, me, group, invited=email.strip())


@router.get("/join/{secret}")
def ask_join(office: TheOffice, me: Me, secret: str) -> HTMLResponse:
    """What a mailed invitation opens."""
    try:
        office.people.ticket(secret, "join")
    except ColonnadeError as error:
        return _list(office, me, error)
    return form_page("accounts/join.html", here="groups", secret=secret)


@router.post("/join/{secret}")
def join(office: TheOffice, me: Me, secret: str) -> Response:
    """Join a group by an invitation."""
    try:
        group = office.people.use_join(secret)
        with office.store.write() as session:
            groups.join(session, str(me.id), group)
    except ColonnadeError as error:
        return _list(office, me, error)
    return see(f"/groups/{group}")


@router.post("/groups/{group}/leave")
def leave(office: TheOffice, me: Me, group: str) -> Response:
    """Leave a group."""
    with office.store.write() as session:
        groups.get(session, me, group)
    try:
        with office.store.write() as session:
            groups.leave(session, str(me.id), group)
    except ColonnadeError as error:
        return _draw(office, me, group, error)
    return see("/groups")


@router.post("/groups/{group}/members/{member}/{action}")
def change_member(office: TheOffice, me: Me, group: str, member: str, action: str) -> Response:
    """Remove a member, or make one a manager too."""
    changes = {"remove": groups.leave, "promote": groups.promote}
    with office.store.write() as session:
        groups.managed(session, me, group)
        if action not in changes:
            raise BadInput([Problem("action", "action must be remove or promote.")])
        changes[action](session, member, group)
    return see(f"/groups/{group}")


@router.post("/groups/{group}/end")
def end(office: TheOffice, me: Me, group: str) -> Response:
    """End a group; the jobs in it become their owners' alone."""
    with office.store.write() as session:
        groups.managed(session, me, group)
        groups.end(session, group)
    return see("/groups")
