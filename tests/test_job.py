"""What a running service sees: progress, logs, previews, fan-out, checkpoints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from colonnade.job import MAX_LOG, Job, replace_file
from colonnade.results import Figure, Table


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = Job(tmp_path / "run", seed=7, cores=2)
    yield made
    made.close()


def events(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.directory / "events.jsonl").read_text().splitlines()]


# --- progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize("items", [[], ["a"], list(range(1000))])
def test_track_gives_every_item_and_ends_full(job: Job, items: list[Any]) -> None:
    assert list(job.track(items, "Going")) == items
    last = events(job)[-1]
    assert (last["done"], last["total"], last["label"]) == (len(items), len(items), "Going")


def test_track_of_unknown_length_says_that_it_ended(job: Job) -> None:
    assert list(job.track(iter("abc"))) == ["a", "b", "c"]
    assert (events(job)[-1]["done"], events(job)[-1]["total"]) == (-1, None)


def test_many_steps_make_few_events(job: Job) -> None:
    for _ in job.track(range(100_000)):
        pass
    assert len(events(job)) < 100


def test_every_bar_has_its_own_number(job: Job) -> None:
    for _ in job.track(range(2), "Outer"):
        for _ in job.track(range(2), "Inner"):
            pass
    assert {(event["bar"], event["label"]) for event in events(job)} == {(1, "Outer"), (2, "Inner"), (3, "Inner")}


def test_logs_are_lines_of_json_whatever_they_hold(job: Job) -> None:
    job.log("two\nlines \u2028 <b>\"'")
    job.log("x" * (MAX_LOG + 1))
    found = events(job)
    assert found[0]["message"] == "two\nlines \u2028 <b>\"'"
    assert len(found[1]["message"]) == MAX_LOG


def test_a_preview_is_a_result(job: Job) -> None:
    import plotly.graph_objects as go

    job.preview(go.Figure(go.Scatter(y=[1, float("nan")])), "trace")
    job.preview(Table.of({"x": [1.0, float("inf")]}))
    figure, table = events(job)
    assert figure["name"] == "trace"
    Figure.model_validate(figure["result"])
    assert Table.model_validate(table["result"]).data == [[1.0, float("inf")]]


def test_of_many_previews_the_first_comes_at_once_and_the_last_at_the_end(job: Job) -> None:
    for step in range(1000):
        job.preview(Table.of({"x": [step]}), "fit")
    job.preview(Table.of({"x": [-1]}), "other")
    job.close()
    shown = [(event["name"], event["result"]["data"][0][0]) for event in events(job)]
    assert shown[0] == ("fit", 0)
    assert ("other", -1) in shown
    assert shown[-1] == ("fit", 999)
    assert len(shown) < 100


def test_the_observer_sees_what_the_file_holds(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    job = Job(tmp_path, observer=seen.append)
    job.log("one")
    list(job.track([1, 2]))
    job.close()
    assert seen == events(job)


# --- randomness ----------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1), st.integers(1, 20))
def test_seeds_are_fixed_distinct_and_in_range(tmp_path_factory: Any, seed: int, count: int) -> None:
    folder = tmp_path_factory.getbasetemp() / "seeds"
    one, two = Job(folder, seed), Job(folder, seed)
    try:
        seeds = one.seeds(count)
        assert seeds == two.seeds(count)
        assert len(set(seeds)) == count
        assert all(0 <= value < 2**63 for value in seeds)
        assert one.seeds(count + 1)[:count] == seeds
        assert one.rng().integers(2**62) == two.rng().integers(2**62)
    finally:
        one.close()
        two.close()


# --- map -----------------------------------------------------------------------------------------


def square(value: int) -> int:
    time.sleep(0.002 * (value % 3))  # so that they do not end in the order they began
    return value * value


def refuse(value: int) -> int:
    if value == 5:
        raise ValueError(f"{value} is not taken")
    return value


@pytest.mark.parametrize("cores", [1, 2])
def test_map_equals_a_loop_in_order(tmp_path: Path, cores: int) -> None:
    job = Job(tmp_path, cores=cores)
    items = list(range(23))
    assert job.map(square, items, "Squaring") == [square(item) for item in items]
    assert job.map(square, []) == []
    job.close()
    assert events(job)[-2]["done"] == 23


@pytest.mark.parametrize("cores", [1, 2])
def test_an_error_in_a_mapped_call_is_raised_here(tmp_path: Path, cores: int) -> None:
    job = Job(tmp_path, cores=cores)
    with pytest.raises(ValueError, match="5 is not taken"):
        job.map(refuse, range(10))
    job.close()


STOPPED = """
import sys, time
from pathlib import Path
from colonnade.job import Job
def work(item):
    Path(sys.argv[2], str(item)).touch()
    time.sleep(60)
if __name__ == "__main__":
    sys.modules["busy"] = sys.modules["__main__"]
    Job(Path(sys.argv[1]), cores=2).map(work, range(8))
"""


def test_an_interrupted_map_ends_at_once_and_leaves_no_process(tmp_path: Path, environment: Mapping[str, str]) -> None:
    script, started = tmp_path / "busy.py", tmp_path / "started"
    script.write_text(STOPPED)
    started.mkdir()
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "run", started],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: len(list(started.iterdir())) == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(15) != 0
        wait_for(lambda: not group_lives(process.pid))
    finally:
        if group_lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


# --- checkpoints ---------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ARRAYS = hnp.arrays(st.sampled_from([np.float64, np.int32, np.bool_, np.complex128]), hnp.array_shapes(min_side=0))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, PLAIN | ARRAYS, max_size=5))
def test_a_checkpoint_comes_back_as_it_was(tmp_path_factory: Any, state: dict[str, Any]) -> None:
    job = Job(tmp_path_factory.getbasetemp() / "checkpoints")
    try:
        job.checkpoint(state)
        back = job.resume()
    finally:
        job.close()
    assert back is not None and back.keys() == state.keys()
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            assert back[name].dtype == value.dtype
            np.testing.assert_array_equal(back[name], value)
        else:
            assert back[name] == value


def test_without_a_checkpoint_there_is_nothing_to_resume(job: Job) -> None:
    assert job.resume() is None


def test_a_checkpoint_that_fails_leaves_the_last_one(job: Job) -> None:
    job.checkpoint({"step": 1})
    with pytest.raises(TypeError):
        job.checkpoint({"step": object()})
    assert job.resume() == {"step": 1}


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"one")
    replace_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_artifact_is_written_below_files(job: Job) -> None:
    made = job.artifact("sub/table.txt", "text", title="A table", media_type="text/plain")
    assert (job.files / made.file).read_text() == "text"
    assert (made.title, made.media_type) == ("A table", "text/plain")
