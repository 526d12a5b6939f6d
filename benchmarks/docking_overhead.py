"""What a docking job costs beyond its engine: a stand-in that gives 20 ready models at once takes the engine's place.

    python benchmarks/docking_overhead.py

Prints the time from raw inputs to a finished run directory (inputs checked, engine called, models read, judged,
clustered figures and files written), less the time inside the stand-in. The bar is 2 s.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from pathlib import Path

from colonnade.runner import run
from colonnade.service import get
from colonnade.structure import haddock_install, read_structure
from colonnade.structure.examples import example

MODELS = 20
STAND_IN = """#!{python}
import os, sys, time
start = time.perf_counter()
os.makedirs("run/1_caprieval"); os.makedirs("run/2_caprieval")
text = "".join(open(f"molecule_{{k}}.pdb").read().replace("END\\n", "") for k in (1, 2)) + "END\\n"
rows = ["model\\tscore\\tcluster_ranking\\tvdw\\telec\\tdesolv\\tair"]
for k in range({models}):
    open(f"run/2_caprieval/model_{{k}}.pdb", "w").write(text)
    rows.append(f"model_{{k}}.pdb\\t{{-k}}\\t{{1 + k % 3}}\\t-30\\t-200\\t5\\t10")
for stage in (1, 2):
    open(f"run/{{stage}}_caprieval/capri_ss.tsv", "w").write("\\n".join(rows) + "\\n")
open({spent!r}, "a").write(f"{{time.perf_counter() - start}}\\n")
"""


def main() -> None:
    service = get("structure.docking")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = read_structure(example("E2A-HPr"))  # bodies in contact, so that every measure is computed
        for body, chain in (("fixed", "A"), ("scanning", "B")):
            (folder / f"{body}.pdb").write_text(known.in_chains([chain]).to_pdb())
        program, spent = folder / "python", folder / "spent"
        program.write_text(STAND_IN.format(python=sys.executable, models=MODELS, spent=str(spent)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        os.environ[haddock_install.VARIABLE] = str(program)
        inputs = {
            "fixed": str(folder / "fixed.pdb"),
            "scanning": str(folder / "scanning.pdb"),
            "restraint_lines": "A 69 CA B 49 CA 0 25",
            "reference": str(example("E2A-HPr")),
            "engine": "haddock3",
            "cns_licence": True,
            "effort": "quick",
        }
        times, worked = [], []
        for attempt in range(6):
            start, cpu = time.perf_counter(), time.process_time()
            run(service, inputs, folder / f"run{attempt}")
            times.append(time.perf_counter() - start)
            worked.append(time.process_time() - cpu)
        engine = [float(line) for line in spent.read_text().split()]
    ours = [total - inside for total, inside in zip(times, engine, strict=True)]
    print(f"{MODELS} models, first job (imports included): {ours[0]:.2f} s beyond the engine")
    print(f"later jobs: {min(ours[1:]):.2f} to {max(ours[1:]):.2f} s, of which {min(worked[1:]):.2f} s of CPU")
    print("on a busy machine the first figure measures the others; the second does not")


if __name__ == "__main__":
    main()
