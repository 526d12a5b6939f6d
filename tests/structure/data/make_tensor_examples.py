"""Make the example data of `structure.tensor_fit`: couplings and shifts of ubiquitin from a known tensor, with noise.

python tests/structure/data/make_tensor_examples.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from colonnade.structure import dipolar_maximum, example, read_structure
from colonnade.structure.restraints import AtomId
from colonnade.structure.tensor_data import _position

FOLDER = Path(__file__).parents[3] / "src" / "colonnade" / "structure" / "examples"
SAUPE = 1e-4 * np.array([[-2.1, 1.3, -0.8], [1.3, -4.2, 2.2], [-0.8, 2.2, 6.3]])
CHI = np.array([[12.0, -6.0, 4.0], [-6.0, 8.0, 9.0], [4.0, 9.0, -20.0]])
METAL_FROM_CENTRE = np.array([14.0, 9.0, -8.0])


def main() -> None:
    rng = np.random.default_rng(20210701)
    ubiquitin = read_structure(example("2OOB")).in_chains(["B"])
    rdc, pcs = ["# simulated: chain residue atom, chain residue atom, coupling (Hz), error (Hz)"], []
    metal = ubiquitin.xyz.mean(axis=0) + METAL_FROM_CENTRE
    for residue in ubiquitin.protein.residue_ids():
        n, h = (_position(ubiquitin, AtomId("B", residue.number, name)) for name in ("N", "H"))
        if n is None or h is None or residue.name == "PRO":
            continue
        unit = (h - n) / np.linalg.norm(h - n)
        coupling = dipolar_maximum("N", "H", 1.02) * unit @ SAUPE @ unit + rng.normal(0, 0.5)
        rdc.append(f"B {residue.number} N B {residue.number} H {coupling:.3f} 0.5")
        r = h - metal
        shift = 1e4 * r @ CHI @ r / (4 * np.pi * np.linalg.norm(r) ** 5) + rng.normal(0, 0.01)
        pcs.append(f"B {residue.number} H {shift:.4f} 0.01")
    (FOLDER / "ubiquitin-rdc.dat").write_text("\n".join(rdc) + "\n")
    place = " ".join(f"{x:.3f}" for x in metal)
    pcs.insert(0, f"# simulated: chain residue atom, shift (ppm), error (ppm); metal at {place}")
    (FOLDER / "ubiquitin-pcs.dat").write_text("\n".join(pcs) + "\n")
    print(place)


if __name__ == "__main__":
    main()
