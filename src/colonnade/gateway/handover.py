"""From one service to the next: which files of a result other services take, and the form that is filled with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colonnade.gateway import forms
from colonnade.runner import Run
from colonnade.service import Service, services


@dataclass(frozen=True)
class Taker:
    """A file field of a service."""

    service: Service[Any, Any]
    field: forms.Field

    @property
    def key(self) -> str:
        """What the page posts: the service and the field."""
        return f"{self.service.name}:{self.field.name}"

    @property
    def label(self) -> str:
        return f"{self.service.title} – {self.field.label}"


@dataclass(frozen=True)
class Offer:
    """A file of a result with the fields that take it."""

    file: str
    title: str
    takers: list[Taker]


def offers(run: Run) -> list[Offer]:
    """The files that a run gave as results and some service takes; services of the same column come first."""
    found = []
    for _, title, value in run.results:
        name = getattr(value, "file", None)
        if name is not None and (takers := takers_of(name, run.service.partition(".")[0])):
            found.append(Offer(name, title, takers))
    return found


def takers_of(file: str, column: str = "") -> list[Taker]:
    """The top-level file fields, of services that can run here, whose accepted endings fit a file's name."""
    found = [
        Taker(service, field)
        for service in services().values()
        for field in forms.describe(service.inputs)
        if field.kind in ("file", "files") and field.accept and file.lower().endswith(field.accept)
    ]
    can_run = {taker.service.name: taker.service.unavailable() is None for taker in found}
    kept = [taker for taker in found if can_run[taker.service.name]]
    return sorted(kept, key=lambda taker: taker.service.column != column)


def values(
    target: Service[Any, Any], field: str, reference: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Values for the target's form: the file at its field, and what both services ask for under one name and kind.

    Args:
        target: the next service.
        field: its field that takes the file.
        reference: the file, as stored.
        inputs: of the job that the file is from.
    """
    taken = {item.name: inputs[item.name] for item in _fields_of(inputs, target)}
    wanted = next(item for item in forms.describe(target.inputs) if item.name == field)
    return taken | {field: [dict(reference)] if wanted.kind == "files" else dict(reference)}


def _fields_of(inputs: Mapping[str, Any], target: Service[Any, Any]) -> list[forms.Field]:
    """The target's fields for which the inputs hold a value of the same kind."""
    return [item for item in forms.describe(target.inputs) if item.name in inputs and _fits(item, inputs[item.name])]


def _fits(item: forms.Field, value: Any) -> bool:
    if item.kind == "file":
        name = value.get("name", "") if isinstance(value, Mapping) else ""
        return bool(name) and (not item.accept or name.lower().endswith(item.accept))
    if item.kind == "choice":
        return value in [choice.value for choice in item.choices]
    kinds: dict[str, type | tuple[type, ...]] = {
        "text": str, "multiline": str, "boolean": bool, "integer": int, "number": (int, float),
    }  # fmt: skip
    if isinstance(value, bool) and item.kind != "boolean":
        return False
    return item.kind in kinds and isinstance(value, kinds[item.kind])
