"""Whether a workflow can be run, said before anything runs; and in which order its steps come."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from colonnade.errors import BadInput, ColonnadeError, Problem, UnknownService
from colonnade.inputs import FileSource, local_file
from colonnade.service import Service, get
from colonnade.workflows import references
from colonnade.workflows.document import Step, Workflow
from colonnade.workflows.references import BadReference, Reference, Scope

Check = Callable[[Service[Any, Any], Any], None]


def needs(step: Step) -> set[str]:
    """The steps that one needs the results of."""
    named = {reference.head for reference in references.found_in([step.for_each, step.inputs])}
    return named - {"inputs", "row", "index"}


def order(workflow: Workflow) -> list[str]:
    """The names of the steps, each behind those that it needs.

    Raises:
        BadInput: some need each other.
    """
    graph = {name: needs(step) & set(workflow.steps) for name, step in workflow.steps.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise BadInput([Problem("steps", f"steps need each other in a circle: {circle}.")]) from None


def check(workflow: Workflow, scope: Scope, files: FileSource = local_file, also: Check | None = None) -> None:
    """Refuse what can be known to fail: unknown names, missing fields, wrong values of steps that need no others.

    Args:
        workflow: what to check.
        scope: its inputs and files.
        files: finds the files that its values name.
        also: checks the inputs of a step that needs no others further.

    Raises:
        BadInput: with a sentence for each finding.
    """
    problems: list[Problem] = []
    known: dict[str, Service[Any, Any]] = {}
    for name, step in workflow.steps.items():
        try:
            known[name] = get(step.service)
            if reason := known[name].unavailable():
                problems.append(_problem(name, "service", f"{step.service} cannot run here: {reason}"))
        except UnknownService as error:
            problems.append(_problem(name, "service", str(error)))
    order(workflow)
    for name in workflow.steps:
        if name in known:
            problems += _of_step(workflow, known, name)
    problems += _of_outputs(workflow, known)
    if not problems:
        for name, step in workflow.steps.items():
            if not needs(step):
                problems += _of_values(name, step, known[name], scope, files, also)
    if problems:
        raise BadInput(problems)


def _problem(step: str, place: str, sentence: str) -> Problem:
    text = " ".join(sentence.split())
    return Problem(f"steps.{step}.{place}", f"Step {step}, {place}: {text if text.endswith('.') else text + '.'}")


def _of_step(workflow: Workflow, known: Mapping[str, Service[Any, Any]], name: str) -> Iterable[Problem]:
    step, service = workflow.steps[name], known[name]
    fields = service.inputs.model_fields
    start: Mapping[str, Any] = {}
    if step.example is not None:
        try:
            start = service.example(step.example)
        except ColonnadeError as error:
            yield _problem(name, "example", str(error))
    for given in step.inputs:
        if given not in fields:
            near = difflib.get_close_matches(given, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(fields)}"
            yield _problem(name, f"inputs.{given}", f"{step.service} has no such field; {hint}".rstrip("?"))
    for field, info in fields.items():
        if info.is_required() and field not in step.inputs and field not in start:
            yield _problem(name, f"inputs.{field}", f"{step.service} needs it")
    for place, value in (("for_each", step.for_each), ("inputs", step.inputs)):
        for reference in references.found_in(value):
            sentence = _wrong(workflow, known, reference, mapped=step.mapped and place == "inputs")
            if sentence:
                yield _problem(name, place, sentence)


def _of_outputs(workflow: Workflow, known: Mapping[str, Service[Any, Any]]) -> Iterable[Problem]:
    for name, value in workflow.outputs.items():
        if not isinstance(value, dict) and not references.REFERENCE.fullmatch(value):
            yield Problem(f"outputs.{name}", f"Output {name} must be one reference, or references by column.")
        for reference in references.found_in(value):
            sentence = _wrong(workflow, known, reference, mapped=False)
            if sentence:
                yield Problem(f"outputs.{name}", f"Output {name}: {sentence}.")


def _wrong(
    workflow: Workflow, known: Mapping[str, Service[Any, Any]], reference: Reference, *, mapped: bool
) -> str | None:
    """Why a reference can never stand for anything."""
    head, rest = reference.head, reference.parts[1:]
    if head == "inputs":
        found = not rest or rest[0] in workflow.inputs
        return None if found else f"{reference} names no input of the workflow"
    if head in ("row", "index"):
        return None if mapped else f"{reference} has a meaning only in a step with for_each"
    if head not in workflow.steps:
        near = difflib.get_close_matches(head, workflow.steps, n=1)
        return f"{reference} names no step" + (f"; did you mean {near[0]}" if near else "")
    return _wrong_output(workflow.steps[head], known.get(head), reference)


def _wrong_output(step: Step, service: Service[Any, Any] | None, reference: Reference) -> str | None:
    rest = reference.parts[1:]
    if step.mapped and rest and rest[0].isdecimal():
        rest = rest[1:]
    if not rest:
        return f"{reference} names a step; name one of its outputs behind it"
    if rest[0] == "row" and not step.mapped:
        return f"{reference}: the step {reference.head} has no for_each"
    if service is None or rest[0] in ("row", "files"):
        return None
    outputs = service.outputs.model_fields
    if rest[0] not in outputs:
        return f"{reference}: {service.name} gives no {rest[0][:60]}, but {', '.join(outputs)}"
    return None


def _of_values(
    name: str, step: Step, service: Service[Any, Any], scope: Scope, files: FileSource, also: Check | None
) -> Iterable[Problem]:
    """What is wrong with the values of a step that needs no other: every row is tried."""
    try:
        found = references.rows(step.for_each, scope) if step.mapped else [None]
    except BadReference as error:
        yield _problem(name, "for_each", str(error))
        return
    for index, row in enumerate(found):
        where = f" (row {index + 1})" if step.mapped else ""
        try:
            values = values_of(step, service, at(scope, step, index, row) if step.mapped else scope)
            parsed = service.parse(values, files)
            if also is not None:
                also(service, parsed)
        except BadInput as error:
            for item in error.problems:
                yield Problem(f"steps.{name}.inputs.{item.field}", f"Step {name}{where}: {item.message}", item.value)
            return
        except ColonnadeError as error:
            yield _problem(name, "inputs", f"{error}")
            return


def at(scope: Scope, step: Step, index: int, row: Any) -> Scope:
    """What references may name in a mapped step, for one of its rows."""
    return replace(scope, rows_key=step.rows_key, row=row, index=index)


def values_of(step: Step, service: Service[Any, Any], scope: Scope) -> dict[str, Any]:
    """The raw inputs of one run of a step, its references filled in; what is None there is left to its default.

    Raises:
        BadReference: a reference leads nowhere.
        LeftOut: the row has no value.
    """
    start = dict(service.example(step.example)) if step.example is not None else {}
    given = references.fill(step.inputs, scope)
    required = service.inputs.model_fields
    return start | {
        name: value for name, value in given.items() if value is not None or name not in required or start.get(name)
    }


def results_of(workflow: Workflow, scope: Scope) -> dict[str, Any]:
    """The workflow's outputs: values, and tables as lists of cells by column.

    A column of one value is repeated in a table whose others have more.

    Raises:
        BadReference: one leads nowhere, or columns differ in length.
    """
    made: dict[str, Any] = {}
    for name, value in workflow.outputs.items():
        if not isinstance(value, dict):
            made[name] = references.fill(value, scope)
            continue
        columns = {column: references.fill(text, scope) for column, text in value.items()}
        lengths = {len(cells) for cells in columns.values() if isinstance(cells, list)} or {1}
        if len(lengths) > 1:
            raise BadReference(f"Output {name}: the columns have {', '.join(map(str, sorted(lengths)))} cells.")
        (length,) = lengths
        made[name] = {
            column: cells if isinstance(cells, list) else [cells] * length for column, cells in columns.items()
        }
    return made
