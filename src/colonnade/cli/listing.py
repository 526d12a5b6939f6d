"""`colonnade services`: answers at once, so it imports neither a parser nor a terminal library nor any engine."""

from __future__ import annotations

import json as json_format
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from colonnade.catalogue import Entry, catalogue


def services(*, json: bool = False) -> int:
    """Print what is installed; packages whose services could not be loaded are named on standard error."""
    found = catalogue()
    if json:
        print(
            json_format.dumps(
                {
                    "services": [asdict(entry) for entry in found.services],
                    "broken": [asdict(plugin) for plugin in found.broken],
                },
                ensure_ascii=False,
            )
        )
    else:
        _print(found.services)
    for plugin in found.broken:
        print(f"The services of {plugin.name!r} could not be loaded: {plugin.reason}", file=sys.stderr)
    return 0


def command(*, json: bool = False) -> int:
    """List the installed services.

    Parameters
    ----------
    json
        Answer with one JSON document.
    """
    return services(json=json)


def _print(found: Sequence[Entry]) -> None:
    if not found:
        print("No services are installed.")
        return
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    width = min(max(len(service.name) for service in found), 32)
    wide = shutil.get_terminal_size((100, 24)).columns
    for service in found:
        reason = service.unavailable
        said = service.title + (f" (not available here: {reason})" if reason else "")
        lines = textwrap.wrap(said, max(wide - width - 2, 30)) or [""]
        print(f"{bold}{service.name:<{width}}{plain}  {lines[0]}")
        for line in lines[1:]:
            print(" " * (width + 2) + line)
