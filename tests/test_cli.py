"""The command line: answers, exit codes, and one sentence for whatever is wrong."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import samples  # registers the sample services
from colonnade.cli import main
from colonnade.runner import MAX_SEED

COMMAND = [sys.executable, "-m", "colonnade.cli"]
Command = Callable[..., tuple[int, str, str]]

assert samples


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in this process, in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(arguments)
        written = capfd.readouterr()
        return code, written.out, written.err

    return run


def one_sentence(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1 and lines[0].endswith((".", "?")), text
    return lines[0]


# --- what is installed ---------------------------------------------------------------------------


def fresh(arguments: list[str], environment: Mapping[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_services_lists_what_works_and_says_what_does_not(broken_environment: Mapping[str, str]) -> None:
    done = fresh(["services"], broken_environment)
    assert done.returncode == 0
    assert re.search(r"^sample\.numbers +Sum of squares with noise$", done.stdout, re.M)
    assert one_sentence(done.stderr.strip() + ".") == (
        "The services of 'broken' could not be loaded: ModuleNotFoundError: No module named 'no_such_engine'."
    )


def test_services_as_json(broken_environment: Mapping[str, str]) -> None:
    answer = json.loads(fresh(["services", "--json"], broken_environment).stdout)
    assert "sample.numbers" in [service["name"] for service in answer["services"]]
    assert answer["broken"][0]["name"] == "broken"


def test_listing_services_loads_no_engine(environment: Mapping[str, str]) -> None:
    script = (
        "import sys; from colonnade.cli import main; code = main(['services']);"
        "print([name for name in sys.argv[1:] if name in sys.modules], code)"
    )
    heavy = ["torch", "numpy", "plotly", "pandas", "scipy", "matplotlib", "gemmi", "prodigy_prot", "Bio", "jinja2"]
    heavy += ["cyclopts", "rich", "httpx", "fastapi", "sqlalchemy", "dask", "colonnade.gateway", "yaml"]
    done = subprocess.run(
        [sys.executable, "-c", script, *heavy], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_listing_services_takes_little_time(environment: Mapping[str, str]) -> None:
    """Its processor time, which other work on the machine has no part in; the first run makes the list."""

    def seconds() -> float:
        before = os.times()
        fresh(["services"], environment)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 0.5


def test_show_tells_levels_units_ranges_and_defaults(command: Command) -> None:
    code, out, _ = command("show", "sample.numbers")
    assert code == 0
    text = " ".join(out.split())
    assert "--temperature Of the bath. (from -20 to 80 °C; default: 25)" in text
    assert "--ratio (greater than 0 and less than 1) [guru]" in text
    assert "--window.start Start. First time. (from 0 to 10 s; default: 0) [guru]" in text
    assert "Further text of the description." in out.splitlines()
    assert "colonnade run sample.numbers --example 'warm'" in text


def test_show_as_json_holds_the_schemas(command: Command) -> None:
    code, out, _ = command("show", "sample.words", "--json")
    assert code == 0
    assert json.loads(out)["inputs"]["properties"]["document"]["accept"] == [".txt"]


def test_help_of_a_service_shows_its_fields(command: Command) -> None:
    code, out, _ = command("run", "sample.numbers", "--help")
    assert code == 0
    for words in ("Inputs: basic", "Inputs: expert", "Inputs: guru", "--careful --no-careful", "--window.points"):
        assert words in out
    assert "from -20 to 80 °C" in " ".join(re.sub(r"[│\s]+", " ", out).split())
    code, out, _ = command("--help")
    assert code == 0 and all(name in out for name in ("services", "run", "submit", "login", "--install-completion"))


# --- running -------------------------------------------------------------------------------------


def test_run_prints_results_and_leaves_a_complete_directory(command: Command, tmp_path: Path) -> None:
    code, out, err = command("run", "sample.numbers", "--count", "20", "--seed", "1")
    assert code == 0
    assert re.search(r"Total +-?\d+\.\d\d ± 0\.25 m²", out)
    assert "12 of 20 rows; all in files/values.csv" in out
    assert "Report: colonnade-runs/sample.numbers-1/report.html" in out
    assert "Adding: 20 of 20" in err and "careful: True" in err
    made = {path.name for path in (tmp_path / "colonnade-runs" / "sample.numbers-1").iterdir()}
    assert made >= {"job.json", "result.json", "events.jsonl", "report.html", "ro-crate-metadata.json", "log.txt"}
    command("run", "sample.numbers")
    assert (tmp_path / "colonnade-runs" / "sample.numbers-2" / "result.json").exists()


def inputs_of(command: Command, *arguments: str) -> dict[str, Any]:
    code, out, err = command("run", "sample.numbers", *arguments, "--json")
    assert code == 0, err
    assert err == ""
    found: dict[str, Any] = json.loads((Path(json.loads(out)["directory"]) / "job.json").read_text())
    return found


def test_options_reach_their_fields(command: Command) -> None:
    typed = ["--count=7", "--temperature", "-5", "--label", "--odd, value", "--no-careful", "--shape", "round"]
    typed += ["--method", "exact", "--chains", "A, B", "--chains", "C", "--window.start", "2.5"]
    typed += ["--window.points", "[3, 4]", "--ratio", "0.25", "--seed", "9"]
    found = inputs_of(command, *typed)
    assert found["seed"] == 9
    assert found["inputs"] == {
        "count": 7,
        "temperature": -5.0,
        "label": "--odd, value",
        "careful": False,
        "shape": "round",
        "method": "exact",
        "chains": ["A", "B", "C"],
        "window": {"start": 2.5, "points": [3, 4]},
        "ratio": 0.25,
    }


@pytest.mark.parametrize("typed", [["3", "-4"], ["3,-4"], ["[3, -4]"], ["3", "--window.points", "-4"]])
def test_lists_of_numbers_may_be_several_words(command: Command, typed: list[str]) -> None:
    found = inputs_of(command, "--window.points", *typed, "--count", "7")["inputs"]
    assert (found["window"]["points"], found["count"]) == ([3, -4], 7)


def test_nothing_can_be_said_too(command: Command) -> None:
    found = inputs_of(command, "--chains", "", "--ratio", "none", "--label", "")
    assert (found["inputs"]["chains"], found["inputs"]["ratio"], found["inputs"]["label"]) == ([], None, "")


def test_options_win_over_files_and_examples(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text("count: 5\nwindow:\n  start: 1\n  points: [9]\n")
    found = inputs_of(command, "--inputs", "in.yaml", "--window.start", "3")
    assert (found["inputs"]["count"], found["inputs"]["window"]) == (5, {"start": 3.0, "points": [9]})
    found = inputs_of(command, "--example", "warm", "--count", "2")
    assert (found["inputs"]["count"], found["inputs"]["temperature"]) == (2, 60.0)
    assert inputs_of(command, "--example", "")["inputs"]["count"] == 4


def test_files_are_found_beside_the_file_that_names_them(command: Command, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("one two three")
    (tmp_path / "b,c.txt").write_text("four")
    (tmp_path / "sub" / "in.json").write_text('{"document": "a.txt"}')
    code, out, _ = command("run", "sample.words", "--inputs", "sub/in.json", "--others", "b,c.txt", "--json")
    assert (code, json.loads(out)["outputs"]["words"]) == (0, 4)


def test_a_run_is_repeated_from_its_own_record(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two")
    command("run", "sample.words", "--document", "a.txt", "--seed", "5", "--output", "first")
    (tmp_path / "a.txt").unlink()
    code, out, _ = command("run", "sample.words", "--inputs", "first/job.json", "--output", "second", "--json")
    assert (code, json.loads(out)["seed"]) == (0, 5)
    assert (tmp_path / "first" / "result.json").read_bytes() == (tmp_path / "second" / "result.json").read_bytes()


def test_a_failed_run_is_one_sentence_and_exit_code_1(command: Command) -> None:
    code, out, err = command("run", "sample.fails", "--how", "value", "--output", "run")
    assert (code, out) == (1, "")
    assert err.splitlines() == ["The chains A and B do not touch.", "The run and its log are in run."]
    code, out, err = command("run", "sample.fails", "--how", "bug", "--output", "bug", "--json")
    assert code == 1 and json.loads(out)["status"] == "failed"
    assert "Traceback" not in err and "internal error (ZeroDivisionError" in err
    assert "Traceback" in Path("bug/log.txt").read_text()


def test_a_report_is_made_again(command: Command) -> None:
    command("run", "sample.numbers", "--output", "run")
    Path("run/report.html").unlink()
    code, out, _ = command("report", "run")
    assert code == 0 and "Report: run/report.html" in out
    assert Path("run/report.html").stat().st_size > 10_000
    assert json.loads(command("report", "run", "--json")[1])["status"] == "succeeded"


# --- wrong input ---------------------------------------------------------------------------------

NEAR = "There is no service 'sample.fail'; did you mean sample.fails, sample.walk, sample.kinds?"
NO_YAML = "--inputs: the file 'bad.yaml' is not YAML or JSON (line 2, column 1)."
NO_FIELDS = "--inputs: the file 'list.yaml' must hold named values, one for each field."
WRONG = [
    (["run", "sample.numbers", "--count", "5000"], "count must be from 1 to 500, but is 5000."),
    (["run", "sample.numbers", "--count", "x"], "count must be from 1 to 500, but is 'x'."),
    (["run", "sample.numbers", "--temperature", "nan"], "temperature must be from -20 to 80 °C, but is nan."),
    (["run", "sample.numbers", "--method", "slow"], "method must be one of 'fast' or 'exact', but is 'slow'."),
    (["run", "sample.numbers", "--window.start", "11"], "window.start must be from 0 to 10 s, but is 11."),
    (["run", "sample.numbers", "--cout", "3"], "Unknown option: --cout. Did you mean --count?"),
    (["run", "sample.numbers", "stray"], "'stray' is not expected here; values belong behind the name of an option."),
    (["run", "sample.numbers", "--seed", "-1"], "seed must be from 0 to 9223372036854775807, but is -1."),
    (["run", "sample.numbers", "--seed", "x"], f"seed must be a whole number from 0 to {MAX_SEED}, but is 'x'."),
    (["run", "sample.numbers", "--window.points", "[1"], "window.points must be written as YAML or JSON, but is '[1'."),
    (["run", "sample.numbers", "--output", "full"], "The output folder 'full' is not empty; name another one."),
    (["run", "sample.numbers", "--output", "file"], "The output folder 'file' cannot be written (Not a directory)."),
    (
        ["run", "sample.numbers", "--example", "cold"],
        "sample.numbers has no single example 'cold'; it has small, warm.",
    ),
    (["run", "sample.words", "--example", "any"], "sample.words has no single example 'any'; it carries none."),
    (["run", "sample.words"], "document is required."),
    (["run", "sample.words", "--document", "none.txt"], "document: there is no file 'none.txt'."),
    (["run", "sample.fail"], NEAR),
    (["run", "--count", "3"], "A service comes first: `colonnade run SERVICE`; `colonnade services` lists them."),
    (["show", "what"], "There is no service 'what'; `colonnade services` lists what is installed."),
    (["run", "sample.numbers", "--inputs", "none.yaml"], "--inputs: the file 'none.yaml' does not exist."),
    (["run", "sample.numbers", "--inputs", "bad.yaml"], NO_YAML),
    (["run", "sample.numbers", "--inputs", "list.yaml"], NO_FIELDS),
    (["run", "sample.numbers", "--inputs", "odd.yaml"], "nothing is not a field of this service."),
    (["report", "full"], "'full' is not a run directory (it has no readable job.json)."),
    (["submit", "nothing.here"], "There is no service 'nothing.here'; `colonnade services` lists what is installed."),
    (["login", "not a url"], "'not a url' is not the address of a gateway (http://host:port)."),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_wrong_input_is_one_sentence_and_exit_code_2(
    command: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    (tmp_path / "bad.yaml").write_text("a: [b\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "odd.yaml").write_text("nothing: 1\n")
    code, out, err = command(*arguments)
    assert (code, out, one_sentence(err)) == (2, "", sentence)
    code, out, _ = command(*arguments, "--json")
    assert code == 2 and json.loads(out)["error"] == sentence
    assert not (tmp_path / "colonnade-runs").exists()


def test_every_wrong_field_is_named(command: Command) -> None:
    code, out, err = command("run", "sample.numbers", "--count", "0", "--temperature", "99", "--json")
    assert code == 2
    assert [problem["field"] for problem in json.loads(out)["errors"]] == ["count", "temperature"]
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(28, "There is no space left on the disk."), (13, "Permission denied: 'run/files/values.csv'.")],
)
def test_trouble_with_the_disk_is_one_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise OSError(number, os.strerror(number), "run/files/values.csv")

    monkeypatch.setattr("colonnade.report.replace_file", refuse)
    code, out, err = command("run", "sample.numbers", "--json", "--output", "run")
    assert (code, json.loads(out)["error"], one_sentence(err)) == (1, sentence, sentence)


# --- in a fresh process --------------------------------------------------------------------------


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_ctrl_c_ends_tidily_with_130(tmp_path: Path, environment: Mapping[str, str]) -> None:
    arguments = [*COMMAND, "run", "sample.fails", "--how", "slow", "--output", "run"]
    process = subprocess.Popen(
        arguments, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    events = tmp_path / "run" / "events.jsonl"
    wait_for(lambda: events.exists() and events.stat().st_size > 0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "Stopped; what there is of the run is in run."
    assert "Traceback" not in err


def test_a_terminal_sees_a_live_bar(tmp_path: Path, environment: Mapping[str, str]) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", "sample.numbers", "--count", "50", "--output", "run"],
        env=environment | {"TERM": "xterm", "COLUMNS": "120"},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=slave,
        stdin=slave,
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        seen += chunk
        if not chunk:
            break
    os.close(master)
    assert process.wait(30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert "Adding" in text and "50/50" in text and "left" in text and "careful: True" in text


def test_completion_knows_the_services_and_their_options(tmp_path: Path, environment: Mapping[str, str]) -> None:
    home = environment | {"HOME": str(tmp_path), "SHELL": "/bin/bash"}
    done = fresh(["--install-completion", "--shell", "bash"], home)
    assert done.returncode == 0, done.stderr
    script = next(path for path in tmp_path.rglob("colonnade") if path.is_file())
    assert "sample.numbers" in script.read_text() and "--temperature" in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


def test_a_closed_pipe_is_no_traceback(tmp_path: Path, environment: Mapping[str, str]) -> None:
    shell = f"{sys.executable} -m colonnade.cli run sample.numbers --help | true"
    done = subprocess.run(
        ["bash", "-c", shell], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
