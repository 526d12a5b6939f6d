"""HADDOCK3's configuration, written from typed settings; no text of a user gets into it unquoted.

`parameter_table` is the list of the modules' own parameters (type, range, choices, level), read from the engine by
scripts/haddock3_parameters.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

Value = bool | int | float | str

_DATA = Path(__file__).parent / "data" / "haddock3_parameters.json"
WITH_RESTRAINTS = ("rigidbody", "flexref", "emref", "mdref")
MAX_SAMPLING = 10_000


class ParameterError(ValueError):
    """A parameter of a module is unknown or out of range; the message is one plain sentence."""


@dataclass(frozen=True)
class Setting:
    """A value for a parameter of one module."""

    module: str
    name: str
    value: Value


@dataclass(frozen=True)
class Protocol:
    """The steps of a docking and how much each does.

    Attributes:
        sampling: rigid-body models.
        select: of these, how many are refined.
        flexible: refine interfaces by simulated annealing.
        final: last refinement: energy minimisation, in explicit water, or none.
        min_population: models of the smallest cluster.
        cores: processes at a time.
        settings: parameters of modules beyond these.
    """

    sampling: int = 20
    select: int = 5
    flexible: bool = True
    final: Literal["emref", "mdref", "none"] = "emref"
    min_population: int = 2
    cores: int = 1
    settings: tuple[Setting, ...] = ()


@cache
def parameter_table() -> dict[str, dict[str, dict[str, Any]]]:
    """Module -> parameter -> type, default, min, max, choices, level."""
    table: dict[str, dict[str, dict[str, Any]]] = json.loads(_DATA.read_text())
    return table


def parse_settings(text: str, *, module: str = "") -> tuple[Setting, ...]:
    """Settings from lines ``module.parameter = value``, each checked against the table.

    Raises:
        ParameterError: naming every line at fault.
    """
    found, faults = [], []
    for line in text.splitlines():
        if not (plain := line.split("#")[0].strip()):
            continue
        try:
            found.append(_parse(plain))
        except ParameterError as error:
            faults.append(str(error))
    if faults:
        raise ParameterError(" ".join(faults[:5]))
    return tuple(found)


def _parse(line: str) -> Setting:
    match = re.fullmatch(r"(\w+)\.(\w+)\s*=\s*(.+)", line)
    if match is None:
        raise ParameterError(f"{line[:60]!r} is not of the form module.parameter = value.")
    module, name, text = match[1], match[2], match[3].strip().strip("\"'")
    table = parameter_table()
    if module not in table:
        raise ParameterError(f"{module[:40]!r} is not one of the modules {', '.join(table)}.")
    if name not in table[module]:
        raise ParameterError(f"{name[:40]!r} is not a parameter of {module} that can be set here.")
    return checked(Setting(module, name, _typed(module, name, text)))


def _typed(module: str, name: str, text: str) -> Value:
    kind = parameter_table()[module][name]["type"]
    try:
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "integer":
            return int(text)
        return float(text) if kind == "float" else text
    except (KeyError, ValueError):
        word = {"boolean": "true or false", "integer": "a whole number", "float": "a number"}[kind]
        raise ParameterError(f"{module}.{name}: {text[:40]!r} is not {word}.") from None


def checked(setting: Setting) -> Setting:
    """The setting, when its value is in the parameter's range."""
    entry = parameter_table()[setting.module][setting.name]
    low, high, value = entry.get("min"), entry.get("max"), setting.value
    where = f"{setting.module}.{setting.name}"
    if choices := entry.get("choices"):
        if value not in choices:
            raise ParameterError(f"{where}: {str(value)[:40]!r} is not one of {', '.join(map(str, choices))}.")
    elif isinstance(value, str):
        if not re.fullmatch(r"[\w .-]{0,40}", value):
            raise ParameterError(f"{where}: {value[:40]!r} holds other characters than letters and digits.")
    elif not isinstance(value, bool) and not (
        (low is None or value >= low) and (high is None or value <= high) and abs(value) < 1e12
    ):
        raise ParameterError(f"{where}: {value:g} is outside the range of {low} to {high}.")
    return setting


def configuration(
    protocol: Protocol, molecules: Sequence[str], *, ambiguous: bool, unambiguous: bool, reference: bool, seed: int
) -> str:
    """The text of run.cfg; files are named as the runner writes them.

    Arguments:
        molecules: names of the molecules' files.
        ambiguous: there is ambiguous.tbl.
        unambiguous: there is unambiguous.tbl.
        reference: there is reference.pdb.
        seed: of the engine's random numbers.
    """
    steps: list[tuple[str, dict[str, Value]]] = [("topoaa", {})]
    judge: tuple[str, dict[str, Value]] = ("caprieval", {"reference_fname": "reference.pdb"} if reference else {})
    steps.append(("rigidbody", {"sampling": protocol.sampling, "tolerance": 20, "iniseed": seed}))
    steps += [judge, ("seletop", {"select": protocol.select})]
    if protocol.flexible:
        steps.append(("flexref", {"tolerance": 50, "iniseed": seed}))
    if protocol.final != "none":
        steps.append((protocol.final, {"tolerance": 50, "iniseed": seed}))
    steps += [("clustfcc", {"min_population": protocol.min_population}), ("seletopclusts", {}), judge]
    lines = [
        'run_dir = "run"',
        'mode = "local"',
        f"ncores = {protocol.cores}",
        f"molecules = [{', '.join(_toml(name) for name in molecules)}]",
        "clean = true",
        "offline = true",
    ]
    for module, values in steps:
        own = {setting.name: setting.value for setting in protocol.settings if setting.module == module}
        files: dict[str, Value] = {}
        if module in WITH_RESTRAINTS:
            files |= {"ambig_fname": "ambiguous.tbl"} if ambiguous else {}
            files |= {"unambig_fname": "unambiguous.tbl"} if unambiguous else {}
        lines += ["", f"[{module}]", *(f"{key} = {_toml(value)}" for key, value in (values | own | files).items())]
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    """A value in TOML; JSON's strings are TOML's basic strings."""
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)
