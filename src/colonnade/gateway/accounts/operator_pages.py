"""The operators' pages: people and their roles, limits."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from sqlalchemy import or_, select
from starlette.responses import HTMLResponse, Response

from colonnade.errors import BadInput, ColonnadeError, Problem
from colonnade.gateway.accounts import limits, roles
from colonnade.gateway.accounts.quotas import KINDS
from colonnade.gateway.accounts.sign_in_pages import Typed, form_page, see
from colonnade.gateway.accounts.tables import AccountRow, QuotaRow
from colonnade.gateway.accounts.web import TheOffice
from colonnade.gateway.me import Me
from colonnade.gateway.person import ROLES
from colonnade.gateway.store import Forbidden
from colonnade.service import services

PAGE = 50


def an_operator(me: Me) -> None:
    """Let operators through only.

    Raises:
        Forbidden: it is somebody else.
    """
    if not me.operator:
        raise Forbidden("Only an operator of the gateway may do that.")


router = APIRouter(prefix="/operator", include_in_schema=False, dependencies=[Depends(an_operator)])


@router.get("")
def people(
    office: TheOffice, q: Annotated[str, Query(max_length=100)] = "", after: Annotated[str, Query(max_length=26)] = ""
) -> HTMLResponse:
    """People: who asked for a level, and everybody."""
    return _people(office, q, after)


def _people(office: TheOffice, q: str = "", after: str = "", error: Exception | None = None) -> HTMLResponse:
    query = select(AccountRow).order_by(AccountRow.id.desc()).limit(PAGE + 1)
    if q:
        words = f"%{q.lower().replace('%', '')}%"
        query = query.where(or_(AccountRow.email.like(words), AccountRow.name.ilike(words)))
    if after:
        query = query.where(AccountRow.id < after)
    with office.store.read() as session:
        found = list(session.scalars(query))
        asked = list(session.scalars(select(AccountRow).where(AccountRow.asked_role != "").limit(PAGE)))
    following = found[PAGE - 1].id if len(found) > PAGE else ""
    return form_page(
        "accounts/people.html",
        error,
        here="operator",
        people=found[:PAGE],
        asked=asked,
        roles=ROLES,
        q=q,
        next=following,
    )


@router.post("/people/{account}/role")
def set_role(office: TheOffice, me: Me, account: str, role: Typed = "") -> Response:
    """Give a person a role; it answers what the person asked for, too."""
    try:
        roles.set_role(office, me, account, role)
    except ColonnadeError as error:
        return _people(office, error=error)
    return see("/operator")


@router.post("/people/{account}/decline")
def decline(office: TheOffice, account: str) -> Response:
    """Leave a person's role as it is."""
    roles.decline(office, account)
    return see("/operator")


@router.post("/people/{account}/close")
def close(office: TheOffice, me: Me, account: str, closed: Typed = "") -> Response:
    """Close an account, which signs the person out everywhere; or open it again."""
    try:
        roles.close(office, me, account, closed == "on")
    except ColonnadeError as error:
        return _people(office, error=error)
    return see("/operator")


@router.get("/limits")
def show_limits(office: TheOffice) -> HTMLResponse:
    """The limits in force."""
    return _limits(office)


def _limits(office: TheOffice, error: Exception | None = None, **typed: Any) -> HTMLResponse:
    with office.store.read() as session:
        rows = list(session.scalars(select(QuotaRow).order_by(QuotaRow.subject, QuotaRow.service, QuotaRow.kind)))
        ids = [row.subject for row in rows if not row.subject.startswith("role:")]
        names = {
            row.id: row.email or row.name for row in session.scalars(select(AccountRow).where(AccountRow.id.in_(ids)))
        }
    shown = {"subject": "", "service": "", "kind": "queued", "value": ""} | typed
    return form_page(
        "accounts/limits.html",
        error,
        here="operator",
        rows=rows,
        names=names,
        defaults=[(kind, label, office.quotas.limit(kind, "", "")) for kind, label in KINDS.items()],
        kinds=KINDS,
        roles=ROLES,
        services=list(services()),
        **shown,
    )


@router.post("/limits")
def set_limit(
    office: TheOffice,
    subject: Typed = "",
    service: Typed = "",
    kind: Typed = "",
    value: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Set a limit for a person, a role or everybody; an empty value takes it away."""
    try:
        limits.set_limit(office, subject, service, kind, value)
    except BadInput as error:
        return _limits(office, error, subject=subject, service=service, kind=kind, value=value)
    return see("/operator/limits")


__all__ = ["Problem", "router"]
