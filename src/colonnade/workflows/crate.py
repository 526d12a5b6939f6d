"""A workflow's folder as a research object: the Provenance Run Crate profile of Workflow Run RO-Crate, and back.

The document is the main entity, a `ComputationalWorkflow` whose steps name the services as their tools. One action for
the workflow, one for each run of a service with its inputs and results, and one by which a step controls each of
these. https://w3id.org/ro/wfrun/provenance/0.5
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from colonnade import archives, runner
from colonnade.crate import entities_of, times
from colonnade.errors import ColonnadeError
from colonnade.formats import media_type_of
from colonnade.job import replace_file
from colonnade.workflows import document, plan
from colonnade.workflows.document import Workflow
from colonnade.workflows.local import DOCUMENT, OUTPUTS, PICTURE, STATE

CRATE = "ro-crate-metadata.json"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
LANGUAGE = "#colonnade-workflow"
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
_STATUS = {
    "succeeded": "http://schema.org/CompletedActionStatus",
    "failed": "http://schema.org/FailedActionStatus",
    "cancelled": "http://schema.org/FailedActionStatus",
    "running": "http://schema.org/ActiveActionStatus",
}


class BadCrate(ColonnadeError):
    """A crate that holds no workflow of ours."""


def write(directory: Path) -> Path | None:
    """Write `ro-crate-metadata.json` for the folder of a workflow; None when rocrate is not installed.

    Args:
        directory: as `workflows.run` leaves it.
    """
    try:
        described = describe(directory)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("colonnade"):
            raise
        return None
    path = directory / CRATE
    replace_file(path, json.dumps(described, indent=1, ensure_ascii=False).encode())
    return path


def describe(directory: Path) -> dict[str, Any]:
    """The content of `ro-crate-metadata.json` for the folder of a workflow."""
    from rocrate.rocrate import ROCrate

    workflow = document.read(directory / DOCUMENT)
    state = json.loads((directory / STATE).read_bytes())
    made = ROCrate(version="1.1")
    made.metadata.extra_contexts.append(_TERMS)
    root = made.root_dataset
    root["name"], root["description"] = workflow.name, workflow.description or f"A run of {workflow.name!r}."
    root["datePublished"] = _moment(directory / STATE)
    root["license"] = _entity(made, "#rights", "CreativeWork", name="Rights not stated")
    root["conformsTo"] = [
        _entity(made, id, "CreativeWork", name=name, version=id.rpartition("/")[2]) for id, name in PROFILES.items()
    ]
    main = _main(made, directory, workflow)
    made.mainEntity = main
    runs = {item["run"] for step in state["steps"] for item in step["items"] if item["run"]}
    actions = {name: _run(made, directory, name) for name in sorted(runs) if (directory / name / "job.json").is_file()}
    action = _action(made, directory, workflow, state, main)
    engine = _entity(made, "#engine", "SoftwareApplication", name="Colonnade", softwareVersion=_version())
    controls = list(_controls(made, state, actions))
    organize = _entity(
        made, "#organize", "OrganizeAction", name="Leading the workflow on", instrument=engine, result=action
    )
    if controls:
        organize["object"] = controls
    root["mentions"] = [action, organize, *actions.values(), *controls]
    generated: dict[str, Any] = made.metadata.generate()
    return generated


def _version() -> str:
    import colonnade

    return colonnade.__version__


def _entity(made: Any, id: str, kind: str | list[str], /, **properties: Any) -> Any:
    from rocrate.model.contextentity import ContextEntity

    return made.add(ContextEntity(made, id, properties={"@type": kind, **properties}))


def _file(made: Any, directory: Path, name: str, /, **properties: Any) -> Any:
    path = directory / name
    given = {"name": path.name, "encodingFormat": media_type_of(name), "contentSize": str(path.stat().st_size)}
    return made.add_file(path, dest_path=name, properties=given | properties)


def _moment(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")


def _main(made: Any, directory: Path, workflow: Workflow) -> Any:
    language = _entity(made, LANGUAGE, "ComputerLanguage", name="Colonnade workflow", alternateName="YAML")
    parameters = [
        _entity(made, f"#parameter-{name}", "FormalParameter", name=name, additionalType="Text", valueRequired=False)
        for name in workflow.inputs
    ]
    results = [
        _entity(made, f"#output-{name}", "FormalParameter", name=name, additionalType="Text")
        for name in workflow.outputs
    ]
    tools = {step.service for step in workflow.steps.values()}
    parts = {name: _entity(made, f"#service-{name}", "SoftwareApplication", name=name) for name in sorted(tools)}
    steps = [
        _entity(
            made, f"#step-{name}", "HowToStep", name=name, position=str(number),
            workExample=parts[workflow.steps[name].service],
        )
        for number, name in enumerate(plan.order(workflow), 1)
    ]  # fmt: skip
    kind = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
    main = _file(made, directory, DOCUMENT, **{"@type": kind, "name": workflow.name, "programmingLanguage": language})
    main["hasPart"], main["step"] = list(parts.values()), steps
    main["input"], main["output"] = parameters, results
    if (directory / PICTURE).is_file():
        main["image"] = _file(made, directory, PICTURE, name="The workflow and how it ended")
    return main


def _action(made: Any, directory: Path, workflow: Workflow, state: dict[str, Any], main: Any) -> Any:
    given = [
        _entity(
            made, f"#input-{name}", "PropertyValue", name=name, value=_text(value),
            exampleOfWork={"@id": f"#parameter-{name}"},
        )
        for name, value in workflow.inputs.items()
    ]  # fmt: skip
    given += [_file(made, directory, name) for name in _below(directory, "files")]
    ended = [_file(made, directory, name) for name in (STATE, OUTPUTS) if (directory / name).is_file()]
    properties = {
        "name": f"Run of {workflow.name}",
        "startTime": _moment(directory / DOCUMENT),
        "endTime": _moment(directory / STATE),
        "actionStatus": _STATUS[state["state"]],
        "instrument": main,
        "result": ended,
    }
    if given:
        properties["object"] = given
    if state["error"]:
        properties["error"] = state["error"]
    return _entity(made, "#workflow-run", "CreateAction", **properties)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _run(made: Any, directory: Path, name: str) -> Any:
    """The action of one run of a service, as its own crate describes it."""
    run = runner.load(directory / name)
    inputs, results = entities_of(made, run, f"{name}/", f"{name.rpartition('/')[2]}-")
    started, ended = times(run)
    properties: dict[str, Any] = {
        "name": f"Run of {run.service}",
        "startTime": started,
        "endTime": ended,
        "actionStatus": _STATUS.get(run.status, _STATUS["failed"]),
        "instrument": {"@id": f"#service-{run.service}"},
        "object": inputs,
        "result": results,
    }
    if run.error:
        properties["error"] = run.error
    return _entity(made, f"#{name}", "CreateAction", **properties)


def _controls(made: Any, state: dict[str, Any], actions: dict[str, Any]) -> Iterator[Any]:
    for step in state["steps"]:
        done = [actions[item["run"]] for item in step["items"] if item["run"] in actions]
        if done:
            yield _entity(
                made, f"#control-{step['name']}", "ControlAction", name=f"Step {step['name']}",
                instrument={"@id": f"#step-{step['name']}"}, object=done,
            )  # fmt: skip


def _below(directory: Path, folder: str) -> Iterator[str]:
    for path in sorted((directory / folder).rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(directory).as_posix()


# --- back ----------------------------------------------------------------------------------------


def unpack(archive: Path, directory: Path, *, max_bytes: int = archives.MAX_BYTES) -> Workflow:
    """Bring a workflow's crate (a zip or tar of its folder) into a folder, where it can be run again.

    Its runs come along, and are not computed again.

    Args:
        archive: the crate.
        directory: empty or absent.
        max_bytes: most that may be written.

    Raises:
        BadCrate: it holds no workflow of ours.
        BadArchive: it is no archive, or a dangerous one.
        ColonnadeError: the folder holds something.
    """
    if directory.exists() and any(directory.iterdir()):
        raise ColonnadeError(f"The folder {str(directory)!r} is not empty; name another one.")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".crate-") as name:
        place = Path(name) / "crate"
        archives.unpack(archive, place, max_bytes=max_bytes)
        workflow = open_crate(place)
        if directory.exists():
            directory.rmdir()
        shutil.move(place, directory)
    return workflow


def open_crate(folder: Path) -> Workflow:
    """The workflow of an unpacked crate.

    Raises:
        BadCrate: there is none, or it is in another language.
    """
    try:
        graph = json.loads((folder / CRATE).read_bytes())["@graph"]
        known = {entity["@id"]: entity for entity in graph}
        main = known[known["./"]["mainEntity"]["@id"]]
        language = main["programmingLanguage"]["@id"]
    except (OSError, ValueError, KeyError, TypeError):
        sentence = "The archive is no workflow crate: it has no ro-crate-metadata.json with a main workflow."
        raise BadCrate(sentence) from None
    if language != LANGUAGE or main["@id"] != DOCUMENT:
        raise BadCrate("The crate's workflow is written in another language; only workflows of Colonnade are taken.")
    return document.read(folder / DOCUMENT)
