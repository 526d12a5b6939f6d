"""What the client says and how it understands the answers, without doing any input or output itself.

A flow is a generator that yields requests and is sent the answers. `clients` runs the same flows in a blocking and in
an awaiting way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from colonnade.client.models import GatewayError, RemoteJob, RemoteResult, RemoteService, RemoteWorkflow
from colonnade.errors import BadInput, JobFailed, Problem, UnknownService
from colonnade.inputs import FileSource, InputFile, local_file
from colonnade.runner import results_of

PREFIX = "/api/v1"
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        body: sent as JSON.
        upload: a file whose bytes are sent.
        save: where the bytes of the answer go; its JSON is not read then.
    """

    method: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Any = None
    upload: Path | None = None
    save: Path | None = None


Flow = Generator[Call, Any, T]


def job_path(id: str, *parts: str) -> str:
    """The path of a job, or of something of it."""
    return "/".join([f"{PREFIX}/jobs", quote(id, safe=""), *parts])


def health() -> Flow[dict[str, Any]]:
    answer: dict[str, Any] = yield Call("GET", f"{PREFIX}/health")
    return answer


def services() -> Flow[list[RemoteService]]:
    return [RemoteService.model_validate(item) for item in (yield Call("GET", f"{PREFIX}/services"))]


def service(name: str) -> Flow[RemoteService]:
    return RemoteService.model_validate((yield Call("GET", f"{PREFIX}/services/{quote(name, safe='')}")))


def submit(
    name: str, inputs: Mapping[str, Any] | BaseModel, *, seed: int, again: bool, title: str, files: FileSource
) -> Flow[RemoteJob]:
    """Upload the files that the inputs name, then queue the job."""
    schema = (yield from service(name)).inputs
    raw = {key: getattr(inputs, key) for key in type(inputs).model_fields} if isinstance(inputs, BaseModel) else inputs
    sent = yield from _with_uploads(raw, schema, schema.get("$defs", {}), files)
    body = {"inputs": sent, "seed": seed, "again": again} | ({"title": title} if title else {})
    answer = yield Call("POST", f"{PREFIX}/services/{quote(name, safe='')}/jobs", body=body)
    return RemoteJob.model_validate(answer)


def _with_uploads(value: Any, schema: Any, definitions: Mapping[str, Any], files: FileSource) -> Flow[Any]:
    """The inputs as JSON, with every file replaced by the answer of its upload.

    A string is a file where the service's schema wants one; a `Path` or `InputFile` is one wherever it stands.
    """
    if isinstance(value, Path | InputFile) or (_wants_file(schema, definitions) and _is_local(value)):
        return (yield from _uploaded(value, files))
    if isinstance(value, BaseModel):
        value = {key: getattr(value, key) for key in type(value).model_fields}
    if isinstance(value, Mapping):
        sent = {}
        for key, item in value.items():
            sent[str(key)] = yield from _with_uploads(item, _inner(schema, str(key), definitions), definitions, files)
        return sent
    if isinstance(value, list | tuple | set | frozenset):
        items = []
        for item in value:
            items.append((yield from _with_uploads(item, _inner(schema, None, definitions), definitions, files)))
        return items
    return value


def _is_local(value: Any) -> bool:
    """Whether a reference is to a file here: not one the gateway carries, nor the answer of an upload."""
    return isinstance(value, str) and not value.startswith("example:")


def _uploaded(value: str | Path | InputFile, files: FileSource) -> Flow[Any]:
    try:
        path = value.path if isinstance(value, InputFile) else files(str(value))
    except ValueError as error:
        raise BadInput([Problem(str(value), f"{str(error).rstrip('.')}.", str(value))]) from None
    name = value.name if isinstance(value, InputFile) else path.name
    return (yield Call("PUT", f"{PREFIX}/uploads/{quote(name, safe='')}", upload=path))


def _variants(schema: Any, definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A schema with its references and alternatives opened."""
    if not isinstance(schema, Mapping):
        return []
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _variants(definitions.get(reference.rpartition("/")[2]), definitions)
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    return [schema, *(found for part in inner for found in _variants(part, definitions))]


def _wants_file(schema: Any, definitions: Mapping[str, Any]) -> bool:
    return any(variant.get("format") == "file" for variant in _variants(schema, definitions))


def _inner(schema: Any, key: str | None, definitions: Mapping[str, Any]) -> Any:
    """The schema of a named value inside an object, or of the items of a list."""
    for variant in _variants(schema, definitions):
        found = variant.get("items") if key is None else variant.get("properties", {}).get(key)
        found = found if found is not None or key is None else variant.get("additionalProperties")
        if isinstance(found, Mapping):
            return found
    return None


def status(id: str) -> Flow[RemoteJob]:
    return RemoteJob.model_validate((yield Call("GET", job_path(id))))


def cancel(id: str) -> Flow[RemoteJob]:
    return RemoteJob.model_validate((yield Call("POST", job_path(id, "cancel"))))


def rerun(id: str) -> Flow[RemoteJob]:
    return RemoteJob.model_validate((yield Call("POST", job_path(id, "rerun"))))


def delete(id: str) -> Flow[None]:
    yield Call("DELETE", job_path(id))


def result(id: str) -> Flow[RemoteResult]:
    answer = yield Call("GET", job_path(id, "result"))
    if answer["status"] != "succeeded":
        raise JobFailed(answer.get("error") or "The job ended without a result.")
    return RemoteResult(id, answer["outputs"], results_of(answer))


def file(id: str, name: str, target: Path) -> Flow[Path]:
    yield Call("GET", job_path(id, "files", quote(name)), save=target)
    return target


def archive(id: str, target: Path) -> Flow[Path]:
    yield Call("GET", job_path(id, "archive"), save=target)
    return target


def jobs_page(
    after: str | None, state: str | None, service: str | None, limit: int
) -> Flow[tuple[list[RemoteJob], str | None]]:
    query: dict[str, str | int] = {"limit": limit}
    query |= {key: value for key, value in (("after", after), ("state", state), ("service", service)) if value}
    answer = yield Call("GET", f"{PREFIX}/jobs", query)
    return [RemoteJob.model_validate(item) for item in answer["jobs"]], answer["next"]


def workflow_path(id: str, *parts: str) -> str:
    """The path of a workflow, or of something of it."""
    return "/".join([f"{PREFIX}/workflows", quote(id, safe=""), *parts])


def submit_workflow(
    document: Mapping[str, Any], inputs: Mapping[str, Any], files: Mapping[str, Path], title: str
) -> Flow[RemoteWorkflow]:
    """Upload the files that come with a document, then start it."""
    uploads = {}
    for name, path in files.items():
        uploads[name] = yield from _uploaded(path, local_file)
    body = {"document": document, "inputs": inputs, "files": uploads} | ({"title": title} if title else {})
    return RemoteWorkflow.model_validate((yield Call("POST", f"{PREFIX}/workflows", body=body)))


def workflow(id: str) -> Flow[RemoteWorkflow]:
    return RemoteWorkflow.model_validate((yield Call("GET", workflow_path(id))))


def cancel_workflow(id: str) -> Flow[RemoteWorkflow]:
    return RemoteWorkflow.model_validate((yield Call("POST", workflow_path(id, "cancel"))))


def crate(id: str, target: Path) -> Flow[Path]:
    yield Call("GET", workflow_path(id, "crate"), save=target)
    return target


def refusal(status: int, content: bytes, url: str) -> Exception:
    """The error that an answer of status 400 or more stands for."""
    try:
        problem = json.loads(content)
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return GatewayError(f"The gateway at {url} answered with status {status}.", status)
    if status == 401:
        return GatewayError(f"{detail} (`colonnade login {url}` saves one.)", status)
    if problem.get("errors"):
        return BadInput(
            Problem(str(item["field"]).removeprefix("inputs."), str(item["message"]), str(item.get("value", "")))
            for item in problem["errors"]
        )
    if status == 404 and detail.startswith("There is no service"):
        return UnknownService(detail)
    return GatewayError(detail, status)


class EventReader:
    """Server-sent events out of lines, as the HTML standard reads them.

    Attributes:
        last: id of the last event, to go on from after a lost connection.
    """

    def __init__(self) -> None:
        self.last = ""
        self._data: list[str] = []

    def feed(self, line: str) -> dict[str, Any] | None:
        """Take one line; gives an event when the line ends one."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "id" and "\0" not in value:
                self.last = value
            return None
        text, self._data = "\n".join(self._data), []
        try:
            event = json.loads(text)
        except ValueError:
            return None
        return event if isinstance(event, dict) else None


Progress = Callable[[dict[str, Any]], object]

__all__ = ["Call", "EventReader", "Flow", "Progress", "local_file", "refusal"]
