"""One way to run a job: the same bytes for the same request, and a sentence for every failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samples
from colonnade import runner
from colonnade.errors import BadInput, ColonnadeError, JobFailed, UnknownService
from colonnade.results import Estimate
from colonnade.service import get


def result_bytes(directory: Path) -> bytes:
    return (directory / "result.json").read_bytes()


def test_a_run_directory_is_complete_and_reads_back(tmp_path: Path) -> None:
    run = runner.run("sample.numbers", {"count": 4}, tmp_path / "run", seed=3)
    assert run == runner.load(tmp_path / "run")
    assert (run.status, run.service, run.seed) == ("succeeded", "sample.numbers", 3)
    assert run.inputs["count"] == 4 and run.inputs["temperature"] == 25.0
    assert [path for path, _, _ in run.results] == ["total", "values", "plot", "note"]
    total = run.results[0][2]
    assert isinstance(total, Estimate) and total.unit == "m²"
    assert {path.name for path in run.directory.iterdir()} >= {"job.json", "events.jsonl", "result.json", "files"}
    assert run.software["numpy"] != "not installed"


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 30), st.integers(0, 2**63 - 1), st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=9)
)
def test_the_same_request_gives_the_same_bytes(tmp_path_factory: object, count: int, seed: int, label: str) -> None:
    folder = tmp_path_factory.mktemp("same")  # type: ignore[attr-defined]
    values = {"count": count, "label": label}
    for name in ("one", "two"):
        runner.run("sample.numbers", values, folder / name, seed=seed)
    assert result_bytes(folder / "one") == result_bytes(folder / "two")


def test_another_process_gives_the_same_bytes(tmp_path: Path, environment: Mapping[str, str]) -> None:
    runner.run("sample.numbers", {"count": 9}, tmp_path / "here", seed=5)
    script = (
        "import sys; from pathlib import Path; from colonnade import runner;"
        "runner.run('sample.numbers', {'count': 9}, Path(sys.argv[1]), seed=5)"
    )
    other = environment | {"PYTHONHASHSEED": "123"}
    subprocess.run([sys.executable, "-c", script, tmp_path / "there"], env=other, check=True, timeout=60)
    assert result_bytes(tmp_path / "here") == result_bytes(tmp_path / "there")


def test_another_seed_gives_another_result(tmp_path: Path) -> None:
    for seed in (1, 2):
        runner.run("sample.numbers", {}, tmp_path / str(seed), seed=seed)
    assert result_bytes(tmp_path / "1") != result_bytes(tmp_path / "2")


def test_the_fingerprint_is_of_what_decides_the_result(tmp_path: Path) -> None:
    for name, text in (("a.txt", "one"), ("b.txt", "one"), ("c.txt", "two")):
        (tmp_path / name).write_text(text)
    service, numbers = get("sample.words"), get("sample.numbers")

    def words(name: str) -> str:
        return runner.fingerprint(service, service.parse({"document": str(tmp_path / name)}), 0)

    def of(values: dict[str, object], seed: int = 0) -> str:
        return runner.fingerprint(numbers, numbers.parse(values), seed)

    assert of({}) == of({"count": 3}) == of({"count": "3"})
    assert len({of({}), of({"count": 4}), of({}, 1), words("a.txt"), words("c.txt")}) == 5


def test_input_files_travel_with_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("three")
    both = {"document": str(tmp_path / "a.txt"), "others": [str(tmp_path / "sub" / "a.txt")]}
    first = runner.run("sample.words", both, tmp_path / "run")
    (tmp_path / "a.txt").unlink()
    assert first.outputs["words"] == 3
    before = result_bytes(first.directory)
    assert runner.execute(first.directory) == "succeeded"
    assert result_bytes(first.directory) == before


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("value", "The chains A and B do not touch."),
        ("own", "The chains are too far apart."),
        ("memory", "The job needed more memory than it may use."),
        (
            "bug",
            "The service stopped with an internal error (ZeroDivisionError: division by zero); its log tells more.",
        ),
    ],
)
def test_a_failure_is_a_result_with_a_sentence(
    tmp_path: Path, how: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(JobFailed) as caught:
        runner.run("sample.fails", {"how": how}, tmp_path / "run")
    assert str(caught.value) == sentence
    run = runner.load(tmp_path / "run")
    assert (run.status, run.error, run.results) == ("failed", sentence, [])
    assert "Traceback" in capsys.readouterr().err  # for the log


def test_a_service_that_returns_something_else_fails(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="returned Job, not Nothing2"):
        runner.run("sample.fails", {"how": "lying"}, tmp_path / "run")


def test_a_full_disk_is_said_to_be_one() -> None:
    assert runner.sentence(OSError(28, "No space left on device")) == "There is no space left on the disk."


def test_bad_input_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        runner.run("sample.numbers", {"count": 0}, tmp_path / "run")
    with pytest.raises(BadInput, match="seed must be from 0"):
        runner.run("sample.numbers", {}, tmp_path / "run", seed=-1)
    with pytest.raises(UnknownService, match=r"did you mean sample\.numbers"):
        runner.run("sample.number", {}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ColonnadeError, match="is not empty"):
        runner.run("sample.numbers", {}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"service": "x"}'])
def test_what_is_no_run_directory_is_said_to_be_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "job.json").write_text(content)
    with pytest.raises(ColonnadeError, match="is not a run directory"):
        runner.load(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"status": "succeeded", "titles": {"a": "A"}}'])
def test_a_broken_result_is_said_to_be_one(tmp_path: Path, content: str) -> None:
    service = get("sample.numbers")
    runner.prepare(service, service.parse({}), tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text(content)
    with pytest.raises(ColonnadeError, match=r"result\.json .* cannot be read"):
        runner.load(tmp_path / "run")


def test_a_run_without_result_is_pending(tmp_path: Path) -> None:
    service = get("sample.numbers")
    runner.prepare(service, service.parse({}), tmp_path / "run")
    assert runner.load(tmp_path / "run").status == "pending"


@pytest.mark.parametrize("stop_at", [0, 1, 5])
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path, stop_at: int) -> None:
    service = get("sample.walk")
    for name, values in (("whole", {"steps": 6}), ("stopped", {"steps": 6, "stop_at": stop_at})):
        runner.prepare(service, service.parse(values), tmp_path / name, seed=11)
    runner.execute(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        runner.execute(tmp_path / "stopped")
    assert runner.load(tmp_path / "stopped").status == "pending"
    assert runner.execute(tmp_path / "stopped") == "succeeded"
    assert result_bytes(tmp_path / "stopped") == result_bytes(tmp_path / "whole")
    assert not (tmp_path / "stopped" / "checkpoint.npz").exists()


def test_a_second_attempt_starts_with_no_leftover_files(tmp_path: Path) -> None:
    runner.run("sample.kinds", {}, tmp_path / "run")
    (tmp_path / "run" / "files" / "leftover").write_text("of the first attempt")
    runner.execute(tmp_path / "run")
    assert not (tmp_path / "run" / "files" / "leftover").exists()


def test_results_hold_neither_time_nor_path(tmp_path: Path) -> None:
    runner.run("sample.kinds", {}, tmp_path / "run")
    text = result_bytes(tmp_path / "run").decode()
    assert str(tmp_path) not in text and os.uname().nodename not in text
    assert json.loads(text)["status"] == "succeeded"


def test_the_record_is_valid_json_even_with_numbers_that_are_none(tmp_path: Path) -> None:
    runner.run("sample.kinds", {}, tmp_path / "run")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for name in ("job.json", "result.json"):
        json.loads((tmp_path / "run" / name).read_text(), parse_constant=refuse)


def test_the_same_service_is_registered_once() -> None:
    from colonnade.service import service

    def other(inputs: samples.Nothing, job: object) -> samples.Nothing2:
        return samples.Nothing2()

    other.__module__ = "elsewhere"
    with pytest.raises(ValueError, match=r"already offered by"):
        service("sample.numbers", title="", summary="", paper="")(other)
    with pytest.raises(ValueError, match=r"must be column\.method"):
        service("Bad name", title="", summary="", paper="")
