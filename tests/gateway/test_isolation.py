"""Jobs inside bubblewrap: what they see of the gateway and the network, and that limits and ends are as outside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import PLUGIN, ended, settings, submit, until

from colonnade import runner
from colonnade.gateway import caches, enclosure
from colonnade.gateway.core import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if not enclosure.available():
        pytest.skip("bubblewrap is not installed, or not allowed to make name spaces here")
    found = Gateway(settings(tmp_path_factory.mktemp("gateway"), isolation="required"))
    found.start()
    until(lambda: found.health()["engine"] == "ready", "the engine")
    yield found
    found.stop()


@pytest.fixture
def port() -> Iterator[int]:
    """Something on this machine that answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield int(listener.getsockname()[1])


def seen(gateway: Gateway, service: str, **inputs: Any) -> dict[str, Any]:
    row = ended(gateway, submit(gateway, service, **inputs).id)
    assert row.state == "succeeded", row.error
    return runner.load(gateway.directory(row.id)).outputs


def test_a_job_sees_neither_the_gateway_nor_the_network(gateway: Gateway, port: int, tmp_path: Path) -> None:
    other = ended(gateway, submit(gateway, "testing.double", n=4).id)
    assert other.state == "succeeded", other.error
    elsewhere = tmp_path / "secret.txt"
    elsewhere.write_text("secret")
    forbidden = [
        gateway.settings.data / "colonnade.sqlite3",
        gateway.directory(other.id) / "result.json",
        gateway.files.folder,
        elsewhere,
    ]
    assert all(path.exists() for path in forbidden)
    engine = gateway.settings.data / "engines" / "program"
    engine.parent.mkdir()
    engine.write_text("a program")
    allowed = [str(engine), "/etc/passwd"]
    found = seen(gateway, "testing.snoop", paths=[*map(str, forbidden), *allowed], port=port, parent=os.getpid())
    assert (found["read"], found["connected"], found["processes"]) == (allowed, False, False)
    assert str(engine.parent) not in found["written"]
    assert "/etc" not in found["written"]
    assert not (gateway.settings.data / "written").exists() and not (tmp_path / "written").exists()


def test_compiled_functions_have_a_cache_that_is_the_jobs_own(gateway: Gateway) -> None:
    left = Path(PLUGIN, "__pycache__")
    before = sorted(left.glob("*.nb?"))
    assert seen(gateway, "testing.compiled", n=21)["value"]["value"] == 42
    assert sorted(left.glob("*.nb?")) == before


@pytest.mark.slow
def test_what_the_owner_compiled_is_not_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").write_text(Path(PLUGIN, "colonnade_compiled.py").read_text())
    code = "from package.inner import twice; twice(4); print(sum(twice.stats.cache_hits.values()))"

    def hits(**variables: str) -> int:
        environment = os.environ | {"PYTHONPATH": str(tmp_path)} | variables
        done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, check=True)
        return int(done.stdout)

    assert (hits(), hits()) == (0, 1)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(caches.colonnade, "__file__", str(package / "__init__.py"))
    assert hits(**caches.own(scratch)) == 1


def test_a_service_that_asks_has_a_network(gateway: Gateway, port: int) -> None:
    assert seen(gateway, "testing.online", port=port)["connected"]


def test_ends_and_limits_are_as_outside(gateway: Gateway) -> None:
    rows = {
        "testing.killed": "The job was killed by signal 11 (SIGSEGV); its log may tell more.",
        "testing.exits": "The service ended without a result (exit code 3); its log may tell more.",
        "testing.overtime": "The job took longer than its 1 second.",
        "testing.fail": "The sample is empty.",
    }
    asked = {"testing.killed": {"signal": 11}}
    for name, sentence in rows.items():
        row = ended(gateway, submit(gateway, name, **asked.get(name, {})).id)
        assert (row.state, row.error) == ("failed", sentence)


def test_cancel_leaves_no_process(gateway: Gateway) -> None:
    row = submit(gateway, "testing.sleep", seconds=500)
    events = gateway.directory_of(row.run) / "events.jsonl"
    until(lambda: events.exists() and events.read_text(), "the start")
    gateway.cancel(row.id)
    assert ended(gateway, row.id).state == "cancelled"
    mark = row.run.encode()

    def left() -> list[str]:
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
        return found

    until(lambda: not left(), "the end of all processes")


@pytest.mark.slow
def test_without_bubblewrap_a_required_isolation_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    gateway = Gateway(settings(tmp_path / "data", isolation="required"))
    gateway.start()
    try:
        row = ended(gateway, submit(gateway, "testing.double", n=1).id)
        assert (row.state, row.error) == ("failed", enclosure.MISSING)
    finally:
        gateway.stop()


def test_where_people_have_accounts_jobs_are_isolated_unless_said_otherwise(tmp_path: Path) -> None:
    from colonnade.gateway.engine import _order
    from colonnade.gateway.queue import Claim

    claim = Claim("id", 1, "testing.double", "id", 1)
    people = {"accounts": True, "public_url": "http://x"}
    assert _order(claim, tmp_path, settings(tmp_path)).isolate == "off"
    assert _order(claim, tmp_path, settings(tmp_path, **people)).isolate == "auto"
    assert _order(claim, tmp_path, settings(tmp_path, isolation="off", **people)).isolate == "off"
