"""Commands that work on this machine: `show`, `run`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from colonnade import report as reports
from colonnade.cli import options
from colonnade.cli.given import base
from colonnade.cli.output import DONE, FAILED, STOPPED, answer, engines_to, out, say
from colonnade.cli.progress import observer
from colonnade.errors import ColonnadeError
from colonnade.runner import Run, execute, load, prepare
from colonnade.service import Service, get

RUNS = "colonnade-runs"
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Answer with one JSON document.")]


def show(service: str, /, *, json: Json = False) -> int:
    """What a service does, takes and gives.

    Parameters
    ----------
    service
        Its name, e.g. structure.affinity.
    """
    found = get(service)
    if json:
        answer(
            {
                "name": found.name,
                "title": found.title,
                "summary": found.summary,
                "description": found.description,
                "paper": found.paper,
                "version": found.version,
                "examples": list(found.examples),
                "unavailable": found.unavailable(),
                "inputs": found.inputs.model_json_schema(),
                "outputs": found.outputs.model_json_schema(mode="serialization"),
            }
        )
        return DONE
    console = out()
    console.print(Text(f"{found.name}: {found.title}", style="bold"))
    console.print(Text(found.description))
    console.print(Text(f"Method: {found.paper}"))
    reason = found.unavailable()
    if reason:
        console.print(Text(f"Not available here: {reason}"))
    for heading, rows in (("Inputs", _input_rows(found)), ("Results", _output_rows(found))):
        grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, said in rows:
            grid.add_row(Text(name), Text(said))
        console.print(Text(f"\n{heading}", style="bold"))
        console.print(grid)
    if found.examples:
        console.print(Text("\nExamples", style="bold"))
        for title in found.examples:
            console.print(Text(f"  colonnade run {found.name} --example {title!r}"), soft_wrap=True)
    return DONE


def _input_rows(service: Service[Any, Any]) -> list[tuple[str, str]]:
    rows = []
    for option in options.options(service.inputs):
        rows.append((option.name, options.describe(option) + ("" if option.level == "basic" else f" [{option.level}]")))
    return rows


def _output_rows(service: Service[Any, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, info in service.outputs.model_fields.items():
        kind = options.bare(info.annotation)
        inner = getattr(kind, "__name__", str(kind)) if not getattr(kind, "__args__", None) else str(kind)
        said = inner.replace("colonnade.results.", "").replace("typing.", "")
        rows.append((name, f"{said}{f': {info.title}' if info.title else ''}"))
    return rows


def run_service(
    service: Service[Any, Any],
    typed: dict[str, Any],
    *,
    inputs: Path | None = None,
    example: str | None = None,
    seed: int | None = None,
    output: Path | None = None,
    json: bool = False,
) -> int:
    """Run a service in a folder and print its results.

    Args:
        service: which.
        typed: raw inputs from the options; they win over `inputs` and `example`.
        inputs: a file of inputs.
        example: title of an example.
        seed: the seed; that of `inputs` or 0 when left out.
        output: the run's folder.
        json: answer in JSON and show nothing else.
    """
    reason = service.unavailable()
    if reason:
        raise ColonnadeError(f"{service.name} is not available here: {reason}")
    start = base(service, example, inputs)
    values = service.parse(options.merge(start.values, typed), start.files)
    directory = output if output is not None else _fresh_folder(service.name)
    try:
        prepare(service, values, directory, seed if seed is not None else start.seed or 0)
    except OSError as error:
        raise ColonnadeError(f"The output folder {str(directory)!r} cannot be written ({error.strerror}).") from None
    try:
        with engines_to(directory / "log.txt") as screen, observer(screen, silent=json) as watch:
            execute(directory, observer=watch)
        run = reports.complete(directory)
    except KeyboardInterrupt:
        say(f"Stopped; what there is of the run is in {directory}.")
        return STOPPED
    return _ended(run, json=json)


def _fresh_folder(name: str) -> Path:
    """The next free folder `colonnade-runs/SERVICE-N`, made here so that two runs never share one."""
    number = 1
    while True:
        folder = Path(RUNS) / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise ColonnadeError(f"The output folder {str(folder)!r} cannot be made ({error.strerror}).") from None
        else:
            return folder


def report(directory: Path, /, *, refresh: bool = True, json: Json = False) -> int:
    """Make the report of a run directory again, and print its summary.

    Parameters
    ----------
    directory
        A folder that `colonnade run` or `colonnade fetch` has made.
    refresh
        Make the report anew even when it is there.
    """
    load(directory)
    try:
        run = reports.complete(directory, refresh=refresh)
    except OSError as error:
        raise ColonnadeError(f"The folder {str(directory)!r} cannot be written ({error.strerror}).") from None
    return _ended(run, json=json)


def _ended(run: Run, *, json: bool) -> int:
    """Print how a run ended."""
    if json:
        answer(document(run))
    elif run.status == "succeeded":
        console = out()
        console.print(reports.summary(run))
        console.print(Text(f"\nReport: {run.directory / reports.REPORT}"), soft_wrap=True)
    if run.status == "failed":
        say(run.error)
        if not json:
            say(f"The run and its log are in {run.directory}.")
    elif run.status == "pending":
        say(f"The run in {run.directory} has no result yet.")
    return DONE if run.status == "succeeded" else FAILED


def document(run: Run) -> dict[str, Any]:
    """A run as `--json` prints it."""
    return {
        "service": run.service,
        "version": run.version,
        "seed": run.seed,
        "status": run.status,
        "error": run.error or None,
        "directory": str(run.directory),
        "report": str(run.directory / reports.REPORT),
        "outputs": run.outputs,
    }
