"""Sharing a workflow with its jobs: by a secret link, or with a group."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import select, update
from starlette.responses import HTMLResponse, Response

from colonnade.gateway.accounts import groups, shares
from colonnade.gateway.accounts.sign_in_pages import Typed, see
from colonnade.gateway.accounts.web import TheOffice
from colonnade.gateway.me import Me
from colonnade.gateway.pages import page
from colonnade.gateway.store import JobRow
from colonnade.gateway.workflows.api import MyWorkflow
from colonnade.gateway.workflows.tables import WorkflowItemRow, WorkflowRow

router = APIRouter(include_in_schema=False)


@router.post("/workflows/{id}/share")
def share(office: TheOffice, row: MyWorkflow) -> HTMLResponse:
    """Make a secret link; the page that answers is the only one that ever shows it."""
    with office.store.write() as session:
        _, secret = shares.make_for_workflow(session, row.id)
    address = f"{office.settings.public_url}/shared/{secret}"
    return page("workflows/shared.html", here="workflows", workflow=row, address=address)


@router.post("/workflows/{id}/shares/{link}/revoke")
def revoke(office: TheOffice, row: MyWorkflow, link: str) -> Response:
    """Close a link."""
    with office.store.write() as session:
        shares.revoke(session, row.id, link)
    return see(f"/workflows/{row.id}")


@router.post("/workflows/{id}/group")
def to_group(office: TheOffice, me: Me, row: MyWorkflow, group: Typed = "") -> Response:
    """Put a workflow with its jobs into a group's space, or take it back ("")."""
    if group and group not in me.groups:
        raise groups.UnknownGroup(f"You are in no group {group[:40]!r}.")
    with office.store.write() as session:
        session.get_one(WorkflowRow, row.id).group_id = group or None
        theirs = select(WorkflowItemRow.job).where(WorkflowItemRow.workflow == row.id)
        change = update(JobRow).where(JobRow.id.in_(theirs)).values(group_id=group or None)
        session.execute(change.execution_options(synchronize_session=False))
    return see(f"/workflows/{row.id}")
