"""A gateway with accounts whose engine is not started, and a real mail server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from town import Mailbox, Town, close, found

from colonnade.gateway.store import Store


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server; its address is `mailbox.url`."""
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    box.url = f"smtp://127.0.0.1:{port}"  # type: ignore[attr-defined]
    yield box
    server.stop()


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, which each test copies: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "colonnade.sqlite3"
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    store.close()
    return path


@pytest.fixture
def build(tmp_path: Path, empty: Path) -> Iterator[Callable[..., Town]]:
    """Builds a town with these settings."""
    built: list[Town] = []

    def make(**options: Any) -> Town:
        built.append(found(tmp_path / f"data{len(built)}", empty, **options))
        return built[-1]

    yield make
    for town in built:
        close(town)


@pytest.fixture
def town(build: Callable[..., Town]) -> Town:
    """A gateway with accounts and no mail server."""
    return build()
