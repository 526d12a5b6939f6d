"""The jet pipeline (Pythia, detector, clustering, matching, cuts) against bare Pythia, and two workers against one.

As many collisions of the same process, each with its start of Pythia, in turns: CPU-seconds of one core for the first
(the median of the ratios), wall-clock for the second.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pythia8mc

from colonnade.physics import generate
from colonnade.physics.jets import JetSettings, make_jets, pythia_settings

ROUNDS = 5


def bare(kind: str, collisions: int) -> float:
    """CPU-seconds of Pythia's own loop."""
    begin = time.process_time()
    pythia = pythia8mc.Pythia("", False)
    for line in pythia_settings(kind, 1234, JetSettings()):
        pythia.readString(line)
    pythia.init()
    for _ in range(collisions):
        pythia.next()
    return time.process_time() - begin


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    for kind in ("qcd", "top"):
        make_jets(kind, 5, np.random.default_rng(0))  # imports
        ratios, jets, spent_on = [], 0, 0.0
        for turn in range(ROUNDS):
            begin = time.process_time()
            made = make_jets(kind, n // ROUNDS, np.random.default_rng(turn))
            ours = time.process_time() - begin
            ratios.append(ours / bare(kind, made.collisions))
            jets, spent_on = jets + len(made.p4), spent_on + ours
        print(
            f"{kind}: {jets / spent_on:.0f} jets/CPU-s; {np.median(ratios):.2f} times bare Pythia "
            f"({min(ratios):.2f} to {max(ratios):.2f}; goal 1.2)"
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
