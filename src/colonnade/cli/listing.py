"""`colonnade services`: answers at once, so it imports neither a parser nor a terminal library nor any engine."""

from __future__ import annotations

import json as json_format
import os
import shutil
import sys
import textwrap

from colonnade.service import Service, broken_plugins
from colonnade.service import services as installed


def services(*, json: bool = False) -> int:
    """Print what is installed; packages whose services could not be loaded are named on standard error."""
    found = installed()
    broken = broken_plugins()
    if json:
        print(
            json_format.dumps(
                {
                    "services": [_entry(service) for service in found.values()],
                    "broken": [{"name": plugin.name, "reason": plugin.reason} for plugin in broken],
                },
                ensure_ascii=False,
            )
        )
    else:
        _print(list(found.values()))
    for plugin in broken:
        print(f"The services of {plugin.name!r} could not be loaded: {plugin.reason}", file=sys.stderr)
    return 0


def _entry(service: Service[object, object]) -> dict[str, object]:  # type: ignore[type-var]
    return {
        "name": service.name,
        "title": service.title,
        "summary": service.summary,
        "paper": service.paper,
        "unavailable": service.unavailable(),
    }


def _print(found: list[Service[object, object]]) -> None:  # type: ignore[type-var]
    if not found:
        print("No services are installed.")
        return
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    width = min(max(len(service.name) for service in found), 32)
    wide = shutil.get_terminal_size((100, 24)).columns
    for service in found:
        reason = service.unavailable()
        said = service.title + (f" (not available here: {reason})" if reason else "")
        lines = textwrap.wrap(said, max(wide - width - 2, 30)) or [""]
        print(f"{bold}{service.name:<{width}}{plain}  {lines[0]}")
        for line in lines[1:]:
            print(" " * (width + 2) + line)
