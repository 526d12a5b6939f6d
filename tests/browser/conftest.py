"""A real gateway process, and a real headless Chromium in front of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "gateway" / "plugin"
FLAGS = [
    *("--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 45_000  # milliseconds after which a page is given up; never a measure of speed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Site:
    """A running gateway."""

    address: str
    token: str
    log: list[str]

    def api(self, method: str, path: str, **options: Any) -> Any:
        """A request of a program."""
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.request(method, f"{self.address}{path}", headers=headers, timeout=60, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def submit(self, service: str, again: bool = False, seed: int = 0, title: str = "", **inputs: Any) -> str:
        """Queue a job; its id."""
        body = {"inputs": inputs, "again": again, "seed": seed, "title": title}
        return str(self.api("POST", f"/api/v1/services/{service}/jobs", json=body)["id"])

    def running(self, id: str) -> None:
        """Wait until a job runs."""
        headers = {"authorization": f"Bearer {self.token}"}
        path = f"{self.address}/api/v1/jobs/{id}/events"
        with httpx.stream("GET", path, headers=headers, timeout=60) as stream:
            assert any('"running"' in line for line in stream.iter_lines())

    def finished(self, service: str, **options: Any) -> str:
        """A job that has ended."""
        id = self.submit(service, **options)
        headers = {"authorization": f"Bearer {self.token}"}
        httpx.get(f"{self.address}/api/v1/jobs/{id}/events", headers=headers, timeout=60)  # ends with the job
        return id


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The gateway, started as a person does."""
    folder = tmp_path_factory.mktemp("site")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COLONNADE_")}
    environment = kept | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(PLUGIN), kept.get("PYTHONPATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(folder),
        "COLONNADE_WORKERS": "1",
        "COLONNADE_UPLOAD_LIMIT": "5 MB",
    }
    command = [sys.executable, "-m", "colonnade.cli", "serve", "--port", "0", "--data", str(folder / "data")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    log: list[str] = []
    found = None
    for line in process.stdout:
        log.append(line)
        found = re.search(r"(http://[^/]+)/\?token=(\S+)", line)
        if found:
            break
    assert found is not None, "".join(log)
    threading.Thread(target=lambda: log.extend(process.stdout or ()), daemon=True).start()
    yield Site(found[1], found[2], log)
    process.terminate()
    assert process.wait(30) in (0, -signal.SIGTERM), "".join(log)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.fail("these tests need Chromium: install the Debian package chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def profiles(site: Site, chromium: Any) -> Iterator[Callable[..., Any]]:
    """Browser profiles of somebody who was let in, one for each kind of device; they keep what they have loaded."""
    made: dict[tuple[Any, ...], Any] = {}

    def profile(theme: str, width: int, scripts: bool, fresh: bool) -> Any:
        key = (theme, width, scripts, len(made) if fresh else None)
        if key not in made:
            view = {"width": width, "height": 900}
            context = chromium.new_context(color_scheme=theme, viewport=view, java_script_enabled=scripts)
            context.set_default_timeout(PATIENCE)
            context.new_page().goto(f"{site.address}/?token={site.token}")
            made[key] = context
        return made[key]

    yield profile
    for context in made.values():
        context.close()


@pytest.fixture
def visit(site: Site, profiles: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Opens a page as somebody who was let in: `visit("/jobs", theme="dark", width=390, scripts=False)`.

    `fresh` takes a profile that nobody else uses. What the browser complains about is an error at the end, save the
    answers that a test asks for.
    """
    pages: list[Any] = []
    complaints: list[str] = []

    def open(path: str, *, theme: str = "light", width: int = 1280, scripts: bool = True, fresh: bool = False) -> Any:
        page = profiles(theme, width, scripts, fresh).new_page()
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
        page.on("request", lambda request: complaints.append(request.url) if _leaves(site, request.url) else None)
        page.goto(site.address + path)
        return page

    yield open
    for page in pages:
        page.close()
    assert complaints == []


def _is_complaint(message: Any) -> bool:
    # Plotly would like to add the style sheet of its maps; the policy refuses, and no plot needs it.
    expected = ("Failed to load resource: the server responded with a status of 4", "Applying inline style")
    return message.type == "error" and not message.text.startswith(expected)


def _leaves(site: Site, url: str) -> bool:
    """Whether a request goes to any other machine."""
    return not url.startswith((site.address, "blob:", "data:", "about:"))


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker's script; `npm install --no-save axe-core` brings it, or AXE_CORE names it."""
    named = os.environ.get("AXE_CORE")
    path = Path(named) if named else ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("axe-core is not installed (npm install --no-save axe-core, or AXE_CORE=/path/to/axe.min.js)")
    return path.read_text()
