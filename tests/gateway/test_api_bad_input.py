"""Everything wrong that comes in over HTTP is refused in a sentence, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import errno
import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from harness import ADDRESS, settings

from colonnade.gateway.app import create_app
from colonnade.gateway.core import Gateway
from colonnade.gateway.files import Draft

SIGNAL = "/api/v1/services/showcase.signal/jobs"
COMPLEX = "/api/v1/services/showcase.complex/jobs"


def refused(answer: Any, status: int) -> dict[str, Any]:
    """The problem that an answer holds."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["detail"].endswith((".", "?"))
    assert "Traceback" not in answer.text
    return problem


def field(answer: Any, status: int = 422) -> tuple[str, str]:
    """Place and sentence of the only finding."""
    (found,) = refused(answer, status)["errors"]
    return found["field"], found["message"]


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "place", "sentence"),
    [
        ({"length": 1}, "inputs.length", "length must be from 2 to 2000, but is 1."),
        ({"length": "many"}, "inputs.length", "length must be from 2 to 2000, but is 'many'."),
        ({"temperature": 1e300}, "inputs.temperature", "temperature must be from -20 to 80 °C, but is 1e+300."),
        ({"boundary": "closed"}, "inputs.boundary", "boundary must be one of"),
        ({"hormonics": [1]}, "inputs.hormonics", "did you mean harmonics?"),
        ({"noise": {"sigma": -1}}, "inputs.noise.sigma", "noise.sigma must be from 0 to 5 K, but is -1."),
        ({"regions": [{"chain": "A"}, {}]}, "inputs.regions.1.chain", "regions.1.chain is required."),
        ({"harmonics": [1] * 7}, "inputs.harmonics", "a list of at most 6 values"),
        ({"label": "a\0b"}, "inputs.label", "control character"),
        ({"label": "x" * 201}, "inputs.label", "at most 200 characters"),
        ([], "inputs", "inputs must be"),
    ],
)
def test_each_wrong_value_has_its_sentence(api: Any, inputs: Any, place: str, sentence: str) -> None:
    where, message = field(api.post(SIGNAL, json={"inputs": inputs}))
    assert sentence in message
    assert where == place or "control" in sentence


def test_every_wrong_field_is_told_at_once(api: Any) -> None:
    problem = refused(api.post(SIGNAL, json={"inputs": {"length": 1, "temperature": 99, "detrend": "perhaps"}}), 422)
    assert [item["field"] for item in problem["errors"]] == ["inputs.length", "inputs.temperature", "inputs.detrend"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": "1"}, "seed"),
        ({"title": "x" * 201}, "title"),
        ({"again": "yes"}, "again"),
        ({"input": {}}, "input"),
        (["inputs"], "inputs"),
    ],
)
def test_what_stands_beside_the_inputs_is_checked_too(api: Any, body: Any, place: str) -> None:
    assert field(api.post(SIGNAL, json=body))[0] == place


@pytest.mark.parametrize(
    "text",
    [
        '{"inputs": {"temperature": NaN}}',
        '{"inputs": {"temperature": Infinity}}',
        '{"inputs": {"temperature": -Infinity}}',
        '{"inputs": {"temperature": 1e999}}',
        '{"inputs": ',
        "",
        "\0",
        '{"inputs": {"label": "\\ud800"}}',
        '{"inputs": {"label": "\0"}}',
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"inputs": {"length": ' + "9" * 5000 + "}}",
    ],
)
def test_what_is_no_json_for_us_is_refused(api: Any, text: str) -> None:
    answer = api.post(SIGNAL, content=text.encode(), headers={"content-type": "application/json"})
    refused(answer, 422)


def test_bytes_that_are_no_text_are_refused(api: Any) -> None:
    refused(
        api.post(SIGNAL, content=b'{"inputs": {"label": "\xff"}}', headers={"content-type": "application/json"}), 422
    )


def test_another_media_type_is_refused(api: Any) -> None:
    refused(api.post(SIGNAL, content=b"length=5", headers={"content-type": "application/x-www-form-urlencoded"}), 415)


def test_unknown_services_and_paths_are_named(api: Any) -> None:
    problem = refused(api.post("/api/v1/services/showcase.signl/jobs", json={}), 404)
    assert problem["detail"].startswith("There is no service 'showcase.signl'; did you mean showcase.signal")
    refused(api.get("/api/v1/services/nothing.at_all"), 404)
    refused(api.get("/api/v1/nothing"), 404)
    refused(api.patch("/api/v1/jobs"), 405)
    for id in ("x", "01KB2Z7M3Q4R5S6T7V8W9X0Y1Z", "%00", "..%2F..", "9" * 300):
        refused(api.get(f"/api/v1/jobs/{id}"), 404)


def test_a_service_that_cannot_run_here_takes_no_job(api: Any) -> None:
    problem = refused(api.post("/api/v1/services/showcase.missing/jobs", json={}), 409)
    assert problem["detail"] == "showcase.missing cannot run here: the engine `imaginary` is not installed."


# --- files ---------------------------------------------------------------------------------------

LIMIT = 10_000_000  # of the gateway behind `api`


def stored(gateway: Gateway) -> list[Path]:
    """Every file in the store, drafts too."""
    return [path for path in gateway.files.folder.rglob("*") if path.is_file()]


def test_an_upload_over_the_limit_is_refused_while_it_streams(app: Any, idle: Gateway) -> None:
    """The client never stops sending: only a refusal on the way ends this."""
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 1_000_000
        return {"type": "http.request", "body": b"x" * 1_000_000, "more_body": sent < 100 * LIMIT}

    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {app.state.access.token}".encode())]
    path = "/api/v1/uploads/big.pdb"
    scope = {"type": "http", "method": "PUT", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "scheme": "http", "server": ("127.0.0.1", 8000), "http_version": "1.1"}
    # In a thread of its own: a browser test in the same process may have left its event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(app(scope, receive, send))).result()
    assert answers[0]["status"] == 413
    assert b"at most 10.0MB" in answers[1]["body"]
    assert sent <= LIMIT + 2_000_000
    assert stored(idle) == []


def test_a_size_announced_over_the_limit_is_refused_at_once(api: Any, idle: Gateway) -> None:
    answer = api.put("/api/v1/uploads/big.pdb", content=b"x", headers={"content-length": str(LIMIT + 1)})
    refused(answer, 413)
    assert stored(idle) == []


def test_huge_json_is_refused(api: Any) -> None:
    body = json.dumps({"inputs": {"notes": "x" * 4_000_000}}).encode()
    refused(api.post(SIGNAL, content=body, headers={"content-type": "application/json"}), 413)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("complex.txt", b"ATOM  ", "'complex.txt' must end in .pdb or .ent."),
        ("complex.pdb", b"", "'complex.pdb' is empty."),
        ("complex.pdb", b"MZ\x90\0 program", "the file holds no atom, so it is no PDB file."),
        ("complex.pdb", b"ATOM  " + b" " * 200_000, "'complex.pdb' has 200.0KB, but at most 200.0KB are taken."),
    ],
)
def test_a_file_is_judged_at_submission(api: Any, name: str, content: bytes, sentence: str) -> None:
    reference = api.put(f"/api/v1/uploads/{name}", content=content).json()
    where, message = field(api.post(COMPLEX, json={"inputs": {"structure": reference}}))
    assert where == "inputs.structure"
    assert message == f"structure: {sentence}"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("%2Fetc%2Fpasswd", "passwd"),
        ("..%5C..%5Cboot.ini", "boot.ini"),
        ("evil%00.pdb", "evil_.pdb"),
        (quote("gpj.\u202ebdp.pdb"), "gpj._bdp.pdb"),
        (quote("a\u200bb.pdb"), "a_b.pdb"),
        (quote("a\nb.pdb"), "a_b.pdb"),
        ("x" * 300 + ".pdb", "x" * 116 + ".pdb"),
        (quote("<script>.pdb"), "<script>.pdb"),
    ],
)
def test_names_are_cleaned(api: Any, given: str, kept: str) -> None:
    answer = api.put(f"/api/v1/uploads/{given}", content=b"ATOM  ")
    if answer.status_code == 404:  # a slash inside the name makes it another path, which there is not
        assert "%2F" in given
        return
    assert answer.json()["name"] == kept


def test_a_name_of_nothing_is_refused(api: Any) -> None:
    for name in ("...", "%20", "%C2%AD%20"):
        answer = api.put(f"/api/v1/uploads/{name}", content=b"x")
        assert answer.status_code in (201, 422)
        if answer.status_code == 201:
            assert answer.json()["name"] == "_"
        else:
            assert field(answer)[0] == "name"


@pytest.mark.parametrize(
    "reference",
    [
        "/etc/passwd",
        "token",
        "file:///etc/passwd",
        "example:showcase.complex/../colonnade_showcase.py",
        "example:showcase.complex//etc/passwd",
        "example:nothing.here/x",
        "example:",
        {"path": "/etc/passwd", "name": "x.pdb"},
        {"sha256": "../../../../etc/passwd", "name": "x.pdb"},
        {"sha256": "0" * 64, "name": "x.pdb"},
        {"name": "x.pdb"},
        {"sha256": ["x"], "name": "x.pdb"},
        5,
        None,
    ],
)
def test_no_reference_opens_a_file_of_the_server(api: Any, reference: Any) -> None:
    where, message = field(api.post(COMPLEX, json={"inputs": {"structure": reference}}))
    assert where == "inputs.structure"
    assert "root:" not in message


def test_no_name_leads_out_of_the_files_of_a_job(api: Any, idle: Gateway, run_all: Any) -> None:
    id = api.post("/api/v1/services/showcase.markup/jobs", json={}).json()["id"]
    run_all()
    files = idle.directory(id) / "files"
    (files / "link").symlink_to("/etc/passwd")
    (files / "out").symlink_to("/etc")
    names = ["..%2Fjob.json", "/etc/passwd", "%2Fetc%2Fpasswd", "link", "out/passwd", "a%00b", "%2e%2e"]
    for name in [*names, "%2e%2e/job.json", "..%5Cjob.json", "x" * 5000]:
        answer = api.get(f"/api/v1/jobs/{id}/files/{name}")
        assert answer.status_code == 404, name
    listed = [item["name"] for item in api.get(f"/api/v1/jobs/{id}/files").json()]
    assert "link" not in listed
    import io
    import zipfile

    packed = zipfile.ZipFile(io.BytesIO(api.get(f"/api/v1/jobs/{id}/archive").content))
    assert not [name for name in packed.namelist() if "link" in name or "/out" in name]


def test_files_of_jobs_are_never_pages(api: Any, run_all: Any) -> None:
    id = api.post("/api/v1/services/showcase.markup/jobs", json={}).json()["id"]
    run_all()
    for name, media_type in (("page.html", "application/octet-stream"), ("drawing.svg", "image/svg+xml")):
        answer = api.get(f"/api/v1/jobs/{id}/files/{name}")
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-security-policy"].startswith("sandbox;")


# --- a machine in trouble ------------------------------------------------------------------------


def test_a_full_disk_is_said(api: Any, idle: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Draft, chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Draft, "write", full)
    problem = refused(api.put("/api/v1/uploads/a.pdb", content=b"x"), 507)
    assert "no space left" in problem["detail"]
    assert stored(idle) == []


def test_a_disk_that_is_full_at_submission_is_said(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from colonnade import runner

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runner, "prepare", full)
    problem = refused(api.post(SIGNAL, json={}), 507)
    assert "no space left" in problem["detail"]


def test_a_locked_database_is_told_to_wait_for(tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    gateway = Gateway(settings(tmp_path, busy_timeout=0.1))
    app = create_app(gateway)
    headers = {"authorization": f"Bearer {app.state.access.token}"}
    client = TestClient(app, base_url=ADDRESS, headers=headers, raise_server_exceptions=False)
    holder = sqlite3.connect(tmp_path / "colonnade.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    answer = client.post(SIGNAL, json={})
    problem = refused(answer, 503)
    assert "busy" in problem["detail"]
    assert int(answer.headers["retry-after"]) >= 1
    assert client.get("/api/v1/jobs").status_code == 200, "reading goes on"
    holder.execute("ROLLBACK")
    holder.close()
    assert client.post(SIGNAL, json={}).status_code == 201
    gateway.store.close()


def test_an_error_of_ours_shows_nothing_of_the_inside(api: Any, idle: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(idle, "usage", broken)
    problem = refused(api.get("/api/v1/usage"), 500)
    assert "secret" not in json.dumps(problem)


def test_many_uploads_at_once_are_all_kept(api: Any) -> None:
    answers: list[Any] = []

    def send(number: int) -> None:
        answers.append(
            api.put(f"/api/v1/uploads/{number}.txt", content=b"same" if number % 2 else str(number).encode())
        )

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["sha256"] for answer in answers}) == 5
    assert time.monotonic() - began < 60
