"""Make rotations.npz from the data folder of the powerfit-em wheel: ``python make_rotations.py FOLDER``
writes it here.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

SETS = {  # name: covering radius in degrees, from Karney's table
    "c48u1": 62.8, "c48n9": 36.47, "c48u27": 20.83, "c48u83": 16.29, "c48u181": 12.29, "c48n309": 9.72,
    "c48n527": 8.17, "c48u815": 7.4, "c48u2219": 5.27,
}  # fmt: skip


def main(folder: str) -> None:
    cube = Rotation.create_group("O").as_matrix()
    out = {}
    for name, angle in SETS.items():
        rows = np.load(Path(folder, f"{name}.npy"))
        matrices = Rotation.from_quat(rows[:, [1, 2, 3, 0]]).as_matrix()
        # The member g R of a coset with the largest trace is nearest to no rotation; keep the row it is.
        taken = np.zeros(len(rows), dtype=bool)
        kept = []
        flat = matrices.reshape(-1, 9)
        tree = cKDTree(flat)
        for i in np.argsort(-np.einsum("nii->n", matrices), kind="stable"):
            if taken[i]:
                continue
            coset = (cube @ matrices[i]).reshape(-1, 9)
            members = tree.query(coset)[1]
            assert len(set(members)) == 24 and np.allclose(flat[members], coset, atol=1e-7)
            assert np.ptp(rows[members, 4]) < 1e-9
            taken[members] = True
            kept.append(i)
        assert len(kept) * 24 == len(rows)
        out[f"{angle:g}"] = rows[sorted(kept)]
    np.savez_compressed(Path("rotations.npz"), **out)


if __name__ == "__main__":
    main(sys.argv[1])
