"""From a result to the form of the next service: what is offered, what is filled in, what is refused."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from colonnade.gateway import handover
from colonnade.gateway.core import Gateway
from colonnade.service import get

HELICES = Path(__file__).parent / "plugin" / "examples" / "helices.pdb"
TAKE = "/services/showcase.complex/from-result"


def finished(browser: Any, run_all: Any) -> str:
    data = {"partners": "AB", "cutoff": "7.5", "_seed": "0", "_title": ""}
    answer = browser.post("/services/showcase.complex", data=data, files={"structure": ("c.pdb", HELICES.read_bytes())})
    run_all()
    return str(answer.headers["location"].removeprefix("/jobs/"))


def test_a_result_is_one_button_from_the_next_form(browser: Any, idle: Gateway, run_all: Any) -> None:
    id = finished(browser, run_all)
    page = html.unescape(browser.get(f"/jobs/{id}").text)
    assert "Go on with a result" in page
    assert f'action="{TAKE}"' in page
    name = next(offer.file for offer in handover.offers(_run(idle, id)))
    answer = browser.post(TAKE, data={"job": id, "file": name, "field": "structure"})
    assert answer.status_code == 200
    form = html.unescape(answer.text)
    assert name.rpartition("/")[2] in form
    assert 'value="7.5"' in form, "what both services ask for is taken along"


def test_files_and_fields_that_do_not_exist_are_refused(browser: Any, idle: Gateway, run_all: Any) -> None:
    id = finished(browser, run_all)
    name = handover.offers(_run(idle, id))[0].file
    for data in ({"file": "../job.json", "field": "structure"}, {"file": "none.pdb", "field": "structure"},
                 {"file": name, "field": "partners"}, {"file": name, "field": "nothing"}):  # fmt: skip
        assert browser.post(TAKE, data={"job": id} | data).status_code == 404


def test_only_values_of_the_same_kind_are_taken_along() -> None:
    target = get("showcase.complex")
    given = {"partners": 5, "cutoff": True, "unknown": 1, "structure": {"sha256": "0" * 64, "name": "x.csv"}}
    reference = {"sha256": "1" * 64, "name": "new.pdb", "size": 3}
    assert handover.values(target, "structure", reference, given) == {"structure": reference}


def _run(gateway: Gateway, id: str) -> Any:
    from colonnade import runner

    return runner.load(gateway.directory(id))
