"""The one way to run a job: prepare a directory, execute what it describes, load what came out.

A run directory is complete and portable:

    job.json       service, version, inputs, seed, software versions: all that decides the result
    inputs/        the input files
    events.jsonl   progress, logs, previews, as they happened
    result.json    the outputs, or the sentence that says why there are none; the same for the same job.json
    files/         result files
    log.txt        what the engines printed
"""

from __future__ import annotations

import errno
import hashlib
import json
import platform
import shutil
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

import colonnade
from colonnade.errors import BadInput, ColonnadeError, JobFailed
from colonnade.inputs import FileSource, InputFile, local_file
from colonnade.job import Event, Job, replace_file
from colonnade.results import AnyResult, walk
from colonnade.service import Service, get

Status = Literal["pending", "succeeded", "failed"]
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Run:
    """A run directory read back; needs neither the service nor its engine to be installed."""

    directory: Path
    service: str
    version: str
    inputs: dict[str, Any]
    seed: int
    software: dict[str, str]
    status: Status
    error: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    results: list[tuple[str, str, Any]] = field(default_factory=list)

    @property
    def files(self) -> Path:
        return self.directory / "files"


def run(
    service: str | Service[Any, Any],
    inputs: Mapping[str, Any] | BaseModel,
    directory: Path,
    *,
    seed: int = 0,
    observer: Callable[[Event], None] | None = None,
) -> Run:
    """Run one service call in `directory`, which must be empty or absent.

    Raises:
        BadInput: an input is refused; nothing was run.
        JobFailed: the run ended without a result; its directory tells more.
    """
    found = get(service) if isinstance(service, str) else service
    prepare(found, found.parse(inputs), directory, seed)
    execute(directory, observer=observer)
    finished = load(directory)
    if finished.status != "succeeded":
        raise JobFailed(finished.error)
    return finished


def prepare(
    service: Service[Any, Any],
    inputs: BaseModel,
    directory: Path,
    seed: int = 0,
    *,
    place: Callable[[Path, Path], object] = shutil.copyfile,
) -> None:
    """Write `job.json` and the input files of a run, each put there by `place(source, target)`.

    Raises:
        BadInput: the directory holds something already, or the seed is out of range.
    """
    check_seed(seed)
    if directory.exists() and any(directory.iterdir()):
        raise ColonnadeError(f"The output folder {str(directory)!r} is not empty; name another one.")
    (directory / "inputs").mkdir(parents=True, exist_ok=True)
    for file in input_files(inputs):
        target = directory / _place(file.sha256, file.name)
        if not target.exists():
            place(file.path, target)
    description = describe(service, inputs, seed)
    replace_file(directory / "job.json", json.dumps(description, indent=1, ensure_ascii=False).encode())


def check_seed(seed: int) -> None:
    """Raises BadInput unless the seed is within the range every generator takes."""
    if not 0 <= seed <= MAX_SEED:
        from colonnade.errors import Problem

        raise BadInput([Problem("seed", f"seed must be from 0 to {MAX_SEED}, but is {seed}.", str(seed))])


def describe(service: Service[Any, Any], inputs: BaseModel, seed: int) -> dict[str, Any]:
    """What decides the result of a run, as `job.json` holds it."""
    return {
        "service": service.name,
        "version": service.version,
        "inputs": inputs.model_dump(mode="json"),
        "seed": seed,
        "software": _software(service),
    }


def fingerprint(service: Service[Any, Any], inputs: BaseModel, seed: int) -> str:
    """The same for two requests that must give the same result: service, version, inputs, seed."""
    parts = [service.name, service.version, inputs.model_dump(mode="json"), seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def input_files(value: Any) -> list[InputFile]:
    """Every input file of (nested) inputs."""
    if isinstance(value, InputFile):
        return [value]
    if isinstance(value, BaseModel):
        value = [getattr(value, name) for name in type(value).model_fields]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return [file for item in value for file in input_files(item)]
    return []


def run_files(directory: Path) -> FileSource:
    """The file source of a run directory."""

    def find(reference: str | Mapping[str, Any]) -> Path:
        if isinstance(reference, str) or "sha256" not in reference:
            raise ValueError("a run directory names files by their checksum")
        path = directory / _place(str(reference["sha256"]), str(reference["name"]))
        if not path.is_file():
            raise ValueError(f"the run directory lacks the input file {reference['name']!r}")
        return path

    return find


def _place(sha256: str, name: str) -> str:
    return f"inputs/{sha256[:8]}-{name}"


@cache
def _versions(distributions: tuple[str, ...]) -> dict[str, str]:
    found = {"python": platform.python_version(), "colonnade": colonnade.__version__}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _software(service: Service[Any, Any]) -> dict[str, str]:
    return _versions(("numpy", *service.software))


def execute(directory: Path, *, observer: Callable[[Event], None] | None = None) -> Status:
    """Run what `directory` describes and write `result.json`; a service's failure is a result too, never raised.

    A second attempt in the same directory starts afresh, or from the checkpoint that an earlier one left.
    """
    (directory / "result.json").unlink(missing_ok=True)
    if not (directory / "checkpoint.npz").exists():
        shutil.rmtree(directory / "files", ignore_errors=True)
    description = json.loads((directory / "job.json").read_bytes())
    result: dict[str, Any]
    try:
        service = get(description["service"])
        job = Job(directory, description["seed"], service.resources.cores, observer)
        try:
            inputs = service.parse(description["inputs"], run_files(directory))
            outputs = service.function(inputs, job)
            result = _success(service, outputs, job.files)
        finally:
            job.close()
    except Exception as error:
        traceback.print_exc()
        result = {"status": "failed", "error": sentence(error)}
    replace_file(directory / "result.json", json.dumps(result, indent=1, ensure_ascii=False).encode())
    (directory / "checkpoint.npz").unlink(missing_ok=True)
    status: Status = result["status"]
    return status


def _success(service: Service[Any, Any], outputs: Any, files: Path) -> dict[str, Any]:
    if not isinstance(outputs, service.outputs):
        raise TypeError(f"{service.name} returned {type(outputs).__name__}, not {service.outputs.__name__}")
    for _, title, value in walk(outputs):
        named = getattr(value, "file", None)
        if named is not None and not (files / named).is_file():
            raise FileNotFoundError(f"result {title!r} names the file {named!r}, which the service did not write")
    titles = {path: title for path, title, _ in walk(outputs)}
    return {"status": "succeeded", "outputs": outputs.model_dump(mode="json"), "titles": titles}


def sentence(error: BaseException) -> str:
    """Why a run failed, in one sentence for the person who started it."""
    if isinstance(error, ColonnadeError | ValueError) and not isinstance(error, ValidationError) and str(error):
        return str(error)
    if isinstance(error, MemoryError):
        return "The job needed more memory than it may use."
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return "The job wrote a file larger than it may."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "There is no space left on the disk."
    return f"The service stopped with an internal error ({type(error).__name__}: {error}); its log tells more."


def load(directory: Path) -> Run:
    """Read a run directory.

    Raises:
        ColonnadeError: it is not one.
    """
    try:
        description = json.loads((directory / "job.json").read_bytes())
    except (OSError, ValueError):
        raise ColonnadeError(f"{str(directory)!r} is not a run directory (it has no readable job.json).") from None
    path = directory / "result.json"
    result: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {"status": "pending"}
    return Run(
        directory=directory,
        service=description["service"],
        version=description["version"],
        inputs=description["inputs"],
        seed=description["seed"],
        software=description["software"],
        status=result["status"],
        error=result.get("error", ""),
        outputs=result.get("outputs", {}),
        results=results_of(result),
    )


def results_of(result: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """(path, title, typed value) of everything in the content of a `result.json`."""
    outputs = result.get("outputs", {})
    return [(name, title, _at(outputs, name)) for name, title in result.get("titles", {}).items()]


_RESULT: TypeAdapter[Any] = TypeAdapter(AnyResult)


def _at(outputs: Any, path: str) -> Any:
    """The value at a dotted path; a key may itself hold dots, so the longest one that fits is taken."""
    if not path:
        return _RESULT.validate_python(outputs) if isinstance(outputs, dict) and "kind" in outputs else outputs
    if isinstance(outputs, list):
        head, _, rest = path.partition(".")
        return _at(outputs[int(head)], rest)
    for key in sorted(outputs, key=len, reverse=True):
        if path == key or path.startswith(f"{key}."):
            return _at(outputs[key], path[len(key) + 1 :])
    raise KeyError(path)


__all__ = ["Run", "Status", "describe", "execute", "fingerprint", "load", "local_file", "prepare", "run"]
