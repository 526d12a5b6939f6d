"""What can be fetched of a finished job: its files, results in their usual formats, the report, the whole directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response, StreamingResponse
from zipstream import ZIP_DEFLATED, ZipStream

from colonnade import formats, report, runner
from colonnade.errors import ColonnadeError
from colonnade.gateway.core import Gateway
from colonnade.gateway.store import JobRow
from colonnade.gateway.views import ResultFile
from colonnade.render import own_files

# Whatever a file claims to be, a browser gets it as one of these or as bytes; never as a page of this origin.
SAFE_TYPES = frozenset({
    "text/plain", "text/csv", "text/tab-separated-values", "application/json", "application/jsonl", "application/yaml",
    "application/pdf", "application/zip", "application/gzip", "application/x-npz", "image/png", "image/jpeg",
    "image/gif", "image/webp", "image/svg+xml", "video/mp4", "video/webm", "chemical/x-pdb", "chemical/x-mmcif",
})  # fmt: skip
FILE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class NotEnded(ColonnadeError):
    """The job has no result yet."""


def finished(gateway: Gateway, row: JobRow) -> runner.Run:
    """The run of a job that has ended with a result or an error of its own.

    Raises:
        NotEnded: it has not, or was cancelled before it could.
    """
    if not row.final:
        raise NotEnded(f"The job is {row.state}; it has no result yet.")
    run = runner.load(gateway.results(row))
    if run.status == "pending":
        raise NotEnded(row.error or f"The job was {row.state} and has no result.")
    return run


def address(id: str, name: str) -> str:
    """Where a file of a job is fetched."""
    return f"/api/v1/jobs/{id}/files/{quote(name)}"


def listing(id: str, run: runner.Run) -> list[ResultFile]:
    """All files of a run, and the formats of its results that are made when asked for."""
    found = [
        ResultFile(name=name, media_type=safe_type(name), size=path.stat().st_size, href=address(id, name))
        for name, path in _walk(run.files)
    ]
    taken = own_files(run)
    made = [
        ResultFile(name=name, media_type=media_type, size=None, href=address(id, name))
        for path, _, result in run.results
        for name, media_type in formats.formats(path, result, taken)
        if name not in {file.name for file in found}
    ]
    return found + made


def send_file(run: runner.Run, name: str) -> Response:
    """One file of a run, always as an attachment.

    Raises:
        HTTPException: there is no such file.
    """
    path = inside(run.files, name)
    if path is not None:
        return attachment(path, PurePosixPath(name).name)
    taken = own_files(run)
    for place, title, result in run.results:
        for format_name, media_type in formats.formats(place, result, taken):
            if format_name == name:
                return _made(formats.download(place, title, result, taken), name, media_type)
    raise HTTPException(404, "The job has no such file.")


def _made(downloads: list[formats.Download], name: str, media_type: str) -> Response:
    for made_name, _, content in downloads:
        if made_name == name:
            return Response(content, media_type=media_type, headers=_headers(name))
    raise HTTPException(404, "This format cannot be made here; install colonnade[report].")


def attachment(path: Path, name: str) -> FileResponse:
    """A file as a download that no browser shows as a page."""
    headers = {"content-security-policy": FILE_POLICY}
    return FileResponse(path, media_type=safe_type(name), filename=name, headers=headers)


def _headers(name: str) -> dict[str, str]:
    disposition = f"attachment; filename*=utf-8''{quote(name, safe='')}"
    return {"content-disposition": disposition, "content-security-policy": FILE_POLICY}


def safe_type(name: str) -> str:
    """The media type to send a file with."""
    media_type = formats.media_type_of(name)
    return media_type if media_type in SAFE_TYPES else "application/octet-stream"


def inside(folder: Path, name: str) -> Path | None:
    """The regular file of that relative name below the folder; None when there is none, or a link leads out."""
    parts = PurePosixPath(name)
    if not name or parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name:
        return None
    path = folder / parts
    try:
        return path if path.is_file() and path.resolve().is_relative_to(folder.resolve()) else None
    except OSError:  # a name longer than the file system holds
        return None


def _walk(folder: Path) -> list[tuple[str, Path]]:
    names = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")))
    return [(name, path) for name in names if (path := inside(folder, name)) is not None]


def send_report(run: runner.Run, name: str) -> FileResponse:
    """The self-contained report, made when it is first asked for."""
    report.complete(run.directory)
    return attachment(run.directory / "report.html", name)


def send_archive(run: runner.Run, stem: str) -> StreamingResponse:
    """The complete run directory as a zip that is packed while it is sent."""
    report.complete(run.directory)
    archive = ZipStream(compress_type=ZIP_DEFLATED)
    for name, path in _walk(run.directory):
        if not PurePosixPath(name).name.startswith("."):
            archive.add_path(path, f"{stem}/{name}")
    return StreamingResponse(_chunks(archive), media_type="application/zip", headers=_headers(f"{stem}.zip"))


def _chunks(archive: ZipStream) -> Iterator[bytes]:
    yield from archive
