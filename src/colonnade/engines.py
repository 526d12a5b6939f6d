"""External programs that services may use but the project does not carry: found, installed apart, checked.

An engine lives in an environment of its own, so that what it pins cannot disturb anything here. A service module
registers the engines that its services use, as it registers the services.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from colonnade.errors import ColonnadeError

Say = Callable[[str], None]


class EngineError(ColonnadeError):
    """An engine is absent, broken, or its terms are not accepted; the message is one plain sentence."""


@dataclass(frozen=True)
class Engine:
    """One external program.

    Attributes:
        name: as it is called on the command line.
        title: what it is, in a few words.
        version: the version that is installed and tested against.
        licence: of the program, in a few words.
        terms: what its user has to accept before it is installed; empty when there is nothing to accept.
        locate: where it is, or None.
        install: puts it into a folder, telling its steps; raises `EngineError`.
        check: what is wrong with the one that was found, one sentence each; empty when it works.
    """

    name: str
    title: str
    version: str
    licence: str
    terms: str
    locate: Callable[[], Path | None]
    install: Callable[[Path, Say], None]
    check: Callable[[], list[str]]

    @property
    def folder(self) -> Path:
        """Where `colonnade engines install` puts it."""
        return engines_folder() / self.name

    @property
    def how_to(self) -> str:
        """What to do when it is absent."""
        return f"engine not installed: run `colonnade engines install {self.name}`"


ACCEPTED = "terms-accepted.json"
_REGISTRY: dict[str, Engine] = {}


def engines_folder() -> Path:
    """The folder of installed engines, one folder each, below the user's data folder."""
    import platformdirs

    return Path(platformdirs.user_data_dir("colonnade", appauthor=False)) / "engines"


def register(engine: Engine) -> Engine:
    """Make an engine known to `colonnade engines`."""
    _REGISTRY[engine.name] = engine
    return engine


def engines() -> dict[str, Engine]:
    """Every known engine by name."""
    from colonnade.service import services

    services()  # their modules register the engines
    return dict(sorted(_REGISTRY.items()))


def get(name: str) -> Engine:
    """The engine of that name.

    Raises:
        EngineError: there is none; the text names those that are.
    """
    known = engines()
    if name not in known:
        raise EngineError(f"There is no engine {name!r}; there is {', '.join(known) or 'none'}.")
    return known[name]


def install(engine: Engine, *, accept_terms: bool, say: Say) -> None:
    """Install an engine into its folder and check it.

    Raises:
        EngineError: its terms are not accepted, a step failed, or it does not work.
    """
    if engine.terms and not accept_terms:
        raise EngineError(f"{engine.title}: its terms have to be accepted before it is installed (--accept-terms).")
    engine.folder.mkdir(parents=True, exist_ok=True)
    record = {"terms": engine.terms, "accepted": datetime.now(UTC).isoformat(timespec="seconds")}
    (engine.folder / ACCEPTED).write_text(json.dumps(record, indent=1))
    engine.install(engine.folder, say)
    if faults := engine.check():
        raise EngineError(f"{engine.title} is installed but does not work: {' '.join(faults)}")
