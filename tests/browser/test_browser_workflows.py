"""Workflows in a real browser: composed, checked, watched while they run, by everybody and in every theme."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

CHAIN = """name: Two signals
inputs:
  lengths: [{length: 20}, {length: 40}]
steps:
  slow:
    service: testing.sleep
    inputs: {seconds: SECONDS}
  doubled:
    service: testing.double
    for_each: ${inputs.lengths}
    inputs: {n: "${row.length}"}
  last:
    service: testing.double
    inputs: {n: "${doubled.1.value}"}
outputs:
  doubled: {length: "${doubled.row.length}", twice: "${doubled.value}"}
  last: ${last.value}
"""


def start(site: Any, seconds: float) -> str:
    body = {"document": CHAIN.replace("SECONDS", str(seconds))}
    return str(site.api("POST", "/api/v1/workflows", json=body)["id"])


def test_composed_checked_and_watched(visit: Any) -> None:
    page = visit("/workflows")
    page.get_by_role("link", name="Compose a workflow").click()
    page.get_by_label("Document").fill("name: Empty\nsteps: {}\n")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_contain_text("steps")
    page.get_by_label("Document").fill(CHAIN.replace("SECONDS", "3"))
    page.get_by_label("Service", exact=True).select_option("testing.double")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".wf-picture svg [data-step]")).to_have_count(4)
    page.get_by_label("Document").fill(CHAIN.replace("SECONDS", "3"))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_contain_text("in order")
    expect(page.locator(".wf-picture svg [data-step]")).to_have_count(3)
    page.get_by_role("button", name="Run", exact=True).click()
    # The picture changes by itself, from the server's events.
    expect(page.locator("#live[data-connected=true]")).to_be_visible()
    expect(page.locator("details[data-step=slow] [data-says]")).to_have_text("running")
    expect(page.locator("details[data-step=last] [data-says]")).to_have_text("succeeded")
    expect(page.locator("details[data-step=doubled] [data-says]")).to_contain_text("2 of 2")
    expect(page.locator("#state .state.succeeded")).to_be_visible()
    expect(page.locator("[aria-labelledby=output-last]")).to_contain_text("160")
    with page.expect_download() as download:
        page.get_by_role("link", name="RO-Crate").click()
    assert download.value.suggested_filename.endswith(".zip")
    page.get_by_role("button", name="Run again").click()
    expect(page.locator("#state .state.succeeded")).to_be_visible()
    expect(page.locator("details[data-step=slow] [data-says]")).to_contain_text("from an earlier run")


def test_without_scripts(visit: Any) -> None:
    page = visit("/workflows/new", scripts=False)
    page.get_by_label("Document").fill(CHAIN.replace("SECONDS", "0.4"))
    page.get_by_role("button", name="Run", exact=True).click()
    for _ in range(200):
        if page.locator("#state .state.succeeded").count():
            break
        page.wait_for_timeout(200)
        page.reload()
    expect(page.locator("[aria-labelledby=output-last]")).to_contain_text("160")


def test_cancelled(visit: Any, site: Any) -> None:
    page = visit(f"/workflows/{start(site, 500)}")
    expect(page.locator("details[data-step=slow] [data-says]")).to_have_text("running")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#state .state.cancelled")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_pages_fit_a_phone(visit: Any, site: Any, axe: str, theme: str) -> None:
    ended, running = start(site, 0.2), start(site, 501)
    page = visit(f"/workflows/{ended}", theme=theme, width=360)
    expect(page.locator("#state .state.succeeded")).to_be_visible()
    found = {}
    for path in ("/workflows", "/workflows/new?example=affinities", f"/workflows/{ended}", f"/workflows/{running}"):
        page.goto(site.address + path)
        page.evaluate(axe)
        violations = page.evaluate("() => axe.run(document).then(result => result.violations)")
        found[path] = [f"{item['id']}: {node['html'][:120]}" for item in violations for node in item["nodes"]]
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, path
    site.api("POST", f"/api/v1/workflows/{running}/cancel")
    assert {path: items for path, items in found.items() if items} == {}
