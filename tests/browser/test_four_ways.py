"""The affinity of the carried complex, in all the ways there are to ask for it, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from colonnade.service import services

PUBLISHED = -9.373  # kcal/mol for 3BZD, by PRODIGY's own examples
TITLE = "T-cell receptor with enterotoxin C3 (3BZD)"
SERVICE = "structure.affinity"


def check(value: float) -> None:
    assert value == pytest.approx(PUBLISHED, abs=0.01)


def test_library() -> None:
    from colonnade.structure import binding_affinity, example, read_structure

    check(binding_affinity(read_structure(example("3BZD")), ["A", "B"]).delta_g)


def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "colonnade.cli", "run", SERVICE, "--example", "3BZD", "--json"]
    done = subprocess.run([*command, "--output", str(tmp_path / "run")], capture_output=True, text=True, check=True)
    check(json.loads(done.stdout)["outputs"]["delta_g"]["value"])
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000


def test_rest(site: Any) -> None:
    carried = f"example:{SERVICE}/3BZD.pdb"
    id = site.finished(SERVICE, structure=carried, partners="A B", again=True)
    result = site.api("GET", f"/api/v1/jobs/{id}/result")
    check(result["outputs"]["delta_g"]["value"])


def test_browser(visit: Any, site: Any) -> None:
    page = visit("/")
    page.get_by_role("link", name="Binding affinity of a protein complex").click()
    page.get_by_role("link", name=TITLE).click()
    page.fill("[name=temperature]", "20")
    page.click("button[name=_run]")
    expect(page.locator(".state.succeeded")).to_be_visible()
    expect(page.locator(".estimates")).to_contain_text("-9.4 ± 1.9 kcal/mol")
    expect(page.locator("#result-contact_map .plot .main-svg").first).to_be_visible()
    page.locator("#result-complex").scroll_into_view_if_needed()
    expect(page.frame_locator("iframe.molecule").locator("canvas").first).to_be_visible()
    expect(page.locator("#result-interface tbody tr").first).to_be_visible()
    with page.expect_download() as archive:
        page.get_by_role("link", name="Everything (zip)").click()
    with zipfile.ZipFile(archive.value.path()) as packed:
        (name,) = [name for name in packed.namelist() if name.endswith("result.json")]
        check(json.loads(packed.read(name))["outputs"]["delta_g"]["value"])


def test_every_form_opens_with_its_first_example(visit: Any) -> None:
    own = [name for name, found in services().items() if found.function.__module__.startswith("colonnade.")]
    assert SERVICE in own
    for name in own:
        page = visit(f"/services/{name}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.locator("a[href*='example=']").first.click()
        expect(page.locator("a[href*='example='][aria-current=true]")).to_have_count(1)
        expect(page.locator("button[name=_run]")).to_be_visible()
        expect(page.locator("[aria-invalid=true]")).to_have_count(0)
        page.close()
