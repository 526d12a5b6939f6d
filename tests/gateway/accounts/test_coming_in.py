"""Registration, sign-in, sessions, passwords: over HTTP, with a real mail server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from harness import until
from sqlalchemy import select, update
from town import ADDRESS, PASSWORD, Mailbox, Town

from colonnade.gateway.accounts import passwords
from colonnade.gateway.accounts.tables import AccountRow, ConsentRow, LetterRow, SessionRow, TicketRow, TokenRow
from colonnade.gateway.store import now


@pytest.fixture
def mailed(build: Callable[..., Town], mailbox: Any) -> Town:
    """A town with a mail server."""
    return build(smtp=mailbox.url, mail_from="gateway@example.org")


def accounts(town: Town) -> list[AccountRow]:
    with town.gateway.store.read() as session:
        return list(session.scalars(select(AccountRow)))


FORM = {"name": "Ada", "password": PASSWORD, "community": "Analysts", "consents": ["terms", "retention"]}


def test_registration_from_the_mail_to_the_first_job(mailed: Town, mailbox: Mailbox) -> None:
    browser = mailed.browser()
    asked = browser.post("/register", data={"email": " Ada@Example.org "})
    assert asked.status_code == 200 and "A mail is on its way" in asked.text
    assert accounts(mailed) == []
    path = mailbox.link("ada@example.org", "register")
    assert "ada@example.org" in browser.get(path).text
    assert accounts(mailed) == []  # a mail scanner that follows the link makes nothing
    refused = browser.post(path, data={"name": "", "password": "short"})
    assert refused.status_code == 422
    for words in ("name must not be empty", "10 to 200 characters", "without agreeing"):
        assert words in refused.text
    done = browser.post(path, data=FORM)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    (row,) = accounts(mailed)
    assert (row.email, row.name, row.role, row.community) == ("ada@example.org", "Ada", "user", "Analysts")
    assert row.password.startswith("$argon2id$") and PASSWORD not in row.password
    with mailed.gateway.store.read() as session:
        assert {consent.kind for consent in session.scalars(select(ConsentRow))} == {"terms", "retention"}
    ran = browser.post("/services/testing.double", data={"n": "3"})
    assert ran.headers["location"].startswith("/jobs/")
    again = mailed.browser().post(path, data=FORM)
    assert again.status_code == 409 and "used already" in again.text


def test_nobody_learns_who_has_an_account(mailed: Town, mailbox: Mailbox) -> None:
    mailed.account("known", password=passwords.hashed(PASSWORD))
    browser = mailed.browser()
    for path in ("/register", "/forgotten"):
        pages = [
            browser.post(path, data={"email": f"{name}@example.org"}).text.replace(name, "NAME")
            for name in ("known", "stranger")
        ]
        assert pages[0] == pages[1]
    answers = [
        browser.post("/sign-in", data={"email": f"{name}@example.org", "password": "wrong password"})
        for name in ("known", "stranger")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].text.replace("known", "NAME") == answers[1].text.replace("stranger", "NAME")
    assert "You have an account already" in mailbox.letter("known@example.org", "already")
    mailbox.link("stranger@example.org", "register")
    mailbox.link("known@example.org", "reset")
    assert len(mailbox.letters) == 3  # the stranger got none about a password


def test_an_unknown_address_costs_a_hash_as_well(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    verify = passwords._hasher().verify_and_update
    monkeypatch.setattr(
        type(passwords._hasher()),
        "verify_and_update",
        lambda self, given, kept: (hashed.append(kept), verify(given, kept))[1],
    )
    town.browser().post("/sign-in", data={"email": "nobody@example.org", "password": "wrong password"})
    assert len(hashed) == 1 and hashed[0].startswith("$argon2id$")


def test_sign_in_and_out(town: Town) -> None:
    town.account("ada", password=passwords.hashed(PASSWORD))
    browser = town.browser()
    asked = browser.get("/jobs?state=failed")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Fjobs%3Fstate%3Dfailed")
    done = browser.post(
        "/sign-in", data={"email": "ADA@example.org", "password": PASSWORD, "next": "/jobs?state=failed"}
    )
    assert (done.status_code, done.headers["location"]) == (303, "/jobs?state=failed")
    secret = browser.cookies["colonnade-session"]
    assert browser.get("/jobs").status_code == 200
    with town.gateway.store.read() as session:
        assert all(secret not in row.digest for row in session.scalars(select(SessionRow)))
    assert browser.post("/sign-out").status_code == 303
    assert town.browser().get("/jobs", cookies={"colonnade-session": secret}).status_code == 303
    for next in ("//evil.example", "https://evil.example", "/\\evil.example"):
        location = (
            town.browser()
            .post("/sign-in", data={"email": "ada@example.org", "password": PASSWORD, "next": next})
            .headers["location"]
        )
        assert location.startswith("/") and not location.startswith(("//", "/\\"))


def test_too_many_wrong_passwords(build: Callable[..., Town]) -> None:
    town = build(login_tries=3)
    town.account("ada", password=passwords.hashed(PASSWORD))
    wrong = {"email": "ada@example.org", "password": "wrong password"}
    statuses = [town.browser().post("/sign-in", data=wrong).status_code for _ in range(4)]
    assert statuses == [403, 403, 403, 429]
    right = town.browser().post("/sign-in", data=wrong | {"password": PASSWORD})
    assert right.status_code == 429 and "try again in 15 minutes" in right.text
    assert int(right.headers["retry-after"]) > 800


def test_a_session_gets_a_new_secret_from_time_to_time(build: Callable[..., Town]) -> None:
    town = build(session_rotation=3600)
    browser = town.browser(town.account("ada"))
    old = browser.cookies["colonnade-session"]
    assert browser.get("/jobs").cookies.get("colonnade-session") is None
    _age(town, made=2)
    answer = browser.get("/jobs")
    new = answer.cookies["colonnade-session"]
    assert new != old
    late = town.browser()
    late.cookies.set("colonnade-session", old)
    assert late.get("/jobs").status_code == 200  # another request of the same page is still under way
    with town.gateway.store.write() as session:
        session.execute(
            update(SessionRow).where(SessionRow.replaced.is_not(None)).values(replaced=now() - timedelta(minutes=2))
        )
    assert late.get("/jobs").status_code == 303
    late.cookies.set("colonnade-session", new)
    assert late.get("/jobs").status_code == 200


def _age(town: Town, **hours: float) -> None:
    with town.gateway.store.write() as session:
        values = {name: now() - timedelta(hours=amount) for name, amount in hours.items()}
        session.execute(update(SessionRow).values(**values))


@pytest.mark.parametrize("hours", [{"began": 31 * 24}, {"seen": 8 * 24}])
def test_a_session_ends(town: Town, hours: dict[str, float]) -> None:
    browser = town.browser(town.account("ada"))
    assert browser.get("/jobs").status_code == 200
    _age(town, **hours)
    assert browser.get("/jobs").status_code == 303
    town.gateway._tidy()
    with town.gateway.store.read() as session:
        assert session.scalars(select(SessionRow)).all() == []


def test_a_new_password_by_mail_signs_everybody_out(mailed: Town, mailbox: Mailbox) -> None:
    account = mailed.account("ada", password=passwords.hashed(PASSWORD))
    thief, owner = mailed.browser(account), mailed.browser()
    owner.post("/forgotten", data={"email": "ada@example.org"})
    path = mailbox.link("ada@example.org", "reset")
    assert owner.post(path, data={"password": "ada@example.org"}).status_code == 422
    assert owner.post(path, data={"password": "another good one"}).headers["location"] == "/sign-in?done=password"
    assert thief.get("/jobs").status_code == 303
    assert owner.post(path, data={"password": "a third good one"}).status_code == 409
    signed = owner.post("/sign-in", data={"email": "ada@example.org", "password": "another good one"})
    assert signed.status_code == 303
    mailbox.letter("ada@example.org", "was changed")


def test_a_mailed_link_grows_old(mailed: Town, mailbox: Mailbox) -> None:
    mailed.browser().post("/register", data={"email": "ada@example.org"})
    path = mailbox.link("ada@example.org", "register")
    with mailed.gateway.store.write() as session:
        session.execute(update(TicketRow).values(expires=now() - timedelta(seconds=1)))
    assert mailed.browser().get(path).status_code == 409
    mailed.gateway._tidy()
    with mailed.gateway.store.read() as session:
        assert session.scalars(select(TicketRow)).all() == []


def test_letters_wait_for_the_server(mailed: Town, mailbox: Mailbox) -> None:
    mailbox.down = True
    mailed.browser().post("/register", data={"email": "ada@example.org"})

    def tried() -> bool:
        with mailed.gateway.store.read() as session:
            return any(row.tries for row in session.scalars(select(LetterRow)))

    until(tried, "a try")
    mailbox.down = False
    with mailed.gateway.store.write() as session:
        session.execute(update(LetterRow).values(due=now()))
    mailed.office.postman.wake()
    mailbox.link("ada@example.org", "register")
    assert len(mailbox.letters) == 1
    assert mailbox.letters[0]["From"] == "gateway@example.org"


@pytest.mark.parametrize(
    "email", ["", "ada", "a b@example.org", "ada@example.org\r\nBcc: all@example.org", "<a>@x.org"]
)
def test_what_is_no_mail_address_is_refused(mailed: Town, mailbox: Mailbox, email: str) -> None:
    assert mailed.browser().post("/register", data={"email": email}).status_code == 422
    assert mailbox.letters == []


def test_other_terms_are_to_be_agreed_to_first(town: Town) -> None:
    account = town.account("ada", consents=False)
    browser, program = town.browser(account), town.program(account)
    asked = browser.get("/jobs")
    assert (asked.status_code, asked.headers["location"]) == (303, "/consent?next=%2Fjobs")
    assert "terms of use have changed" in program.get("/api/v1/jobs").json()["detail"]
    assert browser.get("/terms").status_code == 200
    assert (
        browser.post("/consent", data={"consents": ["terms"], "next": "/jobs"})
        .headers["location"]
        .startswith("/consent")
    )
    agreed = browser.post("/consent", data={"consents": ["terms", "retention"], "next": "/jobs"})
    assert agreed.headers["location"] == "/jobs"
    assert (browser.get("/jobs").status_code, program.get("/api/v1/jobs").status_code) == (200, 200)


def test_tokens_have_scopes_and_an_end(town: Town) -> None:
    account = town.account("ada")
    reader = town.program(account, "read")
    assert reader.get("/api/v1/jobs").status_code == 200
    refused = reader.post("/api/v1/services/testing.double/jobs", json={"inputs": {"n": 1}})
    assert refused.status_code == 403 and "'submit'" in refused.json()["detail"]
    assert reader.get("/jobs").status_code == 403
    writer = town.program(account, "read", "submit")
    id = writer.post("/api/v1/services/testing.double/jobs", json={"inputs": {"n": 1}}).json()["id"]
    assert writer.post(f"/api/v1/jobs/{id}/cancel").status_code == 403
    assert town.program(account, "manage").post(f"/api/v1/jobs/{id}/cancel").status_code == 200
    with town.gateway.store.write() as session:
        session.execute(update(TokenRow).values(expires=now() - timedelta(seconds=1)))
    assert reader.get("/api/v1/jobs").status_code == 401


def test_a_token_is_shown_once_and_can_be_revoked(town: Town) -> None:
    browser = town.browser(town.account("ada"))
    page = browser.post("/account/tokens", data={"label": "laptop", "days": "30", "scopes": ["read"]}).text
    secret = page.split('class="secret">')[1].split("<")[0]
    assert secret.startswith("cln_")
    assert secret not in browser.get("/account").text and "laptop" in browser.get("/account").text
    with town.gateway.store.read() as session:
        (row,) = session.scalars(select(TokenRow)).all()
        assert secret not in row.digest and row.expires is not None
    program = town.browser()
    program.headers["authorization"] = f"Bearer {secret}"
    assert program.get("/api/v1/me").json()["name"] == "ada"
    browser.post(f"/account/tokens/{row.id}/revoke")
    assert program.get("/api/v1/me").status_code == 401
    operate = browser.post("/account/tokens", data={"label": "x", "days": "30", "scopes": ["operate"]})
    assert operate.status_code == 422 and "only an operator" in operate.text


def test_a_closed_account_is_closed_everywhere(town: Town) -> None:
    account, operator = town.account("ada", password=passwords.hashed(PASSWORD)), town.account("op", "operator")
    browser, program = town.browser(account), town.program(account)
    assert town.browser(operator).post(f"/operator/people/{account.id}/close", data={"closed": "on"}).status_code == 303
    assert browser.get("/jobs").status_code == 303
    assert program.get("/api/v1/jobs").status_code == 401
    signed = town.browser().post("/sign-in", data={"email": "ada@example.org", "password": PASSWORD})
    assert signed.status_code == 403


def test_cookies_are_bound_to_the_host_behind_https(build: Callable[..., Town]) -> None:
    town = build(public_url="https://gateway.example")
    town.account("ada", password=passwords.hashed(PASSWORD))
    browser = town.browser()
    headers = {"host": "gateway.example", "origin": "https://gateway.example"}
    done = browser.post("/sign-in", data={"email": "ada@example.org", "password": PASSWORD}, headers=headers)
    cookie = done.headers["set-cookie"]
    assert cookie.startswith("__Host-colonnade-session=") and "Secure" in cookie and "Path=/;" in cookie
    assert "Domain" not in cookie


def test_pages_of_other_sites_change_nothing(town: Town) -> None:
    browser = town.browser(town.account("ada"))
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    for path in ("/sign-out", "/account/profile", "/sign-in", "/groups"):
        answer = browser.post(path, data={"name": "x"}, headers=foreign)
        assert answer.status_code == 403 and "another site" in answer.text
    assert browser.get("/jobs").status_code == 200
    assert browser.get("/", headers={"host": "evil.example"}).status_code == 403


def test_everything_known_is_told_and_erased(town: Town) -> None:
    account = town.account("ada", password=passwords.hashed(PASSWORD))
    browser = town.browser(account)
    file = browser.put("/api/v1/uploads/a.txt", content=b"mine").json()
    answer = browser.post("/api/v1/services/testing.characters/jobs", json={"inputs": {"file": file}})
    id = answer.json()["id"]
    known = browser.get("/account/export").json()
    assert known["account"]["email"] == "ada@example.org" and "password" not in known["account"]
    assert [job["id"] for job in known["jobs"]] == [id]
    assert "Cancel your jobs" in browser.post("/account/erase", data={"sure": "on"}).text
    browser.post(f"/jobs/{id}/cancel")
    directory = town.gateway.directory(id)
    assert browser.post("/account/erase", data={}).status_code == 422
    assert browser.post("/account/erase", data={"sure": "on"}).headers["location"] == "/sign-in?done=erased"
    assert accounts(town) == [] and not directory.exists()
    assert not town.gateway.files.path(file["sha256"]).exists()
    assert browser.get("/jobs").status_code == 303


def test_the_address_of_the_gateway_is_its_public_one(town: Town) -> None:
    assert town.gateway.settings.public_url == ADDRESS
