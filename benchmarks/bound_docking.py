"""Own docking of bound complexes without restraints: at which rank is the first cluster that is the complex?

    OMP_NUM_THREADS=1 python benchmarks/bound_docking.py [--complexes 1PPE 1VFB ...] [--folder FOLDER]

Complexes of the PRODIGY benchmark that the contact potential was not fitted on (see
scripts/fit_contact_potential.py), taken apart; the smaller body is turned at random, and both are docked with the
settings of an effort of the portal. A cluster counts as the complex when its best model is acceptable (DockQ >= 0.23),
or of medium quality (>= 0.49). With a folder, results are kept there and a second run goes on.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from colonnade.structure import Structure, dock
from colonnade.structure.docking import Docking
from colonnade.structure.services.docking import EFFORTS
from structure.conftest import read_benchmark81

INHIBITORS = ("1PPE", "2TGP", "1ACB", "1CBW", "1R0R", "4CPA", "1JTG")
ANTIBODIES = ("1VFB", "1BVK", "2I25")
OTHERS = ("3BZD", "1EWY", "1AK4", "2AQ3", "2PCC")
TOPS, ACCEPTABLE, MEDIUM = (1, 5, 10), 0.23, 0.49


def docked(complex: Structure, seed: int, effort: str) -> Docking:
    """The smaller of both bodies, turned at random, docked to the other."""
    fixed, moving = sorted((complex.in_chains([chain]) for chain in "AB"), key=len, reverse=True)
    turn = Rotation.random(random_state=seed).as_matrix()
    chosen = EFFORTS[effort]
    turned = moving.moved(turn, np.zeros(3))
    return dock(fixed, turned, angle=chosen.angle, spacing=chosen.spacing, keep=chosen.keep, state="bound")


def first(quality: list[float], least: float) -> int | None:
    """Rank, from 1, of the first cluster of at least this quality."""
    return next((rank for rank, value in enumerate(quality, start=1) if value >= least), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--complexes", nargs="+", default=[*INHIBITORS, *ANTIBODIES, *OTHERS])
    parser.add_argument("--effort", choices=list(EFFORTS), default="normal")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    known = {name: complex for name, (complex, _) in read_benchmark81()}
    qualities: dict[str, list[float]] = {}
    for name in options.complexes:
        kept = options.folder / f"{name}.json" if options.folder else None
        start = time.perf_counter()
        if kept is not None and kept.exists():
            qualities[name] = json.loads(kept.read_text())
        else:
            found = docked(known[name], options.seed, options.effort)
            measures = found.compared(known[name])
            qualities[name] = [measures[k].dockq for k in found.best]
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(qualities[name]))
        quality = qualities[name]
        print(
            f"{name}: first acceptable cluster {first(quality, ACCEPTABLE)}, first medium {first(quality, MEDIUM)} of "
            f"{len(quality)}, best DockQ of all {max(quality):.2f}; {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    for label, least in (("acceptable", ACCEPTABLE), ("medium", MEDIUM)):
        ranks = [first(quality, least) for quality in qualities.values()]
        for top in TOPS:
            hits = sum(rank is not None and rank <= top for rank in ranks)
            print(f"{label} among the first {top}: {hits} of {len(ranks)}")


if __name__ == "__main__":
    main()
