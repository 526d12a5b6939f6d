"""A gateway with accounts whose engine is not started, and a real mail server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from harness import settings
from town import ADDRESS, Mailbox, Town

from colonnade.gateway.app import create_app
from colonnade.gateway.core import Gateway


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


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Builds a town with these settings."""
    built: list[Town] = []

    def make(**options: Any) -> Town:
        common = {"accounts": True, "public_url": ADDRESS, "upload_limit": 10_000_000}
        gateway = Gateway(settings(tmp_path / f"data{len(built)}", **(common | options)))
        town = Town(gateway, create_app(gateway))
        town.office.start()
        built.append(town)
        return town

    yield make
    for town in built:
        town.office.stop()
        town.gateway.store.close()


@pytest.fixture
def town(build: Callable[..., Town]) -> Town:
    """A gateway with accounts and no mail server."""
    return build()
