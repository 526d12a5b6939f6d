"""The services of `plugin/` are installed for these tests, here and in every process they start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import ADDRESS, settings, until

from colonnade import runner
from colonnade.gateway.core import Gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with its real engine that many tests share; it has a secret in its environment."""
    os.environ["COLONNADE_TEST_SECRET"] = "open sesame"
    found = Gateway(settings(tmp_path_factory.mktemp("gateway")))
    found.start()
    until(lambda: found.health()["engine"] == "ready", "the engine")
    yield found
    found.stop()
    del os.environ["COLONNADE_TEST_SECRET"]


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose engine is not started: what is submitted stays queued."""
    found = Gateway(settings(tmp_path / "data", upload_limit=10_000_000))
    yield found
    found.store.close()


@pytest.fixture
def app(idle: Gateway) -> Any:
    """The web application over a gateway that runs nothing."""
    from colonnade.gateway.app import create_app

    return create_app(idle)


@pytest.fixture
def anonymous(app: Any) -> Any:
    """Requests of somebody without the token."""
    from starlette.testclient import TestClient

    return TestClient(app, base_url=ADDRESS, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def api(app: Any) -> Any:
    """Requests of a program that holds the token."""
    from starlette.testclient import TestClient

    headers = {"authorization": f"Bearer {app.state.access.token}"}
    return TestClient(app, base_url=ADDRESS, headers=headers, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def browser(app: Any) -> Any:
    """Requests of a browser that was let in: the cookie, and what browsers tell of themselves."""
    from starlette.testclient import TestClient

    access = app.state.access
    headers = {"sec-fetch-site": "same-origin"}
    client = TestClient(app, base_url=ADDRESS, headers=headers, follow_redirects=False, raise_server_exceptions=False)
    client.cookies.set(access.cookie, access.cookie_value)
    return client


@pytest.fixture
def run_all(idle: Gateway) -> Any:
    """Runs what is queued, here and now, in place of the engine."""
    from colonnade.gateway import queue

    def run() -> None:
        with idle.store.write() as session:
            claims = queue.claim(session, "test", 99)
        for claim in claims:
            status = runner.execute(idle.directory_of(claim.run))
            error = runner.load(idle.directory_of(claim.run)).error
            with idle.store.write() as session:
                queue.finish(session, claim.id, claim.attempt, status, error=error, cpu_seconds=0.5)

    return run
