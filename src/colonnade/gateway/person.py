"""Who makes a request, and what that person may see and do.

A single-user gateway knows one person, `ALONE`, who may do everything; with accounts, the guard finds out who asks.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from colonnade.inputs import Level

if TYPE_CHECKING:
    from colonnade.gateway.store import JobRow
    from colonnade.gateway.workflows.tables import WorkflowRow

Role = Literal["visitor", "user", "expert", "guru", "operator"]
ROLES: tuple[Role, ...] = ("visitor", "user", "expert", "guru", "operator")
LEVEL_OF: dict[Role, Level] = {
    "visitor": "basic", "user": "basic", "expert": "expert", "guru": "guru", "operator": "guru",
}  # fmt: skip

Scope = Literal["read", "submit", "manage", "operate"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "manage", "operate")


@dataclass(frozen=True)
class Person:
    """Somebody who makes a request.

    Args:
        id: of the account; None for a visitor and on a single-user gateway.
        name: what to call the person.
        role: how much is allowed.
        scopes: what an API token was given; a browser has them all.
        groups: ids of the groups whose jobs are shared.
        shares: ids of the jobs and workflows that somebody's link opened to this browser.
        session: digest of the browser's session; empty for a token.
        alone: the one person of a gateway without accounts.
    """

    id: str | None
    name: str
    role: Role
    scopes: frozenset[Scope] = frozenset(SCOPES)
    groups: frozenset[str] = frozenset()
    shares: frozenset[str] = frozenset()
    session: str = field(default="", repr=False)
    alone: bool = False

    @property
    def known(self) -> bool:
        """Whether somebody is signed in (or is alone here)."""
        return self.alone or self.id is not None

    @property
    def operator(self) -> bool:
        return self.role == "operator" and "operate" in self.scopes

    @property
    def level(self) -> Level:
        """The highest level of fields that may be changed."""
        return LEVEL_OF[self.role]

    @property
    def may_submit(self) -> bool:
        return self.known and self.role != "visitor" and "submit" in self.scopes

    def may_see(self, row: JobRow | WorkflowRow) -> bool:
        """Whether a job or workflow is this person's, of a shared group, or opened by a link; operators see all."""
        if self.alone or self.operator or row.id in self.shares:
            return True
        return (self.id is not None and row.owner == self.id) or row.group_id in self.groups

    def may_change(self, row: JobRow | WorkflowRow) -> bool:
        """Whether this person may cancel, share and delete a job or workflow."""
        return self.alone or self.operator or (self.id is not None and row.owner == self.id)


ALONE = Person(None, "", "operator", alone=True)
VISITOR = Person(None, "", "visitor", scopes=frozenset({"read"}))

# What is drawn on every page (who is signed in) would otherwise have to be handed through all of them.
_asking: ContextVar[Person] = ContextVar("colonnade_person", default=ALONE)


def asking() -> Person:
    """Who makes the request that is being answered."""
    return _asking.get()


def set_asking(person: Person) -> None:
    """Say who makes the request that is being answered."""
    _asking.set(person)
