"""The tables of people: accounts, sessions, tokens, groups, links, letters. Secrets are kept as digests only."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from colonnade.gateway.store import Base


def new_secret() -> str:
    """A secret for a cookie, link or token: 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a secret. It has 256 random bits, so a fast digest gives nothing away."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _account(**options: bool) -> Mapped[str]:
    return mapped_column(String(26), ForeignKey("accounts.id", ondelete="CASCADE"), **options)  # type: ignore[arg-type]


class AccountRow(Base):
    """A person. `email` is in lower case; None for one who came by an identity provider that told none.

    `password` is an argon2 hash, empty when only an identity provider signs the person in.
    `asked_role` and `asked_reason` hold a wish for a higher role that no operator has answered yet.
    """

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    email: Mapped[str | None] = mapped_column(unique=True, default=None)
    name: Mapped[str]
    password: Mapped[str] = mapped_column(default="")
    role: Mapped[str] = mapped_column(String(16), default="user")
    community: Mapped[str] = mapped_column(default="")
    notify: Mapped[bool] = mapped_column(default=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]
    asked_role: Mapped[str] = mapped_column(String(16), default="")
    asked_reason: Mapped[str] = mapped_column(default="")


class ConsentRow(Base):
    """That a person agreed to one version of a text (`terms`, `retention`), and when."""

    __tablename__ = "consents"

    account: Mapped[str] = _account(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    given: Mapped[datetime]


class SessionRow(Base):
    """A signed-in browser. `replaced` is when its secret was exchanged for a new one: it dies shortly after."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = _account(index=True)
    began: Mapped[datetime]
    made: Mapped[datetime]
    seen: Mapped[datetime]
    replaced: Mapped[datetime | None] = mapped_column(default=None)


class TokenRow(Base):
    """A personal API token; `scopes` are joined by blanks."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    account: Mapped[str] = _account(index=True)
    name: Mapped[str]
    scopes: Mapped[str]
    created: Mapped[datetime]
    expires: Mapped[datetime | None] = mapped_column(default=None)
    used: Mapped[datetime | None] = mapped_column(default=None)


class TicketRow(Base):
    """A link that was mailed: to confirm an address, to set a password, to join a group. It works once.

    `subject` is what it is for: an account, or a group.
    """

    __tablename__ = "tickets"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(26), index=True)
    email: Mapped[str]
    expires: Mapped[datetime]


class IdentityRow(Base):
    """Who a person is to an identity provider."""

    __tablename__ = "identities"

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = _account(index=True)


class LoginFlowRow(Base):
    """A sign-in that is under way at an identity provider."""

    __tablename__ = "login_flows"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    provider: Mapped[str] = mapped_column(String(64))
    verifier: Mapped[str]
    nonce: Mapped[str]
    next: Mapped[str]
    expires: Mapped[datetime]


class GroupRow(Base):
    """People who share jobs."""

    __tablename__ = "user_groups"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str]
    created: Mapped[datetime]


class MemberRow(Base):
    """A person in a group; a manager invites, removes, and ends the group."""

    __tablename__ = "members"

    group_id: Mapped[str] = mapped_column(
        String(26), ForeignKey("user_groups.id", ondelete="CASCADE"), primary_key=True
    )
    account: Mapped[str] = _account(primary_key=True, index=True)
    manager: Mapped[bool] = mapped_column(default=False)


class ShareRow(Base):
    """A secret link that opens one job to whoever has it, until it is revoked."""

    __tablename__ = "shares"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    job: Mapped[str] = mapped_column(String(26), ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    created: Mapped[datetime]


class FileOwner(Base):
    """That a person uploaded a file; the same bytes may have come from several."""

    __tablename__ = "file_owners"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = _account(primary_key=True, index=True)
    created: Mapped[datetime]


class LetterRow(Base):
    """A mail to be sent. Whoever sends it sets `due` into the future first, so that no two gateways send it."""

    __tablename__ = "letters"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    address: Mapped[str]
    subject: Mapped[str]
    body: Mapped[str]
    due: Mapped[datetime] = mapped_column(index=True)
    tries: Mapped[int] = mapped_column(default=0)


class CountRow(Base):
    """How often something was tried in a time window that ends at `ends` (for limits of rate)."""

    __tablename__ = "counts"

    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    ends: Mapped[datetime] = mapped_column(index=True)


class ClockRow(Base):
    """The virtual time of the fair queue: the start tag of the last job that was started. One row, of id 1."""

    __tablename__ = "fair_clock"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[float]


class QuotaRow(Base):
    """A limit that an operator set. `subject`: an account's id or "role:NAME"; `service`: "" for all together."""

    __tablename__ = "quotas"

    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    service: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[float]


class PersonalUsageRow(Base):
    """What one person's jobs of one service used in a month."""

    __tablename__ = "personal_usage"

    account: Mapped[str] = _account(primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    service: Mapped[str] = mapped_column(primary_key=True)
    jobs: Mapped[int]
    cpu_seconds: Mapped[float]


class CommunityUsageRow(Base):
    """What the jobs of one community's people used in a month; "" for people who named none."""

    __tablename__ = "community_usage"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    community: Mapped[str] = mapped_column(primary_key=True)
    jobs: Mapped[int]
    cpu_seconds: Mapped[float]
