"""The REST interface from an upload to the files of a result."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import httpx
import pytest
from harness import submit, until

from colonnade.gateway.core import Gateway

SIGNAL = "/api/v1/services/showcase.signal/jobs"
COMPLEX = "/api/v1/services/showcase.complex/jobs"
EXAMPLE = {"inputs": {"structure": "example:showcase.complex/helices.pdb"}}
JOBS = "/api/v1/jobs"


def test_services_are_listed_with_what_is_needed_to_choose(api: Any) -> None:
    found = {item["name"]: item for item in api.get("/api/v1/services").json()}
    assert found["showcase.signal"]["paper"] == "arXiv:2107.01056"
    assert found["showcase.signal"]["unavailable"] is None
    assert found["showcase.missing"]["unavailable"] == "the engine `imaginary` is not installed."


def test_one_service_tells_its_schema_examples_and_limits(api: Any) -> None:
    found = api.get("/api/v1/services/showcase.complex").json()
    structure = found["inputs"]["properties"]["structure"]
    assert structure["accept"] == [".pdb", ".ent"]
    assert structure["maxSize"] == 200_000
    assert found["limits"] == {"cores": 1, "memory": 524288000, "walltime": 300.0, "gpus": 0}
    assert found["examples"]["a small complex"]["structure"] == "example:showcase.complex/helices.pdb"
    assert "affinity" in found["outputs"]["properties"]


def test_a_job_from_upload_to_result(api: Any, run_all: Any) -> None:
    content = b"ATOM      1  CA  ALA A   1       0.000   0.000   0.000  1.00  0.00           C\n"
    stored = api.put("/api/v1/uploads/my%20complex.pdb", content=content)
    assert stored.status_code == 201
    assert stored.json()["name"] == "my complex.pdb"
    assert stored.json()["size"] == len(content)
    sent = api.post(COMPLEX, json={"inputs": {"structure": stored.json()}, "seed": 3, "title": "mine"})
    assert sent.status_code == 201
    job = sent.json()
    assert sent.headers["location"] == f"{JOBS}/{job['id']}"
    assert (job["state"], job["queue_position"], job["seed"], job["title"]) == ("queued", 0, 3, "mine")
    early = api.get(f"{JOBS}/{job['id']}/result")
    assert early.status_code == 409
    assert early.json()["detail"] == "The job is queued; it has no result yet."
    run_all()
    result = api.get(f"{JOBS}/{job['id']}/result").json()
    assert result["status"] == "succeeded"
    assert result["outputs"]["affinity"]["value"] == -9.43
    again = api.get(f"{JOBS}/{job['id']}/files/complex.pdb")
    assert again.content == content
    assert again.headers["content-type"] == "chemical/x-pdb"
    assert again.headers["content-disposition"].startswith("attachment")


def test_an_identical_request_is_answered_from_the_earlier_result(api: Any, run_all: Any) -> None:
    body = {"inputs": {"length": 5}, "seed": 1}
    first = api.post(SIGNAL, json=body).json()
    run_all()
    second = api.post(SIGNAL, json=body).json()
    assert (second["state"], second["cached_from"]) == ("succeeded", first["id"])
    assert api.post(SIGNAL, json=body | {"again": True}).json()["state"] == "queued"
    assert api.post(SIGNAL, json=body | {"seed": 2}).json()["state"] == "queued"


def test_places_in_the_queue_are_told(api: Any) -> None:
    jobs = [api.post(SIGNAL, json={"inputs": {"length": 5 + n}}).json() for n in range(3)]
    assert [job["queue_position"] for job in jobs] == [0, 1, 2]
    api.post(f"{JOBS}/{jobs[0]['id']}/cancel")
    assert api.get(f"{JOBS}/{jobs[2]['id']}").json()["queue_position"] == 1


def test_cancel_rerun_and_delete(api: Any, run_all: Any) -> None:
    job = api.post(SIGNAL, json={"inputs": {"length": 5}}).json()
    assert api.delete(f"{JOBS}/{job['id']}").status_code == 409
    cancelled = api.post(f"{JOBS}/{job['id']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    assert api.get(f"{JOBS}/{job['id']}/result").json()["detail"] == "The job was cancelled."
    again = api.post(f"{JOBS}/{job['id']}/rerun")
    assert again.status_code == 201
    assert again.json()["inputs"] == job["inputs"]
    run_all()
    assert api.get(f"{JOBS}/{again.json()['id']}").json()["state"] == "succeeded"
    assert api.delete(f"{JOBS}/{job['id']}").status_code == 204
    gone = api.get(f"{JOBS}/{job['id']}")
    assert (gone.status_code, gone.headers["content-type"]) == (404, "application/problem+json")


def test_the_list_is_paged_and_filtered(api: Any) -> None:
    made = [api.post(SIGNAL, json={"inputs": {"length": 5 + n}}).json()["id"] for n in range(5)]
    other = api.post("/api/v1/services/showcase.markup/jobs", json={}).json()["id"]
    api.post(f"{JOBS}/{made[0]}/cancel")
    seen, after = [], None
    for _ in range(4):
        page = api.get(JOBS, params={"limit": 2} | ({"after": after} if after else {})).json()
        seen += [job["id"] for job in page["jobs"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [other, *reversed(made)]
    assert [job["id"] for job in api.get(JOBS, params={"state": "cancelled"}).json()["jobs"]] == [made[0]]
    assert [job["id"] for job in api.get(JOBS, params={"service": "showcase.markup"}).json()["jobs"]] == [other]
    assert api.get(JOBS, params={"state": "cancelled", "service": "showcase.markup"}).json()["jobs"] == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"limit": 0}, "limit must be"),
        ({"limit": "many"}, "limit must be"),
        ({"state": "lost"}, "state must be"),
        ({"after": "x" * 65}, "after must be"),
    ],
)
def test_a_wrong_parameter_is_named(api: Any, query: dict[str, Any], sentence: str) -> None:
    answer = api.get(JOBS, params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"].startswith(sentence)


def test_files_are_listed_and_made_in_their_usual_formats(api: Any, run_all: Any) -> None:
    id = api.post(COMPLEX, json=EXAMPLE).json()["id"]
    run_all()
    listed = {item["name"]: item for item in api.get(f"{JOBS}/{id}/files").json()}
    assert listed["complex.pdb"]["size"] == 19104 or listed["complex.pdb"]["size"] > 10_000
    assert listed["contacts.csv"]["media_type"] == "text/csv"
    table = api.get(listed["contacts.csv"]["href"])
    assert table.text.splitlines()[0] == "residue,chain,x (Å)"
    assert len(table.text.splitlines()) == 241
    assert json.loads(api.get(listed["map.json"]["href"]).content)["data"][0]["type"] == "heatmap"
    drawing = api.get(listed["map.svg"]["href"])
    assert drawing.headers["content-type"].startswith("image/svg+xml")
    assert b"<svg" in drawing.content[:500]
    assert api.get(listed["affinity.json"]["href"]).json()["error"] == 1.89


def test_a_film_can_be_sought(api: Any, run_all: Any) -> None:
    id = api.post(COMPLEX, json=EXAMPLE).json()["id"]
    run_all()
    part = api.get(f"{JOBS}/{id}/files/film.webm", headers={"range": "bytes=4-9"})
    assert (part.status_code, len(part.content)) == (206, 6)


def test_the_archive_is_the_whole_run_directory(api: Any, idle: Gateway, run_all: Any) -> None:
    id = api.post(COMPLEX, json=EXAMPLE).json()["id"]
    run_all()
    answer = api.get(f"{JOBS}/{id}/archive")
    assert answer.headers["content-type"] == "application/zip"
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert packed.testzip() is None
    names = {name.partition("/")[2] for name in packed.namelist()}
    assert {"job.json", "events.jsonl", "result.json", "report.html", "ro-crate-metadata.json"} <= names
    assert {"files/complex.pdb", "files/contacts.csv"} <= names
    assert any(name.startswith("inputs/") for name in names)
    result = next(name for name in packed.namelist() if name.endswith("result.json"))
    assert packed.read(result) == (idle.directory(id) / "result.json").read_bytes()


def test_the_report_is_a_download(api: Any, run_all: Any) -> None:
    id = api.post(SIGNAL, json={"inputs": {"length": 5}}).json()["id"]
    run_all()
    answer = api.get(f"{JOBS}/{id}/report")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert b"Make a signal" in answer.content


def test_a_failed_job_says_why(api: Any, run_all: Any) -> None:
    id = api.post("/api/v1/services/testing.fail/jobs", json={}).json()["id"]
    run_all()
    assert api.get(f"{JOBS}/{id}").json()["error"] == "The sample is empty."
    assert api.get(f"{JOBS}/{id}/result").json() == {"status": "failed", "error": "The sample is empty."}


def test_usage_and_health(api: Any, run_all: Any) -> None:
    api.post(SIGNAL, json={"inputs": {"length": 5}})
    run_all()
    api.post(SIGNAL, json={"inputs": {"length": 6}})
    (line,) = api.get("/api/v1/usage").json()
    assert (line["service"], line["outcome"], line["jobs"], line["cpu_seconds"]) == (
        "showcase.signal",
        "succeeded",
        1,
        0.5,
    )
    health = api.get("/api/v1/health").json()
    assert (health["queued"], health["running"]) == (1, 0)


def events(text: str) -> list[tuple[int, dict[str, Any]]]:
    """The (id, data) of server-sent events."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((int(fields["id"]), json.loads(fields["data"])))
    return found


def test_events_end_with_the_job_and_resume_where_they_were_lost(api: Any, run_all: Any) -> None:
    id = api.post(SIGNAL, json={"inputs": {"length": 5, "pause": 0.01}}).json()["id"]
    run_all()
    answer = api.get(f"{JOBS}/{id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    kinds = [data["kind"] for _, data in told]
    assert {"log", "progress", "preview"} <= set(kinds)
    assert told[-1][1]["kind"] == "state"
    assert told[-1][1]["state"] == "succeeded"
    middle = told[2][0]
    for resumed in (
        api.get(f"{JOBS}/{id}/events", headers={"last-event-id": str(middle)}),
        api.get(f"{JOBS}/{id}/events", params={"after": middle}),
    ):
        assert events(resumed.text) == told[3:]
    strange = api.get(f"{JOBS}/{id}/events", headers={"last-event-id": "9x"})
    assert events(strange.text) == told


async def test_events_come_while_the_job_runs(gateway: Gateway) -> None:
    """With the real engine: the state and the progress are there before the end."""
    from colonnade.gateway.app import create_app

    app = create_app(gateway)
    id = submit(gateway, "testing.sleep", seconds=1.0).id
    headers = {"authorization": f"Bearer {app.state.access.token}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers) as client:
        told = events((await client.get(f"{JOBS}/{id}/events", timeout=60)).text)
    states = [data["state"] for _, data in told if data["kind"] == "state"]
    assert states[-1] == "succeeded"
    assert "running" in states
    assert [data["done"] for _, data in told if data["kind"] == "progress"][-1] == 10
    until(lambda: gateway.job(id).state == "succeeded", "the job")
