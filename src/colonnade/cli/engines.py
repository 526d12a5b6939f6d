"""`colonnade engines`: external programs that some services need."""

from __future__ import annotations

import json
import sys
from typing import Annotated

from cyclopts import App, Parameter

from colonnade import engines as registry
from colonnade.cli.output import say

app = App(name="engines", help="External programs that services may use.", help_format="plaintext")

Name = Annotated[str, Parameter(help="The engine, as `colonnade engines list` names it.")]
Yes = Annotated[bool, Parameter(help="Accept the engine's terms, which are shown without this.", negative=())]
AsJson = Annotated[bool, Parameter(name="--json", help="Answer with one JSON document.", negative=())]


@app.command(name="list")
def list_engines(*, as_json: AsJson = False) -> int:
    """List the engines, and whether each is installed."""
    rows = [
        {
            "name": engine.name,
            "title": engine.title,
            "version": engine.version,
            "licence": engine.licence,
            "installed": str(place) if (place := engine.locate()) else None,
        }
        for engine in registry.engines().values()
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        state = f"installed: {row['installed']}" if row["installed"] else "not installed"
        print(f"{row['name']} {row['version']}  {row['title']} ({row['licence']})\n    {state}")
    return 0


@app.command
def install(name: Name, *, accept_terms: Yes = False) -> int:
    """Install an engine into an environment of its own."""
    engine = registry.get(name)
    if engine.terms and not accept_terms:
        print(engine.terms)
        if sys.stdin.isatty():
            accept_terms = input("Do you accept these terms? [yes/no] ").strip().lower() == "yes"
    registry.install(engine, accept_terms=accept_terms, say=say)
    print(f"{engine.name} {engine.version} is installed in {engine.folder} and works.")
    return 0


@app.command
def check(name: Name) -> int:
    """Check that an engine is there and works."""
    engine = registry.get(name)
    place = engine.locate()
    if place is None:
        print(f"{engine.name}: {engine.how_to}.")
        return 1
    faults = engine.check()
    print("\n".join([f"{engine.name} at {place}: {'does not work.' if faults else 'works.'}", *faults]))
    return 1 if faults else 0
