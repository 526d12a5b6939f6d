"""How often planted false crosslinks are found, over many random plantings on known complexes.

    OMP_NUM_THREADS=1 python benchmarks/false_crosslinks.py [--complexes 1EFN 2OOB ...] [--plantings 200]

The bound partners of complexes of the PRODIGY benchmark are searched once each, with a pool of lysine-lysine
pairs (or all residues' where there are too few): true ones within 25 Å in the complex, false ones beyond 30
Å. Each planting then draws 6 true and 2 false ones and asks, from the same search, which look false: by
z-score (z >= 1, as DisVis does) and by posterior probability (> 0.5, prior 0.25). Printed: share of planted
false ones found, share of true ones accused, with 95 % Wilson intervals over plantings, and how often both
false ones and nothing else were named.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from colonnade.structure import Structure, crosslink, interaction_space
from structure.conftest import read_benchmark81

TRUE_BELOW, FALSE_ABOVE, UPPER, POOL = 25.0, 30.0, 25.0, 12


def pool(structure: Structure, rng: np.random.Generator) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Residue numbers of up to 12 true and 12 false pairs."""
    ca = structure.select(structure.atom == "CA")
    sides = [ca.select((ca.chain == chain) & (ca.resname == "LYS")) for chain in "AB"]
    if min(len(side) for side in sides) < 5:
        sides = [ca.select(ca.chain == chain) for chain in "AB"]
    distance = np.linalg.norm(sides[0].xyz[:, None] - sides[1].xyz[None], axis=-1)
    found = []
    for mask in (distance <= TRUE_BELOW, distance >= FALSE_ABOVE):
        pairs = np.argwhere(mask)
        rng.shuffle(pairs)
        found.append([(int(sides[0].resid[i]), int(sides[1].resid[j])) for i, j in pairs[:POOL]])
    return found[0], found[1]


def wilson(hits: int, tries: int) -> str:
    """Rate with its 95 % interval."""
    if tries == 0:
        return "-"
    z, p = 1.96, hits / tries
    middle, half = p + z * z / (2 * tries), z * np.sqrt(p * (1 - p) / tries + z * z / (4 * tries**2))
    low, high = ((middle + sign * half) / (1 + z * z / tries) for sign in (-1, 1))
    return f"{p:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--complexes", nargs="*", default=["1EFN", "2OOB", "1PPE", "1ACB", "1AY7", "1GCQ"])
    parser.add_argument("--plantings", type=int, default=200)
    parser.add_argument("--angle", type=float, default=20.83)
    parser.add_argument("--spacing", type=float, default=2.0)
    arguments = parser.parse_args()
    benchmark, rng = dict(read_benchmark81()), np.random.default_rng(1)
    totals = {name: np.zeros(4, dtype=int) for name in ("z >= 1", "posterior > 0.5")}
    for name in arguments.complexes:
        structure = benchmark[name][0]
        true, false = pool(structure, rng)
        if len(true) < 6 or len(false) < 2:
            print(f"{name}: too few pairs ({len(true)} true, {len(false)} false)")
            continue
        links = [crosslink(f"A {a}", f"B {b}", UPPER) for a, b in (*true, *false)]
        space = interaction_space(
            structure.in_chains("A"), structure.in_chains("B"), links,
            angle=arguments.angle, spacing=arguments.spacing,
        )  # fmt: skip
        rows = {label: np.zeros(4, dtype=int) for label in totals}
        for _ in range(arguments.plantings):
            chosen = [
                *rng.choice(len(true), 6, replace=False),
                *(len(true) + rng.choice(len(false), 2, replace=False)),
            ]
            part = space.restricted([int(i) for i in chosen])
            calls = {
                "z >= 1": part.z_scores >= 1.0,
                "posterior > 0.5": part.false_positive_probability(prior=0.25) > 0.5,
            }
            for label, called in calls.items():
                exact = bool(called[6:].all() and not called[:6].any())
                rows[label] += [int(called[6:].sum()), int(called[:6].sum()), int(exact), 1]
        for label, row in rows.items():
            totals[label] += row
            print(f"{name:8} {label:16} {report(row)}", flush=True)
    for label, row in totals.items():
        print(f"{'all':8} {label:16} {report(row)}")


def report(row: np.ndarray) -> str:
    found, accused, exact, tries = (int(value) for value in row)
    return (
        f"false found {wilson(found, 2 * tries):18}  true accused {wilson(accused, 6 * tries):18}  "
        f"both and no other {wilson(exact, tries)}"
    )


if __name__ == "__main__":
    main()
