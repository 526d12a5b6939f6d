"""A workflow in a folder, run here, step by step.

    workflow.yaml    the document, with the values of its inputs
    files/           the files that came with it
    runs/            a run directory for each different call of a service (see `runner`), named by its fingerprint
    state.json       which run belongs to which row of which step, and how each ended
    workflow.svg     the picture
    outputs.json     the workflow's outputs
    ro-crate-metadata.json   its provenance, when rocrate is installed

Run again in the same folder, whatever is there already is not computed again: a call is known by service, version,
inputs (files by content) and seed. So a changed step runs again, with those that need it, and nothing else does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colonnade import runner
from colonnade.errors import BadInput, ColonnadeError
from colonnade.inputs import local_file, safe_name
from colonnade.job import Event, replace_file
from colonnade.service import get
from colonnade.workflows import picture, plan, references
from colonnade.workflows.document import Step, Workflow, dump
from colonnade.workflows.references import BadReference, Ended, Given, LeftOut, Scope
from colonnade.workflows.state import StepState, WorkflowWord, overall

DOCUMENT, STATE, PICTURE, OUTPUTS = "workflow.yaml", "state.json", "workflow.svg", "outputs.json"
Watch = Callable[[StepState, int, Event], None]


def check(workflow: Workflow, beside: Path) -> None:
    """Refuse a workflow that cannot be run; see `plan.check`.

    Args:
        workflow: the document.
        beside: where `file:NAME` is looked for, or in `files` there.
    """

    def file(name: str) -> str:
        for path in (beside / name, beside / "files" / safe_name(name)):  # the second in a folder that was run
            if path.is_file():
                return str(path)
        raise BadReference(f"There is no file {name[:120]!r} beside the workflow.")

    plan.check(workflow, Scope(workflow.inputs, {}, file, lambda path: Path(path).read_bytes()))


@dataclass
class ItemState:
    """One run of a step: where it is (below the folder), and how it ended."""

    row: Any = None
    run: str = ""
    state: str = "waiting"
    reused: bool = False
    error: str = ""


@dataclass
class WorkflowRun:
    """A workflow that was run in a folder.

    Attributes:
        directory: the folder.
        state: how it ended.
        steps: how each step ended.
        outputs: values by name; a table as lists of cells by column; a file as its path.
        items: the runs of each step.
    """

    directory: Path
    workflow: Workflow
    state: WorkflowWord = "running"
    steps: list[StepState] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    items: dict[str, list[ItemState]] = field(default_factory=dict)
    error: str = ""


def run(
    workflow: Workflow,
    directory: Path,
    *,
    inputs: Mapping[str, Any] | None = None,
    beside: Path | None = None,
    watch: Watch | None = None,
) -> WorkflowRun:
    """Run a workflow in a folder, re-using what was run there before.

    Args:
        workflow: the document.
        directory: the folder; made when absent, and continued when it holds an earlier run.
        inputs: values in place of the workflow's own.
        beside: where `file:NAME` is looked for; the current folder when left out.
        watch: called with step, row and event of a running service, and with an event "step" at each change.

    Raises:
        BadInput: it cannot be run; nothing was.
        ColonnadeError: the folder holds something else.
    """
    given = workflow.given(inputs or {})
    return _Local(given, directory, beside or Path.cwd(), watch or (lambda *_: None)).run()


class _Local:
    def __init__(self, workflow: Workflow, directory: Path, beside: Path, watch: Watch) -> None:
        self.made = WorkflowRun(directory, workflow, steps=picture.states_of(workflow))
        self.workflow, self.directory, self.beside, self.watch = workflow, directory, beside, watch
        self.ended: dict[str, Ended] = {}

    @property
    def scope(self) -> Scope:
        return Scope(self.workflow.inputs, self.ended, self._file, lambda path: Path(path).read_bytes())

    def _file(self, name: str) -> str:
        """A file that came with the document: copied into the folder, so that it can be moved as a whole."""
        path = self.directory / "files" / safe_name(name)
        source = self.beside / name
        if name != safe_name(name) or not (source.is_file() or path.is_file()):
            raise BadReference(f"There is no file {name[:120]!r} beside the workflow.")
        if source.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or not path.samefile(source):
                shutil.copyfile(source, path)
        return str(path)

    def run(self) -> WorkflowRun:
        here = self.directory
        if here.exists() and any(here.iterdir()) and not (here / DOCUMENT).is_file():
            raise ColonnadeError(f"The folder {str(here)!r} is not empty and holds no workflow; name another one.")
        plan.check(self.workflow, self.scope)
        here.mkdir(parents=True, exist_ok=True)
        replace_file(here / DOCUMENT, dump(self.workflow).encode())
        for state in self.made.steps:
            self._step(state)
        self.made.state = overall(self.made.steps) or "failed"
        if self.made.state == "succeeded":
            try:
                self.made.outputs = plan.results_of(self.workflow, self.scope)
            except BadReference as error:
                self.made.state, self.made.error = "failed", str(error)
        replace_file(here / OUTPUTS, json.dumps(self._relative(self.made.outputs), indent=1).encode())
        self._keep()
        from colonnade.workflows import crate

        crate.write(here)
        return self.made

    def _relative(self, value: Any) -> Any:
        """Paths below the folder, so that the folder can be moved."""
        if isinstance(value, dict):
            return {name: self._relative(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._relative(item) for item in value]
        prefix = f"{self.directory}/"
        return value.removeprefix(prefix) if isinstance(value, str) else value

    def _keep(self) -> None:
        steps = [
            state.model_dump() | {"items": [self._relative(vars(item)) for item in self.made.items.get(state.name, [])]}
            for state in self.made.steps
        ]
        document = {"state": self.made.state, "error": self.made.error, "steps": steps}
        replace_file(self.directory / STATE, json.dumps(document, indent=1, ensure_ascii=False).encode())
        replace_file(self.directory / PICTURE, picture.draw(self.made.steps, self.workflow.name).encode())

    def _step(self, state: StepState) -> None:
        step = self.workflow.steps[state.name]
        if any(before.state != "succeeded" for before in self.made.steps if before.name in state.needs):
            state.state = "skipped"
            return
        try:
            found = references.rows(step.for_each, self.scope) if step.mapped else [None]
        except BadReference as error:
            state.state, state.error = "failed", str(error)
            self._keep()
            return
        items = self.made.items[state.name] = [ItemState(row) for row in found]
        state.state, state.total = "running", len(items)
        self._changed(state)
        given: list[Given | None] = []
        for index, item in enumerate(items):
            given.append(self._item(state, step, index, item))
            state.done = sum(one.state == "succeeded" for one in items)
            state.failed = sum(one.state == "failed" for one in items)
            state.reused = sum(one.reused for one in items)
            state.error = next((one.error for one in items if one.error), "")
            self._changed(state)
            if item.state == "failed" and step.on_failure == "stop":
                break
        all_failed = bool(items) and state.done == 0
        stopped = step.on_failure == "stop" and state.failed
        state.state = "failed" if stopped or all_failed else "succeeded"
        self.ended[state.name] = Ended(step.rows_key if step.mapped else None, given)
        self._changed(state)

    def _changed(self, state: StepState) -> None:
        self._keep()
        self.watch(state, -1, {"kind": "step"})

    def _item(self, state: StepState, step: Step, index: int, item: ItemState) -> Given | None:
        service = get(step.service)
        scope = plan.at(self.scope, step, index, item.row) if step.mapped else self.scope
        try:
            parsed = service.parse(plan.values_of(step, service, scope), local_file)
        except LeftOut:
            item.state = "skipped"
            return None
        except (BadInput, BadReference) as error:
            item.state, item.error = "failed", str(error)
            return None
        key = runner.fingerprint(service, parsed, step.seed)[:16]
        folder = self.directory / "runs" / f"{service.name}-{key}"
        item.run = folder.relative_to(self.directory).as_posix()
        item.reused = _done(folder)
        if not item.reused:
            if _status(folder) in (None, "failed"):
                shutil.rmtree(folder, ignore_errors=True)
                runner.prepare(service, parsed, folder, step.seed)
            runner.execute(folder, observer=lambda event: self.watch(state, index, event))
        found = runner.load(folder)
        item.state = "succeeded" if found.status == "succeeded" else "failed"
        item.error = found.error
        return Given(found.outputs, item.row, _file_of(found)) if item.state == "succeeded" else None


def _status(folder: Path) -> str | None:
    """How a run directory ended; None when it is none."""
    try:
        return runner.load(folder).status
    except ColonnadeError:
        return None


def _done(folder: Path) -> bool:
    return _status(folder) == "succeeded"


def _file_of(found: runner.Run) -> Callable[[str], str]:
    def path_of(name: str) -> str:
        path = (found.files / name).resolve()
        if not path.is_relative_to(found.files.resolve()) or not path.is_file():
            raise BadReference(f"{found.service} wrote no file {name[:120]!r}.")
        return str(path)

    return path_of
