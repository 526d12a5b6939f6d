"""What is installed, remembered from one start to the next: a list of services is then shown without importing any.

The list is made anew whenever a package was installed or removed, or a module that offers services was changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

GROUP = "colonnade.services"  # the entry points by which a package offers services


@dataclass(frozen=True)
class Entry:
    """A service as a list shows it; `unavailable` says why it cannot run here."""

    name: str
    title: str
    summary: str
    paper: str
    unavailable: str | None


@dataclass(frozen=True)
class BrokenPlugin:
    """An installed package whose services could not be loaded, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All services by name, and what could not be loaded."""

    services: tuple[Entry, ...]
    broken: tuple[BrokenPlugin, ...] = ()


def catalogue() -> Catalogue:
    """The installed services, in alphabetical order."""
    state = _state()
    with suppress(OSError, ValueError, TypeError, KeyError):
        remembered = json.loads(_path().read_bytes())
        if remembered["state"] == state:
            return Catalogue(tuple(Entry(**entry) for entry in remembered["services"]))
    found = _look()
    if not found.broken:
        _remember(state, found)
    return found


def forget() -> None:
    """Make the list anew the next time: something that decides whether a service can run has changed."""
    with suppress(OSError):
        _path().unlink(missing_ok=True)


def _look() -> Catalogue:
    from colonnade.service import broken_plugins, services

    entries = (
        Entry(service.name, service.title, service.summary, service.paper, service.unavailable())
        for service in services().values()
    )
    return Catalogue(tuple(entries), broken_plugins())


def _remember(state: str, found: Catalogue) -> None:
    path = _path()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text(json.dumps({"state": state, "services": [asdict(entry) for entry in found.services]}))
        draft.replace(path)


def _path() -> Path:
    """One list for each Python installation, in the user's cache."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]
    return folder / "colonnade" / f"services-{place}.json"


def _state() -> str:
    """A digest of all that the list depends on: what is installed where, and the modules that offer services."""
    seen = hashlib.sha256(sys.version.encode())
    for folder in sys.path:  # its time changes when a package comes or goes
        seen.update(f"{folder} {_time(Path(folder))}\n".encode())
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        seen.update(f"{point.name} {point.value}\n".encode())
        for path in _files(point.module):
            seen.update(f"{path} {_time(path)}\n".encode())
    return seen.hexdigest()


def _files(module: str) -> list[Path]:
    """The files of a module, or all of a package."""
    with suppress(ImportError, ValueError, AttributeError):
        spec = util.find_spec(module)
        if spec is not None and spec.submodule_search_locations:
            return sorted(path for folder in spec.submodule_search_locations for path in Path(folder).glob("*.py"))
        if spec is not None and spec.origin:
            return [Path(spec.origin)]
    return []


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
