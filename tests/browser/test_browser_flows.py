"""What people do, in a real browser: fill in, watch, look, fetch, cancel, go wrong."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

EXAMPLE = {"structure": "example:showcase.complex/helices.pdb"}
HELICES = Path(__file__).parents[1] / "gateway" / "plugin" / "examples" / "helices.pdb"
RESULT = re.compile(r"/jobs/[0-9A-Z]{26}")


def run(page: Any) -> None:
    page.click("button[name=_run]")


# --- in ------------------------------------------------------------------------------------------


def test_the_address_with_the_token_lets_in_and_hides_it(site: Any, chromium: Any) -> None:
    page = chromium.new_context().new_page()
    page.goto(f"{site.address}/jobs")
    expect(page.get_by_text("needs its access token")).to_be_visible()
    page.fill("#token", "wrong")
    page.get_by_role("button", name="Open the gateway").click()
    expect(page.get_by_text("not the access token")).to_be_visible()
    page.fill("#token", site.token)
    page.get_by_role("button", name="Open the gateway").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{site.address}/jobs?token={site.token}")
    assert page.url == f"{site.address}/jobs"
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert site.token not in "".join(site.log[1:])
    page.context.close()


def test_a_link_on_another_site_leads_in(site: Any, chromium: Any) -> None:
    """localhost and 127.0.0.1 are two sites for a browser: the strict cookie stays behind on the first request."""
    page = chromium.new_context().new_page()
    page.goto(f"{site.address}/?token={site.token}")
    other = site.address.replace("127.0.0.1", "localhost")
    page.goto(f"{other}/usage")
    expect(page.get_by_text("needs its access token")).to_be_visible()
    page.evaluate("address => { location.href = address }", f"{site.address}/usage")
    expect(page.get_by_role("heading", name="Usage", level=1)).to_be_visible()
    page.context.close()


def test_a_form_on_another_site_changes_nothing(site: Any, chromium: Any) -> None:
    page = chromium.new_context().new_page()
    page.goto(f"{site.address}/?token={site.token}")
    other = site.address.replace("127.0.0.1", "localhost")
    before = len(site.api("GET", "/api/v1/jobs")["jobs"])
    page.route(f"{other}/evil", lambda route: route.fulfill(content_type="text/html", body=_form(site.address)))
    page.goto(f"{other}/evil")
    page.click("button")
    expect(page.get_by_text("another site")).to_be_visible()
    assert len(site.api("GET", "/api/v1/jobs")["jobs"]) == before
    page.context.close()


def _form(address: str) -> str:
    return f'<form method="post" action="{address}/services/showcase.markup"><button name="_run">x</button></form>'


# --- find and fill in ----------------------------------------------------------------------------


def test_services_are_found_by_typing(visit: Any) -> None:
    page = visit("/")
    page.fill("#q", "harmonics peak")
    expect(page.locator("[data-service]:visible")).to_have_count(1)
    expect(page.get_by_role("link", name="Make a signal")).to_be_visible()
    expect(page.locator("#found")).to_contain_text("1 of")
    page.fill("#q", "no such thing")
    expect(page.locator("[data-column]:visible")).to_have_count(0)


def test_from_the_first_page_by_form_to_the_plot(visit: Any) -> None:
    page = visit("/")
    page.get_by_role("link", name="Make a signal").click()
    page.fill("[name=length]", "80")
    page.fill("[name=label]", "by form")
    page.get_by_label("open", exact=True).check()
    run(page)
    expect(page.locator(".state.succeeded")).to_be_visible()
    expect(page.locator(".estimates")).to_contain_text("Peak")
    expect(page.locator(".plot .main-svg").first).to_be_visible()
    expect(page.locator(".plot .scatterlayer path.js-line")).to_have_count(1)
    facts = page.locator(".facts").first
    expect(facts).to_contain_text("by form")
    expect(facts).to_contain_text("open")


def test_an_example_is_loaded_and_run(visit: Any) -> None:
    page = visit("/services/showcase.signal")
    page.get_by_role("link", name="noisy regions").click()
    expect(page.locator("#level-expert")).to_be_checked()
    expect(page.locator("[name='noise.sigma']")).to_have_value("0.5")
    expect(page.locator("[name='regions.0.weights']")).to_have_value("0.5, 1.5")
    expect(page.locator("[name='regions.1.chain']")).to_have_value("B")
    expect(page.locator("[name=window]")).to_have_value("kaiser")
    run(page)
    expect(page.locator(".state.succeeded")).to_be_visible()


def test_levels_show_and_hide(visit: Any) -> None:
    page = visit("/services/showcase.signal")
    window, tags = page.locator("[name=window]"), page.locator("[name=tags]")
    expect(window).to_be_hidden()
    page.get_by_role("radio", name="Expert").check()
    expect(window).to_be_visible()
    expect(tags).to_be_hidden()
    page.get_by_role("radio", name="Guru").check()
    expect(tags).to_be_visible()
    page.get_by_role("radio", name="Basic").check()
    expect(window).to_be_hidden()


def test_an_optional_group_is_switched_on(visit: Any) -> None:
    page = visit("/services/showcase.signal")
    sigma = page.locator("[name='noise.sigma']")
    expect(sigma).to_be_hidden()
    page.get_by_label("Noise").check()
    expect(sigma).to_be_visible()
    sigma.fill("0.25")
    run(page)
    expect(page.locator(".state.succeeded")).to_be_visible()
    expect(page.locator(".facts").first).to_contain_text("sigma: 0.25")


def test_rows_are_added_and_removed(visit: Any) -> None:
    page = visit("/services/showcase.signal?level=expert")
    add = page.get_by_role("button", name="Add region")
    add.click()
    add.click()
    add.click()
    chains = page.locator("input[name$='.chain']")
    expect(chains).to_have_count(3)
    expect(chains.nth(2)).to_be_focused()
    for index, chain in enumerate("ABC"):
        chains.nth(index).fill(chain)
    page.locator("[data-remove]").nth(1).click()
    expect(page.locator("[data-row] [data-count]")).to_have_text(["1", "2"])
    run(page)
    expect(page.locator(".state.succeeded")).to_be_visible()
    expect(page.locator(".facts").first).to_contain_text("chain: C")
    expect(page.locator(".facts").first).not_to_contain_text("chain: B")


# --- wrong ---------------------------------------------------------------------------------------


def test_a_wrong_value_is_said_at_once_and_again_by_the_server(visit: Any) -> None:
    page = visit("/services/showcase.signal")
    field = page.locator("[name=temperature]")
    field.fill("99")
    page.fill("[name=label]", "kept as typed")
    error = page.locator("#field-temperature-error")
    expect(error).to_have_text("This must be from -20 to 80 °C.")
    run(page)
    expect(error).to_have_text("Temperature must be from -20 to 80 °C, but is 99.0.")
    expect(field).to_be_focused()
    expect(field).to_have_value("99")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert "field-temperature-error" in str(field.get_attribute("aria-describedby"))
    expect(page.locator("[name=label]")).to_have_value("kept as typed")
    expect(page.locator("#errors")).to_contain_text("One thing needs correction")
    field.fill("20")
    run(page)
    expect(page.locator(".state.succeeded")).to_be_visible()


def test_a_wrong_value_at_a_higher_level_is_shown(visit: Any) -> None:
    page = visit("/services/showcase.signal?level=guru")
    page.fill("[name=damping]", "7")
    page.get_by_role("radio", name="Basic").check()
    run(page)
    expect(page.locator("#level-guru")).to_be_checked()
    expect(page.locator("#field-damping-error")).to_be_visible()


def test_a_file_is_uploaded_and_kept_when_something_else_is_wrong(visit: Any) -> None:
    page = visit("/services/showcase.complex")
    page.set_input_files("[name=structure]", HELICES)
    expect(page.get_by_role("status").filter(has_text="helices.pdb is here.")).to_be_visible()
    page.fill("[name=partners]", "nonsense")
    run(page)
    expect(page.locator("#field-partners-error")).to_contain_text("text that matches")
    expect(page.locator("[name='structure:kept']")).to_be_checked()
    page.fill("[name=partners]", "AB")
    run(page)
    expect(page.locator(".state.succeeded")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("notes.txt", b"ATOM", "must end in .pdb or .ent"),
        ("complex.pdb", b"", "is empty"),
        ("complex.pdb", b"MZ\x90\0a program", "holds no atom"),
    ],
)
def test_a_bad_file_is_refused_at_its_field(visit: Any, name: str, content: bytes, sentence: str) -> None:
    page = visit("/services/showcase.complex")
    page.set_input_files("[name=structure]", {"name": name, "mimeType": "", "buffer": content})
    expect(page.locator("[name='structure:kept']")).to_have_count(1)
    run(page)
    expect(page.locator("#field-structure-error")).to_contain_text(sentence)


def test_a_file_over_the_limit_is_not_even_sent(visit: Any) -> None:
    page = visit("/services/showcase.complex")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    page.set_input_files("[name=structure]", {"name": "a.pdb", "mimeType": "", "buffer": b"x" * 200_001})
    expect(page.locator("#field-structure-error")).to_contain_text("is larger than the 200.0 kB that are taken")
    assert sent == []


# --- watch and cancel ----------------------------------------------------------------------------


def test_progress_log_and_plot_come_live_and_the_job_is_cancelled(visit: Any, site: Any) -> None:
    id = site.submit("showcase.signal", length=2000, pause=0.05, label="live", again=True)
    site.running(id)
    page = visit(f"/jobs/{id}")
    count = page.locator(".bar .what span").nth(1)
    expect(count).to_contain_text("of 2000")
    expect(count).to_contain_text("left")
    first = str(count.text_content())
    expect(count).not_to_have_text(first)
    expect(page.locator("#log")).to_contain_text("label live")
    expect(page.locator("#previews .main-svg").first).to_be_visible()
    waiting = site.submit("testing.double", n=5, again=True)
    other = visit(f"/jobs/{waiting}")
    expect(other.locator("#why")).to_contain_text("it is the next to start")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".state.cancelled")).to_be_visible()
    assert site.api("GET", f"/api/v1/jobs/{id}")["state"] == "cancelled"
    expect(other.locator(".state.succeeded")).to_be_visible()


def test_the_place_in_the_queue_is_shown(visit: Any, site: Any) -> None:
    first = site.submit("testing.sleep", seconds=100, again=True)
    site.running(first)
    ids = [site.submit("testing.sleep", seconds=101 + n, again=True) for n in range(3)]
    page = visit(f"/jobs/{ids[2]}")
    expect(page.locator("#why")).to_contain_text("2 jobs come before this one")
    for id in [*ids, first]:
        site.api("POST", f"/api/v1/jobs/{id}/cancel")
    expect(page.locator(".state.cancelled")).to_be_visible()


def test_a_failed_job_says_why(visit: Any, site: Any) -> None:
    page = visit(f"/jobs/{site.finished('testing.fail')}")
    expect(page.get_by_role("alert")).to_contain_text("The sample is empty.")
    expect(page.locator(".state.failed")).to_be_visible()


# --- look and fetch ------------------------------------------------------------------------------


def test_every_kind_of_result_is_shown_and_fetched(visit: Any, site: Any, tmp_path: Path) -> None:
    id = site.finished("showcase.complex", **EXAMPLE)
    page = visit(f"/jobs/{id}")
    expect(page.locator(".estimates")).to_contain_text("-9.4 ± 1.9 kcal/mol")
    expect(page.locator("#result-map .hm")).to_have_count(1)
    expect(page.locator("#result-surface canvas").first).to_be_visible()
    assert page.locator("video").evaluate(
        "film => new Promise(k => film.readyState ? k(1) : film.onloadedmetadata = k)"
    )
    with page.expect_download() as table:
        page.get_by_role("link", name="contacts.csv").first.click()
    rows = list(csv.reader(io.StringIO(Path(table.value.path()).read_text())))
    assert rows[0] == ["residue", "chain", "x (Å)"]
    assert len(rows) == 241
    with page.expect_download() as archive:
        page.get_by_role("link", name="Everything (zip)").click()
    names = zipfile.ZipFile(archive.value.path()).namelist()
    assert any(name.endswith("ro-crate-metadata.json") for name in names)
    with page.expect_download() as report:
        page.get_by_role("link", name="Report", exact=True).click()
    target = tmp_path / "report.html"
    report.value.save_as(target)
    assert "Look at a complex" in target.read_text()


def test_tables_sort(visit: Any, site: Any) -> None:
    page = visit(f"/jobs/{site.finished('showcase.complex', **EXAMPLE)}")
    head = page.locator("#result-contacts th").nth(2)
    cells = page.locator("#result-contacts tbody td:nth-child(3)")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    values = [float(text) for text in cells.all_text_contents()]
    assert values == sorted(values)
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert [float(text) for text in cells.all_text_contents()] == sorted(values, reverse=True)


def test_the_structure_is_drawn_in_its_frame(visit: Any, site: Any) -> None:
    page = visit(f"/jobs/{site.finished('showcase.complex', **EXAMPLE)}", width=420)
    page.locator("#result-view").scroll_into_view_if_needed()
    expect(page.locator("#result-view figure.live")).to_be_visible()
    frame = page.frame_locator("iframe.molecule")
    expect(frame.locator("canvas").first).to_be_visible()
    # Drawn means: the colours of both chains are on the picture.
    for _ in range(120):
        found = _hues(page.locator("iframe.molecule").screenshot())
        if {"blue", "orange", "red"} <= found:
            break
        page.wait_for_timeout(500)
    assert {"blue", "orange", "red"} <= found
    assert page.frames[-1].evaluate("self.origin") == "null"


def _hues(picture: bytes) -> set[str]:
    from PIL import Image

    found = set()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for red, green, blue in image.resize((image.width // 2, image.height // 2)).getdata():
        if blue > red + 40 and blue > green + 20:
            found.add("blue")
        if red > green + 25 and green > blue + 25:
            found.add("orange")
        if red > green + 60 and red > blue + 60 and abs(green - blue) < 40:
            found.add("red")
    return found


def test_plots_follow_the_theme(visit: Any, site: Any) -> None:
    page = visit(f"/jobs/{site.finished('showcase.signal', length=10)}", fresh=True)
    tick = page.locator(".plot .xtick text").first
    expect(tick).to_have_css("fill", "rgb(31, 35, 40)")
    button = page.locator("#theme")
    button.click()
    expect(button).to_have_text("Light")
    button.click()
    expect(button).to_have_text("Dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(20, 22, 26)")
    expect(tick).to_have_css("fill", "rgb(233, 229, 220)")
    page.reload()
    expect(button).to_have_text("Dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(20, 22, 26)")


def test_the_same_run_elsewhere_is_copied(visit: Any, site: Any) -> None:
    page = visit(f"/jobs/{site.finished('showcase.signal', length=11, label='a b', seed=4)}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy: Shell").click()
    expect(page.locator(".copy").first).to_have_text("Copied")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied == "colonnade run showcase.signal --seed 4 \\\n  --length 11 \\\n  --label 'a b'"


def test_an_identical_request_shows_the_earlier_result_and_runs_again(visit: Any, site: Any) -> None:
    site.finished("showcase.signal", length=12)
    page = visit("/services/showcase.signal")
    page.fill("[name=length]", "12")
    run(page)
    expect(page.get_by_text("were run before")).to_be_visible()
    page.get_by_role("button", name="Run again").click()
    expect(page.locator(".state.succeeded")).to_be_visible()
    expect(page.get_by_text("were run before")).to_have_count(0)
    page.get_by_role("link", name="Change the inputs").click()
    expect(page.locator("[name=length]")).to_have_value("12")


def test_jobs_are_filtered_and_deleted(visit: Any, site: Any) -> None:
    id = site.finished("showcase.signal", length=13, title="to be deleted")
    page = visit("/jobs")
    page.select_option("#service", "showcase.signal")
    page.select_option("#state", "succeeded")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody .state")).not_to_have_count(0)
    assert set(page.locator("tbody .state").all_text_contents()) == {"succeeded"}
    page.get_by_role("link", name="to be deleted").click()
    page.get_by_role("button", name="Delete this job").click()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    page.goto(f"{site.address}/jobs/{id}")
    expect(page.get_by_text("There is no job")).to_be_visible()
