"""The pages as a server sends them; what a browser makes of them is tested in tests/browser."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from colonnade.gateway.core import Gateway
from colonnade.gateway.job_state import progress
from colonnade.gateway.templating import binary_size, decimal_size, duration, paper

FORM = "/services/showcase.complex"
HELICES = Path(__file__).parent / "plugin" / "examples" / "helices.pdb"
BASIC = {"partners": "AB", "cutoff": "5", "_seed": "3", "_title": "mine"}


def sent(browser: Any, files: Any = None, **data: str) -> Any:
    return browser.post(FORM, data=BASIC | data, files=files or {})


def structure(content: bytes, name: str = "c.pdb") -> dict[str, Any]:
    return {"structure": (name, content)}


def test_a_posted_form_becomes_a_job(browser: Any, idle: Gateway) -> None:
    answer = sent(browser, structure(HELICES.read_bytes(), "../../my helices.pdb"))
    assert answer.status_code == 303
    row = idle.job(answer.headers["location"].removeprefix("/jobs/"))
    assert (row.seed, row.title, row.state) == (3, "mine", "queued")
    assert row.inputs["structure"]["name"] == "my helices.pdb"
    page = browser.get(answer.headers["location"]).text
    assert "it is the next to start" in page
    assert '<meta http-equiv="refresh" content="3">' in page


def test_what_was_typed_and_sent_comes_back_with_the_sentences(browser: Any) -> None:
    answer = sent(browser, structure(HELICES.read_bytes()), cutoff="wide", partners="<i>", _seed="x", _title="a & b")
    assert answer.status_code == 422
    page = html.unescape(answer.text)
    assert "Cut-off must be greater than 0 and at most 20 Å, but is 'wide'." in page
    assert 'value="<i>"' in page
    assert 'value="wide"' in page
    assert 'value="a & b"' in page
    assert "seed must be a whole number, but is 'x'." in page
    kept = re.search(r'name="structure:kept" value="([^"]+)"', answer.text)
    assert kept is not None
    again = sent(browser, **{"structure:kept": html.unescape(kept[1])})
    assert again.status_code == 303


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "Complex is required."),
        (structure(b""), "Complex: 'c.pdb' is empty."),
        (structure(b"x" * 200_001), "Complex: 'c.pdb' has 200.0KB, but at most 200.0KB are taken."),
        (structure(b"nothing"), "Complex: the file holds no atom, so it is no PDB file."),
        (structure(b"ATOM  ", "c.exe"), "Complex: 'c.exe' must end in .pdb or .ent."),
    ],
)
def test_a_bad_file_is_said_at_its_field(browser: Any, files: Any, sentence: str) -> None:
    answer = sent(browser, files)
    assert answer.status_code == 422
    assert sentence in html.unescape(answer.text)


@pytest.mark.parametrize("reference", ['"/etc/passwd"', '{"sha256": "../../etc", "name": "x.pdb"}', "{", "5", "null"])
def test_a_forged_reference_opens_nothing(browser: Any, reference: str) -> None:
    answer = sent(browser, **{"structure:kept": reference})
    assert answer.status_code == 422
    assert "root:" not in answer.text


def test_a_form_over_the_limit_is_refused(browser: Any, idle: Gateway) -> None:
    answer = sent(browser, structure(bytes(20_000_000)))
    assert answer.status_code == 413
    assert "too large" in answer.text
    assert not [path for path in idle.files.folder.rglob("*") if path.is_file()]


def test_malformed_forms_are_refused_on_a_page(browser: Any) -> None:
    headers = {"content-type": "multipart/form-data"}
    assert browser.post(FORM, content=b"--x", headers=headers).status_code == 400
    many = {f"x{n}": "1" for n in range(6000)}
    assert browser.post(FORM, data=many, files=structure(b"x")).status_code == 400
    plain = browser.post(FORM, content=b"\xff\xfe", headers={"content-type": "text/plain"})
    assert plain.status_code == 422


def test_rows_are_added_and_removed_by_the_server(browser: Any) -> None:
    path = "/services/showcase.signal"
    first = browser.post(path, data={"row:add": "regions", "length": "abc", "_level": "expert"})
    assert first.status_code == 200
    assert 'name="regions:row" value="0"' in first.text
    assert 'value="abc"' in first.text
    assert 'id="errors"' not in first.text
    rows = {"regions:row": ["0", "7"], "regions.0.chain": "A", "regions.7.chain": "B"}
    second = browser.post(path, data=rows | {"row:remove": "regions.0"})
    assert 'name="regions.0.chain" value="B"' in second.text
    for strange in ("regions.99", "length", "nothing.0", "", ".", "noise.sigma"):
        assert browser.post(path, data={"row:remove": strange, "row:add": strange}).status_code in (200, 303, 422)


def test_every_example_fills_its_form(browser: Any) -> None:
    page = browser.get("/services/showcase.signal?example=noisy+regions").text
    assert 'name="regions.1.chain" value="B"' in page
    assert browser.get("/services/showcase.signal?example=none").status_code == 404
    assert browser.get("/services/showcase.signal?from=nonsense").status_code == 404


def test_buttons_of_a_job(browser: Any, idle: Gateway, run_all: Any) -> None:
    location = sent(browser, structure(HELICES.read_bytes())).headers["location"]
    refused = browser.post(f"{location}/delete")
    assert refused.status_code == 409
    assert "cancel it before" in refused.text
    run_all()
    again = browser.post(f"{location}/rerun")
    assert again.status_code == 303
    assert browser.post(f"{again.headers['location']}/cancel").status_code == 303
    assert "The job was cancelled." in browser.get(again.headers["location"]).text
    assert browser.post(f"{location}/delete").headers["location"] == "/jobs"
    assert browser.get(location).status_code == 404
    assert browser.post(f"{again.headers['location']}/explode").status_code == 404


def test_the_job_list_goes_on_where_it_ended(browser: Any, idle: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    from colonnade.gateway import pages

    monkeypatch.setattr(pages, "PAGE_LENGTH", 2)
    for number in range(5):
        browser.post("/services/showcase.signal", data={"length": str(10 + number), "_title": f"job {number}"})
    seen, path = [], "/jobs?service=showcase.signal"
    while path:
        page = html.unescape(browser.get(path).text)
        seen += re.findall(r"job \d", page)
        following = re.search(r'href="(/jobs\?[^"]+)" rel="next"', page)
        path = following[1] if following else ""
        assert not path or "service=showcase.signal" in path
    assert seen == [f"job {number}" for number in (4, 3, 2, 1, 0)]
    assert "No job matches" in browser.get("/jobs?state=failed").text


@pytest.mark.parametrize("path", ["/nothing", "/services/no.such", "/jobs/nonsense", "/static/nothing.css"])
def test_what_is_not_there_is_said_on_a_page(browser: Any, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_static_files_are_kept_by_browsers_as_long_as_they_are_the_same(browser: Any) -> None:
    sheet = re.search(r'href="(/static/style\.css\?v=\w+)"', browser.get("/").text)
    assert sheet is not None
    kept = browser.get(sheet[1])
    assert (kept.status_code, kept.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in kept.headers["cache-control"]
    assert browser.get("/static/style.css").headers["cache-control"] == "no-cache"
    assert browser.get("/").headers["cache-control"] == "no-store"
    assert browser.get("/static/packages/plotly").status_code == 200
    assert browser.get("/static/packages/nothing").status_code == 404
    for outside in ("../app.py", "..%2Fapp.py", "%2e%2e/app.py", "....//app.py"):
        assert browser.get(f"/static/{outside}").status_code == 404


def test_no_page_names_another_machine_for_what_it_loads(browser: Any, run_all: Any) -> None:
    location = sent(browser, structure(HELICES.read_bytes())).headers["location"]
    run_all()
    for path in ("/", FORM, "/jobs", "/usage", "/reference", location, "/static/viewer"):
        loaded = re.findall(
            r'<(?:script|link|img|iframe|video|source)[^>]+(?:src|href)="([^"]+)"', browser.get(path).text
        )
        assert loaded
        assert all(address.startswith("/") and not address.startswith("//") for address in loaded)


# --- the same run elsewhere ----------------------------------------------------------------------


def snippets(page: str) -> dict[str, str]:
    found = re.findall(r"<h3>(\w+)</h3><pre[^>]*><code>(.*?)</code>", page, re.DOTALL)
    return {title: html.unescape(text) for title, text in found}


@pytest.mark.parametrize("simple", [True, False])
def test_the_same_run_in_shell_and_python_gives_the_same_result(
    browser: Any, idle: Gateway, run_all: Any, tmp_path: Path, simple: bool
) -> None:
    more = {} if simple else {"noise:on": "on", "noise.sigma": "0.5", "label": 'it\'s "so"\n$HOME'}
    data = {"length": "7", "harmonics": "1, 2", "boundary": "open", "_seed": "5", "channels": "red"} | more
    location = browser.post("/services/showcase.signal", data=data).headers["location"]
    run_all()
    wanted = (idle.directory(location.rpartition("/")[2]) / "result.json").read_bytes()
    found = snippets(browser.get(location).text)
    assert ("--harmonics 1 --harmonics 2" in found["Shell"]) == simple
    plugin = str(Path(__file__).parent / "plugin")
    source = str(Path(__file__).parents[2] / "src")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([source, plugin])}
    ours = f'colonnade() {{ "{sys.executable}" -m colonnade.cli "$@"; }}\n'
    subprocess.run(["bash", "-c", ours + found["Shell"] + " --output shell"], cwd=tmp_path, env=environment, check=True)
    subprocess.run([sys.executable, "-c", found["Python"]], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "shell" / "result.json").read_bytes() == wanted
    assert (tmp_path / "run" / "result.json").read_bytes() == wanted


def test_the_same_run_by_curl_names_uploads_and_inputs(browser: Any, api: Any, run_all: Any) -> None:
    location = sent(browser, structure(HELICES.read_bytes(), "it's.pdb")).headers["location"]
    run_all()
    text = snippets(browser.get(location).text)["curl"]
    assert """-T 'it'"'"'s.pdb' http://127.0.0.1:8000/api/v1/uploads/""" in text
    body = json.loads(text.partition("<<'END'\n")[2].removesuffix("END"))
    answer = api.post("/api/v1/services/showcase.complex/jobs", json=body)
    assert answer.json()["cached_from"] == location.rpartition("/")[2]


# --- small parts ---------------------------------------------------------------------------------


def test_progress_is_read_from_events(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert progress(path).lines == []
    events = [
        {"time": 10.0, "kind": "progress", "bar": 1, "label": "Up", "done": 0, "total": 4},
        {"time": 11.0, "kind": "log", "message": "one"},
        {"time": 13.0, "kind": "progress", "bar": 1, "label": "Up", "done": 1, "total": 4},
        {"time": 13.5, "kind": "progress", "bar": 2, "label": "Open", "done": 7, "total": None},
        {"time": 14.0, "kind": "preview", "name": "p", "result": {"kind": "figure"}},
    ]
    whole = "".join(json.dumps(event) + "\n" for event in events)
    path.write_text(whole + '{"broken\n{"kind": "log"}\n' + '{"kind": "log", "mess')
    found = progress(path)
    assert (found.bars[1].share, found.bars[1].remaining) == (0.25, 9.0)
    assert (found.bars[2].share, found.bars[2].remaining) == (None, None)
    assert found.lines == ["one"]
    assert list(found.previews) == ["p"]
    assert found.offset == len(whole) + len('{"broken\n{"kind": "log"}\n')


def test_numbers_are_put_in_words() -> None:
    assert [duration(s) for s in (None, 0, 0.25, 9.96, 61, 3661, 90_000)] == [
        "–",
        "0 s",
        "0.25 s",
        "10 s",
        "1 min 1 s",
        "1 h 1 min",
        "1 d 1 h",
    ]
    assert [binary_size(n) for n in (0, 1024, 2 * 1024**3, 5 * 1024**5)] == ["0 B", "1 KiB", "2 GiB", "5120 TiB"]
    assert [decimal_size(n) for n in (9, 19_104, 10**9)] == ["9 B", "19.1 kB", "1 GB"]


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("arXiv:2107.01056", "https://arxiv.org/abs/2107.01056"),
        ("doi:10.1038/s41586-021-03819-2", "https://doi.org/10.1038/s41586-021-03819-2"),
        ('doi:10.1/"><script>', None),
        ('doi:10.1234/"><script>', "https://doi.org/10.1234/%22%3E%3Cscript%3E"),
        ("<b>none</b>", None),
    ],
)
def test_papers_are_linked_and_escaped(text: str, href: str | None) -> None:
    found = str(paper(text))
    assert "<script" not in found
    assert "<b>" not in found
    assert (f'href="{href}"' in found) if href else ("href" not in found)
