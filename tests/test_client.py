"""The client and the remote commands against a real gateway, served by `colonnade serve`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import colonnade
import samples  # registers the sample services
from colonnade import runner, service
from colonnade.cli import abroad, commands, main, options
from colonnade.client import AsyncClient, Client, GatewayError, credentials
from colonnade.client.flows import EventReader
from colonnade.errors import BadInput, ColonnadeError, JobFailed, UnknownService
from colonnade.results import Estimate, Table

ROOT = Path(__file__).parent.parent
PATIENCE = 90.0

assert samples


@pytest.fixture(scope="module")
def address(plugin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The first address of a gateway with the sample services, token and all."""
    folder = tmp_path_factory.mktemp("gateway")
    paths = [str(ROOT / "src"), str(plugin_path), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLONNADE_WORKERS": "2"}
    log = (folder / "log.txt").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "colonnade.cli", "serve", "--port", "0", "--data", folder / "data"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, (folder / "log.txt").read_text()
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as made:
        yield made


def local_result(folder: Path, inputs: dict[str, Any], seed: int) -> bytes:
    runner.run("sample.numbers", inputs, folder, seed=seed)
    return (folder / "result.json").read_bytes()


# --- the client ----------------------------------------------------------------------------------


def test_a_job_from_submission_to_its_results(client: Client, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    job = client.submit("sample.numbers", {"count": 6}, seed=4)
    ended = client.wait(job.id, seen.append)
    assert (ended.state, ended.service, ended.seed, ended.ended) == ("succeeded", "sample.numbers", 4, True)
    assert {"log", "progress"} <= {event["kind"] for event in seen}
    result = client.result(job.id)
    assert isinstance(result["total"], Estimate) and isinstance(result["values"], Table)
    with pytest.raises(KeyError):
        result["nothing"]
    run = client.fetch(job.id, tmp_path / "fetched")
    assert [value for _, _, value in run.results] == [value for _, _, value in result.results]
    assert (run.directory / "report.html").exists() and (run.directory / "ro-crate-metadata.json").exists()
    assert (run.directory / "result.json").read_bytes() == local_result(tmp_path / "local", {"count": 6}, 4)
    table = client.download(job.id, "values.csv", tmp_path / "values.csv")
    assert table.read_text() == result["values"].to_csv()


def test_the_same_request_is_answered_at_once_and_anew_when_asked(client: Client) -> None:
    first = client.wait(client.submit("sample.numbers", {"count": 7}).id)
    again = client.submit("sample.numbers", {"count": 7})
    assert again.ended and again.cached_from == first.id
    anew = client.submit("sample.numbers", {"count": 7}, again=True)
    assert anew.cached_from is None
    rerun = client.wait(client.rerun(first.id).id)
    assert rerun.state == "succeeded" and rerun.id != first.id
    assert client.wait(anew.id).state == "succeeded"


def test_files_are_uploaded_where_the_service_wants_them(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a ü.txt").write_text("one two")
    (tmp_path / "b.txt").write_text("three")
    inputs = {"document": str(tmp_path / "a ü.txt"), "others": [tmp_path / "b.txt"]}
    job = client.wait(client.submit("sample.words", inputs).id)
    assert job.inputs["document"]["name"] == "a ü.txt"
    assert client.result(job.id)["words"] == 3
    assert client.result(client.wait(client.submit("sample.words", job.inputs, again=True).id).id)["words"] == 3
    model = samples.FileInput.model_validate(inputs)
    assert client.result(client.wait(client.submit("sample.words", model, again=True).id).id)["words"] == 3


def test_bad_input_is_told_by_field(client: Client, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        client.submit("sample.numbers", {"count": 0, "cout": 1})
    assert {problem.field for problem in caught.value.problems} == {"count", "cout"}
    assert "count must be from 1 to 500, but is 0." in str(caught.value)
    with pytest.raises(BadInput, match="there is no file"):
        client.submit("sample.words", {"document": str(tmp_path / "none.txt")})
    (tmp_path / "a.txt").write_bytes(b"a\0b")
    with pytest.raises(BadInput, match="binary data"):
        client.submit("sample.words", {"document": str(tmp_path / "a.txt")})
    with pytest.raises(BadInput, match="seed"):
        client.submit("sample.numbers", {}, seed=-1)


def test_what_is_not_there_is_said_so(client: Client) -> None:
    with pytest.raises(UnknownService, match=r"did you mean sample\.numbers"):
        client.submit("sample.number", {})
    with pytest.raises(GatewayError, match="no job") as caught:
        client.status("01KB2Z7M3Q4R5S6T7V8W9X0Y1Z")
    assert caught.value.status == 404


def test_a_failed_job_tells_why(client: Client, tmp_path: Path) -> None:
    job = client.wait(client.submit("sample.fails", {"how": "value"}).id)
    assert (job.state, job.error) == ("failed", "The chains A and B do not touch.")
    with pytest.raises(JobFailed, match="do not touch"):
        client.result(job.id)
    assert client.fetch(job.id, tmp_path / "failed").status == "failed"


def test_a_job_is_cancelled_and_deleted(client: Client) -> None:
    job = client.submit("sample.fails", {"how": "slow"})
    client.cancel(job.id)
    assert client.wait(job.id).state == "cancelled"
    with pytest.raises(ColonnadeError, match="cancelled"):
        client.result(job.id)
    client.delete(job.id)
    with pytest.raises(GatewayError, match="no job"):
        client.status(job.id)


def test_jobs_are_listed_over_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [client.wait(client.submit("sample.walk", {"steps": 1}, seed=seed).id).id for seed in range(5)]
    monkeypatch.setattr("colonnade.client.clients.PAGE", 2)
    listed = [job.id for job in client.jobs(service="sample.walk", state="succeeded")]
    assert listed == made[::-1]


def test_services_are_described(client: Client) -> None:
    assert "sample.numbers" in [service.name for service in client.services()]
    described = client.service("sample.numbers")
    assert described.inputs["properties"]["count"]["maximum"] == 500
    assert described.examples["warm"] == {"count": 8, "temperature": 60.0}


def test_a_folder_that_holds_something_is_left_alone(client: Client, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ColonnadeError, match="is not empty"):
        client.fetch("any", tmp_path)


def test_a_wrong_token_is_refused_with_the_way_out(client: Client) -> None:
    with Client(client.url, "wrong") as other, pytest.raises(GatewayError, match="colonnade login") as caught:
        other.services()
    assert caught.value.status == 401


async def test_the_awaiting_client_does_the_same(address: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two")
    seen: list[dict[str, Any]] = []
    async with AsyncClient(address) as client:
        assert (await client.health())["engine"] in ("ready", "starting")
        assert "sample.words" in [service.name for service in await client.services()]
        job = await client.submit("sample.words", {"document": tmp_path / "a.txt"}, seed=77)
        assert (await client.wait(job.id, seen.append)).state == "succeeded"
        assert (await client.result(job.id))["words"] == 2
        run = await client.fetch(job.id, tmp_path / "run")
        assert run.outputs["words"] == 2
        assert (await client.download(job.id, "copy.txt", tmp_path / "copy.txt")).read_text() == "one two"
        assert job.id in [item.id async for item in client.jobs(service="sample.words")]
        with pytest.raises(BadInput, match="count must be"):
            await client.submit("sample.numbers", {"count": 0})
        again = await client.wait((await client.rerun(job.id)).id)
        await client.delete(again.id)
        slow = await client.submit("sample.fails", {"how": "slow"})
        await client.cancel(slow.id)
        assert (await client.wait(slow.id)).state == "cancelled"
        with pytest.raises(GatewayError, match="no job"):
            await client.status(again.id)


def test_both_clients_have_the_same_methods() -> None:
    import inspect

    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(method).parameters.keys() == (
                inspect.signature(getattr(AsyncClient, name)).parameters.keys()
            ), name
    assert colonnade.Client is Client


# --- without a gateway ---------------------------------------------------------------------------


def answering(status: int, content: bytes = b"", **headers: str) -> Client:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, content=content, headers=headers))
    return Client("http://gateway", "t", transport=transport)


@pytest.mark.parametrize(
    ("status", "content", "sentence"),
    [
        (500, b"<html>oops", "The gateway at http://gateway answered with status 500."),
        (502, b"{}", "The gateway at http://gateway answered with status 502."),
        (200, b"<html>hello", "What answers at http://gateway is not a Colonnade gateway."),
        (409, b'{"detail": "The job is running."}', "The job is running."),
    ],
)
def test_odd_answers_become_sentences(status: int, content: bytes, sentence: str) -> None:
    with answering(status, content) as client, pytest.raises(GatewayError) as caught:
        client.services()
    assert str(caught.value) == sentence


def test_a_redirect_is_not_followed_with_the_token() -> None:
    with answering(307, location="http://elsewhere/") as client, pytest.raises(GatewayError, match="redirect"):
        client.services()


def test_a_gateway_that_is_not_there() -> None:
    with Client("http://127.0.0.1:9", "t") as client, pytest.raises(GatewayError, match="cannot be reached") as caught:
        client.services()
    assert caught.value.status == 0


class Stutter(httpx.SyncByteStream):
    """An event stream that breaks off after each event."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[bytes]:
        yield b": ping\n\n"
        yield f'id: {self.start + 1}\nevent: log\ndata: {{"kind": "log",\ndata:  "n": {self.start}}}\n\n'.encode()
        raise httpx.ReadError("gone")


def test_a_lost_event_stream_is_taken_up_where_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colonnade.client.clients.PAUSE", 0.0)

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/events"):
            return httpx.Response(200, json={"id": "j", "service": "s", "state": "succeeded"})
        start = int(request.headers.get("last-event-id", "0"))
        return httpx.Response(200, stream=Stutter(start)) if start < 8 else httpx.Response(200)

    with Client("http://gateway", "t", transport=httpx.MockTransport(answer)) as client:
        assert [event["n"] for event in client.events("j")] == list(range(8))


def test_a_stream_that_never_comes_back_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colonnade.client.clients.PAUSE", 0.0)

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = Client("http://gateway", "t", transport=httpx.MockTransport(answer))
    with client, pytest.raises(GatewayError, match="cannot be reached"):
        list(client.events("j"))


def test_events_are_read_as_the_standard_says() -> None:
    reader = EventReader()
    lines = [
        ": comment",
        "id: 5",
        "event: log",
        'data: {"a":',
        "data: 1}",
        "",
        "",
        "data: no json",
        "",
        'data:{"b": 2}',
        "",
    ]
    assert [event for line in lines if (event := reader.feed(line))] == [{"a": 1}, {"b": 2}]
    assert reader.last == "5"


def test_an_archive_that_leads_out_is_refused(tmp_path: Path) -> None:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil", "x")
    with answering(200, buffer.getvalue()) as client, pytest.raises(ColonnadeError, match="leads out"):
        client.fetch("j", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# --- the remote commands -------------------------------------------------------------------------


@pytest.fixture
def command(
    address: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """The command in this process, logged in to the gateway."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(arguments)
        written = capfd.readouterr()
        return code, written.out, written.err

    assert run("login", address)[0] == 0
    return run


def test_a_service_that_only_the_gateway_has(
    command: Callable[..., tuple[int, str, str]], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options come from the schema that the gateway publishes; its checks are the gateway's."""
    monkeypatch.setattr(commands, "services", dict)
    Path("words.txt").write_text("one two three")
    code, out, _ = command("submit", "sample.words", "--document", "words.txt", "--wait", "--json")
    assert code == 0 and client.result(json.loads(out)["id"])["words"] == 3
    typed = ["--chains", "C,D,E", "--window.points", "4", "5", "--ratio", "0.5", "--shape", "round", "--no-careful"]
    code, out, _ = command("submit", "sample.numbers", "--count", "4", *typed, "--json")
    inputs = json.loads(out)["inputs"]
    assert code == 0 and inputs["chains"] == ["C", "D", "E"] and inputs["window"]["points"] == [4, 5]
    assert (inputs["count"], inputs["ratio"], inputs["shape"], inputs["careful"]) == (4, 0.5, "round", False)
    code, _, err = command("submit", "sample.numbers", "--count", "0")
    assert code == 2 and "count must be from 1 to 500" in err
    code, out, _ = command("submit", "sample.numbers", "--help")
    assert code == 0 and "--temperature" in out and "from -20 to 80 °C" in out
    code, _, err = command("submit", "sample.none", "--count", "0")
    assert code == 2 and "There is no service 'sample.none'" in err


WORKFLOW = """
name: Words of a list
inputs: {texts: [{text: "file:a.txt"}, {text: "file:b.txt"}]}
steps:
  each: {service: sample.words, for_each: "${inputs.texts}", inputs: {document: "${row.text}"}}
  total: {service: sample.numbers, inputs: {count: "${each.1.words}"}}
outputs: {words: {words: "${each.words}"}, total: "${total.total}"}
"""


def test_a_workflow_is_sent_watched_and_fetched(command: Callable[..., tuple[int, str, str]], client: Client) -> None:
    Path("flow").mkdir()
    Path("flow/words.yaml").write_text(WORKFLOW)
    Path("flow/a.txt").write_text("one two")
    code, _, err = command("workflow", "submit", "flow/words.yaml")
    assert code == 2 and "There is no file 'b.txt' beside the workflow." in err
    Path("flow/b.txt").write_text("three four five")
    code, out, err = command("workflow", "submit", "flow/words.yaml", "--wait")
    assert code == 0 and "succeeded" in out and "each: succeeded: 2 of 2" in err
    id = out.split()[0]
    code, out, _ = command("workflow", "status", id, "--json")
    told = json.loads(out)
    assert (code, told["state"], told["outputs"]["words"]) == (0, "succeeded", {"words": [2, 3]})
    assert client.workflow(id).ended and client.workflow(id).steps[0].done == 2
    code, out, _ = command("workflow", "fetch", id, "here")
    assert code == 0 and (Path("here") / "workflow.yaml").is_file()
    assert len(list(Path("here").glob("runs/*/result.json"))) == 3
    code, _, _ = command("workflow", "check", "here/workflow.yaml")
    assert code == 0
    code, _, err = command("workflow", "submit", "flow/words.yaml", "--set", "nothing=1")
    assert code == 2 and "there is no input 'nothing'" in err
    code, _, err = command("workflow", "status", "none")
    assert code == 2 and "There is no workflow 'none'" in err


async def test_workflows_are_awaited_too(address: str, command: Callable[..., tuple[int, str, str]]) -> None:
    document = {"name": "Long", "steps": {"all": {"service": "sample.fails", "inputs": {"how": "slow"}}}}
    seen: list[str] = []
    async with AsyncClient(address) as client:
        sent = await client.submit_workflow(document, title="mine")
        assert sent.title == "mine"
        await client.cancel_workflow(sent.id)
        assert (await client.wait_workflow(sent.id, lambda event: seen.append(event["state"]))).state == "cancelled"
    assert seen[-1] == "cancelled"


@pytest.mark.parametrize("name", ["sample.numbers", "sample.words"])
def test_options_from_a_schema_are_those_of_the_model(client: Client, name: str) -> None:
    model = service.get(name).inputs
    mine, theirs = (
        {option.name: (option.level, options.describe(option)) for option in options.options(inputs)}
        for inputs in (model, abroad.of(client.service(name)).inputs)
    )
    assert mine.keys() == theirs.keys()
    differ = {option for option in mine if mine[option] != theirs[option]}
    assert differ <= {"--document", "--others", "--chains"}, (
        "not in a schema: what files are taken, defaults that are made"
    )


def test_submit_status_fetch(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three")
    code, out, _ = command("submit", "sample.words", "--document", "a.txt", "--seed", "3", "--wait", "--json")
    job = json.loads(out)
    assert (code, job["state"], job["seed"]) == (0, "succeeded", 3)
    assert command("status", job["id"]) == (0, f"{job['id']}  sample.words  succeeded\n", "")
    assert job["id"] in command("status")[1]
    assert job["id"] in [
        item["id"] for item in json.loads(command("status", "--state", "succeeded", "--json")[1])["jobs"]
    ]
    code, out, _ = command("fetch", job["id"], "--output", "here")
    assert code == 0 and "Words  3" in out and "Report: here/report.html" in out
    code, out, err = command("fetch", job["id"], "--output", "here")
    assert (code, err) == (2, "The folder 'here' is not empty; name another one.\n")


def test_submit_shows_progress_and_failure(command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = command("submit", "sample.numbers", "--count", "11", "--wait", "--again")
    assert code == 0 and "succeeded" in out and "Adding: 11 of 11" in err
    code, out, _ = command("submit", "sample.fails", "--how", "value", "--wait")
    assert code == 1 and "failed (The chains A and B do not touch.)" in out


def test_wrong_input_is_refused_by_the_gateway_in_the_same_words(
    command: Callable[..., tuple[int, str, str]],
) -> None:
    code, out, err = command("submit", "sample.numbers", "--count", "0")
    assert (code, out, err) == (2, "", "count must be from 1 to 500, but is 0.\n")
    code, _, err = command("status", "nothing")
    assert (code, err) == (2, "There is no job 'nothing'.\n")


def test_cancel(command: Callable[..., tuple[int, str, str]]) -> None:
    id = json.loads(command("submit", "sample.fails", "--how", "slow", "--again", "--json")[1])["id"]
    assert command("cancel", id)[0] == 0
    code, out, _ = command("status", id, "--watch")
    assert code == 1 and "cancelled" in out


def test_login_asks_for_a_token_and_tries_it(
    command: Callable[..., tuple[int, str, str]], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    url, _, token = address.partition("/?token=")
    credentials.login_file().unlink()
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    code, _, err = command("login", url)
    assert code == 2 and "token" in err and not credentials.login_file().exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
    assert command("login", url)[0] == 0
    assert command("status")[0] == 0


def test_an_unreachable_gateway_is_exit_code_1(command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = command("status", "--url", "http://127.0.0.1:9", "--json")
    assert code == 1 and json.loads(out)["status"] == "failed" and "cannot be reached" in err
