"""The report in a real browser: light and dark, wide and narrow, without JavaScript, on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import samples
from colonnade import report, runner

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "run"
    runner.run("sample.kinds", {}, folder, seed=2)
    report.complete(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # WebGL by software, as there is no graphics card where tests run.
    flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield made
        made.close()


@pytest.fixture(scope="module")
def live(browser: Any, page_file: Path) -> Iterator[Any]:
    """The page with everything made, in a wide light window; `asked` holds every address that it asked for."""
    context = browser.new_context(color_scheme="light", viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(200_000)  # a loaded machine draws three dimensions slowly
    page = context.new_page()
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_function("document.documentElement.dataset.results === 'ready'")
    yield page
    context.close()


@pytest.fixture(autouse=True)
def as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "live" in request.fixturenames:
        page = request.getfixturevalue("live")
        page.emulate_media(media="screen", color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 900})


def test_the_report_comes_alive(live: Any) -> None:
    assert live.title() == f"Every kind {samples.HOSTILE}"  # no script of a user has changed it
    assert live.locator("#result-figures-0 .plot .main-svg").first.is_visible()
    assert live.locator("#result-figures-0 .drawing").is_hidden()
    assert live.locator("#result-figures-1 .drawing").is_visible()  # the one that the browser cannot make, either
    live.locator(".molecule canvas").first.wait_for()


def test_the_report_asks_nobody(live: Any) -> None:
    live.locator(".molecule canvas").first.wait_for()
    assert [address for address in live.asked if not address.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 24, 31)")])
def test_light_and_dark(live: Any, scheme: str, ground: str) -> None:
    live.emulate_media(media="screen", color_scheme=scheme)
    assert live.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    text = live.evaluate("getComputedStyle(document.body).color")
    # The plot is drawn again in the page's colours.
    live.wait_for_function(
        "text => getComputedStyle(document.querySelector('#result-figures-0 .xtick text')).fill === text", arg=text
    )


def test_a_phone_needs_no_scrolling_to_the_side(live: Any) -> None:
    live.set_viewport_size({"width": 360, "height": 700})
    live.wait_for_function("document.documentElement.scrollWidth <= 360")


def test_paper_shows_drawings_in_dark_on_white(live: Any) -> None:
    live.emulate_media(media="print", color_scheme="dark")
    assert live.locator("#result-figures-0 .drawing").is_visible()
    assert live.locator("#result-figures-0 .plot").is_hidden()
    assert live.locator("#result-structure .drawing").is_visible()
    assert live.evaluate("getComputedStyle(document.body).color") == "rgb(29, 36, 48)"


def test_a_download_is_the_file(live: Any, page_file: Path) -> None:
    with live.expect_download() as waiting:
        live.locator("#result-table a").click()
    assert waiting.value.suggested_filename == "table.csv"
    assert Path(waiting.value.path()).read_bytes() == (page_file.parent / "files" / "table.csv").read_bytes()


def test_without_javascript_the_drawings_are_there(browser: Any, page_file: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(page_file.as_uri())
    for name in ("#result-figures-0", "#result-figures-1", "#result-structure"):
        box = page.locator(f"{name} .drawing svg").bounding_box()
        assert box is not None and box["width"] > 300 and box["height"] > 20
    assert page.locator(".plot").first.is_hidden()
    page.context.close()
