"""Workflows that run as they are, from files that the columns carry."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from colonnade.errors import ColonnadeError
from colonnade.workflows.document import Workflow, parse

_FOLDER = Path(__file__).parent


@cache
def titles() -> dict[str, str]:
    """The names of the carried workflows, and what each is called."""
    return {path.stem: parse(path.read_text(encoding="utf-8")).name for path in sorted(_FOLDER.glob("*.yaml"))}


def text(name: str) -> str:
    """A carried workflow as it is written.

    Raises:
        ColonnadeError: there is none of that name.
    """
    if name not in titles():
        raise ColonnadeError(f"There is no example {name[:60]!r}; there is {', '.join(titles())}.")
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def example(name: str) -> Workflow:
    """A carried workflow."""
    return parse(text(name))
