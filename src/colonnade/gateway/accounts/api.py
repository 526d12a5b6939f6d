"""REST v1 of accounts: who one is, groups, links; and for operators people and limits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from colonnade.gateway.accounts import groups, limits, roles, shares
from colonnade.gateway.accounts.guard import account_of
from colonnade.gateway.accounts.operator_pages import an_operator
from colonnade.gateway.accounts.tables import AccountRow, QuotaRow
from colonnade.gateway.accounts.web import TheOffice
from colonnade.gateway.api import PREFIX, Behind, MyJob
from colonnade.gateway.me import Me
from colonnade.gateway.problems import responses
from colonnade.gateway.store import JobRow
from colonnade.gateway.views import Job, job_view

router = APIRouter(prefix=PREFIX)


class Used(BaseModel):
    """How much of one limit is used."""

    kind: str
    used: float
    limit: float


class Myself(BaseModel):
    """Who makes the request."""

    id: str
    name: str
    email: str | None
    role: str
    level: str = Field(description="The highest level of fields that may be changed.")
    scopes: list[str] = Field(description="What this token was given.")
    groups: dict[str, str] = Field(description="Names of one's groups by their ids.")
    limits: list[Used]


@router.get("/me", tags=["account"], operation_id="get_me", responses=responses())
def get_me(office: TheOffice, me: Me) -> Myself:
    """Who one is, what one may do, and how much of it is used."""
    with office.store.read() as session:
        account = account_of(session, me)
        standing = office.quotas.standing(session, account.id, account.role)
        return Myself(
            id=account.id,
            name=account.name,
            email=account.email,
            role=me.role,
            level=me.level,
            scopes=sorted(me.scopes),
            groups=groups.named(session, me),
            limits=[Used(kind=item.kind, used=item.used, limit=item.limit) for item in standing],
        )


class Link(BaseModel):
    """A secret link to a job."""

    id: str
    created: datetime
    address: str | None = Field(None, description="Only in the answer that made it.")


@router.get("/jobs/{id}/shares", tags=["sharing"], operation_id="list_shares", responses=responses(404))
def list_shares(office: TheOffice, row: MyJob) -> list[Link]:
    """The links to a job that are not revoked."""
    with office.store.read() as session:
        return [Link(id=link.id, created=link.created) for link in shares.listed(session, row.id)]


@router.post(
    "/jobs/{id}/shares", status_code=201, tags=["sharing"], operation_id="make_share", responses=responses(404, 409)
)
def make_share(office: TheOffice, row: MyJob) -> Link:
    """Make a link that opens the job to whoever has it."""
    with office.store.write() as session:
        link, secret = shares.make(session, row.id)
        address = f"{office.settings.public_url}/shared/{secret}"
        return Link(id=link.id, created=link.created, address=address)


@router.delete(
    "/jobs/{id}/shares/{link}",
    status_code=204,
    tags=["sharing"],
    operation_id="revoke_share",
    responses=responses(404),
)
def revoke_share(office: TheOffice, row: MyJob, link: Annotated[str, Path(description="The link's id.")]) -> Response:
    """Close a link; one that is closed already stays so."""
    with office.store.write() as session:
        shares.revoke(session, row.id, link)
    return Response(status_code=204)


@router.put("/jobs/{id}/group", tags=["sharing"], operation_id="set_group", responses=responses(404, 422))
def set_group(
    gateway: Behind,
    office: TheOffice,
    me: Me,
    row: MyJob,
    group: Annotated[str | None, Body(embed=True, max_length=26, description="The group's id; null: nobody's.")] = None,
) -> Job:
    """Put a job into a group's space, or take it back."""
    if group is not None and group not in me.groups:
        raise groups.UnknownGroup(f"You are in no group {group[:40]!r}.")
    with office.store.write() as session:
        session.get_one(JobRow, row.id).group_id = group
    return job_view(gateway, gateway.job(row.id))


# --- operators -----------------------------------------------------------------------------------

operator = APIRouter(prefix="/operator", tags=["operator"], dependencies=[Depends(an_operator)])


class Account(BaseModel):
    """A person, as an operator sees it."""

    id: str
    email: str | None
    name: str
    role: str
    disabled: bool
    created: datetime
    asked_role: str


@operator.get("/accounts", operation_id="list_accounts", responses=responses(422))
def list_accounts(office: TheOffice, after: str | None = None) -> list[Account]:
    """Up to 200 people, newest first; `after` is the last id of the page before."""
    query = select(AccountRow).order_by(AccountRow.id.desc()).limit(200)
    if after is not None:
        query = query.where(AccountRow.id < after)
    with office.store.read() as session:
        return [_account(row) for row in session.scalars(query)]


def _account(row: AccountRow) -> Account:
    return Account(**{name: getattr(row, name) for name in Account.model_fields})


@operator.put("/accounts/{account}/role", operation_id="set_role", responses=responses(404, 409, 422))
def set_role(office: TheOffice, me: Me, account: str, role: Annotated[str, Body(embed=True, max_length=16)]) -> Account:
    """Give a person a role."""
    return _account(roles.set_role(office, me, account, role))


class Limit(BaseModel):
    """A limit that an operator set."""

    subject: str = Field(description='An account\'s id or address, "role:NAME", or "" for everybody at one service.')
    service: str = Field("", description='A service, or "" for all together.')
    kind: str = Field(description="queued, running, cpu_hours, storage or upload")
    value: float | str | None = Field(description='A number, or a size such as "50 GB"; null takes the limit away.')


@operator.get("/limits", operation_id="list_limits", responses=responses())
def list_limits(office: TheOffice) -> list[Limit]:
    """The limits that were set; what is not set follows the settings."""
    with office.store.read() as session:
        rows = session.scalars(select(QuotaRow)).all()
    return [Limit(subject=row.subject, service=row.service, kind=row.kind, value=row.value) for row in rows]


@operator.put("/limits", status_code=204, operation_id="set_limit", responses=responses(422))
def set_limit(office: TheOffice, limit: Limit) -> Response:
    """Set a limit, or take it away."""
    value = "" if limit.value is None else str(limit.value)
    limits.set_limit(office, limit.subject, limit.service, limit.kind, value)
    return Response(status_code=204)


router.include_router(operator)
