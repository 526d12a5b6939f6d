"""The jet pipeline (Pythia, detector, clustering, matching, cuts) against bare Pythia, and two workers against one.

The same collisions with the same seeds: CPU-seconds of one core for the first, wall-clock for the second.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pythia8mc

from colonnade.physics import generate
from colonnade.physics.jets import BATCH, JetSettings, make_jets, pythia_settings


def bare(kind: str, collisions: int) -> float:
    """CPU-seconds of Pythia's own loop."""
    pythia = pythia8mc.Pythia("", False)
    for line in pythia_settings(kind, 1234, JetSettings()):
        pythia.readString(line)
    pythia.init()
    begin = time.process_time()
    for _ in range(collisions):
        pythia.next()
    return time.process_time() - begin


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    for kind in ("qcd", "top"):
        make_jets(kind, 5, np.random.default_rng(0))  # imports
        begin = time.process_time()
        made = make_jets(kind, n, np.random.default_rng(1))
        ours = (time.process_time() - begin) / made.collisions
        theirs = bare(kind, BATCH * (made.collisions // BATCH)) / (BATCH * (made.collisions // BATCH))
        print(
            f"{kind}: {n / (ours * made.collisions):.0f} jets/CPU-s; {1e3 * ours:.2f} ms a collision, "
            f"bare Pythia {1e3 * theirs:.2f} ms: {ours / theirs:.2f} times (goal 1.2)"
        )
    spent = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            generate("top", 4 * n, seed=1, folder=Path(folder) / "data", workers=workers)
            spent[workers] = time.perf_counter() - begin
    print(
        f"{4 * n} jets: one worker {spent[1]:.1f} s, two {spent[2]:.1f} s: {spent[1] / spent[2]:.2f} times (goal 1.9)"
    )


if __name__ == "__main__":
    main()
