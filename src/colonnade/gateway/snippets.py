"""The same run in the other ways: shell, Python, REST."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from colonnade.runner import Run


@dataclass(frozen=True)
class Snippet:
    """A piece of text to copy."""

    title: str
    text: str


def same_run(run: Run, address: str) -> list[Snippet]:
    """How to repeat a run from the shell, from Python, and over REST at `address`.

    Files are named as their owner named them; the shell and Python expect them in the working folder.
    """
    return [
        Snippet("Shell", _shell(run)),
        Snippet("Python", _python(run, address)),
        Snippet("curl", _curl(run, address)),
    ]


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


def _shell(run: Run) -> str:
    inputs = json.dumps(_local(run.inputs), ensure_ascii=False, indent=1)
    seed = f" --seed {run.seed}" if run.seed else ""
    return f"cat > inputs.json <<'END'\n{inputs}\nEND\ncolonnade run {run.service} --inputs inputs.json{seed}"


def _python(run: Run, address: str) -> str:
    seed = f", seed={run.seed}" if run.seed else ""
    return (
        "from pathlib import Path\n\n"
        "from colonnade import runner\n\n"
        f"inputs = {_literal(_local(run.inputs))}\n"
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


def _curl(run: Run, address: str) -> str:
    lines = ['TOKEN="…"  # behind token= in the address that `colonnade serve` printed']
    for file in {file["sha256"]: file for file in _files(run.inputs)}.values():
        lines.append(
            f'curl -H "Authorization: Bearer $TOKEN" -T {shlex.quote(file["name"])} {address}/api/v1/uploads/'
        )
    body = json.dumps({"inputs": run.inputs, "seed": run.seed}, ensure_ascii=False, indent=1)
    lines.append(
        f'curl -H "Authorization: Bearer $TOKEN" --json @- {address}/api/v1/services/{run.service}/jobs <<\'END\'\n'
        f"{body}\nEND"
    )
    return "\n".join(lines)
