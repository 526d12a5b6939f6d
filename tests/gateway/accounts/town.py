"""What the tests of accounts use: people, their browsers and programs, and a mail server that takes their letters."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from harness import settings, until
from starlette.testclient import TestClient

from colonnade.gateway.accounts import sessions, tokens
from colonnade.gateway.accounts.guard import Cookies
from colonnade.gateway.accounts.office import Office
from colonnade.gateway.accounts.people import new_account
from colonnade.gateway.accounts.tables import AccountRow
from colonnade.gateway.app import create_app
from colonnade.gateway.core import Gateway
from colonnade.gateway.person import SCOPES, Person, Role

ADDRESS = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"


@dataclass
class Mailbox:
    """A real SMTP server's handler: keeps what it is sent; refuses while `down`."""

    letters: list[Message] = field(default_factory=list)
    down: bool = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.down:
            return "451 try again later"
        self.letters.append(message_from_bytes(envelope.content))
        return "250 taken"

    def letter(self, to: str, containing: str = "") -> str:
        """Wait for a letter to somebody; its text."""

        def found() -> str | None:
            for letter in reversed(self.letters):
                text = letter.get_payload(decode=True).decode()
                if letter["To"] == to and containing in text:
                    return text
            return None

        return str(until(found, f"a letter to {to}"))

    def link(self, to: str, kind: str) -> str:
        """Wait for a letter with a link; its path."""
        text = self.letter(to, f"/{kind}/")
        match = re.search(rf"{re.escape(ADDRESS)}(/{kind}/\S+)", text)
        assert match is not None, text
        return match[1]


@dataclass
class Town:
    """A gateway with accounts, and the people who use it."""

    gateway: Gateway
    app: Any

    @property
    def office(self) -> Office:
        assert self.gateway.office is not None
        return self.gateway.office

    def account(self, name: str, role: Role = "user", consents: bool = True, password: str = "") -> AccountRow:
        with self.gateway.store.write() as session:
            row = new_account(session, name, email=f"{name}@example.org", role=role, password=password)
            if consents:
                self.office.people.consent(session, row.id)
            return row

    def person(self, account: AccountRow) -> Person:
        with self.gateway.store.read() as session:
            return sessions.person_of(session, session.get_one(AccountRow, account.id))

    def browser(self, account: AccountRow | None = None) -> TestClient:
        """A browser, signed in as somebody."""
        client = TestClient(
            self.app,
            base_url=ADDRESS,
            headers={"sec-fetch-site": "same-origin"},
            follow_redirects=False,
            raise_server_exceptions=False,
        )
        if account is not None:
            with self.gateway.store.write() as session:
                client.cookies.set(Cookies(ADDRESS).session, sessions.begin(session, account.id))
        return client

    def program(self, account: AccountRow, *scopes: str, days: int | None = 1) -> TestClient:
        """A program with one of somebody's tokens."""
        with self.gateway.store.write() as session:
            person = sessions.person_of(session, session.get_one(AccountRow, account.id))
            wanted = scopes or [scope for scope in SCOPES if scope != "operate" or account.role == "operator"]
            _, secret = tokens.make(session, person, "test", wanted, days)
        return TestClient(
            self.app,
            base_url=ADDRESS,
            headers={"authorization": f"Bearer {secret}"},
            follow_redirects=False,
            raise_server_exceptions=False,
        )


def found(folder: Path, empty: Path, **options: Any) -> Town:
    """A new town, whose engine is not started; `empty` is a database with its tables."""
    folder.mkdir()
    shutil.copy(empty, folder)
    common = {"accounts": True, "public_url": ADDRESS, "upload_limit": 10_000_000}
    gateway = Gateway(settings(folder, **(common | options)))
    town = Town(gateway, create_app(gateway))
    town.office.start()
    return town


def close(town: Town) -> None:
    """End it."""
    town.office.stop()
    town.gateway.store.close()


def submitted(client: TestClient, service: str = "testing.double", **body: Any) -> str:
    """Queue a job by REST; its id."""
    inputs = body.pop("inputs", {"n": 1})
    answer = client.post(f"/api/v1/services/{service}/jobs", json={"inputs": inputs, "again": True} | body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
