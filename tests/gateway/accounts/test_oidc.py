"""Signing in at an identity provider: against a real OpenID Connect server in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from harness import until
from sqlalchemy import select
from town import Town

from colonnade.gateway.accounts import oidc
from colonnade.gateway.accounts.tables import AccountRow, IdentityRow, LoginFlowRow

PEOPLE = [
    {"sub": "ada", "email": "ada@example.org", "email_verified": True, "name": "Ada Lovelace"},
    {"sub": "eve", "email": "ada@example.org", "email_verified": False, "name": "Eve"},
    {"sub": "nemo"},
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """An identity provider; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    for person in PEOPLE:
        command += ["--user-claims", json.dumps(person)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/.well-known/openid-configuration").status_code == 200
        except httpx.TransportError:
            return False

    until(answers, "the identity provider")
    yield str(httpx.get(f"{address}/.well-known/openid-configuration").json()["issuer"])
    process.terminate()
    process.wait(10)


@pytest.fixture
def town(build: Callable[..., Town], issuer: str) -> Town:
    return build(oidc={"lab": {"name": "The Lab", "issuer": issuer, "client_id": "gate", "client_secret": "secret"}})


def sent_back(town: Town, browser: Any, subject: str, action: str = "", next: str = "/jobs") -> str:
    """Begin in a browser, sign in at the provider; where that sends the browser back to."""
    begun = browser.get("/oidc/lab/begin", params={"next": next})
    assert begun.status_code == 303, begun.text
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"] and query["nonce"] and query["state"]
    assert "samesite=lax" in begun.headers["set-cookie"].lower()
    answer = httpx.post(begun.headers["location"], data={"sub": subject, "action": action})
    return str(answer.headers["location"])


def came_back(browser: Any, location: str) -> Any:
    parts = urlsplit(location)
    return browser.get(f"{parts.path}?{parts.query}")


def names(town: Town) -> list[str]:
    with town.gateway.store.read() as session:
        return list(session.scalars(select(AccountRow.name).order_by(AccountRow.name)))


def test_a_first_and_a_second_visit(town: Town) -> None:
    browser = town.browser()
    assert "Sign in with The Lab" in browser.get("/sign-in").text
    for _ in range(2):
        browser = town.browser()
        done = came_back(browser, sent_back(town, browser, "ada"))
        assert (done.status_code, done.headers["location"]) == (303, "/jobs"), done.text
        assert browser.get("/jobs").headers["location"].startswith("/consent")
    assert names(town) == ["Ada Lovelace"]
    with town.gateway.store.read() as session:
        assert [row.subject for row in session.scalars(select(IdentityRow))] == ["ada"]
        assert session.scalars(select(LoginFlowRow)).all() == []


def test_a_proven_address_finds_its_account_and_another_does_not(town: Town) -> None:
    town.account("ada")
    browser = town.browser()
    assert came_back(browser, sent_back(town, browser, "ada")).status_code == 303
    assert names(town) == ["ada"]
    thief = town.browser()
    refused = came_back(thief, sent_back(town, thief, "eve"))
    assert refused.status_code == 403 and "has not proven" in refused.text
    assert names(town) == ["ada"]


def test_somebody_without_an_address(town: Town) -> None:
    browser = town.browser()
    assert came_back(browser, sent_back(town, browser, "nemo")).status_code == 303
    with town.gateway.store.read() as session:
        (row,) = session.scalars(select(AccountRow)).all()
    assert row.email is None


def test_an_answer_works_once_and_in_the_browser_that_asked(town: Town) -> None:
    browser, other = town.browser(), town.browser()
    location = sent_back(town, browser, "ada")
    sent_back(town, other, "eve")
    stolen = came_back(other, location)
    assert stolen.status_code == 403 and "not begun in this browser" in stolen.text
    again = town.browser()
    again.cookies.set("colonnade-state", browser.cookies["colonnade-state"])
    assert came_back(browser, location).status_code == 303
    ended = came_back(again, location)
    assert ended.status_code == 403 and "has ended already" in ended.text
    assert names(town) == ["Ada Lovelace"]


def test_who_refuses_there_is_not_signed_in_here(town: Town) -> None:
    browser = town.browser()
    refused = came_back(browser, sent_back(town, browser, "ada", action="deny"))
    assert refused.status_code == 403 and names(town) == []
    assert came_back(town.browser(), "/oidc/none/begin").status_code == 403


def test_what_the_provider_says_is_checked(town: Town, issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another audience, issuer or nonce than what was asked for is refused."""
    metadata = oidc._discover(town.gateway.settings.oidc["lab"])
    wrong = {
        "nonce": lambda providers: None,
        "issuer": lambda providers: providers._known.update(
            lab=(float("inf"), replace(metadata, issuer="http://other"))
        ),
    }
    for name, spoil in wrong.items():
        browser = town.browser()
        location = sent_back(town, browser, "ada")
        spoil(town.app.state.providers)
        if name == "nonce":
            with town.gateway.store.write() as session:
                for row in session.scalars(select(LoginFlowRow)):
                    row.nonce = "another"
        answer = came_back(browser, location)
        assert answer.status_code == 403 and "not valid" in answer.text, (name, answer.text)
        town.app.state.providers._known.clear()
    assert names(town) == []


class Impostor(BaseHTTPRequestHandler):
    """Names an issuer that it is not."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
        self.wfile.write(json.dumps(dict.fromkeys(names, "https://accounts.example")).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_provider_that_is_away_or_gives_itself_out_as_another(build: Callable[..., Town]) -> None:
    with HTTPServer(("127.0.0.1", 0), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        impostor = f"http://127.0.0.1:{server.server_port}"
        for address, said in (("http://127.0.0.1:9", "could not be reached"), (impostor, "gives itself out")):
            town = build(oidc={"lab": {"name": "The Lab", "client_id": "gate", "issuer": address}})
            answer = town.browser().get("/oidc/lab/begin")
            assert answer.status_code == 403 and said in answer.text
        server.shutdown()
