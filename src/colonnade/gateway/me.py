"""`Me`: how a route says that it wants to know who asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from colonnade.gateway.person import ALONE, Person


def the_person(request: Request) -> Person:
    """Who makes a request: whom the guard found, or the one person of a gateway without accounts."""
    found: Person | None = getattr(request.state, "person", None)
    return found if found is not None else ALONE


Me = Annotated[Person, Depends(the_person)]
