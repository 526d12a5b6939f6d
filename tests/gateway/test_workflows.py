"""Workflows on a gateway: led on from step to step, re-used, cancelled, shared, exported and imported."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from harness import until

from colonnade.errors import BadInput
from colonnade.gateway.core import Gateway
from colonnade.gateway.workflows import book, turn
from colonnade.workflows import document

CHAIN = """
name: Doubled twice
inputs: {numbers: [{n: 1}, {n: 2}, {n: 3}]}
steps:
  twice: {service: testing.double, for_each: "${inputs.numbers}", inputs: {n: "${row.n}"}}
  again: {service: testing.double, for_each: "${inputs.numbers}", inputs: {n: "${twice.value}"}}
  most: {service: testing.double, inputs: {n: "${again.2.value}"}}
outputs:
  table: {n: "${twice.row.n}", four_times: "${again.value}"}
  most: ${most.value}
"""
FILES = """
name: Counts a copy
steps:
  first: {service: testing.characters, inputs: {file: "file:a.txt"}}
  second: {service: testing.characters, inputs: {file: "${first.copy_}"}}
outputs: {characters: "${second.characters}", copy: "${second.copy_}"}
"""


@pytest.fixture
def lead(idle: Gateway, run_all: Any) -> Callable[[str], Any]:
    """Leads a workflow to its end, turn by turn, running what it queues here."""

    def on(id: str) -> Any:
        for _ in range(20):
            turn.Turn(idle, id, lambda: True).go()
            if (row := book.get(idle, id)).final:
                return row
            run_all()
        raise AssertionError("the workflow does not end")

    return on


def started(gateway: Gateway, text: str, **files: Any) -> str:
    return book.start(gateway, document.parse(text), files).id


def test_led_on_step_by_step(idle: Gateway, lead: Any) -> None:
    row = lead(started(idle, CHAIN))
    assert row.state == "succeeded", row.error
    assert row.outputs == {"table": {"n": [1, 2, 3], "four_times": [4.0, 8.0, 12.0]}, "most": 24.0}


def test_what_has_succeeded_is_not_run_again(idle: Gateway, lead: Any) -> None:
    lead(started(idle, CHAIN))
    again = lead(book.rerun(idle, started_first(idle)).id)
    with idle.store.read() as session:
        assert all(item.reused for item in book.items(session, again.id))
    # One number changed: only its way through the steps is run, and what needs it.
    changed = lead(started(idle, CHAIN.replace("{n: 3}", "{n: 9}")))
    with idle.store.read() as session:
        fresh = [(item.step, item.index) for item in book.items(session, changed.id) if not item.reused]
    assert fresh == [("again", 2), ("most", 0), ("twice", 2)]
    assert changed.outputs["most"] == 72.0


def started_first(gateway: Gateway) -> str:
    return book.page(gateway).rows[-1].id


def test_files_go_from_step_to_step(idle: Gateway, lead: Any) -> None:
    upload = idle.save_upload([b"seven!!"], "a.txt")
    row = lead(book.start(idle, document.parse(FILES), {"a.txt": upload.reference}).id)
    assert row.state == "succeeded", row.error
    assert row.outputs["characters"] == 7
    assert row.outputs["copy"]["file"] == "copy.txt"


def test_a_table_maps_a_step(idle: Gateway, lead: Any) -> None:
    text = """
name: From a table
steps:
  twice: {service: testing.double, for_each: "file:numbers.csv", inputs: {n: "${row.n}"}}
outputs: {all: {n: "${twice.row.n}", twice: "${twice.value}"}}
"""
    table = idle.save_upload([b"n,what\n4,a\n5,b\n"], "numbers.csv")
    row = lead(book.start(idle, document.parse(text), {"numbers.csv": table.reference}).id)
    assert row.outputs == {"all": {"n": [4, 5], "twice": [8.0, 10.0]}}


def test_a_failure_stops_what_needs_it_and_nothing_else(idle: Gateway, lead: Any) -> None:
    text = """
name: One fails
steps:
  bad: {service: testing.fail}
  after: {service: testing.double, inputs: {n: "${bad.value}"}}
  apart: {service: testing.double, inputs: {n: 5}}
"""
    row = lead(started(idle, text))
    with idle.store.read() as session:
        states = {step.name: step.state for step in book.survey(row, book.items(session, row.id))}
    assert (row.state, states) == ("failed", {"bad": "failed", "after": "skipped", "apart": "succeeded"})
    assert "The sample is empty." in row.error


def test_a_row_may_be_left_out(idle: Gateway, lead: Any) -> None:
    text = """
name: A row fails
steps:
  first: {service: testing.double, for_each: [1, 4000000, 3], inputs: {n: "${row}"}}
  half: {service: testing.double, for_each: ROWS, on_failure: leave_out, inputs: {n: "${row}"}}
  half_again: {service: testing.double, for_each: ROWS, on_failure: leave_out, inputs: {n: "${half.value}"}}
  last: {service: testing.double, for_each: ROWS, inputs: {n: 1}}
outputs: {all: {n: "${half_again.row}", value: "${half_again.value}"}}
"""
    with pytest.raises(BadInput, match=r"Step half \(row 2\)"):  # known beforehand
        started(idle, text.replace("ROWS", "[1, 20000000, 3]"))
    # 8 million can be doubled, 16 million cannot: that row is missing from what comes after.
    row = lead(started(idle, text.replace("ROWS", '"${first.value}"')))
    assert row.state == "succeeded", row.error
    assert row.outputs["all"] == {"n": [2.0, 6.0], "value": [8.0, 24.0]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: x\nsteps: {a: {service: testing.dubble}}", "There is no service 'testing.dubble'"),
        ("name: x\nsteps: {a: {service: testing.double, inputs: {m: 1}}}", "no such field; it takes n"),
        ('name: x\nsteps: {a: {service: testing.double, inputs: {n: "${b.value}"}}}', "names no step"),
        (
            'name: x\nsteps: {a: {service: testing.double}, b: {service: testing.double, inputs: {n: "${a.velue}"}}}',
            "gives no velue, but value",
        ),
        (
            'name: x\nsteps: {a: {service: testing.double, inputs: {n: "${b.value}"}},'
            ' b: {service: testing.double, inputs: {n: "${a.value}"}}}',
            "in a circle",
        ),
        ("name: x\nsteps: {a: {service: testing.characters}}", "inputs.file: testing.characters needs it"),
        ("name: x\nsteps: {a: {service: testing.double, inputs: {n: -1}}}", "Step a: n must be"),
        ("name: x\nsteps: {a: {service: testing.characters, inputs: {file: 'file:no.txt'}}}", "There is no file"),
        ('name: x\nsteps: {a: {service: testing.double, inputs: {n: "${row.n}"}}}', "only in a step with for_each"),
        ("name: x\nsteps: {Row: {service: testing.double}}", "is no name"),
        ("name: x\nsteps: &a {b: *a}", "anchors and aliases are not taken"),
        ("name: [", "cannot be read as YAML"),
    ],
)
def test_refused_in_a_sentence_before_anything_runs(idle: Gateway, text: str, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        started(idle, text)
    assert sentence in str(caught.value)
    assert not book.page(idle).rows


def test_a_job_that_was_queued_by_a_gateway_that_died_is_not_queued_twice(idle: Gateway, lead: Any) -> None:
    id = started(idle, CHAIN)
    turn.Turn(idle, id, lambda: True).go()
    with idle.store.write() as session:  # it died before it could note that the jobs were sent
        for item in book.items(session, id):
            item.state = "waiting"
    turn.Turn(idle, id, lambda: True).go()
    assert len(idle.jobs().rows) == 3
    assert lead(id).state == "succeeded"


def test_cancel_ends_the_jobs(idle: Gateway, lead: Any) -> None:
    id = started(idle, CHAIN)
    turn.Turn(idle, id, lambda: True).go()
    row = book.cancel(idle, id)
    assert row.state == "cancelled"
    assert {job.state for job in idle.jobs().rows} == {"cancelled"}
    turn.Turn(idle, id, lambda: True).go()
    assert book.get(idle, id).state == "cancelled"
    book.remove(idle, id)
    assert not idle.jobs().rows
    assert not book.page(idle).rows


def test_rest(idle: Gateway, api: Any, lead: Any) -> None:
    answer = api.post("/api/v1/workflows", json={"document": CHAIN, "inputs": {"numbers": [{"n": 7}] * 3}})
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert [step["state"] for step in answer.json()["steps"]] == ["waiting"] * 3
    assert api.get(f"/api/v1/workflows/{id}/crate").status_code == 409
    lead(id)
    found = api.get(f"/api/v1/workflows/{id}").json()
    assert found["outputs"]["most"] == 56.0
    assert [item["state"] for item in found["items"]] == ["succeeded"] * 7
    assert api.get("/api/v1/workflows").json()["workflows"][0]["id"] == id
    picture = api.get(f"/api/v1/workflows/{id}/picture.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "succeeded: 3 of 3" in picture.text
    events = api.get(f"/api/v1/workflows/{id}/events").text
    assert "event: state" in events
    assert '"state": "succeeded"' in events
    refused = api.post("/api/v1/workflows", json={"document": "name: x\nsteps: {a: {service: testing.no}}"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "steps.a.service"
    assert api.delete(f"/api/v1/workflows/{id}").status_code == 204
    assert api.get(f"/api/v1/workflows/{id}").status_code == 404


def test_pages(idle: Gateway, browser: Any, lead: Any) -> None:
    assert "Compose" in browser.get("/workflows").text
    composed = browser.get("/workflows/new")
    assert "for_each" in composed.text
    added = browser.post("/workflows", data={"document": CHAIN, "add": "1", "service": "testing.characters"})
    assert "characters:" in added.text
    wrong = browser.post("/workflows", data={"document": CHAIN.replace("testing.double", "testing.no", 1)})
    assert wrong.status_code == 422
    assert "There is no service" in wrong.text
    assert "Doubled twice" in wrong.text  # what was typed stays
    good = browser.post("/workflows", data={"document": CHAIN, "check": "1"})
    assert "in order" in good.text
    files = {"files": ("a.txt", b"abc", "text/plain")}
    posted = browser.post("/workflows", data={"document": FILES, "title": "<b>mine</b>"}, files=files)
    assert posted.status_code == 303, posted.text
    place = posted.headers["location"]
    lead(place.rpartition("/")[2])
    shown = browser.get(place).text
    assert "&lt;b&gt;mine" in shown
    assert "<b>mine" not in shown
    assert "copy.txt" in shown
    assert browser.get(f"/workflows/new?from={place.rpartition('/')[2]}").status_code == 200


def test_out_as_a_crate_and_in_again(idle: Gateway, api: Any, browser: Any, lead: Any, tmp_path: Any) -> None:
    pytest.importorskip("rocrate")
    from colonnade import workflows
    from colonnade.workflows import crate

    upload = idle.save_upload([b"seven!!"], "a.txt")
    id = lead(book.start(idle, document.parse(FILES), {"a.txt": upload.reference}).id).id
    packed = api.get(f"/api/v1/workflows/{id}/crate").content
    graph = _graph(packed)
    kinds = [entity["@type"] for entity in graph.values()]
    assert sum(kind == "CreateAction" for kind in kinds) == 3  # the workflow, and two different runs
    assert graph["./"]["mainEntity"] == {"@id": "workflow.yaml"}
    assert "ComputationalWorkflow" in graph["workflow.yaml"]["@type"]
    names = set(zipfile.ZipFile(io.BytesIO(packed)).namelist())
    for id_, entity in graph.items():
        if entity["@type"] == "File":
            assert f"workflow-{id}/{id_}" in names
    # Into a folder: nothing is computed again.
    (tmp_path / "crate.zip").write_bytes(packed)
    found = crate.unpack(tmp_path / "crate.zip", tmp_path / "here")
    made = workflows.run(found, tmp_path / "here")
    assert made.outputs["characters"] == 7
    assert [step.reused for step in made.steps] == [1, 1]
    # Into a gateway: the document and the file, ready to run.
    page = browser.post("/workflows/import", files={"crate": ("crate.zip", packed, "application/zip")})
    assert page.status_code == 200, page.text
    assert "Counts a copy" in page.text
    assert "a.txt" in page.text
    bad = browser.post("/workflows/import", files={"crate": ("crate.zip", b"no zip", "application/zip")})
    assert bad.status_code == 409


def _graph(packed: bytes) -> dict[str, Any]:
    import json

    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        name = next(
            name for name in archive.namelist() if name.endswith("ro-crate-metadata.json") and name.count("/") == 1
        )
        return {entity["@id"]: entity for entity in json.loads(archive.read(name))["@graph"]}


def test_the_conductor_leads_on_by_itself(gateway: Gateway) -> None:
    id = started(gateway, CHAIN)
    until(lambda: book.get(gateway, id).final, "the end of the workflow")
    assert book.get(gateway, id).state == "succeeded"


def test_the_conductor_hears_of_ends(idle: Gateway, run_all: Any) -> None:
    """Without an engine: what is queued is run here, and only the conductor's own thread leads on."""
    idle.conductor.start()
    try:
        id = started(idle, CHAIN)

        def ended() -> bool:
            run_all()
            idle.dispatcher.announce()
            return book.get(idle, id).final

        until(ended, "the end of the workflow")
        assert book.get(idle, id).state == "succeeded"
    finally:
        idle.conductor.stop()
