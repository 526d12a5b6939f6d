"""Fit the contact potential of the own docking engine: `data/contact_potential.json`.

    python scripts/fit_contact_potential.py FOLDER [COMPLEXES]

Bound complexes of the affinity benchmark (tests/structure/data/prodigy81.npz), the smallest first, are docked by shape
alone from a random orientation; the potential of two atom types is minus the logarithm of how much more often they
touch in the complexes than in the wrong models (decoys as the reference state: Chuang et al., Biophys. J. 95:4217,
2008). Decoys are kept in FOLDER, so that a second run goes on. Prints how many decoys beat each complex when it is
left out of the fit.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from colonnade.structure import _dock_fields as energy
from colonnade.structure import docking
from colonnade.structure._dock_atoms import TYPES
from colonnade.structure.structures import Structure

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "structure"))
SHAPE = energy.Model(repulsion=0.4, charge=1e-6, contact=np.full((len(TYPES),) * 2, -0.05), rank=1)
DECOYS, ANGLE, SPACING = 400, 20.83, 1.8
WRONG = 0.15  # DockQ below which a model counts as a decoy
OBSERVED, PSEUDO = 600.0, 20.0  # contacts that a complex counts for, and of the prior for each pair of types
LEVEL, SCALE, REPULSION, CHARGE, RANK = -0.3, 0.1, 0.3, 30.0, 6
REPULSION_CAP = 150.0  # Å²: decoys are not refined


def decoys(name: str, complex: Structure, seed: int, folder: Path) -> Any:
    """Contacts by types, repulsion and charges of the models by shape and of the complex itself."""
    kept = folder / f"{name}.npz"
    if not kept.exists():
        bodies = [complex.in_chains([chain]) for chain in ("A", "B")]
        fixed, moving = sorted(bodies, key=len, reverse=True)
        turn = Rotation.random(random_state=seed).as_matrix()
        turned = replace(moving, xyz=(moving.xyz - moving.xyz.mean(axis=0)) @ turn.T)
        run = docking._Run(SHAPE, fixed, turned, docking._allowing([], fixed, turned), SPACING, 0.0, "cpu")
        found = run.search(DECOYS).run(docking.rotation_set(ANGLE))
        poses = [run.pose(r, c) for r, c in zip(found.rotations, found.centres * SPACING + run.origin, strict=True)]
        placed = [turned.moved(pose.rotation, pose.translation) for pose in poses]
        likeness = docking.Docking(fixed, turned, (), tuple(poses)).compared(complex)
        native = energy.terms(SHAPE, fixed, moving)
        np.savez_compressed(
            kept,
            dockq=[measure.dockq for measure in likeness],
            counts=np.array([energy.pair_counts(fixed, body) for body in placed], dtype=np.float32),
            rep=[overlap(fixed, body) for body in placed],
            elec=[pose.terms["electrostatic"] / SHAPE.charge for pose in poses],
            native=energy.pair_counts(fixed, moving),
            nrep=overlap(fixed, moving),
            nelec=native["electrostatic"] / SHAPE.charge,
        )
    return np.load(kept)


def overlap(fixed: Structure, moving: Structure) -> float:
    """Repulsion of the search without its cap, Å²."""
    gaps = cdist(fixed.xyz, moving.xyz)
    return float((np.maximum(energy.REPULSION - gaps, 0.0) ** 2).sum())


def potential(data: list[Any]) -> NDArray[np.float64]:
    """(T, T) potential of mean contact; rare pairs go towards what their types do on average."""
    native = np.mean([d["native"] / d["native"].sum() for d in data], axis=0)
    wrong = np.mean([c / c.sum() for d in data if (c := d["counts"][d["dockq"] < WRONG].sum(axis=0)).sum()], axis=0)
    prior = np.outer(native.sum(axis=1), native.sum(axis=1)) / np.outer(wrong.sum(axis=1), wrong.sum(axis=1)) * wrong
    observed, pseudo = OBSERVED * len(data), PSEUDO * native.size
    share = (native * observed + pseudo * prior / prior.sum()) / (observed + pseudo)
    contact = SCALE * (LEVEL - np.log(np.maximum(share, 1e-9) / np.maximum(wrong, 1e-9)))
    return (contact + contact.T) / 2.0


def beaten_by(contact: NDArray[np.float64], data: Any) -> int:
    """How many decoys have a better score than the complex."""

    def score(counts: Any, repulsion: Any, charge: Any) -> Any:
        return (contact * counts).sum(axis=(-1, -2)) + REPULSION * repulsion + CHARGE * charge

    models = score(data["counts"], np.minimum(data["rep"], REPULSION_CAP), data["elec"])
    return int((models < score(data["native"], data["nrep"], data["nelec"])).sum())


def main() -> None:
    from conftest import read_benchmark81

    folder, most = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 81
    folder.mkdir(parents=True, exist_ok=True)
    benchmark = sorted(enumerate(read_benchmark81()), key=lambda item: len(item[1][1][0]))[:most]
    data = {name: decoys(name, complex, seed, folder) for seed, (name, (complex, _)) in benchmark}
    for name, left_out in data.items():
        others = [found for other, found in data.items() if other != name]
        print(name, "beaten by", beaten_by(potential(others), left_out), "of", len(left_out["dockq"]))
    contact = potential(list(data.values()))
    stored = {"source": "scripts/fit_contact_potential.py", "complexes": sorted(data), "repulsion": REPULSION,
              "charge": CHARGE, "rank": RANK, "contact": contact.round(4).tolist()}  # fmt: skip
    (ROOT / "src/colonnade/structure/data/contact_potential.json").write_text(json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
