"""A finished run as a page, a summary, a research object, and files in the usual formats."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots
from rich.console import Console

import samples
from colonnade import drawing, formats, report, runner
from colonnade.errors import ColonnadeError, JobFailed
from colonnade.render import number
from colonnade.results import Estimate, Figure, Table
from colonnade.runner import Run

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a result of each kind, every text hostile, completed."""
    folder = tmp_path_factory.mktemp("kinds") / "run"
    runner.run("sample.kinds", {}, folder, seed=2)
    return report.complete(folder)


@pytest.fixture(scope="module")
def page(kinds: Run) -> str:
    return (kinds.directory / "report.html").read_text()


class Page(HTMLParser):
    """Elements with their attributes, and the text that is shown."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.text = ""
        self._quiet = 0
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        self._quiet += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


# --- the page ------------------------------------------------------------------------------------


def test_the_page_shows_every_result(page: str) -> None:
    text = " ".join(Page(page).text.split())
    for words in (
        "-9.4 ± 1.9",
        "kcal/mol",
        "1.3e-07",
        "The first 200 of 1000 rows",
        "1,234,567",
        "chain B",
        "interface",
    ):
        assert words in text
    assert samples.HOSTILE in text
    assert "Run it again" in text and "colonnade run sample.kinds --inputs job.json" in text


def test_no_text_of_a_user_becomes_markup(page: str) -> None:
    parsed = Page(page)
    scripts = [attributes.get("type") for attributes in parsed.of("script")]
    assert scripts.count(None) == 1  # ours
    assert set(scripts) == {None, "application/json", "application/gzip"}
    assert "<script>document.title" not in page and "</textarea" not in page
    handlers = [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert handlers == []


def test_only_its_own_script_may_run(page: str) -> None:
    import hashlib

    policy = next(a["content"] for a in Page(page).of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert policy is not None and script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "http" not in policy


def test_nothing_is_loaded_from_outside(page: str) -> None:
    parsed = Page(page)
    for tag, name in (("script", "src"), ("img", "src"), ("link", "href"), ("video", "src"), ("a", "href")):
        for attributes in parsed.of(tag):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#", "files/")), (tag, address)
    assert "@import" not in page


def test_libraries_are_carried_once_and_whole(page: str) -> None:
    import plotly

    assets = re.findall(r'data-asset="([a-z-]+)">([^<]*)</script>', page)
    assert [name for name, _ in assets] == ["plotly", "molstar", "molstar-style"]
    library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    assert gzip.decompress(base64.b64decode(assets[0][1])) == library.read_bytes()


def test_what_a_run_does_not_need_is_not_carried(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    run = runner.run("sample.words", {"document": str(tmp_path / "a.txt")}, tmp_path / "run")
    assert len(report.html(run)) < 40_000


def test_ids_are_unique_and_references_lead_somewhere(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    for _, attributes in parsed.elements:
        for name in ("aria-labelledby", "data-plot", "data-molecule"):
            target = attributes.get(name)
            assert target is None or target in parsed.ids


def test_figures_are_data_and_drawings(page: str) -> None:
    specs = re.findall(r'<script type="application/json" id="[^"]*-spec">(.*?)</script>', page, re.DOTALL)
    assert json.loads(specs[0])["data"][0]["x"] == [samples.HOSTILE, "b"]
    drawings = re.findall(r'role="img"[^>]*>(<svg .*?</svg>)</div>', page, re.DOTALL)
    assert len(drawings) == 3  # two figures and the trace of the structure
    for markup in drawings:
        ElementTree.fromstring(markup)
    assert "1 trace of type sankey" in page


def test_the_page_holds_what_it_needs_of_files(page: str, kinds: Run) -> None:
    packed = re.search(r'id="result-structure-structure-file">([^<]*)<', page)
    assert packed is not None
    assert gzip.decompress(base64.b64decode(packed[1])).decode() == samples.PDB
    assert Page(page).of("video")[0]["src"] == (
        "data:video/mp4;base64," + base64.b64encode((kinds.files / "film.mp4").read_bytes()).decode()
    )


def test_a_large_film_is_linked(kinds: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_INLINE", 10)
    assert Page(report.html(kinds)).of("video")[0]["src"] == "files/film.mp4"


def test_a_failed_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(JobFailed):
        runner.run("sample.fails", {"how": "own"}, tmp_path / "run")
    run = report.complete(tmp_path / "run")
    text = Page((run.directory / "report.html").read_text()).text
    assert "The run failed" in text and "The chains are too far apart." in text
    assert (run.directory / "ro-crate-metadata.json").exists()


def test_a_page_needs_no_service(kinds: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from colonnade import service

    monkeypatch.delitem(service._REGISTRY, "sample.kinds")
    assert "-9.4 ± 1.9" in Page(report.html(kinds)).text


def test_without_the_optional_packages_there_is_still_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    missing = {"matplotlib", "rocrate", "ipymolstar"}
    find = importlib.util.find_spec
    without = lambda name, package=None: None if name in missing else find(name, package)  # noqa: E731
    for module in ("importlib.util", "colonnade.drawing", "colonnade.assets"):
        monkeypatch.setattr(f"{module}.find_spec", without)
    runner.run("sample.kinds", {}, tmp_path / "run")
    report.complete(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "-9.4 ± 1.9" in page and "figures.0.json" in page
    assert "figures.0.svg" not in page and 'data-asset="molstar"' not in page
    assert not (tmp_path / "run" / "ro-crate-metadata.json").exists()


# --- the directory -------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_completing_twice_changes_nothing(kinds: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in kinds.directory.rglob("*")}
    report.complete(kinds.directory)
    assert {path: path.stat().st_mtime_ns for path in kinds.directory.rglob("*")} == before


def test_two_runs_of_one_request_have_the_same_files(kinds: Run, tmp_path: Path) -> None:
    runner.run("sample.kinds", {}, tmp_path / "run", seed=2)
    report.complete(tmp_path / "run")
    one, two = contents(kinds.directory), contents(tmp_path / "run")
    timed = {"events.jsonl", "ro-crate-metadata.json"}
    assert {name: one[name] for name in one.keys() - timed} == {name: two[name] for name in two.keys() - timed}


def test_the_files_of_a_service_are_kept(tmp_path: Path) -> None:
    runner.run("sample.numbers", {}, tmp_path / "run")
    (tmp_path / "run" / "files" / "values.csv").write_text("the service's own")
    report.complete(tmp_path / "run", refresh=True)
    assert (tmp_path / "run" / "files" / "values.csv").read_text() == "the service's own"


def test_a_later_result_gets_a_new_report(tmp_path: Path) -> None:
    runner.run("sample.numbers", {}, tmp_path / "run")
    report.complete(tmp_path / "run")
    runner.execute(tmp_path / "run")
    (tmp_path / "run" / "report.html").write_text("old")
    import os

    os.utime(tmp_path / "run" / "report.html", (1, 1))
    report.complete(tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_text() != "old"


def test_what_is_no_run_gets_no_report(tmp_path: Path) -> None:
    with pytest.raises(ColonnadeError, match="not a run directory"):
        report.complete(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_events_survive_a_line_that_was_cut_short(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"kind": "log", "message": "one"}\n{"kind": "lo\n\xff\xfe\n')
    assert [event["message"] for event in report.events(tmp_path)] == ["one"]


# --- the research object -------------------------------------------------------------------------


def test_the_crate_is_read_back_by_the_library(kinds: Run) -> None:
    from rocrate.rocrate import ROCrate

    crate = ROCrate(kinds.directory)
    action = crate.dereference("#run")
    assert action.type == "CreateAction"
    assert action["instrument"].id == "#service-sample.kinds"
    assert action["actionStatus"].endswith("CompletedActionStatus")
    named = {entity.id for entity in action["result"]}
    assert {"files/complex.pdb", "files/film.mp4", "files/table.csv", "result.json", "report.html"} <= named
    assert (action["object"].type, action["object"]["name"], action["object"]["value"]) == ("PropertyValue", "seed", 2)
    for entity in crate.data_entities:
        assert (kinds.directory / entity.id).is_file(), entity.id
    profiles = crate.root_dataset["conformsTo"]
    assert "https://w3id.org/ro/wfrun/process/0.5" in [
        p.id for p in ([profiles] if hasattr(profiles, "id") else profiles)
    ]


def test_the_crate_can_be_written_and_read_as_a_zip(kinds: Run, tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    ROCrate(kinds.directory).write_zip(tmp_path / "crate.zip")
    assert ROCrate(tmp_path / "crate.zip").dereference("#run") is not None


def test_the_crate_names_the_inputs(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("words")
    run = runner.run("sample.words", {"document": str(tmp_path / "a b.txt")}, tmp_path / "run")
    described = report.crate(run)
    assert described is not None
    graph = {entity["@id"]: entity for entity in described["@graph"]}
    inputs = [entity["@id"] for entity in graph["#run"]["object"]]
    assert any(re.fullmatch(r"inputs/[0-9a-f]{8}-a%20b\.txt", name) for name in inputs)


# --- formats -------------------------------------------------------------------------------------


def test_each_kind_has_its_usual_formats() -> None:
    table = Table.of({"a": [1, 2]}, units={"a": "m"})
    assert formats.download("t", "T", table) == [("t.csv", "text/csv", b"a (m)\n1\n2\n")]
    name, media_type, content = formats.download("e", "E", Estimate(value=1.5, error=0.1, unit="m"))[0]
    assert (name, media_type) == ("e.json", "application/json")
    expected = {"title": "E", "caption": "", "value": 1.5, "error": 0.1, "interval": None, "unit": "m"}
    assert json.loads(content) == expected
    made = formats.download("f.0", "F", Figure.of(go.Figure(go.Scatter(y=[1, 2]))))
    assert [(name, media_type) for name, media_type, _ in made] == formats.formats("f.0", Figure(spec={}))
    assert [name for name, _, _ in made] == ["f.0.json", "f.0.svg"]
    assert formats.download("x", "X", 1.5) == []


def test_names_the_service_took_are_not_used() -> None:
    assert formats.formats("t", Table.of({"a": [1]}), ["t.csv"]) == [("_t.csv", "text/csv")]
    assert formats.formats("../../up", Table.of({"a": [1]}))[0][0] == "up.csv"


def test_media_types() -> None:
    assert formats.media_type_of("a.pdb") == "chemical/x-pdb"
    assert formats.media_type_of("A.CSV") == "text/csv"
    assert formats.media_type_of("strange") == "application/octet-stream"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "yes"), (1, "1"), (1.23456789, "1.23457"), (float("nan"), "nan"), ([1, 2.5], "1, 2.5")],
)
def test_values_as_people_read_them(value: Any, text: str) -> None:
    assert number(value) == text


# --- the terminal --------------------------------------------------------------------------------


def shown(run: Run, width: int = 100) -> str:
    console = Console(width=width, file=None, record=True, quiet=False)
    with console.capture() as captured:
        console.print(report.summary(run))
    return captured.get()


def test_the_summary_names_numbers_tables_and_files(kinds: Run) -> None:
    text = shown(kinds, 200)
    assert "-9.4 ± 1.9 kcal/mol" in text
    assert "12 of 1000 rows; all in files/long.csv" in text
    assert "files/figures.0.svg" in text and "files/complex.pdb" in text
    assert samples.HOSTILE in text


def test_the_summary_reads_no_markup_in_user_text(tmp_path: Path) -> None:
    run = runner.run("sample.numbers", {"label": "[red]not red[/red] [link=x]"}, tmp_path / "run")
    assert "[red]not red[/red] [link=x]" in shown(run)


def test_the_summary_fits_a_narrow_terminal(kinds: Run) -> None:
    assert max(len(line) for line in shown(kinds, 40).splitlines()) <= 40


# --- drawings ------------------------------------------------------------------------------------


def gallery() -> Iterator[tuple[str, go.Figure, str]]:
    """Name, figure, and something that must be in its drawing."""
    random = np.random.default_rng(0)
    x = np.linspace(1.0, 10.0, 30)
    lines = go.Figure(go.Scatter(x=x, y=np.exp(x), error_y={"array": 0.1 * np.exp(x)}, name="growth"))
    lines.add_scatter(x=x, y=x**2, line_dash="dash", fill="tozeroy", name="x<sup>2</sup>", mode="lines")
    lines.update_layout(yaxis={"type": "log", "title": "value $5 (Å)"}, title="On <b>log</b> axes")
    lines.add_hline(y=5)
    lines.add_annotation(x=5, y=3, text="a note")
    yield "lines", lines, "On log axes"
    yield "superscript", lines, "x²"
    yield "dollar", lines, "value $5 (Å)"
    yield "note", lines, "a note"
    grid = make_subplots(2, 2, subplot_titles=["one", "two", "three", "four"])
    grid.add_bar(x=["a", "b"], y=[1, 2], row=1, col=1)
    grid.add_histogram(x=random.normal(size=99), row=1, col=2)
    grid.add_heatmap(z=random.normal(size=(5, 6)), row=2, col=1)
    grid.add_contour(z=np.outer(np.sin(x), np.cos(x)), row=2, col=2)
    yield "subplots", grid, "four"
    twin = make_subplots(specs=[[{"secondary_y": True}]])
    twin.add_scatter(x=x, y=x, name="left")
    twin.add_scatter(x=x, y=1e3 * x, name="right", secondary_y=True)
    twin.update_yaxes(title_text="right axis", secondary_y=True)
    yield "two axes", twin, "right axis"
    yield "box", go.Figure([go.Box(y=random.normal(size=20), name=name) for name in ("ja", "nein")]), "nein"
    yield "violin", go.Figure(go.Violin(y=random.normal(size=20), name="one")), "one"
    yield "pie", go.Figure(go.Pie(labels=["big", "small"], values=[3, 1])), "75.0%"
    yield "stack", go.Figure([go.Bar(x=["a"], y=[1], name=n) for n in "pq"], {"barmode": "stack"}), "q"
    yield "flat bars", go.Figure(go.Bar(y=["long name"], x=[3], orientation="h")), "long name"
    coloured = go.Scatter(x=x, y=x, mode="markers", marker={"color": x, "colorbar": {"title": "shade"}})
    yield "colour bar", go.Figure(coloured), "shade"
    yield "3d", go.Figure(go.Scatter3d(x=x, y=x, z=x), {"scene": {"zaxis": {"title": "height"}}}), "height"
    yield "surface", go.Figure(go.Surface(z=np.outer(x, x))), "z"
    mesh = go.Mesh3d(x=[0, 1, 0, 0], y=[0, 0, 1, 0], z=[0, 0, 0, 1], i=[0, 0], j=[1, 2], k=[2, 3], opacity=0.5)
    scene = {"aspectmode": "data", "zaxis": {"title": "up"}}
    yield "mesh", go.Figure([mesh, go.Mesh3d(x=[0, 2], y=[0, 2], z=[0, 2])], {"scene": scene}), "up"
    yield "dates", go.Figure(go.Scatter(x=["2024-01-01", "2024-06-01"], y=[1, 2])), "2024"
    yield "mixed", go.Figure([go.Scatter(y=[1, 2]), go.Sankey()]), "Not in this drawing: 1 trace of type sankey"
    yield "nothing", go.Figure(), "The figure holds no data."


GALLERY = list(gallery())


@pytest.mark.parametrize(("name", "figure", "expected"), GALLERY, ids=[name for name, _, _ in GALLERY])
def test_figures_are_drawn(name: str, figure: go.Figure, expected: str) -> None:
    svg = drawing.draw_figure(Figure.of(figure).spec, "")
    assert svg is not None
    root = ElementTree.fromstring(svg.encode())
    assert expected in "|".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))
    if name not in ("mixed",):
        assert "Not in this drawing" not in svg
    assert not any("style" in element.attrib for element in root.iter())
    assert not list(root.iter(f"{SVG}style"))


def test_points_are_where_the_data_says() -> None:
    """Three points on a line are three marks on a line, equally far apart, rising to the right."""
    marks = go.Scatter(x=[0, 1, 2], y=[10, 20, 30], mode="markers", marker={"color": "#ff0000"})
    svg = drawing.draw_figure(Figure.of(go.Figure(marks)).spec, "") or ""
    uses = [
        element
        for element in ElementTree.fromstring(svg.encode()).iter(f"{SVG}use")
        if element.get("fill") == "#ff0000"
    ]
    places = [(float(element.attrib["x"]), float(element.attrib["y"])) for element in uses]
    assert len(places) == 3
    steps = np.diff(np.array(places), axis=0)
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-3)
    assert steps[0][0] > 0 > steps[0][1]  # SVG counts down the page


def test_typed_arrays_are_decoded() -> None:
    from colonnade.drawing.values import array

    spec = Figure.of(go.Figure(go.Heatmap(z=np.arange(6.0).reshape(2, 3), x=np.arange(3, dtype="int16")))).spec["data"][
        0
    ]
    assert "bdata" in spec["z"]
    np.testing.assert_array_equal(array(spec["z"]), np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(array(spec["x"]), [0, 1, 2])


def test_the_same_figure_gives_the_same_drawing() -> None:
    spec = Figure.of(GALLERY[0][1]).spec
    assert drawing.draw_figure(spec, "a") == drawing.draw_figure(json.loads(json.dumps(spec)), "a")


def test_text_in_a_figure_is_never_markup() -> None:
    spec = {"data": [{"type": "bar", "x": [samples.HOSTILE], "y": [1]}], "layout": {"title": samples.HOSTILE}}
    svg = drawing.draw_figure(spec, samples.HOSTILE) or ""
    tags = {element.tag for element in ElementTree.fromstring(svg.encode()).iter()}
    assert f"{SVG}script" not in tags and "script" not in tags


@pytest.mark.parametrize(
    "spec", [{}, {"data": None}, {"data": [{"type": "scatter"}]}, {"data": [{"type": "bar", "y": "x"}], "layout": None}]
)
def test_odd_specifications_are_drawn_or_said(spec: dict[str, Any]) -> None:
    assert ElementTree.fromstring((drawing.draw_figure(spec, "t") or "").encode()).tag == f"{SVG}svg"


def test_two_drawings_on_a_page_share_no_id() -> None:
    svg = drawing.draw_figure(Figure.of(GALLERY[4][1]).spec, "") or ""
    one, two = (set(re.findall(r'\bid="([^"]+)"', drawing.inline(svg, name))) for name in ("one", "two"))
    assert one and not one & two
    markup = drawing.inline(svg, "one")
    assert all(reference in one for reference in re.findall(r"url\(#([^)]+)\)", markup))
    assert "currentColor" in markup
