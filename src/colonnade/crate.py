"""A run as a research object: the Process Run Crate profile of Workflow Run RO-Crate.

One `CreateAction`: the service as its instrument, the input files and parameters as its object, the result files as
its result. https://w3id.org/ro/wfrun/process/0.5
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from colonnade.formats import media_type_of
from colonnade.runner import Run

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
VERSION = "1.1"  # of RO-Crate itself: the one that the profile is defined on
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"


def describe(run: Run) -> dict[str, Any]:
    """The content of `ro-crate-metadata.json` for a run directory as it now is.

    Args:
        run: a run read back by `runner.load`.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    made = ROCrate(version=VERSION)
    started, ended = times(run)
    root = made.root_dataset
    root["name"] = f"{run.service}: a run made by Colonnade"
    root["description"] = f"Inputs, results and provenance of one run of the service {run.service} {run.version}."
    root["datePublished"] = ended
    root["license"] = made.add(
        ContextEntity(
            made,
            "#rights",
            properties={
                "@type": "CreativeWork",
                "name": "Rights not stated",
                "description": "Whoever made this run has not stated under what terms its files may be used.",
            },
        )
    )
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": PROFILE.rpartition("/")[2]}
    root["conformsTo"] = made.add(ContextEntity(made, PROFILE, properties=profile))
    made.metadata.extra_contexts.append(_TERMS)

    instrument = made.add(
        ContextEntity(
            made,
            f"#service-{run.service}",
            properties={
                "@type": "SoftwareApplication",
                "name": run.service,
                "softwareVersion": run.version,
                "softwareRequirements": [
                    made.add(
                        ContextEntity(
                            made,
                            f"#software-{name}",
                            properties={"@type": "SoftwareApplication", "name": name, "softwareVersion": version},
                        )
                    )
                    for name, version in run.software.items()
                ],
            },
        )
    )
    inputs, results = entities_of(made, run)
    properties = {
        "@type": "CreateAction",
        "name": f"Run of {run.service}",
        "description": f"The service {run.service} {run.version} was run with these inputs and gave these results.",
        "startTime": started,
        "endTime": ended,
        "actionStatus": _STATUS[run.status],
    }
    if run.error:
        properties["error"] = run.error
    action = made.add_action(
        instrument, identifier="#run", object=_single(inputs), result=_single(results), properties=properties
    )
    root["mentions"] = action
    generated: dict[str, Any] = made.metadata.generate()
    return generated


_STATUS = {
    "succeeded": "http://schema.org/CompletedActionStatus",
    "failed": "http://schema.org/FailedActionStatus",
    "pending": "http://schema.org/PotentialActionStatus",
}


def entities_of(made: Any, run: Run, prefix: str = "", mark: str = "") -> tuple[list[Any], list[Any]]:
    """The inputs and results of a run, as entities of a crate.

    Args:
        made: the crate.
        run: a run directory.
        prefix: where the run directory is in the crate, with a slash behind it.
        mark: what its parameters' names begin with, where the crate holds several runs.
    """
    from rocrate.model.contextentity import ContextEntity

    inputs = [_file(made, run, name, prefix=prefix) for name in _below(run.directory, "inputs")]
    inputs += [
        made.add(
            ContextEntity(
                made,
                f"#input-{mark}{name}",
                properties={"@type": "PropertyValue", "name": name, "value": value},
            )
        )
        for name, value in _parameters({**run.inputs, "seed": run.seed})
    ]
    titles = {getattr(value, "file", None): title for _, title, value in run.results}
    results = [
        _file(made, run, f"files/{name}", titles.get(name), prefix)
        for name in (inner.removeprefix("files/") for inner in _below(run.directory, "files"))
    ]
    for name in ("job.json", "result.json", "events.jsonl", "log.txt", "report.html"):
        if (run.directory / name).is_file():
            entity = _file(made, run, name, prefix=prefix)
            if name in ("result.json", "report.html"):
                results.append(entity)
    return inputs, results


def _single(entities: list[Any]) -> Any:
    """One entity stands alone in JSON-LD, not in a list."""
    return entities[0] if len(entities) == 1 else entities


def _file(made: Any, run: Run, name: str, title: str | None = None, prefix: str = "") -> Any:
    path = run.directory / name
    properties = {"name": title or path.name, "encodingFormat": media_type_of(name)}
    if name != "report.html":  # written after this description, whose size it would be
        properties["contentSize"] = str(path.stat().st_size)
    return made.add_file(path, dest_path=f"{prefix}{name}", properties=properties)


def _below(directory: Path, folder: str) -> Iterator[str]:
    """Every regular file below a folder of the run, as a path from the run directory."""
    for parent, folders, names in os.walk(directory / folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent) / name
            if path.is_file() and not path.is_symlink() and not name.startswith("."):
                yield path.relative_to(directory).as_posix()


def _parameters(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            if "sha256" not in value:
                yield from _parameters(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value if isinstance(value, str | int | float | bool) else str(value)


def times(run: Run) -> tuple[str, str]:
    """When the run started and ended, by its files: the result itself holds no time."""

    def moment(name: str) -> float:
        path = run.directory / name
        return path.stat().st_mtime if path.exists() else (run.directory / "job.json").stat().st_mtime

    started, ended = moment("job.json"), moment("result.json")
    return tuple(datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds") for time in (started, ended))  # type: ignore[return-value]
