"""Who is let in: token, cookie, host, origin, and what every answer carries."""

from __future__ import annotations

import logging
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import settings

from colonnade.errors import ColonnadeError
from colonnade.gateway.access import Access, clean_path, read_token
from colonnade.gateway.app import serve
from colonnade.gateway.store import Store

PAGES = ["/", "/jobs", "/usage", "/reference", "/services/showcase.signal", "/jobs/01KB2Z7M3Q4R5S6T7V8W9X0Y1Z"]
ROUTES = ["/api/v1/services", "/api/v1/jobs", "/api/v1/health", "/api/v1/openapi.json", "/api/v1/usage"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_without_the_token_say_so(anonymous: Any, path: str) -> None:
    answer = anonymous.get(path)
    assert answer.status_code == 401
    assert "needs its access token" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", ROUTES)
def test_routes_without_the_token_say_so(anonymous: Any, path: str) -> None:
    answer = anonymous.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "needs its access token" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_is_changed_without_the_token(anonymous: Any, method: str) -> None:
    for path in ("/api/v1/uploads/a.txt", "/api/v1/jobs/01KB2Z7M3Q4R5S6T7V8W9X0Y1Z", "/services/showcase.signal"):
        assert anonymous.request(method, path, content=b"x").status_code == 401


def test_every_route_of_the_application_asks_for_the_token(app: Any, anonymous: Any) -> None:
    paths = app.openapi()["paths"]
    asked = [
        anonymous.request(method.upper(), path.replace("{", "").replace("}", "")).status_code
        for path, methods in paths.items()
        for method in methods
    ]
    assert len(asked) > 15
    assert set(asked) == {401}


def test_the_token_in_the_first_address_becomes_a_cookie(app: Any, anonymous: Any) -> None:
    token = app.state.access.token
    first = anonymous.get(f"/jobs?state=failed&token={token}")
    assert first.status_code == 303
    assert first.headers["location"] == "/jobs?state=failed"
    cookie = first.headers["set-cookie"]
    assert cookie.startswith("colonnade-8000=")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert token not in cookie
    assert anonymous.get("/jobs").status_code == 200


def test_a_wrong_token_is_refused_wherever_it_comes(app: Any, anonymous: Any) -> None:
    wrong = app.state.access.token[:-1] + "é"
    assert anonymous.get("/", params={"token": wrong}).status_code == 403
    bearer = {"authorization": "Bearer nonsense"}
    assert anonymous.get("/api/v1/jobs", headers=bearer).status_code == 401
    assert anonymous.get("/", cookies={"colonnade-8000": app.state.access.token}).status_code == 401
    assert anonymous.post("/sign-in", data={"token": wrong}).status_code == 403


def test_the_token_may_be_typed(app: Any, anonymous: Any) -> None:
    asked = anonymous.get("/usage")
    assert 'name="token"' in asked.text
    answer = anonymous.post("/sign-in", data={"token": f" {app.state.access.token} ", "next": "/usage"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/usage")
    assert anonymous.get("/usage").status_code == 200


@pytest.mark.parametrize("next", ["//evil.example/", "https://evil.example", "/\\evil.example", "\\\\evil.example"])
def test_signing_in_never_leads_elsewhere(app: Any, anonymous: Any, next: str) -> None:
    answer = anonymous.post("/sign-in", data={"token": app.state.access.token, "next": next})
    location = answer.headers["location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert clean_path("//evil.example") == "/evil.example"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::2]:8000"])
def test_a_foreign_host_is_refused_even_with_the_token(api: Any, host: str) -> None:
    answer = api.get("/api/v1/jobs", headers={"host": host})
    assert answer.status_code == 403
    assert "host name" in answer.json()["detail"]
    assert api.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:9999", "[::1]:8000", "LOCALHOST"])
def test_the_names_of_this_machine_are_known(api: Any, host: str) -> None:
    assert api.get("/api/v1/jobs", headers={"host": host}).status_code == 200


def test_further_host_names_are_a_setting(tmp_path: Path) -> None:
    from colonnade.gateway.app import _hosts

    known = Access("t", 1, _hosts(settings(tmp_path, hosts=("gateway.example",), host="192.0.2.7")))
    assert known.knows("gateway.example:443")
    assert known.knows("192.0.2.7:1")
    assert not known.knows("other.example")
    assert not Access("t", 1, _hosts(settings(tmp_path, host="0.0.0.0"))).knows("0.0.0.0:8000")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site", "origin": "null"},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"sec-fetch-site": "", "origin": "http://127.0.0.1:8000"},
    ],
)
def test_a_page_of_another_site_changes_nothing(browser: Any, headers: dict[str, str]) -> None:
    page = browser.post("/services/showcase.signal", data={"length": "5"}, headers=headers)
    assert page.status_code == 403
    assert "another site" in page.text
    api = browser.put("/api/v1/uploads/a.txt", content=b"x", headers=headers)
    assert api.status_code == 403
    assert browser.get("/api/v1/jobs").json()["jobs"] == []


def test_an_old_browser_is_judged_by_its_origin(app: Any, anonymous: Any) -> None:
    cookies = {app.state.access.cookie: app.state.access.cookie_value}
    for origin, status in (("https://evil.example", 403), ("null", 403), ("http://127.0.0.1:8000", 201)):
        answer = anonymous.put("/api/v1/uploads/a.txt", content=b"x", headers={"origin": origin}, cookies=cookies)
        assert answer.status_code == status


def test_a_link_from_elsewhere_is_opened_a_second_time_from_here(anonymous: Any) -> None:
    """Its first request lacks the strict cookie, whoever follows it."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = anonymous.get("/jobs?state=failed", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["refresh"] == "0; url=/jobs?state=failed"
    assert anonymous.get("/jobs", headers=headers | {"sec-fetch-mode": "no-cors"}).status_code == 401


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1/services", "/api/v1/nothing", "/static/style.css"])
def test_every_answer_carries_the_security_headers(browser: Any, anonymous: Any, path: str) -> None:
    for client in (browser, anonymous):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        script = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
        assert "unsafe" not in script
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"


def test_the_viewer_that_may_compile_has_no_origin_and_no_network(browser: Any) -> None:
    policy = browser.get("/static/viewer").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert "connect-src blob: data:;" in policy
    assert "form-action 'none'" in policy


def test_the_token_file_is_this_accounts_only(tmp_path: Path) -> None:
    token = read_token(tmp_path)
    path = tmp_path / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 40
    assert read_token(tmp_path) == token
    path.chmod(0o644)
    with pytest.raises(ColonnadeError, match="Other accounts can read"):
        read_token(tmp_path)


def test_the_token_is_in_no_log(app: Any, anonymous: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        anonymous.get(f"/?token={app.state.access.token}")
        anonymous.get("/api/v1/jobs", headers={"authorization": f"Bearer {app.state.access.token}"})
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert app.state.access.token not in " ".join(ours)


def test_a_port_in_use_gives_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve(settings(tmp_path, port=port)) == 2
    assert capsys.readouterr().err == f"Cannot listen on 127.0.0.1 port {port}: Address already in use.\n"
    assert not (tmp_path / "colonnade.sqlite3").exists()


def test_importing_the_gateway_imports_no_column() -> None:
    code = "import sys, colonnade.gateway.app; print([m for m in sys.modules if m.startswith('colonnade.structure')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_gateway_of_one_person_loads_nothing_of_accounts(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from colonnade.gateway.app import create_app; "
        "from colonnade.gateway.settings import Settings; "
        "Settings and create_app(Settings(data=pathlib.Path(sys.argv[1]))); "
        "heavy = ('colonnade.gateway.accounts', 'pwdlib', 'authlib', 'joserfc', 'psycopg', 'smtplib', 'alembic'); "
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    store = Store(f"sqlite:///{tmp_path / 'colonnade.sqlite3'}")
    store.upgrade()  # with Alembic; a later start does not need it
    store.close()
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_running_jobs_without_pages_loads_no_web_framework() -> None:
    code = (
        "import sys, colonnade.gateway.core; print([m for m in sys.modules if m.startswith(('fastapi', 'starlette'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
