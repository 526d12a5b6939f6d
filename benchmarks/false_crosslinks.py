"""How often planted false crosslinks are found, over many random plantings on known complexes.

    OMP_NUM_THREADS=1 python benchmarks/false_crosslinks.py [--complexes 1GCQ 1FFW ...] [--plantings 100]

Complexes of the PRODIGY benchmark are searched once each, with a pool of lysine-lysine pairs (or all residues'
where there are too few): true ones within 25 Å in the complex, false ones beyond 30 Å. Each planting draws 6 true
and 0 to 3 false ones and asks, from the same search, which look false: by z-score (z >= 1, as DisVis does) and by
posterior probability (prior 0.25). Printed: share of planted false ones found, share of true ones accused, with
95 % intervals from resampling the complexes; and, where the probability says so much, how many are false.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from colonnade.structure import DensityMap, InteractionSpace, Structure, crosslink, interaction_space
from structure.conftest import read_benchmark81

TRUE_BELOW, FALSE_ABOVE, UPPER, POOL, PRIOR = 25.0, 30.0, 25.0, 12, 0.25
COMPLEXES = (
    *("1GCQ", "1FFW", "1QA9", "1EMV", "1PPE", "1LFD", "2TGP", "1ACB", "1KAC", "4CPA"),
    *("2AQ3", "2GOX", "1BUH", "1EWY", "2PCC", "1XQS", "1A2K", "2HQS", "1DQJ", "1BVN"),
)
BINS = (0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


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


def searched(structure: Structure, angle: float, folder: Path | None) -> tuple[InteractionSpace, int] | None:
    """The search over the whole pool, and how many of its restraints are true; None where there are too few.

    With a folder, a search that was made before is taken from there.
    """
    true, false = pool(structure, np.random.default_rng(sum(map(ord, structure.name))))
    if len(true) < 6 or len(false) < 4:
        return None
    links = tuple(crosslink(f"A {a}", f"B {b}", UPPER) for a, b in (*true, *false))
    kept = None if folder is None else folder / f"{structure.name}.npz"
    if kept is not None and kept.exists():
        with np.load(kept) as data:
            nowhere = DensityMap(np.zeros((1, 1, 1)), 1.0, np.zeros(3))
            return InteractionSpace(links, data["patterns"], data["weights"], nowhere, angle, 0), len(true)
    found = interaction_space(structure.in_chains("A"), structure.in_chains("B"), links, angle=angle)
    if kept is not None:
        np.savez(kept, patterns=found.patterns, weights=found.weights)
    return found, len(true)


def plantings(space: InteractionSpace, true: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """A row for each restraint of each planting: whether it is false, its z-score, its probability to be false."""
    rows = []
    for _ in range(count):
        planted = rng.choice(np.arange(true, space.n), int(rng.integers(0, 4)), replace=False)
        chosen = [int(i) for i in (*rng.choice(true, 6, replace=False), *planted)]
        part = space.restricted(chosen)
        labels = np.arange(len(chosen)) >= 6
        rows.append(np.column_stack([labels, part.z_scores, part.false_positive_probability(PRIOR)]))
    return np.concatenate(rows)


def interval(values: list[np.ndarray], statistic: object, rng: np.random.Generator) -> str:
    """A statistic of the rows of all complexes, with its 95 % interval over resampled complexes."""
    assert callable(statistic)
    drawn = [
        statistic(np.concatenate([values[i] for i in rng.integers(0, len(values), len(values))])) for _ in range(1000)
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return f"{statistic(np.concatenate(values)):.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--complexes", nargs="*", default=COMPLEXES)
    parser.add_argument("--plantings", type=int, default=100)
    parser.add_argument("--angle", type=float, default=20.83)
    parser.add_argument("--folder", type=Path, help="keep the searches here, and take them from here")
    arguments = parser.parse_args()
    benchmark, rng = dict(read_benchmark81()), np.random.default_rng(1)
    rows: list[np.ndarray] = []
    for name in arguments.complexes:
        done = searched(benchmark[name][0], arguments.angle, arguments.folder)
        if done is None:
            print(f"{name}: too few pairs")
            continue
        rows.append(plantings(*done, arguments.plantings, rng))
    print(f"{len(rows)} complexes, {arguments.plantings} plantings each; intervals over complexes")
    for label, column, least in (("z >= 1", 1, 1.0), ("probability > 0.5", 2, 0.5)):
        found = interval(rows, lambda r, c=column, t=least: (r[r[:, 0] == 1, c] >= t).mean(), rng)
        accused = interval(rows, lambda r, c=column, t=least: (r[r[:, 0] == 0, c] >= t).mean(), rng)
        right = interval(rows, lambda r, c=column, t=least: r[r[:, c] >= t, 0].mean(), rng)
        print(f"{label:18} false found {found}   true accused {accused}   accusations right {right}")
    print("probability to be false: said, and seen")
    for low, high in itertools.pairwise(BINS):
        inside = [r[(r[:, 2] >= low) & (r[:, 2] < high + (high == 1))] for r in rows]
        count = sum(map(len, inside))
        if count:
            said = np.concatenate(inside)[:, 2].mean()
            seen = interval(inside, lambda r: r[:, 0].mean() if len(r) else float("nan"), rng)
            print(f"{low:.2f} to {high:.2f}  n {count:6d}  said {said:.2f}  seen {seen}")


if __name__ == "__main__":
    main()
