"""Downloads from a server that cuts, corrupts and lies."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from colonnade.physics import PhysicsError
from colonnade.physics.fetch import fetch
from colonnade.physics.schema import spec

CONTENT = bytes(range(256)) * 4000
SPEC = dataclasses.replace(spec("spinodal"), md5=hashlib.md5(CONTENT).hexdigest())


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    asked: list[str | None] = []  # noqa: RUF012

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        kind = self.path.strip("/")
        body = CONTENT[begin:]
        if kind == "page":
            return self._send(200, b"<html>log in</html>", {"Content-Type": "text/html"})
        if kind == "missing":
            return self._send(404, b"")
        if kind == "wrong":
            body = bytes(len(body))
        if kind == "lies" and wanted:  # another range than was asked for
            return self._send(206, CONTENT[5:], {"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"})
        headers = {"Content-Length": str(len(body))}
        if kind == "whole" or not wanted:
            body, headers = (CONTENT, {"Content-Length": str(len(CONTENT))}) if kind == "whole" else (body, headers)
            status = 200
        else:
            status, headers["Content-Range"] = 206, f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}"
        if kind in ("cut", "lies", "whole") and len(type(self).asked) == 1:
            body = body[: len(CONTENT) // 3]
        self._send(status, body, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.asked = []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()


def test_a_cut_transfer_is_resumed(server: str, tmp_path: Path) -> None:
    found = fetch(SPEC, tmp_path, [f"{server}/cut"])
    assert found.read_bytes() == CONTENT
    first, second = Server.asked
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= len(CONTENT) // 3


def test_a_file_that_is_there_is_not_asked_for(server: str, tmp_path: Path) -> None:
    (tmp_path / SPEC.file).write_bytes(CONTENT)
    fetch(SPEC, tmp_path, [f"{server}/good"])
    assert Server.asked == []


def test_a_stale_file_is_replaced(server: str, tmp_path: Path) -> None:
    (tmp_path / SPEC.file).write_bytes(b"of an older checksum")
    assert fetch(SPEC, tmp_path, [f"{server}/good"]).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole(server: str, tmp_path: Path) -> None:
    assert fetch(SPEC, tmp_path, [f"{server}/whole"]).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kind", "words"),
    [("wrong", "md5 is not"), ("page", "web page"), ("missing", "answered 404"), ("lies", "bytes from 5 on")],
)
def test_what_is_wrong_is_said_and_not_kept(server: str, tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(PhysicsError, match=words):
        fetch(SPEC, tmp_path, [f"{server}/{kind}"])
    assert not (tmp_path / SPEC.file).exists()


def test_the_next_mirror_is_tried(server: str, tmp_path: Path) -> None:
    found = fetch(SPEC, tmp_path, [f"{server}/missing", f"{server}/wrong", f"{server}/good"])
    assert found.read_bytes() == CONTENT


def test_offline_is_said_within_five_seconds(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(PhysicsError, match=r"offline.*generate\('spinodal', n, seed\)"):
        fetch(SPEC, tmp_path, ["http://10.255.255.1/x", "http://127.0.0.1:9/x"])
    assert time.monotonic() - begin < 5
