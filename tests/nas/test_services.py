"""The nas services through the contract."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import colonnade.nas.services  # noqa: F401  (registers them)
from colonnade.errors import BadInput, ColonnadeError
from colonnade.nas import Images, cells, load_network
from colonnade.runner import run
from colonnade.service import get

SIGNS = {"images": "example:nas.search/signs.zip"}


def results(done) -> dict[str, object]:  # type: ignore[no-untyped-def]
    return {path: value for path, _, value in done.results}


def test_a_folder_gives_ranked_networks(tmp_path: Path) -> None:
    example = get("nas.search").examples_folder / "clothes.zip"
    shutil.unpack_archive(example, tmp_path / "unpacked")
    done = run("nas.search", {"images": str(tmp_path / "unpacked" / "clothes"), "max_params": 20_000}, tmp_path / "run")
    found = results(done)
    table = found["ranked"]
    columns = dict(zip([c.name for c in table.columns], table.data, strict=True))
    assert len(columns["cell"]) == 10 and max(columns["parameters"]) <= 20_000
    assert all(a < b < c for a, b, c in zip(columns["from"], columns["accuracy"], columns["to"], strict=True))
    assert all(0 < latency < 1_000 for latency in columns["latency"])
    scope: dict[str, object] = {}
    exec((done.files / "build.py").read_text(), scope)
    assert sum(p.numel() for p in scope["network"].parameters()) == columns["parameters"][0]  # type: ignore[attr-defined]


def test_short_trainings_refine_the_order(tmp_path: Path) -> None:
    values = {"images": "example:nas.search/clothes.zip", "max_params": 10_000, "refine": 3, "top": 4}
    found = results(run("nas.search", values, tmp_path / "run"))
    assert len(found["refined"].data[0]) == 3
    assert len(found["ranked"].data[0]) == 4


def test_fit_gives_a_network_that_can_be_used(tmp_path: Path, signs: Images) -> None:
    arch = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|"
    values = SIGNS | {"arch": arch, "channels": 4, "resolution": 16, "epochs": 4}
    done = run("nas.fit", values, tmp_path / "run")
    found = results(done)
    assert found["accuracy"].interval[0] < found["accuracy"].value < found["accuracy"].interval[1]
    assert "linear layer on the carried encoder" in found["compared"].data[0]
    ready = load_network(done.files / "model.safetensors")
    assert ready.names == signs.names
    assert (done.files / "model.onnx").stat().st_size > 10_000


def test_scores_of_given_cells(tmp_path: Path) -> None:
    service = get("nas.score")
    found = results(run("nas.score", service.example(), tmp_path / "run"))
    table = found["scores"]
    columns = dict(zip([c.name for c in table.columns], table.data, strict=True))
    assert columns["connected"] == [True] * 4
    assert columns["parameters"] == sorted(columns["parameters"], reverse=True)
    one = results(run("nas.score", SIGNS | {"archs": [cells.to_string((0,) * 6)]}, tmp_path / "none"))["scores"]
    columns = dict(zip([c.name for c in one.columns], one.data, strict=True))
    assert columns["connected"] == [False] and columns["accuracy"] == [10.0] and columns["standing"] == [None]


def test_generation_repeats(tmp_path: Path) -> None:
    service = get("nas.generate")
    values = service.example() | {"n": 100}
    one, two = (run("nas.generate", values, tmp_path / name) for name in ("one", "two"))
    assert (tmp_path / "one" / "result.json").read_bytes() == (tmp_path / "two" / "result.json").read_bytes()
    quality = results(one)["quality"]
    assert quality.data[1][1] == 100.0
    assert len((two.files / "networks.csv").read_text().splitlines()) > 50


def test_searches_on_a_table(tmp_path: Path) -> None:
    service = get("nas.benchmark")
    done = results(run("nas.benchmark", service.example() | {"repeats": 10}, tmp_path / "run"))
    table = done["final"]
    accuracy = dict(zip(table.data[0], table.data[1], strict=True))
    assert accuracy["evolution"] > accuracy["random"] - 0.5
    assert max(accuracy.values()) == accuracy["best of the table"]
    (tmp_path / "short.csv").write_text("cell,test\n0,10\n")
    with pytest.raises(BadInput, match="each of the 15,625 cells"):
        service.parse({"table": str(tmp_path / "short.csv")})


@pytest.mark.parametrize(
    ("service", "values", "message"),
    [
        ("nas.search", {"max_params": 10}, "max_params must be from 1000 to"),
        ("nas.search", {"top": 0}, "top must be from 1 to 50"),
        ("nas.fit", {"arch": "|none~0|"}, "position 9"),
        ("nas.fit", {"arch": cells.to_string((0,) * 6)}, "no path leads"),
        ("nas.score", {"archs": ["|nor_conv_7x7~0|"]}, "unknown operation 'nor_conv_7x7' at position 2"),
        ("nas.generate", {"temperature": 3}, "temperature must be from 0.1 to 2"),
    ],
)
def test_bad_fields_get_a_sentence(service: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        get(service).parse(SIGNS | values)


def test_bad_images_are_refused_at_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", x=np.zeros((30, 8, 8), np.uint8), y=np.zeros(30, int))
    with pytest.raises(BadInput, match="images: there must be at least 2 classes, but there is 1"):
        get("nas.search").parse({"images": str(tmp_path / "one.npz")})
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"must end in \.zip or \.npz"):
        get("nas.search").parse({"images": str(tmp_path / "model.pt")})


def test_limits_that_nothing_meets_end_the_job_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ColonnadeError, match="the fewest parameters are"):
        run("nas.search", SIGNS | {"max_params": 1_000}, tmp_path / "run")
