"""`colonnade workflow`: run, check and draw workflows here, and send one to a gateway."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import App, Parameter
from rich.text import Text

from colonnade.cli.output import DONE, FAILED, STOPPED, answer, engines_to, err, out, say
from colonnade.client import Client, RemoteWorkflow
from colonnade.errors import BadInput, ColonnadeError, Problem
from colonnade.job import Event
from colonnade.workflows import crate, document, examples, local, picture, plan, references
from colonnade.workflows.document import Workflow
from colonnade.workflows.state import StepState

app = App(
    name="workflow",
    help="Run several services as one: steps whose inputs name what earlier steps gave.",
    help_format="plaintext",
)

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Answer with one JSON document.")]
Url = Annotated[str | None, Parameter(name="--url", help="The gateway (default: the one of the last login).")]
Set = Annotated[list[str] | None, Parameter(name="--set", help="NAME=VALUE (YAML) in place of an input's own value.")]


def _read(file: str) -> tuple[Workflow, Path]:
    """A workflow and the folder beside which its files are; an example when no file has that name."""
    path = Path(file)
    if not path.exists() and file in examples.titles():
        return examples.example(file), Path.cwd()
    return document.read(path), path.absolute().parent


def _given(texts: list[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts or ():
        name, mark, value = text.partition("=")
        try:
            found[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            mark = ""
        if not mark:
            raise BadInput([Problem("set", f"--set must be NAME=VALUE, its value in YAML, but is {text!r}.", text)])
    return found


@app.command
def run(file: str, /, *, output: Path | None = None, set: Set = None, json: Json = False) -> int:
    """Run a workflow in a folder; what was run there before is not run again.

    Parameters
    ----------
    file
        Its YAML file, or the name of a carried example.
    output
        The folder (default: ./colonnade-runs/workflow-NAME).
    """
    workflow, beside = _read(file)
    folder = output if output is not None else Path("colonnade-runs") / f"workflow-{Path(file).stem}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with engines_to(folder.parent / f".{folder.name}.log") as screen:

            def watch(step: StepState, row: int, event: Event) -> None:
                if not json and event["kind"] == "step":
                    screen.print(Text(f"{step.name}: {step.says}"), soft_wrap=True)
                elif not json and event["kind"] == "log":
                    screen.print(Text(f"  {event['message']}"), soft_wrap=True)

            made = local.run(workflow, folder, inputs=_given(set), beside=beside, watch=watch)
    except KeyboardInterrupt:
        say(f"Stopped; what has succeeded is in {folder}, and is not run again.")
        return STOPPED
    steps = [step.model_dump(mode="json") for step in made.steps]
    if json:
        answer({"state": made.state, "directory": str(folder), "steps": steps, "outputs": made.outputs})
    else:
        for name, value in made.outputs.items():
            _show(name, value)
        for step in made.steps:
            if step.error:
                say(f"{step.name}: {step.error}")
        if made.error:
            say(made.error)
        out().print(Text(f"\nRuns, picture and RO-Crate: {folder}"), soft_wrap=True)
    return DONE if made.state == "succeeded" else FAILED


@app.command
def submit(
    file: str, /, *, set: Set = None, title: str = "", wait: bool = False, json: Json = False, url: Url = None
) -> int:
    """Run a workflow on a gateway; the files beside it that it names are uploaded.

    Parameters
    ----------
    file
        Its YAML file, or the name of a carried example.
    title
        A name for this run of it.
    wait
        Stay until it has ended.
    """
    workflow, beside = _read(file)
    inputs = _given(set)
    values = workflow.given(inputs).model_dump(mode="json", exclude_defaults=True)
    names = sorted(references.files_named(values))
    missing = [name for name in names if not (beside / name).is_file()]
    if missing:
        sentence = f"There is no file {missing[0][:120]!r} beside the workflow."
        raise BadInput([Problem("document", sentence, missing[0])])
    with Client(url) as client:
        sent = client.submit_workflow(values, files={name: beside / name for name in names}, title=title)
        if wait:
            sent = _watch(client, sent.id, silent=json)
    return _tell(sent, json)


@app.command
def status(workflow: str, /, *, watch: bool = False, json: Json = False, url: Url = None) -> int:
    """How a workflow on a gateway is.

    Parameters
    ----------
    workflow
        The id that `colonnade workflow submit` printed.
    watch
        Stay until it has ended.
    """
    with Client(url) as client:
        found = _watch(client, workflow, silent=json) if watch else client.workflow(workflow)
    return _tell(found, json)


@app.command
def cancel(workflow: str, /, *, json: Json = False, url: Url = None) -> int:
    """End a workflow on a gateway, with its jobs.

    Parameters
    ----------
    workflow
        The id that `colonnade workflow submit` printed.
    """
    with Client(url) as client:
        _tell(client.cancel_workflow(workflow), json)
    return DONE


@app.command
def fetch(workflow: str, directory: Path, /, *, url: Url = None) -> int:
    """Bring a workflow that has ended here, with its runs, into a folder in which it can be run again.

    Parameters
    ----------
    workflow
        The id that `colonnade workflow submit` printed.
    directory
        Folder, empty or absent.
    """
    with tempfile.TemporaryDirectory(prefix="colonnade-") as folder, Client(url) as client:
        return import_crate(client.fetch_workflow(workflow, Path(folder) / "crate.zip"), directory)


def _watch(client: Client, id: str, *, silent: bool) -> RemoteWorkflow:
    """Stay with a workflow, telling each change of a step; leaving it does not end it."""
    told: dict[str, str] = {}

    def tell(event: dict[str, Any]) -> None:
        for step in event.get("steps", ()):
            if not silent and told.get(step["name"]) != step["says"]:
                told[step["name"]] = step["says"]
                err().print(Text(f"{step['name']}: {step['says']}"), soft_wrap=True)

    try:
        return client.wait_workflow(id, tell)
    except KeyboardInterrupt:
        say(f"Not watching any more; it goes on (`colonnade workflow cancel {id}` ends it).")
        raise SystemExit(STOPPED) from None


def _tell(found: RemoteWorkflow, json: bool) -> int:
    if json:
        answer(found.model_dump(mode="json"))
    else:
        out().print(Text(f"{found.id}  {found.title}  {found.state}"), soft_wrap=True)
        for step in found.steps:
            out().print(Text(f"  {step.name}: {step.error or step.says}"), soft_wrap=True)
        for name, value in found.outputs.items():
            _show(name, value)
        if found.error:
            say(found.error)
    return FAILED if found.state in ("failed", "cancelled") else DONE


def _show(name: str, value: Any) -> None:
    console = out()
    if isinstance(value, dict) and all(isinstance(cells, list) for cells in value.values()):
        from rich.table import Table

        grid = Table(title=name, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in value:
            grid.add_column(column)
        for row in zip(*value.values(), strict=True):
            grid.add_row(*(Text(_cell(cell)) for cell in row))
        console.print(grid)
    else:
        console.print(Text(f"{name}: {_cell(value)}"), soft_wrap=True)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return Path(value).name if isinstance(value, str) and value.startswith("/") else str(value)


@app.command
def check(file: str, /, *, set: Set = None) -> int:
    """Say what is wrong with a workflow, without running it.

    Parameters
    ----------
    file
        Its YAML file, or the name of a carried example.
    """
    workflow, beside = _read(file)
    local.check(workflow.given(_given(set)), beside)
    out().print(Text(f"{workflow.name}: {' → '.join(plan.order(workflow))}. Everything known beforehand is in order."))
    return DONE


@app.command
def draw(file: str, target: Path, /) -> int:
    """Draw a workflow as SVG.

    Parameters
    ----------
    file
        Its YAML file, or the name of a carried example.
    target
        The SVG file.
    """
    workflow, _ = _read(file)
    target.write_text(picture.draw(picture.states_of(workflow), workflow.name), encoding="utf-8")
    out().print(Text(str(target)), soft_wrap=True)
    return DONE


@app.command(name="examples")
def list_examples() -> int:
    """List the carried workflows."""
    for name, title in examples.titles().items():
        out().print(Text(f"{name}: {title}"), soft_wrap=True)
    return DONE


@app.command(name="import")
def import_crate(archive: Path, directory: Path, /) -> int:
    """Unpack a workflow's RO-Crate into a folder, in which it can be run again; its runs are used.

    Parameters
    ----------
    archive
        The zip that a gateway gave, or a packed folder of `colonnade workflow run`.
    directory
        Folder, empty or absent.
    """
    if not archive.is_file():
        raise ColonnadeError(f"There is no file {str(archive)!r}.")
    workflow = crate.unpack(archive, directory)
    command = f"colonnade workflow run {directory / local.DOCUMENT} --output {directory}"
    out().print(Text(f"{workflow.name} is in {directory}; `{command}` runs it again."), soft_wrap=True)
    return DONE
