"""Without JavaScript, by keyboard, on a phone, for a screen reader; and with texts that try to be scripts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

HELICES = Path(__file__).parents[1] / "gateway" / "plugin" / "examples" / "helices.pdb"
EXAMPLE = {"structure": "example:showcase.complex/helices.pdb"}
HOSTILE = "<script>document.title='taken';window.taken=1</script><img src=x onerror=\"window.taken=1\">'\"&</textarea>"


# --- without JavaScript --------------------------------------------------------------------------


def until_ended(page: Any) -> None:
    """Load the page again as its meta refresh does, until the job has ended."""
    for _ in range(200):
        if page.locator(".state.succeeded, .state.failed, .state.cancelled").count():
            return
        page.wait_for_timeout(200)
        page.reload()
    raise AssertionError("the job did not end")


def test_from_form_to_result_without_scripts(visit: Any) -> None:
    page = visit("/", scripts=False)
    page.fill("#q", "harmonics")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Make a signal").click()
    page.fill("[name=length]", "1")
    page.get_by_role("radio", name="Expert").check()
    page.get_by_role("button", name="Add region").click()
    page.fill("[name='regions.0.chain']", "A")
    page.get_by_role("button", name="Add region").click()
    expect(page.locator("[name='regions.0.chain']")).to_have_value("A")
    page.get_by_role("button", name="Remove Region 2").click()
    expect(page.locator("input[name$='.chain']:visible")).to_have_count(1)
    page.click("button[name=_run]")
    expect(page.locator("#field-length-error")).to_have_text("Length must be from 2 to 2000, but is 1.")
    expect(page.locator("[name=length]")).to_be_focused()
    page.fill("[name=length]", "30")
    page.click("button[name=_run]")
    until_ended(page)
    expect(page.locator(".estimates")).to_contain_text("Peak")
    picture = page.locator("#result-plot noscript img")
    expect(picture).to_be_visible()
    expect(page.locator("#result-samples tbody tr")).to_have_count(30)


def test_files_are_kept_and_structures_drawn_without_scripts(visit: Any, site: Any) -> None:
    page = visit("/services/showcase.complex", scripts=False)
    page.set_input_files("[name=structure]", HELICES)
    page.fill("[name=cutoff]", "50")
    page.click("button[name=_run]")
    expect(page.locator("#field-cutoff-error")).to_have_text(
        "Cut-off must be greater than 0 and at most 20 Å, but is 50.0."
    )
    expect(page.locator("[name='structure:kept']")).to_be_checked()
    page.fill("[name=cutoff]", "5")
    page.click("button[name=_run]")
    until_ended(page)
    drawing = page.locator("#result-view noscript img")
    drawing.scroll_into_view_if_needed()
    expect(drawing).to_be_visible()
    answer = page.request.get(site.address + str(drawing.get_attribute("src")))
    assert answer.status == 200
    assert "<svg" in answer.text()


def test_a_waiting_job_is_asked_for_again_and_cancelled_without_scripts(visit: Any, site: Any) -> None:
    id = site.submit("showcase.signal", length=2000, pause=0.1, again=True)
    page = visit(f"/jobs/{id}", scripts=False)
    assert page.locator("noscript meta[http-equiv=refresh]").get_attribute("content") == "3"
    page.get_by_role("button", name="Cancel").click()
    until_ended(page)
    expect(page.locator(".state.cancelled")).to_be_visible()


# --- hostile texts -------------------------------------------------------------------------------


def test_no_text_becomes_a_script(visit: Any, site: Any) -> None:
    page = visit("/services/showcase.signal?level=guru")
    for name in ("label", "notes", "tags", "_title"):
        if name == "_title":
            page.locator("summary").click()
        page.fill(f"[name={name}]", HOSTILE[:190])
    page.fill("[name=length]", "x" + HOSTILE)
    page.click("button[name=_run]")
    expect(page.locator("#field-length-error")).to_contain_text("<script>")
    assert page.evaluate("() => window.taken") is None
    page.fill("[name=length]", "9")
    page.click("button[name=_run]")
    expect(page.locator(".state.succeeded")).to_be_visible()
    expect(page.locator(".plot .main-svg").first).to_be_visible()
    for path in ("", "/jobs", "/usage"):
        if path:
            page.goto(site.address + path)
        assert page.evaluate("() => window.taken") is None
        assert "taken" not in page.title() or "<script>" in page.title()
        assert page.locator("img[src=x]").count() == 0


def test_markup_in_results_stays_text(visit: Any, site: Any) -> None:
    page = visit(f"/jobs/{site.finished('showcase.markup')}")
    expect(page.locator("#result-table")).to_contain_text("<img src=x")
    with page.expect_download() as download:
        page.get_by_role("link", name="page.html").first.click()
    assert download.value.suggested_filename == "page.html"
    with page.expect_download():
        page.evaluate(
            "address => { location.href = address }", page.url.replace("/jobs/", "/api/v1/jobs/") + "/files/drawing.svg"
        )
    assert page.evaluate("() => window.taken") is None


def test_hostile_names_of_files_and_addresses_stay_text(visit: Any, site: Any) -> None:
    page = visit("/services/showcase.complex")
    name = "a\u202egpj<script>window.taken=1<.pdb"
    page.set_input_files("[name=structure]", {"name": name, "mimeType": "", "buffer": HELICES.read_bytes()})
    expect(page.locator("[name='structure:kept']")).to_have_count(1)
    page.click("button[name=_run]")
    expect(page.locator(".state.succeeded")).to_be_visible()
    assert "\u202e" not in page.content()
    page.goto(f"{site.address}/services/<script>window.taken=1<.script>")
    expect(page.get_by_text("There is no service")).to_be_visible()
    page.goto(f"{site.address}/?q=%3Cscript%3Ewindow.taken=1%3C/script%3E")
    assert page.evaluate("() => window.taken") is None


# --- everyone ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(site: Any) -> dict[str, str]:
    """A page of each kind."""
    return {
        "home": "/",
        "form": "/services/showcase.signal?level=guru&example=noisy+regions",
        "files": "/services/showcase.complex?example=a+small+complex",
        "unavailable": "/services/showcase.missing",
        "result": f"/jobs/{site.finished('showcase.signal', length=20)}",
        "failed": f"/jobs/{site.finished('testing.fail')}",
        "jobs": "/jobs",
        "usage": "/usage",
        "reference": "/reference",
        "absent": "/nothing",
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(visit: Any, site: Any, axe: str, paths: dict[str, str], theme: str) -> None:
    page = visit("/", theme=theme, fresh=True)
    found = {name: _violations(page, site.address + path, axe) for name, path in paths.items()}
    page.goto(f"{site.address}/services/showcase.signal")
    page.fill("[name=length]", "1")
    page.click("button[name=_run]")
    page.wait_for_selector("#errors")
    found["wrong"] = _violations(page, None, axe)
    running = site.submit("showcase.signal", length=2000, pause=0.1, again=True)
    page.goto(f"{site.address}/jobs/{running}")
    page.wait_for_selector("#previews .main-svg")
    found["running"] = _violations(page, None, axe)
    site.api("POST", f"/api/v1/jobs/{running}/cancel")
    page.wait_for_selector(".state.cancelled")
    page.context.clear_cookies()
    found["signed out"] = _violations(page, f"{site.address}/jobs", axe)
    assert {name: items for name, items in found.items() if items} == {}


def _violations(page: Any, address: str | None, axe: str) -> list[str]:
    if address:
        page.goto(address, wait_until="load")
    page.evaluate(axe)
    violations = page.evaluate("() => axe.run(document, {iframes: false}).then(result => result.violations)")
    return [f"{item['id']}: {node['html'][:120]}" for item in violations for node in item["nodes"]]


def test_pages_fit_a_phone(visit: Any, site: Any, paths: dict[str, str]) -> None:
    page = visit("/", width=360)
    for name, path in paths.items():
        page.goto(site.address + path)
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, name
    page.goto(f"{site.address}/services/showcase.signal")
    page.fill("[name=length]", "21")
    page.click("button[name=_run]")
    expect(page.locator(".state.succeeded")).to_be_visible()


def test_everything_is_reached_by_keyboard(visit: Any, site: Any) -> None:
    page = visit("/services/showcase.signal")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    names = []
    for _ in range(60):
        page.keyboard.press("Tab")
        names.append(page.evaluate("() => document.activeElement.name || document.activeElement.textContent.trim()"))
        if names[-1] == "_run":
            break
    assert names[-1] == "_run"
    assert [name for name in names if name in ("length", "temperature", "label", "boundary", "harmonics")] == [
        "length",
        "temperature",
        "label",
        "boundary",
        "harmonics",
    ]
    page.keyboard.press("Enter")
    expect(page.locator(".state.succeeded")).to_be_visible()


def test_enter_in_a_field_runs_rather_than_adds_a_row(visit: Any) -> None:
    page = visit("/services/showcase.signal?level=expert")
    page.fill("[name=length]", "22")
    page.press("[name=length]", "Enter")
    page.wait_for_url(re.compile(r"/jobs/"))


def test_pages_have_one_heading_and_a_language(visit: Any, site: Any, paths: dict[str, str]) -> None:
    page = visit("/")
    titles = set()
    for path in paths.values():
        page.goto(site.address + path)
        assert page.locator("h1").count() == 1
        assert page.locator("html").get_attribute("lang") == "en"
        titles.add(page.title())
    assert len(titles) >= len(paths) - 1
