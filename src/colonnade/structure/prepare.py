"""Structure files put in order: the operations of pdb-tools, one after the other.

pdb-tools (Rodrigues, Teixeira, Trellet & Bonvin, F1000Research 7:1961, 2018) are small programs that each change a PDB
file in one way. A pipeline is a list of them with their options, ``selchain A,B``, ``delhetatm``, ``reres 1``; it can
be written down, shared and run again. Two operations are this package's own, see `_prepare_own`.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colonnade.structure._prepare_own import OWN
from colonnade.structure.structures import StructureError, read_text

Argument = Callable[[str], tuple[Any, ...]]


@dataclass(frozen=True)
class Operation:
    """One step of a pipeline.

    Attributes:
        name: as in `OPERATIONS`.
        option: what follows the name, as it was written.
    """

    name: str
    option: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.option}".rstrip()

    @property
    def command(self) -> str:
        """The same step as a program of pdb-tools."""
        return f"pdb_{self.name}" + (f" -{self.option}" if self.option else "")


@dataclass(frozen=True)
class Step:
    """What one operation did: how much is left, and how many coordinate lines it removed, added or changed."""

    operation: Operation
    models: int
    chains: int
    residues: int
    atoms: int
    changed: int


@dataclass(frozen=True)
class Prepared:
    """A structure file after a pipeline.

    Attributes:
        text: the PDB file.
        before: the file that went in, as PDB.
        steps: one for each operation.
        messages: what the programs said.
    """

    text: str
    before: str
    steps: tuple[Step, ...]
    messages: tuple[str, ...]


def _none(option: str) -> tuple[Any, ...]:
    if option:
        raise ValueError("it takes no option")
    return ()


def _number(low: int, high: int) -> Argument:
    def parse(option: str) -> tuple[Any, ...]:
        if not re.fullmatch(r"-?\d{1,6}", option) or not low <= int(option) <= high:
            raise ValueError(f"it takes a whole number from {low} to {high}")
        return (int(option),)

    return parse


def _real(low: float, high: float) -> Argument:
    def parse(option: str) -> tuple[Any, ...]:
        try:
            value = float(option)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"it takes a number from {low:g} to {high:g}")
        return (value,)

    return parse


def _names(length: int, what: str, many: bool = True) -> Argument:
    def parse(option: str) -> tuple[Any, ...]:
        names = [name.strip() for name in option.split(",")]
        if not all(re.fullmatch(rf"[A-Za-z0-9'*+]{{1,{length}}}", name) for name in names) or (not many and names[1:]):
            letters = "one character" if length == 1 else f"up to {length} characters"
            raise ValueError(f"it takes {what} of {letters}" + (", separated by commas" if many else ""))
        return (set(names),) if many else (names[0],)

    return parse


def _ranges(option: str) -> tuple[Any, ...]:
    chosen: set[int] = set()
    for part in option.split(","):
        match = re.fullmatch(r"\s*(-?\d{1,4})(?::(-?\d{1,4}))?\s*", part)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise ValueError("it takes residue numbers and ranges, as in 1:50,60")
        chosen |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return (chosen,)


def _deleted(option: str) -> tuple[Any, ...]:
    return (*_ranges(option), 1)


def _exchange(length: int, what: str) -> Argument:
    def parse(option: str) -> tuple[Any, ...]:
        if not re.fullmatch(rf"[A-Za-z0-9]{{1,{length}}}:[A-Za-z0-9]{{1,{length}}}", option):
            raise ValueError(f"it takes two {what}, as in {'A:B' if length == 1 else 'HID:HIS'}")
        old, new = option.split(":")
        return ((old, new),) if length == 1 else (old, new)

    return parse


def _optional(inner: Argument, default: tuple[Any, ...]) -> Argument:
    return lambda option: inner(option) if option else default


def _no_list(option: str) -> tuple[Any, ...]:
    return (*_none(option), [])


def _sort_keys(option: str) -> tuple[Any, ...]:
    if not set(option.upper()) <= {"C", "R"}:
        raise ValueError("it takes C (by chain), R (by residue) or CR")
    return (list(option.upper()),)


OPERATIONS: dict[str, tuple[str, Argument]] = {
    "selmodel": ("keep these models, as in 1 or 1:5", _ranges),
    "selchain": ("keep these chains, as in A,B", _names(1, "chain names")),
    "delchain": ("delete these chains", _names(1, "chain names")),
    "selres": ("keep these residues, as in 1:50,60", _ranges),
    "delres": ("delete these residues", _deleted),
    "selresname": ("keep residues of these names", _names(3, "residue names")),
    "delresname": ("delete residues of these names, as in HOH,SO4", _names(3, "residue names")),
    "selatom": ("keep atoms of these names, as in CA,N", _names(4, "atom names")),
    "selelem": ("keep these elements", _names(2, "elements")),
    "delelem": ("delete these elements, as in H", _names(2, "elements")),
    "selhetatm": ("keep only HETATM records", _none),
    "delhetatm": ("delete HETATM records: ligands, ions, waters", _none),
    "keepcoord": ("keep only coordinates", _none),
    "selaltloc": (
        "keep one alternate location: of highest occupancy, or this one",
        _optional(_names(1, "a label", many=False), (None,)),
    ),
    "fixinsert": ("renumber so that there are no insertion codes", _no_list),
    "parents": ("read modified residues (MSE, SEP, NEP ...) as their parents", _none),
    "chain": ("name all chains so", _names(1, "a chain name", many=False)),
    "rplchain": ("rename a chain, as in A:B", _exchange(1, "chain names")),
    "rplresname": ("rename residues, as in HID:HIS", _exchange(3, "residue names")),
    "reres": ("renumber the residues of each chain from this number", _optional(_number(-999, 9999), (1,))),
    "shiftres": ("add this to residue numbers", _number(-9999, 9999)),
    "reatom": ("renumber atoms from this number", _optional(_number(1, 99_999), (1,))),
    "b": ("set the temperature factors", _real(-99, 999)),
    "occ": ("set the occupancies", _real(0, 1)),
    "seg": ("set the segment identifier", _names(4, "a segment name", many=False)),
    "segxchain": ("copy segment identifiers to chain names", _none),
    "chainxseg": ("copy chain names to segment identifiers", _none),
    "chainbows": ("rename chains at each TER", _none),
    "element": ("write the elements, guessed from atom names", _none),
    "uniqname": ("give the atoms of a HETATM residue names of their own", _none),
    "sort": ("sort by chain and residue", _sort_keys),
    "tidy": ("write TER and END records as the format wants them", _none),
}
"""Name -> what it does, and how its option is read."""

PRESETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "clean": ("selaltloc", "delresname HOH", "tidy"),
    "docking": ("selmodel 1", "selaltloc", "parents", "delhetatm", "delelem H", "fixinsert", "keepcoord", "tidy"),
}
"""Pipelines for common ends: one location per atom without water; one model of protein only, ready for docking."""


def parse_pipeline(text: str) -> list[Operation]:
    """Operations from a text, one a line or separated by ``|``; ``pdb_selchain -A`` is read as ``selchain A``.

    Raises:
        StructureError: naming every line at fault.

    >>> [str(step) for step in parse_pipeline("selchain A,B\\npdb_delhetatm | pdb_reres -5")]
    ['selchain A,B', 'delhetatm', 'reres 5']
    """
    steps, faults = [], []
    lines = [part.strip() for line in text.splitlines() for part in line.split("#")[0].split("|")]
    for line in filter(None, lines):
        name, _, option = line.partition(" ")
        written = name.lower().startswith("pdb_")
        option = option.strip().removeprefix("-") if written else option.strip()
        operation = Operation(name.lower().removeprefix("pdb_"), option)
        try:
            _arguments(operation)
            steps.append(operation)
        except ValueError as error:
            faults.append(f"{line!r}: {error}")
    if faults:
        raise StructureError("; ".join(faults) + ".")
    return steps


def _arguments(operation: Operation) -> tuple[Any, ...]:
    if operation.name not in OPERATIONS:
        raise ValueError(f"the operations are {', '.join(OPERATIONS)}")
    return OPERATIONS[operation.name][1](operation.option)


def prepare(path: str | Path, operations: Sequence[Operation]) -> Prepared:
    """Run a pipeline over a PDB or mmCIF file, gzip-compressed or not.

    Raises:
        StructureError: the file cannot be read or does not fit the PDB format, an operation fails, or leaves no atom.
    """
    path = Path(path)
    before = lines = _full_lines(_as_pdb(path.name, read_text(path)))
    steps: list[Step] = []
    messages: list[str] = []
    for number, operation in enumerate(operations, start=1):
        after, said = _run(operation, lines, number)
        messages += [f"{operation}: {line}" for line in said]
        step = _step(operation, lines, after)
        if step.atoms == 0:
            raise StructureError(f"Step {number} ({operation}) leaves no atoms; before it there were {_held(lines)}.")
        steps.append(step)
        lines = after
    return Prepared("".join(lines), "".join(before), tuple(steps), tuple(messages))


def _as_pdb(name: str, text: str) -> str:
    """A text of either format as PDB."""
    from colonnade.structure._reading import parse

    document, _ = parse(name, text)
    if not text.lstrip().lower().startswith("data_"):
        return text if text.endswith("\n") else text + "\n"
    long = sorted({chain.name for chain in document[0] if len(chain.name) > 1})
    if long:
        raise StructureError(f"{name} does not fit the PDB format: it has chains with long names ({', '.join(long)}).")
    if document[0].count_atom_sites() > 99_999:
        raise StructureError(f"{name} does not fit the PDB format: it has more than 99999 atoms.")
    return str(document.make_pdb_string())


def _full_lines(text: str) -> list[str]:
    """Lines of 80 columns, as the programs expect, with the residue that each TER ends."""
    lines, last = [], " " * 10
    for line in text.splitlines():
        if line.startswith(("ATOM", "HETATM")):
            last = f"{line:80}"[17:27]
        elif line.startswith("TER") and not line[3:].strip():
            lines.append(f"TER{'':14}{last}{'':53}\n")
            continue
        lines.append(f"{line:80}\n")
    return lines


def _run(operation: Operation, lines: list[str], number: int) -> tuple[list[str], list[str]]:
    arguments = _arguments(operation)
    if operation.name in OWN:
        return OWN[operation.name](lines, *arguments)
    program = importlib.import_module(f"pdbtools.pdb_{operation.name}")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            after = [line.rstrip("\n") + "\n" for line in program.run(io.StringIO("".join(lines)), *arguments)]
    except (SystemExit, Exception) as error:
        reason = said.getvalue().strip().splitlines()
        why = reason[0].removeprefix("ERROR!!").strip() if reason else str(error)
        raise StructureError(f"Step {number} ({operation}) fails: {why or type(error).__name__}.") from None
    return after, [line.strip() for line in said.getvalue().splitlines() if line.strip()]


def _coordinates(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(("ATOM", "HETATM"))]


def _step(operation: Operation, before: list[str], after: list[str]) -> Step:
    old, new = _coordinates(before), _coordinates(after)
    kept = set(old) & set(new)
    return Step(
        operation=operation,
        models=max(1, sum(line.startswith("MODEL") for line in after)),
        chains=len({line[21] for line in new}),
        residues=len({line[17:27] for line in new}),
        atoms=len(new),
        changed=max(sum(line not in kept for line in old), sum(line not in kept for line in new)),
    )


def _held(lines: list[str]) -> str:
    atoms = _coordinates(lines)
    chains = ", ".join(sorted({line[21] for line in atoms}))
    return f"{len(atoms)} atoms in chains {chains}"
