"""Docking by HADDOCK3, an external engine: its run is made, watched, ended, and read back.

Dominguez, Boelens & Bonvin, JACS 125:1731 (2003). The engine is found by `haddock_install.locate`; whoever runs it
has to accept the terms of CNS first (`haddock_install.TERMS`).
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from colonnade.structure import haddock_install
from colonnade.structure.haddock_config import Protocol, configuration
from colonnade.structure.restraints import Restraint, format_tbl
from colonnade.structure.structures import Structure, StructureError

Say = Callable[[str], None]

_STEP = re.compile(
    r"(?:Running \[\w+\] module|\d+ tasks? finished|\[\w+\] (?:Finished|Selecting|Calculating|Clustering).*)"
)


class HaddockError(ValueError):
    """HADDOCK3 cannot run or ended without models; the message is plain sentences."""


@dataclass(frozen=True)
class HaddockModel:
    """One model: file, score and its terms, cluster (0: none), and likeness to the reference where there is one."""

    path: Path
    score: float
    cluster: int
    terms: dict[str, float]
    measures: dict[str, float]


@dataclass(frozen=True)
class HaddockRun:
    """What a run gave: models, the best first; failures of CNS along the way; the rigid-body stage's measures."""

    models: tuple[HaddockModel, ...]
    rigid: tuple[HaddockModel, ...]
    failures: tuple[str, ...]
    complete: bool


def check_bodies(bodies: Sequence[Structure]) -> None:
    """Raise `StructureError` for what CNS cannot take: several chains in a body, shared names, insertion codes."""
    names: list[str] = []
    for number, body in enumerate(bodies, start=1):
        chains = list(dict.fromkeys(body.chain.tolist()))
        if len(chains) != 1:
            raise StructureError(
                f"body {number}: {body.name} has the chains {', '.join(chains)}; HADDOCK3 takes one chain a body "
                "(join them with other residue numbers first)."
            )
        if coded := sorted({str(r) for r in body.residue_ids() if r.insertion}):
            raise StructureError(
                f"body {number}: residues with insertion codes ({', '.join(coded[:5])}) are not for HADDOCK3; "
                "renumber them first."
            )
        names += chains
    if len(set(names)) < len(names):
        raise StructureError(f"chains: the bodies share chain names ({', '.join(names)}).")


def dock(
    directory: Path,
    bodies: Sequence[Structure],
    protocol: Protocol,
    *,
    ambiguous: Sequence[Restraint] = (),
    unambiguous: Sequence[Restraint] = (),
    reference: Structure | None = None,
    seed: int = 917,
    python: Path | None = None,
    limit: float | None = None,
    say: Say = lambda _: None,
) -> HaddockRun:
    """Dock bodies in an empty folder.

    Arguments:
        directory: where the run is written; everything of it has names of ours.
        bodies: one chain each, with names of their own.
        protocol: the steps.
        ambiguous: half of these are left out at random for each model.
        unambiguous: all of these are used.
        reference: the known complex, with the same chain names.
        seed: of the engine's random numbers.
        python: interpreter that has HADDOCK3; None to look for it.
        limit: seconds after which the engine is ended; the models that it has made by then are given back.
        say: told each step.

    Raises:
        HaddockError: the engine is absent, there is no restraint, or no model came out.
    """
    python = python or haddock_install.locate()
    if python is None:
        raise HaddockError("HADDOCK3: engine not installed: run `colonnade engines install haddock3`.")
    if not ambiguous and not unambiguous:
        raise HaddockError("restraints: HADDOCK3 needs at least one; without any the bodies float apart.")
    check_bodies(bodies)
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"molecule_{number}.pdb" for number in range(1, len(bodies) + 1)]
    for name, body in zip(names, bodies, strict=True):
        (directory / name).write_text(plain_pdb(body))
    for file, restraints in (("ambiguous.tbl", ambiguous), ("unambiguous.tbl", unambiguous)):
        if restraints:
            (directory / file).write_text(format_tbl(restraints))
    if reference is not None:
        (directory / "reference.pdb").write_text(plain_pdb(reference))
    text = configuration(
        protocol,
        names,
        ambiguous=bool(ambiguous),
        unambiguous=bool(unambiguous),
        reference=reference is not None,
        seed=seed,
    )
    (directory / "run.cfg").write_text(text)
    code = _run(python, directory, limit, say)
    found = read_run(directory / "run")
    if not found.models:
        reasons = " ".join(found.failures) or f"see its log: {_tail(directory / 'haddock3.log')}"
        raise HaddockError(f"HADDOCK3 ended with code {code} and made no model. {reasons}")
    return found


def plain_pdb(structure: Structure) -> str:
    """Only the atoms, chain by chain: what CNS reads without surprise."""
    lines = [line for line in structure.to_pdb().splitlines() if line.startswith(("ATOM", "HETATM", "TER"))]
    return "\n".join([*lines, "END", ""])


def _run(python: Path, directory: Path, limit: float | None, say: Say) -> int:
    """Run to the end; whatever happens here, nothing of the engine is left running."""
    command = [str(python.absolute()), "-m", "haddock.clis.cli", "run.cfg"]
    variables = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/"), "PYTHONUNBUFFERED": "1"}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with (directory / "haddock3.log").open("w") as log:
        engine = subprocess.Popen(
            command,
            cwd=directory,
            env=variables | threads,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        alarm = Timer(limit or 0.0, _end, [engine])
        try:
            if limit:
                alarm.start()
            assert engine.stdout is not None
            for line in engine.stdout:
                log.write(line)
                if match := _STEP.search(line):
                    say(f"HADDOCK3: {match[0]}")
            return engine.wait()
        finally:  # also when the job is cancelled
            alarm.cancel()
            _end(engine)
            engine.wait()


def _end(engine: subprocess.Popen[str]) -> None:
    """End the engine and the processes of CNS, which are of its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(engine.pid, signal.SIGKILL)


def read_run(run: Path) -> HaddockRun:
    """Read a run directory back, also one that did not come to its end."""
    stages = sorted(run.glob("[0-9]*_caprieval"), key=lambda path: int(path.name.partition("_")[0]))
    tables = [found for stage in stages if (found := _capri_table(stage))]
    refined = tables[-1] if tables else []
    return HaddockRun(
        models=tuple(sorted(refined, key=lambda model: model.score)),
        rigid=tuple(tables[0]) if tables else (),
        failures=tuple(cns_failures(run)),
        complete=len(stages) > 1,
    )


_MEASURES = ("irmsd", "fnat", "lrmsd", "ilrmsd", "dockq")
_TERMS = ("vdw", "elec", "desolv", "air", "bsa")


def _capri_table(stage: Path) -> list[HaddockModel]:
    table = stage / "capri_ss.tsv"
    if not table.is_file():
        return []
    with table.open() as stream:
        rows = list(csv.DictReader((line for line in stream if not line.startswith("#")), delimiter="\t"))
    found = []
    for row in rows:
        path = (stage / row["model"]).resolve()
        found.append(
            HaddockModel(
                path=path if path.is_file() else path.with_name(path.name + ".gz"),
                score=float(row["score"]),
                cluster=int(row["cluster_ranking"]) if row.get("cluster_ranking", "-").isdecimal() else 0,
                terms={name: float(row[name]) for name in _TERMS if _is_number(row.get(name))},
                measures={name: float(row[name]) for name in _MEASURES if _is_number(row.get(name))},
            )
        )
    return found


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and float(text) == float(text)
    except ValueError:
        return False


_FAILURE = re.compile(r"%[A-Z0-9]+-ERR|ABORT|error encountered|ERROR:|%READC-ERR|not enough memory", re.IGNORECASE)
_ATOM = re.compile(r'"?\s*([A-Za-z0-9]{1,4})\s*-\s*(-?\d+)\s*-\s*([A-Z0-9]{1,4})\s*-\s*([A-Z0-9\'*+]{1,5})\s*"?')


def cns_failures(run: Path, most: int = 5) -> list[str]:
    """Sentences about what went wrong inside CNS: its own line, and the residue and atom that it was at."""
    found: dict[str, None] = {}
    files = [path for pattern in ("*.cnserr*", "*.out", "*.out.gz") for path in sorted(run.rglob(pattern))]
    for path in files:
        for sentence in _failures_of(path):
            found.setdefault(sentence, None)
        if len(found) >= most:
            break
    return list(found)[:most]


def _failures_of(path: Path) -> list[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", errors="replace") as stream:
            lines = [line.rstrip() for line in stream.readlines()[-20_000:]]
    except (OSError, EOFError):
        return []
    sentences: list[str] = []
    for number, line in enumerate(lines):
        if not _FAILURE.search(line) or ("ABORT" in line and sentences):
            continue
        around = "\n".join(lines[max(0, number - 3) : number + 4])
        atom = _ATOM.search(around)
        where = f" at residue {atom[3]} {atom[2]} of {atom[1].strip()}, atom {atom[4]}" if atom else ""
        last = _last_command(lines[:number])
        said = " ".join(line.split())[:200]
        sentences.append(f"CNS stopped{where}: {said}" + (f" (while at: {last})." if last else "."))
        if len(sentences) == 2:
            break
    return sentences


def _last_command(lines: list[str]) -> str:
    """The last line of input that CNS echoed before it stopped."""
    for line in reversed(lines[-40:]):
        match = re.match(r"\s*(?:CNSsolve|ASSFIL|NOE|SELRPN|COOR|PATCH|[A-Z]{3,10})>\s*(\S.*)", line)
        if match:
            return " ".join(match[1].split())[:120]
    return ""


def _tail(path: Path, lines: int = 3) -> str:
    text = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(text[-lines:])[:500]
