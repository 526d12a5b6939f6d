"""`colonnade workflow`: run, check and draw workflows here, and send one to a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import App, Parameter
from rich.text import Text

from colonnade.cli.output import DONE, FAILED, STOPPED, answer, engines_to, out, say
from colonnade.errors import BadInput, ColonnadeError, Problem
from colonnade.job import Event
from colonnade.workflows import crate, document, examples, local, picture, plan
from colonnade.workflows.document import Workflow
from colonnade.workflows.state import StepState

app = App(
    name="workflow",
    help="Run several services as one: steps whose inputs name what earlier steps gave.",
    help_format="plaintext",
)

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Answer with one JSON document.")]
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
