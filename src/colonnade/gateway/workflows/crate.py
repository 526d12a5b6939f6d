"""Workflows of a gateway out as Workflow Run RO-Crates, and in again."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from starlette.responses import StreamingResponse
from zipstream import ZIP_DEFLATED, ZipStream

from colonnade.gateway import downloads
from colonnade.gateway.core import Gateway
from colonnade.gateway.person import Person
from colonnade.gateway.store import UnknownJob
from colonnade.gateway.workflows import book
from colonnade.gateway.workflows.tables import WorkflowItemRow, WorkflowRow
from colonnade.workflows import crate, document, picture
from colonnade.workflows.local import DOCUMENT, OUTPUTS, PICTURE, STATE


def send(gateway: Gateway, row: WorkflowRow) -> StreamingResponse:
    """The crate of a workflow that has ended, as a zip that is packed while it is sent.

    Raises:
        NotEnded: it has not.
    """
    if not row.final:
        raise downloads.NotEnded("The workflow is running; it has no crate yet.")
    folder = Path(tempfile.mkdtemp(prefix="colonnade-crate-", dir=gateway.settings.data))
    try:
        _lay_out(gateway, row, folder)
        crate.write(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    stem = f"workflow-{row.id}"
    archive = ZipStream(compress_type=ZIP_DEFLATED)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in Path(name).parts):
            archive.add_path(path, f"{stem}/{name}")
    disposition = f"attachment; filename*=utf-8''{quote(stem)}.zip"
    headers = {"content-disposition": disposition, "content-security-policy": downloads.FILE_POLICY}
    return StreamingResponse(_chunks(archive, folder), media_type="application/zip", headers=headers)


def _chunks(archive: ZipStream, folder: Path) -> Iterator[bytes]:
    try:
        yield from archive
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lay_out(gateway: Gateway, row: WorkflowRow, folder: Path) -> None:
    """The folder as `workflows.run` would have left it; run directories are linked to, not copied."""
    workflow = document.of(row.document)
    with gateway.store.read() as session:
        items = book.items(session, row.id)
    steps = book.survey(row, items)
    (folder / DOCUMENT).write_text(document.dump(workflow), encoding="utf-8")
    (folder / PICTURE).write_text(picture.draw(steps, row.title), encoding="utf-8")
    (folder / OUTPUTS).write_text(json.dumps(row.outputs, indent=1), encoding="utf-8")
    for name, reference in row.files.items():
        (folder / "files").mkdir(exist_ok=True)
        shutil.copyfile(gateway.files(reference), folder / "files" / Path(name).name)
    listed = [
        step.model_dump() | {"items": [_item(gateway, folder, item) for item in items if item.step == step.name]}
        for step in steps
    ]
    state = {"state": row.state, "error": row.error, "steps": listed}
    (folder / STATE).write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")


def _item(gateway: Gateway, folder: Path, item: WorkflowItemRow) -> dict[str, Any]:
    run = ""
    try:
        job = gateway.job(item.job)
        source = gateway.results(job)
        if (source / "job.json").is_file():
            run = f"runs/{job.service}-{job.fingerprint[:16]}"
            if not (folder / run).exists():
                shutil.copytree(source, folder / run, symlinks=True, ignore=_hidden, copy_function=_link)
    except UnknownJob:
        pass
    return {"row": item.row, "run": run, "state": item.state, "reused": item.reused, "error": item.error}


def _hidden(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name.startswith(".")}


def _link(source: str, target: str) -> str:
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
    return target


def take_in(gateway: Gateway, person: Person, stream: IO[bytes]) -> tuple[str, dict[str, Any]]:
    """The document and the files of somebody's crate, the files as uploads.

    Its runs stay out: whoever packed the crate might have written any result into them.

    Raises:
        ColonnadeError: it holds no workflow of ours, or is a dangerous archive.
    """
    with tempfile.TemporaryDirectory(prefix="colonnade-crate-", dir=gateway.settings.data) as name:
        packed = Path(name) / "crate.zip"
        with packed.open("wb") as target:
            shutil.copyfileobj(stream, target)
        folder = Path(name) / "crate"
        workflow = crate.unpack(packed, folder, max_bytes=4 * int(gateway.settings.upload_limit))
        files = {}
        for path in sorted((folder / "files").glob("*")):
            if path.is_file():
                with path.open("rb") as content:
                    stored = gateway.save_upload(iter(partial(content.read, 1 << 20), b""), path.name, person)
                files[stored.name] = stored.reference
        return document.dump(workflow), files
