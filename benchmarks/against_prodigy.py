"""Binding affinity of the 81 benchmark complexes: prodigy-prot and the two engines here, in one run, one
thread.

    pip download --no-deps --no-binary :all: prodigy-prot==2.4.0
    OMP_NUM_THREADS=1 python benchmarks/against_prodigy.py prodigy_prot-2.4.0.tar.gz

The complexes come from the source distribution of the peer. Each complex is read from its PDB file by each
program in turn; times are wall clock and processor time of this process.
"""

import argparse
import io
import json
import logging
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from Bio.PDB.PDBParser import PDBParser
from prodigy_prot.modules.parsers import validate_structure
from prodigy_prot.modules.prodigy import Prodigy

from colonnade.structure import binding_affinity

CLASSES = ("CC", "CP", "AC", "PP", "AP", "AA")
Result = tuple[float, dict[str, int]]


def peer(path: Path) -> Result:
    structure = PDBParser(QUIET=True).get_structure(path.stem, path)
    run = Prodigy(validate_structure(structure, selection=["A", "B"])[0], selection=["A", "B"])
    run.predict()
    return run.ba_val, {kind: int(run.bins[kind]) for kind in CLASSES}


def ours(engine: Any) -> Callable[[Path], Result]:
    def run(path: Path) -> Result:
        result = binding_affinity(path, ["A", "B"], engine=engine)
        return result.delta_g, result.contacts

    return run


def unpack(sdist: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Write the 81 PDB files to `folder`; the stored values by name."""
    with tarfile.open(sdist) as archive:
        read = {Path(m.name).name: m for m in archive.getmembers() if "tests/test_data/dataset" in m.name}
        expected: dict[str, dict[str, Any]] = json.load(archive.extractfile(read["dataset.json"]))  # type: ignore[arg-type]
        inner = archive.extractfile(read["dataset.tgz"]).read()  # type: ignore[union-attr]
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        for name in expected:
            member = archive.extractfile(f"PRODIGYdataset/{name}.pdb")
            (folder / f"{name}.pdb").write_bytes(member.read())  # type: ignore[union-attr]
    return expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("sdist", help="source distribution of prodigy-prot 2.4.0")
    parser.add_argument("--limit", type=int, default=81, help="number of complexes")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    programs = {
        "prodigy-prot 2.4.0": peer,
        "engine='prodigy'": ours("prodigy"),
        "engine='fast'": ours("fast"),
    }
    wall, cpu = dict.fromkeys(programs, 0.0), dict.fromkeys(programs, 0.0)
    results: dict[str, list[Result]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as scratch:
        expected = unpack(arguments.sdist, Path(scratch))
        names = sorted(expected)[: arguments.limit]
        for program in programs.values():  # imports and compilation are not timed
            program(Path(scratch, f"{names[0]}.pdb"))
        for name in names:
            for label, program in programs.items():
                before = time.perf_counter(), time.process_time()
                results[label].append(program(Path(scratch, f"{name}.pdb")))
                wall[label] += time.perf_counter() - before[0]
                cpu[label] += time.process_time() - before[1]
    base = next(iter(programs))
    measured = np.array([expected[name]["DG"] for name in names])
    stored = np.array([expected[name]["ba_val"] for name in names])
    print(f"{len(names)} complexes       wall s   cpu s  ratio  same contacts  |ΔΔG|  vs stored      R   RMSE")
    for label in programs:
        delta_g = np.array([value for value, _ in results[label]])
        same = sum(a[1] == b[1] for a, b in zip(results[label], results[base], strict=True))
        against = np.abs(delta_g - [value for value, _ in results[base]]).max()
        error = np.sqrt(((delta_g - measured) ** 2).mean())
        print(
            f"{label:20} {wall[label]:7.2f} {cpu[label]:7.2f} {cpu[base] / cpu[label]:6.2f} {same:14d} "
            f"{against:6.0e} {np.abs(delta_g - stored).max():10.3f} "
            f"{np.corrcoef(delta_g, measured)[0, 1]:6.3f} {error:6.3f}"
        )


if __name__ == "__main__":
    main()
