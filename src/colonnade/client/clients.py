"""`Client` and `AsyncClient`: the same flows, run in a blocking and in an awaiting way."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from colonnade.archives import unpack
from colonnade.client import credentials, flows
from colonnade.client.flows import Call, EventReader, Flow, Progress
from colonnade.client.models import GatewayError, RemoteJob, RemoteResult, RemoteService, RemoteWorkflow
from colonnade.errors import ColonnadeError
from colonnade.inputs import FileSource, local_file
from colonnade.runner import Run, load

T = TypeVar("T")
# An idle event stream shows a sign of life every quarter of a minute; a first report may take longer.
TIMEOUT = httpx.Timeout(120.0, connect=10.0)
RETRIES = 5  # lost event streams in a row before giving up
PAUSE = 1.0  # seconds before a lost stream is taken up again
PAGE = 100
CHUNK = 1 << 20


class _Base:
    """What both clients know: where the gateway is, and how to put a call as a request."""

    def __init__(self, url: str | None, token: str | None) -> None:
        self.gateway = credentials.find(url, token)

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self.gateway.url

    def _options(self) -> dict[str, Any]:
        headers = {"user-agent": "colonnade-client", "accept": "application/json"}
        if self.gateway.token:
            headers["authorization"] = f"Bearer {self.gateway.token}"
        return {"base_url": self.url, "headers": headers, "timeout": TIMEOUT}

    def _event_call(self, path: str, reader: EventReader) -> dict[str, Any]:
        headers = {"accept": "text/event-stream"} | ({"last-event-id": reader.last} if reader.last else {})
        return {"method": "GET", "url": path, "headers": headers}

    def _lost(self, error: httpx.HTTPError) -> GatewayError:
        return GatewayError(f"The gateway at {self.url} cannot be reached ({_why(error)}).")

    def _read(self, response: httpx.Response) -> Any:
        if response.status_code >= 400:
            raise flows.refusal(response.status_code, response.content, self.url)
        if response.is_redirect:
            raise GatewayError(f"{self.url} answers with a redirect to {response.headers.get('location')!r}.")
        try:
            return response.json() if response.content else None
        except ValueError:
            raise GatewayError(f"What answers at {self.url} is not a Colonnade gateway.") from None


def _why(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _empty(directory: Path) -> Path:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ColonnadeError(f"The folder {str(directory)!r} is not empty; name another one.")
    return directory


class Client(_Base):
    """A gateway, seen from a program that waits for its answers.

    Args:
        url: address of the gateway; that of `COLONNADE_URL` or the last `colonnade login` when left out.
        token: what lets one in; found likewise.
        transport: how requests are sent, for tests.

    Every method raises `GatewayError` when the gateway refuses or cannot be reached, and `BadInput` with a sentence
    per field when it is the inputs that it refuses.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        super().__init__(url, token)
        self._http = httpx.Client(**self._options(), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def _run(self, flow: Flow[T]) -> T:
        answer: Any = None
        try:
            while True:
                try:
                    answer = self._send(flow.send(answer))
                except httpx.HTTPError as error:
                    raise self._lost(error) from None
        except StopIteration as ended:
            value: T = ended.value
            return value

    def _send(self, call: Call) -> Any:
        content = None if call.upload is None else _chunks(call.upload)
        arguments: dict[str, Any] = {"params": dict(call.query), "json": call.body, "content": content}
        if call.save is None:
            return self._read(self._http.request(call.method, call.path, **arguments))
        with self._http.stream(call.method, call.path, **arguments) as response:
            if response.status_code >= 300:
                response.read()
                return self._read(response)
            with call.save.open("wb") as stream:
                for chunk in response.iter_bytes(CHUNK):
                    stream.write(chunk)
        return None

    def health(self) -> dict[str, Any]:
        """Whether the gateway can do its work, and that the token is right."""
        return self._run(flows.health())

    def services(self) -> list[RemoteService]:
        """What the gateway offers."""
        return self._run(flows.services())

    def service(self, name: str) -> RemoteService:
        """One service with the schemas of its inputs and outputs, and its examples."""
        return self._run(flows.service(name))

    def submit(
        self,
        service: str,
        inputs: Mapping[str, Any] | BaseModel,
        *,
        seed: int = 0,
        again: bool = False,
        title: str = "",
        files: FileSource = local_file,
    ) -> RemoteJob:
        """Queue a job; files that the inputs name are uploaded first.

        Args:
            service: its name.
            inputs: raw inputs, or the service's own model; a file is a path, or the answer of an upload.
            seed: the only source of randomness.
            again: run it even when the gateway has the result of the same run.
            title: a name for the job.
            files: finds a file here by what the inputs call it.
        """
        return self._run(flows.submit(service, inputs, seed=seed, again=again, title=title, files=files))

    def status(self, id: str) -> RemoteJob:
        """A job as it is now."""
        return self._run(flows.status(id))

    def events(self, id: str) -> Iterator[dict[str, Any]]:
        """A job's events from the first on, as they happen, until it has ended."""
        return self._events(flows.job_path(id, "events"), lambda: self.status(id).ended)

    def _events(self, path: str, ended: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        reader, lost = EventReader(), 0
        while True:
            try:
                with self._http.stream(**self._event_call(path, reader)) as response:
                    if response.status_code >= 400:
                        response.read()
                        self._read(response)
                    for line in response.iter_lines():
                        event = reader.feed(line)
                        if event is not None:
                            lost = 0
                            yield event
            except httpx.HTTPError as error:
                lost += 1
                if lost > RETRIES:
                    raise self._lost(error) from None
            else:
                if ended():
                    return
            time.sleep(PAUSE)

    def wait(self, id: str, progress: Progress | None = None) -> RemoteJob:
        """Stay until a job has ended; `progress` is called with each of its events."""
        for event in self.events(id):
            if progress is not None:
                progress(event)
        return self.status(id)

    def result(self, id: str) -> RemoteResult:
        """The typed results of a job.

        Raises:
            JobFailed: it ended without one; the text says why.
        """
        return self._run(flows.result(id))

    def download(self, id: str, name: str, target: Path) -> Path:
        """Save one file of a job as `target`."""
        return self._run(flows.file(id, name, target))

    def fetch(self, id: str, directory: Path) -> Run:
        """Bring a job's whole run directory here, and read it.

        Args:
            id: the job.
            directory: must be empty or absent.

        Raises:
            ColonnadeError: the folder is not empty.
            BadArchive: what came is not a sound archive.
        """
        _empty(directory)
        with tempfile.TemporaryDirectory(prefix="colonnade-") as folder:
            unpack(self._run(flows.archive(id, Path(folder) / "run.zip")), directory)
        return load(directory)

    def cancel(self, id: str) -> RemoteJob:
        """End a job; one that has ended already stays as it is."""
        return self._run(flows.cancel(id))

    def rerun(self, id: str) -> RemoteJob:
        """Queue the same request once more, to be run anew."""
        return self._run(flows.rerun(id))

    def delete(self, id: str) -> None:
        """Remove a job that has ended, with its files."""
        self._run(flows.delete(id))

    def submit_workflow(
        self,
        document: Mapping[str, Any],
        *,
        inputs: Mapping[str, Any] | None = None,
        files: Mapping[str, Path] | None = None,
        title: str = "",
    ) -> RemoteWorkflow:
        """Start a workflow; `files` are uploaded first.

        Args:
            document: the workflow as plain values.
            inputs: values in place of the workflow's own.
            files: by the names that `file:NAME` has in the document.
            title: a name for this run of it.
        """
        return self._run(flows.submit_workflow(document, inputs or {}, files or {}, title))

    def workflow(self, id: str) -> RemoteWorkflow:
        """A workflow as it is now."""
        return self._run(flows.workflow(id))

    def wait_workflow(self, id: str, progress: Progress | None = None) -> RemoteWorkflow:
        """Stay until a workflow has ended; `progress` is called with its state at each change."""
        for event in self._events(flows.workflow_path(id, "events"), lambda: self.workflow(id).ended):
            if progress is not None:
                progress(event)
        return self.workflow(id)

    def fetch_workflow(self, id: str, target: Path) -> Path:
        """Save a workflow that has ended, with all its runs, as a Workflow Run RO-Crate (zip)."""
        return self._run(flows.crate(id, target))

    def cancel_workflow(self, id: str) -> RemoteWorkflow:
        """End a workflow and its jobs; one that has ended already stays as it is."""
        return self._run(flows.cancel_workflow(id))

    def jobs(self, *, state: str | None = None, service: str | None = None) -> Iterator[RemoteJob]:
        """All jobs, newest first; further pages are fetched as they are reached."""
        after: str | None = None
        while True:
            page, after = self._run(flows.jobs_page(after, state, service, PAGE))
            yield from page
            if after is None:
                return


class AsyncClient(_Base):
    """A gateway, seen from a program that awaits its answers; arguments, methods and errors as those of `Client`."""

    def __init__(
        self, url: str | None = None, token: str | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(url, token)
        self._http = httpx.AsyncClient(**self._options(), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """See `Client.close`."""
        await self._http.aclose()

    async def _run(self, flow: Flow[T]) -> T:
        answer: Any = None
        try:
            while True:
                call = flow.send(answer)
                try:
                    answer = await self._send(call)
                except httpx.HTTPError as error:
                    raise self._lost(error) from None
        except StopIteration as ended:
            value: T = ended.value
            return value

    async def _send(self, call: Call) -> Any:
        content = None if call.upload is None else _async_chunks(call.upload)
        arguments: dict[str, Any] = {"params": dict(call.query), "json": call.body, "content": content}
        if call.save is None:
            return self._read(await self._http.request(call.method, call.path, **arguments))
        async with self._http.stream(call.method, call.path, **arguments) as response:
            if response.status_code >= 300:
                await response.aread()
                return self._read(response)
            with call.save.open("wb") as stream:
                async for chunk in response.aiter_bytes(CHUNK):
                    await asyncio.to_thread(stream.write, chunk)
        return None

    async def health(self) -> dict[str, Any]:
        """See `Client.health`."""
        return await self._run(flows.health())

    async def services(self) -> list[RemoteService]:
        """See `Client.services`."""
        return await self._run(flows.services())

    async def service(self, name: str) -> RemoteService:
        """See `Client.service`."""
        return await self._run(flows.service(name))

    async def submit(
        self,
        service: str,
        inputs: Mapping[str, Any] | BaseModel,
        *,
        seed: int = 0,
        again: bool = False,
        title: str = "",
        files: FileSource = local_file,
    ) -> RemoteJob:
        """See `Client.submit`."""
        return await self._run(flows.submit(service, inputs, seed=seed, again=again, title=title, files=files))

    async def status(self, id: str) -> RemoteJob:
        """See `Client.status`."""
        return await self._run(flows.status(id))

    async def events(self, id: str) -> AsyncIterator[dict[str, Any]]:
        """See `Client.events`."""

        async def ended() -> bool:
            return (await self.status(id)).ended

        async for event in self._events(flows.job_path(id, "events"), ended):
            yield event

    async def _events(self, path: str, ended: Callable[[], Awaitable[bool]]) -> AsyncIterator[dict[str, Any]]:
        reader, lost = EventReader(), 0
        while True:
            try:
                async with self._http.stream(**self._event_call(path, reader)) as response:
                    if response.status_code >= 400:
                        await response.aread()
                        self._read(response)
                    async for line in response.aiter_lines():
                        event = reader.feed(line)
                        if event is not None:
                            lost = 0
                            yield event
            except httpx.HTTPError as error:
                lost += 1
                if lost > RETRIES:
                    raise self._lost(error) from None
            else:
                if await ended():
                    return
            await asyncio.sleep(PAUSE)

    async def wait(self, id: str, progress: Progress | None = None) -> RemoteJob:
        """See `Client.wait`."""
        async for event in self.events(id):
            if progress is not None:
                progress(event)
        return await self.status(id)

    async def result(self, id: str) -> RemoteResult:
        """See `Client.result`."""
        return await self._run(flows.result(id))

    async def download(self, id: str, name: str, target: Path) -> Path:
        """See `Client.download`."""
        return await self._run(flows.file(id, name, target))

    async def fetch(self, id: str, directory: Path) -> Run:
        """See `Client.fetch`."""
        _empty(directory)
        with tempfile.TemporaryDirectory(prefix="colonnade-") as folder:
            archive = await self._run(flows.archive(id, Path(folder) / "run.zip"))
            await asyncio.to_thread(unpack, archive, directory)
        return load(directory)

    async def cancel(self, id: str) -> RemoteJob:
        """See `Client.cancel`."""
        return await self._run(flows.cancel(id))

    async def rerun(self, id: str) -> RemoteJob:
        """See `Client.rerun`."""
        return await self._run(flows.rerun(id))

    async def delete(self, id: str) -> None:
        """See `Client.delete`."""
        await self._run(flows.delete(id))

    async def submit_workflow(
        self,
        document: Mapping[str, Any],
        *,
        inputs: Mapping[str, Any] | None = None,
        files: Mapping[str, Path] | None = None,
        title: str = "",
    ) -> RemoteWorkflow:
        """See `Client.submit_workflow`."""
        return await self._run(flows.submit_workflow(document, inputs or {}, files or {}, title))

    async def workflow(self, id: str) -> RemoteWorkflow:
        """See `Client.workflow`."""
        return await self._run(flows.workflow(id))

    async def wait_workflow(self, id: str, progress: Progress | None = None) -> RemoteWorkflow:
        """See `Client.wait_workflow`."""

        async def ended() -> bool:
            return (await self.workflow(id)).ended

        async for event in self._events(flows.workflow_path(id, "events"), ended):
            if progress is not None:
                progress(event)
        return await self.workflow(id)

    async def fetch_workflow(self, id: str, target: Path) -> Path:
        """See `Client.fetch_workflow`."""
        return await self._run(flows.crate(id, target))

    async def cancel_workflow(self, id: str) -> RemoteWorkflow:
        """See `Client.cancel_workflow`."""
        return await self._run(flows.cancel_workflow(id))

    async def jobs(self, *, state: str | None = None, service: str | None = None) -> AsyncIterator[RemoteJob]:
        """See `Client.jobs`."""
        after: str | None = None
        while True:
            page, after = await self._run(flows.jobs_page(after, state, service, PAGE))
            for job in page:
                yield job
            if after is None:
                return


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


async def _async_chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        while chunk := await asyncio.to_thread(stream.read, CHUNK):
            yield chunk
