"""Sharing one job: by a secret link, or with a group."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from colonnade.gateway.accounts import groups, shares
from colonnade.gateway.accounts.sign_in_pages import Typed, see
from colonnade.gateway.accounts.web import TheOffice
from colonnade.gateway.api import MyJob
from colonnade.gateway.me import Me
from colonnade.gateway.pages import page
from colonnade.gateway.store import JobRow

router = APIRouter(include_in_schema=False)


@router.post("/jobs/{id}/share")
def share(office: TheOffice, row: MyJob) -> HTMLResponse:
    """Make a secret link; the page that answers is the only one that ever shows it."""
    with office.store.write() as session:
        _, secret = shares.make(session, row.id)
    return page("accounts/shared.html", here="jobs", job=row, address=f"{office.settings.public_url}/shared/{secret}")


@router.post("/jobs/{id}/shares/{link}/revoke")
def revoke(office: TheOffice, row: MyJob, link: str) -> Response:
    """Close a link."""
    with office.store.write() as session:
        shares.revoke(session, row.id, link)
    return see(f"/jobs/{row.id}")


@router.post("/jobs/{id}/group")
def to_group(office: TheOffice, me: Me, row: MyJob, group: Typed = "") -> Response:
    """Put a job into a group's space, or take it back ("")."""
    if group and group not in me.groups:
        raise groups.UnknownGroup(f"You are in no group {group[:40]!r}.")
    with office.store.write() as session:
        session.get_one(JobRow, row.id).group_id = group or None
    return see(f"/jobs/{row.id}")


@router.get("/shared/{secret}")
def open_link(request: Request, office: TheOffice, secret: str) -> Response:
    """Remember a link in this browser, and show what it opens; the secret leaves the address."""
    with office.store.read() as session:
        place = shares.target(session, secret)
    if place is None:
        raise HTTPException(404, "This link was revoked, or never was.")
    cookies = request.app.state.cookies
    kept = [part for part in request.cookies.get(cookies.shares, "").split(".") if part and part != secret]
    answer = see(place)
    cookies.keep(answer, cookies.shares, ".".join([secret, *kept][: shares.MOST]), None)
    return answer
