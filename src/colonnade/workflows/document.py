"""What a workflow is: named steps, each a service whose inputs may name the workflow's inputs and earlier outputs.

    name: Affinities of two complexes
    inputs:
      complexes:
        - {structure: "example:structure.affinity/3BZD.pdb", partners: A B}
        - {structure: "example:structure.affinity/2OOB.cif", partners: A B}
    steps:
      affinity:
        service: structure.affinity
        for_each: ${inputs.complexes}
        inputs: {structure: "${row.structure}", partners: "${row.partners}"}
    outputs:
      affinities: {complex: "${affinity.row.structure}", delta_g: "${affinity.delta_g}"}

References are explained in `references`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from colonnade.errors import BadInput, ColonnadeError, Problem, explain
from colonnade.runner import MAX_SEED

MAX_STEPS = 100
MAX_ROWS = 1000  # of the table that a step is mapped over
MAX_BYTES = 1_000_000  # of a document
RESERVED = frozenset({"inputs", "row", "index", "file"})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_COLUMN = re.compile(r"\w[^\x00-\x1f]{0,79}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Step(_Part):
    """One service, run once, or once for every row of a table.

    Attributes:
        service: its name.
        title: what to call the step; the service's own title when empty.
        example: title of one of the service's examples, whose values `inputs` are laid over.
        for_each: a reference to rows, `file:NAME.csv`, or the rows themselves; inside, `${row.COLUMN}` is a cell.
        inputs: values of the service's fields, in which references stand for values.
        seed: of the service's random numbers.
        on_failure: whether a failed row ends the workflow (`stop`) or is missing from what comes after (`leave_out`).
    """

    service: str = Field(max_length=200)
    title: str = Field("", max_length=200)
    example: str | None = Field(None, max_length=200)
    for_each: str | list[Any] | None = None
    inputs: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(0, ge=0, le=MAX_SEED)
    on_failure: Literal["stop", "leave_out"] = "stop"

    @property
    def mapped(self) -> bool:
        return self.for_each is not None

    @property
    def rows_key(self) -> str:
        """The same for two steps that are mapped over the same rows."""
        return json.dumps(self.for_each, sort_keys=True)


class Workflow(_Part):
    """Steps of several services.

    Attributes:
        name: a few words.
        description: what it is for.
        inputs: values that references name, and that whoever runs it may replace.
        steps: by name, in any order.
        outputs: what to show at the end: a reference, or a table as references by column.
    """

    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=10_000)
    inputs: dict[str, Any] = Field(default_factory=dict)
    steps: dict[str, Step] = Field(min_length=1, max_length=MAX_STEPS)
    outputs: dict[str, str | dict[str, str]] = Field(default_factory=dict, max_length=100)

    @field_validator("steps", "inputs", "outputs")
    @classmethod
    def _named(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not _NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(
                    f"{name[:60]!r} is no name: small letters, digits and _ are, up to 40, beginning with a letter, "
                    f"but not {', '.join(sorted(RESERVED))}"
                )
        return value

    @field_validator("outputs")
    @classmethod
    def _columns(cls, value: dict[str, Any]) -> dict[str, Any]:
        for columns in value.values():
            for name in columns if isinstance(columns, dict) else ():
                if not _COLUMN.fullmatch(name):
                    raise ValueError(f"{name[:60]!r} is no name of a column")
        return value

    def given(self, values: Mapping[str, Any]) -> Workflow:
        """The workflow with other values of some of its inputs.

        Raises:
            BadInput: it has no input of that name.
        """
        unknown = [name for name in values if name not in self.inputs]
        if unknown:
            there = ", ".join(self.inputs) or "none"
            raise BadInput([Problem(f"inputs.{name}", f"inputs: there is no input {name!r}; there is {there}.")
                            for name in unknown])  # fmt: skip
        return self.model_copy(update={"inputs": {**self.inputs, **values}})


def parse(text: str) -> Workflow:
    """A workflow from YAML (or JSON).

    Raises:
        BadInput: it is malformed; each sentence names the place.
    """
    if len(text.encode()) > MAX_BYTES:
        raise BadInput([Problem("document", f"document must be at most {MAX_BYTES // 1000} kB long.")])
    try:
        loaded = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise BadInput([Problem("document", f"document cannot be read as YAML{where}: {problem}.")]) from None
    return of(loaded)


def of(values: Any) -> Workflow:
    """A workflow from plain values.

    Raises:
        BadInput: they are malformed.
    """
    if not isinstance(values, dict):
        raise BadInput([Problem("document", "document must hold `name` and `steps`.")])
    try:
        return Workflow.model_validate(values)
    except ValidationError as error:
        raise explain(error, Workflow) from None


def read(path: Path) -> Workflow:
    """A workflow from a file.

    Raises:
        ColonnadeError: it cannot be read, or is malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise ColonnadeError(f"The file {str(path)!r} {reason}.") from None
    return parse(text)


def dump(workflow: Workflow) -> str:
    """A workflow as YAML."""
    values = workflow.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


class _Loader(yaml.SafeLoader):
    """Plain values without aliases, by which a few lines could stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not taken", event.start_mark)
        return super().compose_node(parent, index)


# Dates stay text, as nothing here takes one and JSON knows none.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
