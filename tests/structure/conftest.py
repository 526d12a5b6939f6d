"""Small structure files to read, written by the tests themselves, and the benchmark set of PRODIGY."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colonnade.structure.structures import Structure

DATA = Path(__file__).parent / "data"


def atom_line(
    serial: int, name: str, resname: str, chain: str, resid: int, xyz: tuple[float, float, float], **more: Any
) -> str:
    """One ATOM record; `more`: record, altloc, icode, occupancy, element."""
    element = more.get("element", name[0])
    full = f" {name:<3}" if len(name) < 4 and len(element) == 1 else f"{name:<4}"
    x, y, z = xyz
    return (
        f"{more.get('record', 'ATOM'):<6}{serial:5d} {full}{more.get('altloc', ' ')}{resname:>3} {chain}"
        f"{resid:4d}{more.get('icode', ' ')}   {x:8.3f}{y:8.3f}{z:8.3f}"
        f"{more.get('occupancy', 1.0):6.2f}{10.0:6.2f}          {element:>2}"
    )


def alanine(chain: str, resid: int, at: tuple[float, float, float], **more: Any) -> list[str]:
    """A complete alanine with its N at `at`; the next in the chain fits 3.3 Å further in x."""
    resname = more.pop("resname", "ALA")
    offsets = {
        "N": (0, 0, 0),
        "CA": (1.2, 0.8, 0),
        "C": (2.3, -0.1, 0),
        "O": (2.3, -1.3, 0),
        "CB": (1.2, 1.7, 1.2),
    }
    return [
        atom_line(i, name, resname, chain, resid, tuple(np.add(at, offset)), **more)  # type: ignore[arg-type]
        for i, (name, offset) in enumerate(offsets.items(), start=1)
    ]


def dimer(gap: float = 4.0, length: int = 8) -> list[str]:
    """Two strands of alanine side by side, `gap` Å apart."""
    lines = []
    for chain, y in (("A", 0.0), ("B", 3.0 + gap)):
        for k in range(length):
            lines += alanine(chain, k + 1, (3.3 * k, y, 0.0))
        lines.append("TER")
    return [*lines, "END"]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines, text or bytes to a file of this name."""

    def _write(content: list[str] | str | bytes, name: str = "complex.pdb") -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else "\n".join(content) + "\n", newline="")
        return path

    return _write


@pytest.fixture(scope="session")
def benchmark81() -> dict[str, tuple[Structure, dict[str, Any]]]:
    """Name -> (complex, stored values of PRODIGY) of the 81 complexes."""
    return dict(read_benchmark81())


def read_benchmark81() -> Iterator[tuple[str, tuple[Structure, dict[str, Any]]]]:
    with np.load(DATA / "prodigy81.npz") as data:
        expected = json.loads(str(data["expected"]))
        xyz = np.cumsum(data["milli"].T, axis=0) / 1000.0
        text = {key: data[f"{key}_names"][data[key]] for key in ("chain", "resname", "atom")}
        resid, ends = data["resid"].astype(np.int64), np.cumsum(data["size"])
    for (name, values), end, size in zip(expected.items(), ends, np.diff(ends, prepend=0), strict=True):
        part = slice(end - size, end)
        chain, number = text["chain"][part], resid[part]
        new = np.r_[False, (chain[1:] != chain[:-1]) | (number[1:] != number[:-1])]
        yield (
            name,
            (
                Structure(
                    name=name,
                    xyz=xyz[part],
                    element=text["atom"][part].astype("U1"),
                    chain=chain,
                    resid=number,
                    icode=np.full(size, ""),
                    resname=text["resname"][part],
                    atom=text["atom"][part],
                    occupancy=np.ones(size),
                    b_factor=np.zeros(size),
                    kind=np.full(size, "protein"),
                    residue=np.cumsum(new),
                ),
                values,
            ),
        )
