"""The contract: a scientific method, its typed inputs and outputs, and the registry of all that is installed.

A package offers services by an entry point of the group `colonnade.services` that names a module; importing that
module registers what its `@service` functions describe. Such a module is light: engines are imported when a job runs.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, ByteSize, TypeAdapter, ValidationError

from colonnade.catalogue import GROUP, BrokenPlugin
from colonnade.errors import ColonnadeError, UnknownService, explain
from colonnade.inputs import FileSource, local_file

if TYPE_CHECKING:
    from colonnade.job import Job

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


@dataclass(frozen=True)
class Resources:
    """What one job may use; the engine holds it to this.

    Args:
        cores: CPU cores.
        memory: resident memory of all its processes together, e.g. "2 GiB".
        walltime: longest run time.
        gpus: accelerators.
        network: whether the job needs to reach other machines.
    """

    cores: int = 1
    memory: str = "2 GiB"
    walltime: timedelta = timedelta(hours=1)
    gpus: int = 0
    network: bool = False

    @cached_property
    def memory_bytes(self) -> int:
        return int(TypeAdapter(ByteSize).validate_python(self.memory))


@dataclass(frozen=True)
class Service(Generic[In, Out]):
    """One scientific method as every front sees it. Made by `@service`, found by `get` and `services`."""

    name: str
    title: str
    summary: str
    paper: str
    inputs: type[In]
    outputs: type[Out]
    function: Callable[[In, Job], Out]
    resources: Resources = field(default_factory=Resources)
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    software: tuple[str, ...] = ()
    unavailable: Callable[[], str | None] = lambda: None
    repeatable: bool = True

    @property
    def column(self) -> str:
        """The part of the name before the first dot, e.g. "structure"."""
        return self.name.partition(".")[0]

    @cached_property
    def examples_folder(self) -> Path:
        """Where the files of `example:NAME/FILE` references are: beside the module, or beside its package."""
        parents = Path(str(sys.modules[self.function.__module__].__file__)).parents
        depth = self.function.__module__.count(".") + 1
        folders = [folder / "examples" for folder in parents[:depth]]
        return next((folder for folder in folders if folder.is_dir()), folders[0])

    @cached_property
    def version(self) -> str:
        """The version of the distribution that carries the service; part of what makes two runs the same."""
        top = self.function.__module__.partition(".")[0]
        try:
            return metadata.version(top)  # most packages are named as their module; reading all takes half a second
        except metadata.PackageNotFoundError:
            pass
        try:
            return metadata.version(_distributions().get(top, [top])[0])
        except metadata.PackageNotFoundError:
            return "unknown"

    @cached_property
    def description(self) -> str:
        """The function's docstring: what the method does, for the page and the help; a paragraph is one line."""
        written = inspect.cleandoc(self.function.__doc__ or self.summary)
        return re.sub(r"(?<!\n)\n(?![\n\s*-])", " ", written)

    def parse(self, values: Mapping[str, Any] | BaseModel, files: FileSource = local_file) -> In:
        """Validate raw values into the service's inputs.

        Raises:
            BadInput: with a sentence for each field that is wrong.
        """
        if isinstance(values, self.inputs):
            return values
        try:
            return self.inputs.model_validate(values, context={"files": files})
        except ValidationError as error:
            raise explain(error, self.inputs) from None

    def example(self, title: str | None = None) -> Mapping[str, Any]:
        """The raw inputs of one example: by its title or a part that only one title has; the first when none is given.

        Raises:
            ColonnadeError: there is no such example.
        """
        titles = [name for name in self.examples if title is None or title.casefold() in name.casefold()]
        if title is not None and title in self.examples:
            titles = [title]
        if not titles or (title is not None and len(titles) > 1):
            there = f"it has {_listed(self.examples)}" if self.examples else "it carries none"
            raise ColonnadeError(f"{self.name} has no single example {title!r}; {there}.")
        return self.examples[titles[0]]


def service(
    name: str,
    *,
    title: str,
    summary: str,
    paper: str,
    resources: Resources | None = None,
    examples: Mapping[str, Mapping[str, Any]] | None = None,
    software: tuple[str, ...] = (),
    unavailable: Callable[[], str | None] = lambda: None,
    repeatable: bool = True,
) -> Callable[[Callable[[In, Job], Out]], Callable[[In, Job], Out]]:
    """Register `function(inputs, job) -> outputs` as the service `name`; inputs and outputs come from its annotations.

    Args:
        name: `column.method`, lower case.
        title: a few words for lists and headings.
        summary: one sentence.
        paper: where the method is published, e.g. "arXiv:2107.01056".
        resources: limits of one job.
        examples: raw inputs by title; files as "example:NAME/FILE", from the `examples` folder beside
            the module or its package.
        software: distributions whose versions are recorded with each run.
        unavailable: says in one sentence why it cannot run here (an engine that is not installed), or None.
        repeatable: the same inputs and seed give the same result; False for one that measures times, which is
            therefore never answered from an earlier job.

    Raises:
        ValueError: the name is malformed or taken by another function.
        TypeError: the function's annotations are not pydantic models.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"service name {name!r} must be column.method in lower case")

    def register(function: Callable[[In, Job], Out]) -> Callable[[In, Job], Out]:
        taken = _REGISTRY.get(name)
        if taken is not None and taken.function.__module__ != function.__module__:
            raise ValueError(f"service {name!r} is already offered by {taken.function.__module__}")
        inputs, outputs = _signature(function)
        _REGISTRY[name] = Service(
            name=name,
            title=title,
            summary=summary,
            paper=paper,
            inputs=inputs,
            outputs=outputs,
            function=function,
            resources=resources or Resources(),
            examples=examples or {},
            software=software,
            unavailable=unavailable,
            repeatable=repeatable,
        )
        return function

    return register


def _signature(function: Callable[..., Any]) -> tuple[type[Any], type[Any]]:
    module = importlib.import_module("colonnade.job")
    hints = get_type_hints(function, localns={"Job": module.Job})
    outputs = hints.pop("return", None)
    inputs = next(iter(hints.values()), None)
    for model in (inputs, outputs):
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"{function.__qualname__} must take and return pydantic models, both annotated")
    assert inputs is not None and outputs is not None
    return inputs, outputs


_REGISTRY: dict[str, Service[Any, Any]] = {}


@cache
def _load() -> tuple[BrokenPlugin, ...]:
    """Import every registered module once; one that fails takes only its own services away."""
    broken = []
    for point in metadata.entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            broken.append(BrokenPlugin(point.name, f"{type(error).__name__}: {error}"))
    return tuple(broken)


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def services() -> dict[str, Service[Any, Any]]:
    """Every installed service by name, in alphabetical order."""
    _load()
    return dict(sorted(_REGISTRY.items()))


def broken_plugins() -> tuple[BrokenPlugin, ...]:
    """Installed packages that offer services but failed to load."""
    return _load()


def get(name: str) -> Service[Any, Any]:
    """The service of that name.

    Raises:
        UnknownService: none has it; the text names the nearest ones.
    """
    known = services()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {_listed(near)}?" if near else "`colonnade services` lists what is installed."
    raise UnknownService(f"There is no service {name!r}; {hint}")


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names)
