"""Where a run's inputs come from, under its options: an example, a YAML or JSON file, an earlier run's `job.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from colonnade.errors import ColonnadeError
from colonnade.inputs import FileSource, local_file
from colonnade.runner import run_files
from colonnade.service import Service


@dataclass(frozen=True)
class Given:
    """Raw inputs, and where the files that they name are.

    Attributes:
        values: raw inputs by field.
        files: finds a file by its reference.
        seed: the seed that came with them, if one did.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    files: FileSource = local_file
    seed: int | None = None


def base(service: Service[Any, Any], example: str | None, inputs: Path | None) -> Given:
    """What options are laid over: nothing, an example, or a file.

    Raises:
        ColonnadeError: there is no such example or file, or the file does not hold named values.
    """
    if example is not None and inputs is not None:
        raise ColonnadeError("--example and --inputs exclude each other; give one of them.")
    if example is not None:
        return Given(service.example(example or None))
    return Given() if inputs is None else from_file(service, inputs)


def from_file(service: Service[Any, Any], path: Path) -> Given:
    """Inputs from a YAML or JSON file; file names in it are looked for beside it first.

    The `job.json` of a run directory is such a file too: it brings its seed and its input files.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise ColonnadeError(f"--inputs: the file {str(path)!r} {reason}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ColonnadeError(f"--inputs: the file {str(path)!r} is not YAML or JSON{where}.") from None
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        raise ColonnadeError(f"--inputs: the file {str(path)!r} must hold named values, one for each field.")
    if {"service", "inputs", "seed", "software"} <= set(loaded):
        if loaded["service"] != service.name:
            raise ColonnadeError(f"--inputs: {str(path)!r} is a run of {loaded['service']}, not of {service.name}.")
        return Given(loaded["inputs"], _either(run_files(path.absolute().parent)), loaded["seed"])
    return Given(loaded, _beside(path.absolute().parent))


def _beside(folder: Path) -> FileSource:
    def find(reference: str | Mapping[str, Any]) -> Path:
        if isinstance(reference, str) and reference and (folder / reference).is_file():
            return folder / reference
        return local_file(reference)

    return find


def _either(run: FileSource) -> FileSource:
    """Files of the run by their checksum; what an option names, from the disk."""

    def find(reference: str | Mapping[str, Any]) -> Path:
        return local_file(reference) if isinstance(reference, str) else run(reference)

    return find
