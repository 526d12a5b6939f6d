"""The same run in the other ways: shell, Python, REST."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from colonnade.gateway.forms import describe
from colonnade.gateway.person import asking
from colonnade.runner import Run
from colonnade.service import Service


@dataclass(frozen=True)
class Snippet:
    """A piece of text to copy."""

    title: str
    text: str


def same_run(run: Run, service: Service[Any, Any] | None, address: str) -> list[Snippet]:
    """How to repeat a run from the shell, from Python, and over REST at `address`.

    Files are named as their owner named them; the shell and Python expect them in the working folder. Inputs that
    have their default value are left out where the service is known.
    """
    given = _given(run.inputs, service)
    return [
        Snippet("Shell", _shell(run, given)),
        Snippet("Python", _python(run, given)),
        Snippet("curl", _curl(run, given, address)),
    ]


def _given(inputs: dict[str, Any], service: Service[Any, Any] | None) -> dict[str, Any]:
    if service is None:
        return inputs
    defaults = {item.name: item.default for item in describe(service.inputs) if not item.required}
    return {name: value for name, value in inputs.items() if name not in defaults or value != defaults[name]}


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and {"sha256", "name"} <= value.keys()


def _local(value: Any) -> Any:
    """The inputs with files named by their names."""
    if _is_file(value):
        return value["name"]
    if isinstance(value, dict):
        return {key: _local(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_local(item) for item in value]
    return value


def _files(value: Any) -> list[dict[str, Any]]:
    if _is_file(value):
        return [value]
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [file for item in items for file in _files(item)]


_RESERVED = frozenset({"inputs", "example", "output", "seed", "json", "again", "wait", "help", "url"})


def _shell(run: Run, given: dict[str, Any]) -> str:
    local = _local(given)
    seed = f" --seed {run.seed}" if run.seed else ""
    options = [_option(name, value) for name, value in local.items()]
    if all(option is not None for option in options) and not _RESERVED & local.keys():
        lines = [f"colonnade run {run.service}{seed}", *(option for option in options if option)]
        return " \\\n  ".join(lines)
    inputs = json.dumps(local, ensure_ascii=False, indent=1)
    return f"cat > inputs.json <<'END'\n{inputs}\nEND\ncolonnade run {run.service} --inputs inputs.json{seed}"


def _option(name: str, value: Any) -> str | None:
    """An input as it is given on the command line; None when it is better given in a file."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    if (isinstance(value, str) and value and "\n" not in value) or isinstance(value, int | float):
        return f"--{flag} {shlex.quote(str(value))}"
    if isinstance(value, list) and value and all(isinstance(item, str | int | float) for item in value):
        return " ".join(f"--{flag} {shlex.quote(str(item))}" for item in value)
    return None


def _python(run: Run, given: dict[str, Any]) -> str:
    seed = f", seed={run.seed}" if run.seed else ""
    return (
        "from pathlib import Path\n\n"
        "from colonnade import runner\n\n"
        f"inputs = {_literal(_local(given))}\n"
        f'run = runner.run("{run.service}", inputs, Path("run"){seed})\n'
        "for path, title, result in run.results:\n"
        '    print(title, result, sep=": ")'
    )


def _literal(value: Any, indent: int = 0) -> str:
    """A value as Python source, a line for each entry."""
    space = "    " * (indent + 1)
    if isinstance(value, dict) and value:
        inner = "".join(f"{space}{key!r}: {_literal(item, indent + 1)},\n" for key, item in value.items())
        return "{\n" + inner + "    " * indent + "}"
    return repr(value)


def _curl(run: Run, given: dict[str, Any], address: str) -> str:
    where = "what stands behind token= in the address that `colonnade serve` printed"
    lines = [f"TOKEN=...  # {where if asking().alone else 'an API token of your account page'}"]
    for file in {file["sha256"]: file for file in _files(given)}.values():
        lines.append(f'curl -H "Authorization: Bearer $TOKEN" -T {shlex.quote(file["name"])} {address}/api/v1/uploads/')
    body = json.dumps({"inputs": given, "seed": run.seed}, ensure_ascii=False, indent=1)
    lines.append(
        f"curl -H \"Authorization: Bearer $TOKEN\" --json @- {address}/api/v1/services/{run.service}/jobs <<'END'\n"
        f"{body}\nEND"
    )
    return "\n".join(lines)
