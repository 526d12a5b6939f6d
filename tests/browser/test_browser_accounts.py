"""A gateway with accounts in a real browser: sign in, locked fields, share, operate; and the accessibility checker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "gateway" / "plugin"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with accounts, set up and started as its operator does; its address."""
    import socket

    folder = tmp_path_factory.mktemp("hall")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COLONNADE_")}
    environment = kept | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(PLUGIN), kept.get("PYTHONPATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(folder),
        "COLONNADE_DATA": str(folder / "data"),
        "COLONNADE_WORKERS": "1",
        "COLONNADE_ACCOUNTS": "true",
        "COLONNADE_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "colonnade.cli"]
    for email, name, role in (("ada@example.org", "Ada", "user"), ("op@example.org", "Grace", "operator")):
        add = [*command, "admin", "add-account", email, name, "--role", role]
        subprocess.run(add, env=environment, input=f"{PASSWORD}\n", text=True, check=True, stdout=subprocess.DEVNULL)
    serve = [*command, "serve", "--port", str(port)]
    process = subprocess.Popen(serve, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"Colonnade is at http://127.0.0.1:{port}\n"
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    assert process.wait(30) in (0, -signal.SIGTERM)


def enter(chromium: Any, hall: str, email: str, **options: Any) -> Any:
    """Sign in as somebody, agree to the terms when asked; gives the page."""
    context = chromium.new_context(**options)
    context.set_default_timeout(45_000)
    page = context.new_page()
    page.goto(f"{hall}/jobs")
    page.get_by_label("Mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    if "/consent" in page.url:
        page.get_by_label("terms of use").check()
        page.get_by_label("I know that").check()
        page.get_by_role("button", name="Go on").click()
    assert page.url == f"{hall}/jobs"
    return page


def test_sign_in_run_share_and_look_as_a_guest(chromium: Any, hall: str) -> None:
    page = enter(chromium, hall, "ada@example.org", viewport={"width": 390, "height": 900}, color_scheme="dark")
    page.goto(f"{hall}/services/showcase.signal")
    page.get_by_text("Guru", exact=True).click()
    assert page.get_by_label("Window").is_disabled()
    assert page.get_by_label("Damping").is_disabled()
    page.goto(f"{hall}/services/testing.double")
    page.get_by_role("button", name="Run", exact=True).last.click()
    page.get_by_role("button", name="Make a secret link").click()
    link = page.locator(".secret").inner_text()
    page.get_by_role("link", name="Back to the job").click()
    job = page.url
    guest = chromium.new_context().new_page()
    guest.goto(job)
    assert "/sign-in" in guest.url
    guest.goto(link)
    assert guest.url == job
    assert guest.get_by_role("button").filter(has_text="Delete").count() == 0
    page.get_by_role("button", name="Revoke").click()
    guest.reload()
    assert "/sign-in" in guest.url
    page.goto(f"{hall}/account")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator(".secret").inner_text()
    answer = httpx.get(f"{hall}/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert answer.json()["email"] == "ada@example.org"
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.goto(f"{hall}/jobs")
    assert "/sign-in" in page.url
    guest.context.close()
    page.context.close()


PAGES = ("/", "/services/showcase.signal", "/jobs", "/groups", "/account", "/operator", "/operator/limits", "/terms")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_are_accessible_and_no_wider_than_the_screen(chromium: Any, hall: str, axe: str, theme: str) -> None:
    page = enter(chromium, hall, "op@example.org", viewport={"width": 390, "height": 900}, color_scheme=theme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    for path in PAGES:
        page.goto(hall + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(item["id"], item["nodes"][0]["html"]) for item in found] == [], path
    assert complaints == []
    page.context.close()
