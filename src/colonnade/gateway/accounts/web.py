"""The web half of accounts: routers and the guard, as the application takes them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request

from colonnade.gateway.access import RefusalView
from colonnade.gateway.accounts.guard import AccountGuard, Cookies
from colonnade.gateway.accounts.office import Office
from colonnade.gateway.accounts.oidc import Providers


def routers() -> list[APIRouter]:
    """What a gateway with accounts answers beside the rest; before it, as the job pages take any last word."""
    from colonnade.gateway.accounts import account_pages, api, group_pages, operator_pages, share_pages, sign_in_pages
    from colonnade.gateway.workflows import share_pages as workflow_share_pages

    modules = (sign_in_pages, account_pages, group_pages, share_pages, workflow_share_pages, operator_pages, api)
    return [module.router for module in modules]


def guard(app: FastAPI, office: Office, refuse: RefusalView) -> None:
    """Put the guard in front of an application, and what its pages need behind it."""
    app.state.office = office
    app.state.cookies = Cookies(office.settings.public_url)
    app.state.providers = Providers(office.settings, office.store)
    app.add_middleware(AccountGuard, office=office, access=app.state.access, refuse=refuse)


def the_office(request: Request) -> Office:
    """The accounts of the gateway behind this application."""
    office: Office = request.app.state.office
    return office


TheOffice = Annotated[Office, Depends(the_office)]


def origin(request: Request) -> str:
    """Where a request comes from, to count tries by: the address of the browser or program."""
    return request.client.host if request.client is not None else "unknown"
