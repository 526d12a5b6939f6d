"""Make the example map of `structure.map_fit`: 3BZD at 10 Å with a tenth of its maximum as noise.

python tests/structure/data/make_map_example.py
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from colonnade.structure import DensityMap, example, read_structure
from colonnade.structure.fitting import simulated_map

FOLDER = Path(__file__).parents[3] / "src" / "colonnade" / "structure" / "examples"


def main() -> None:
    density = simulated_map(read_structure(example("3BZD")).protein, 10.0, 3.0)
    rng = np.random.default_rng(20210701)
    noisy = density.values + rng.normal(0, 0.1 * density.values.max(), density.values.shape)
    scaled = np.round(100 * noisy / density.values.max())  # few values, so that the file packs well
    path = FOLDER / "3BZD-10A.mrc"
    DensityMap(scaled, density.spacing, density.origin).to_mrc(path)
    (FOLDER / "3BZD-10A.mrc.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    path.unlink()
    print(density.values.shape, (FOLDER / "3BZD-10A.mrc.gz").stat().st_size)


if __name__ == "__main__":
    main()
