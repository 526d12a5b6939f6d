"""Files in a real S3 server, and jobs whose worker sees no folder of the gateway."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import s3
from harness import ended, settings, submit, until, value

from colonnade import runner
from colonnade.gateway.core import Gateway
from colonnade.gateway.storage import Damaged, Storage, Unreachable, checksum, tree
from colonnade.gateway.store import Unavailable


@pytest.fixture(scope="module")
def server() -> Iterator[s3.Server]:
    with s3.server() as found:
        yield found


@pytest.fixture(scope="module")
def place(server: s3.Server) -> dict[str, Any]:
    """Settings of a folder of its own in the store."""
    url = f"s3://{s3.BUCKET}/{secrets.token_hex(4)}"
    return {"storage": url, "storage_endpoint": server.address, **s3.KEYS}


@pytest.fixture
def storage(place: dict[str, Any]) -> Storage:
    return Storage(
        f"{place['storage']}/{secrets.token_hex(4)}",
        place["storage_endpoint"],
        place["storage_key"],
        place["storage_secret"],
    )


@pytest.fixture(scope="module")
def gateway(place: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    options = place | {"storage": f"{place['storage']}/jobs"}
    found = Gateway(settings(tmp_path_factory.mktemp("gateway"), **options))
    found.start()
    until(lambda: found.health()["engine"] == "ready", "the engine")
    yield found
    found.stop()


def below(server: s3.Server, gateway: Gateway, folder: str = "") -> list[str]:
    prefix = gateway.settings.storage.removeprefix(f"s3://{s3.BUCKET}/")
    return [name.removeprefix(f"{prefix}/") for name in server.names(f"{prefix}/{folder}")]


# --- objects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_files_of_a_run_come_back_as_they_were(tmp_path: Path, storage: Storage, kind: str) -> None:
    if kind == "folder":
        storage = Storage(f"file://{tmp_path}/store")
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "files/deep").mkdir(parents=True)
    (first / "files/deep/é.bin").write_bytes(os.urandom(300_000))
    (first / "job.json").write_text("{}")
    (first / "link").symlink_to("/etc/passwd")
    run = secrets.token_hex(13)
    size = storage.keep(run, 0, tree(first))
    assert size == 300_002
    storage.keep(run, 1, {"job.json": first / "files/deep/é.bin"}, part=True)
    assert storage.lists(run) == ["0000.json", "0001.part"]
    storage.fetch(run, second, lambda names: names[:1])
    assert {name: checksum(path) for name, path in tree(second).items()} == {
        name: checksum(path) for name, path in tree(first).items()
    }
    assert not (second / "link").exists()
    storage.forget(run)
    assert storage.lists(run) == []


def test_damage_is_found_and_leaves_nothing(tmp_path: Path, storage: Storage, server: s3.Server) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"what was meant")
    storage.put(source, "files/x")
    prefix = storage.url.removeprefix(f"s3://{s3.BUCKET}/")
    server.put(f"{prefix}/files/x", b"what came in")
    with pytest.raises(Damaged, match="damaged"):
        storage.get("files/x", tmp_path / "got/x", checksum(source))
    assert list((tmp_path / "got").iterdir()) == []
    server.put(f"{prefix}/runs/01/0000001/0000.json", b'{"files": {"../x": ["0", 1]}}')
    with pytest.raises(Damaged, match="names"):
        storage.fetch("0000001", tmp_path / "out", lambda names: names)


@pytest.mark.slow
def test_an_interrupted_upload_is_never_seen(
    tmp_path: Path, storage: Storage, server: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks in the second of three parts: there is no object, and no list names it."""
    from s3fs import S3FileSystem

    big = tmp_path / "big"
    big.write_bytes(os.urandom(120_000_000))
    usual, calls = S3FileSystem._call_s3, []

    async def breaking(self: Any, method: str, *args: Any, **given: Any) -> Any:
        calls.append(method)
        if method == "upload_part" and calls.count(method) > 1:
            raise ConnectionError("cut off")
        return await usual(self, method, *args, **given)

    monkeypatch.setattr(S3FileSystem, "_call_s3", breaking)
    with pytest.raises(Unreachable):
        storage.keep("run01", 1, {"big": big})
    assert "upload_part" in calls
    monkeypatch.undo()
    assert storage.lists("run01") == []
    assert server.names(storage.url.removeprefix(f"s3://{s3.BUCKET}/")) == []
    storage.keep("run01", 1, {"big": big})
    storage.fetch("run01", tmp_path / "back", lambda names: names)
    assert checksum(tmp_path / "back/big") == checksum(big)


# --- jobs ----------------------------------------------------------------------------------------


def test_a_job_whose_worker_sees_no_folder_of_the_gateway(gateway: Gateway, server: s3.Server, tmp_path: Path) -> None:
    file = gateway.save_upload([b"four", b"teen chars"], "text.txt")
    row = ended(gateway, submit(gateway, "testing.characters", file=file.reference).id)
    assert row.state == "succeeded", row.error
    there = gateway.directory_of(row.run)
    assert not (there / "result.json").exists()  # nobody asked for it yet
    run = runner.load(gateway.results(row))
    assert run.outputs["characters"]["value"] == 14
    assert (run.files / "copy.txt").read_text() == "fourteen chars"
    assert row.stored > 14
    # Another gateway with a disk of its own finds all in the store.
    other = Gateway(
        gateway.settings.model_copy(update={"data": tmp_path / "other", "database": gateway.settings.database_url})
    )
    assert (other.results(row) / "files/copy.txt").read_text() == "fourteen chars"
    again = submit(other, "testing.characters", file=file.reference)
    assert ended(gateway, again.id).state == "succeeded"
    other.store.close()
    for id in (row.id, again.id):
        gateway.delete(id)
    assert not [name for name in below(server, gateway) if row.run in name or again.run in name or "files/" in name]


def test_events_arrive_while_the_job_runs_and_a_cancelled_one_ends(gateway: Gateway) -> None:
    row = submit(gateway, "testing.steps", steps=400, pause=0.1)
    events = gateway.directory_of(row.run) / "events.jsonl"
    until(lambda: events.exists() and "from step 0" in events.read_text(), "the first event")
    assert gateway.job(row.id).state == "running"
    gateway.cancel(row.id)
    assert ended(gateway, row.id).state == "cancelled"


@pytest.mark.slow
def test_a_lost_worker_and_the_checkpoint_in_the_store(gateway: Gateway, server: s3.Server) -> None:
    row = submit(gateway, "testing.steps", steps=60, pause=0.1)
    until(
        lambda: [name for name in below(server, gateway, "runs") if f"{row.run}/0001.part" in name],
        "a stored checkpoint",
    )
    psutil.Process(_worker(gateway)).kill()
    done = ended(gateway, row.id)
    assert (done.state, done.lost >= 1) == ("succeeded", True), done.error
    assert value(gateway, row.id) == sum(range(60))
    starts = [line for line in (gateway.results(done) / "events.jsonl").read_text().splitlines() if "from step" in line]
    assert len(starts) >= 2 and "from step 0" not in starts[-1]


def _worker(gateway: Gateway) -> int:
    info = gateway.dispatcher.engine._client.run(os.getpid)
    return int(next(iter(info.values())))


def test_uploads_while_the_store_is_away_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    nowhere = {"storage": "s3://colonnade/x", "storage_endpoint": "http://127.0.0.1:9", **s3.KEYS}
    gateway = Gateway(settings(tmp_path / "data", **nowhere))
    with pytest.raises(Unavailable, match="file storage cannot be reached"):
        gateway.save_upload([b"text"], "text.txt")
    with pytest.raises(Unavailable, match="file storage cannot be reached"):
        submit(gateway, "testing.double", n=1)
    assert not list(gateway.runs.rglob("job.json")) and not list((gateway.files.folder / "drafts").iterdir())
    assert gateway.jobs().rows == []
    gateway.store.close()


def test_the_keys_reach_neither_the_job_nor_its_folder(gateway: Gateway) -> None:
    row = ended(gateway, submit(gateway, "testing.environment").id)
    directory = gateway.results(row)
    assert s3.KEYS["storage_secret"] not in "".join(path.read_text() for path in tree(directory).values())
    assert s3.KEYS["storage_secret"] not in repr(gateway.storage) + repr(gateway.settings)
