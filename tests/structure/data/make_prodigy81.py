"""Make prodigy81.npz: the 81 benchmark complexes of PRODIGY without what the tests do not need.

Run by hand, once, on the source distribution of prodigy-prot 2.4.0:

    pip download --no-deps --no-binary :all: prodigy-prot==2.4.0
    python make_prodigy81.py prodigy_prot-2.4.0.tar.gz
"""

import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from colonnade.structure.structures import read_structure


def main(sdist: str) -> None:
    with tarfile.open(sdist) as archive:
        folder = "prodigy_prot-2.4.0/tests/test_data/"
        expected = json.load(archive.extractfile(folder + "dataset.json"))
        inner = archive.extractfile(folder + "dataset.tgz").read()
    parts = {key: [] for key in ("milli", "chain", "resid", "resname", "atom", "size")}
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive, tempfile.TemporaryDirectory() as scratch:
        for name in sorted(expected):
            path = Path(scratch, f"{name}.pdb")
            path.write_bytes(archive.extractfile(f"PRODIGYdataset/{name}.pdb").read())
            structure = read_structure(path).heavy
            parts["milli"].append(np.rint(structure.xyz * 1000).astype(np.int32))
            for key in ("chain", "resid", "resname", "atom"):
                parts[key].append(getattr(structure, key))
            parts["size"].append(len(structure))
    out = {"expected": np.array(json.dumps({name: expected[name] for name in sorted(expected)}))}
    # Differences along the chain are small numbers and compress to a third of the coordinates themselves.
    out["milli"] = np.diff(np.concatenate(parts["milli"]), axis=0, prepend=0).astype(np.int32).T.copy()
    out["size"] = np.array(parts["size"], dtype=np.int32)
    out["resid"] = np.concatenate(parts["resid"]).astype(np.int16)
    for key in ("chain", "resname", "atom"):
        names, code = np.unique(np.concatenate(parts[key]), return_inverse=True)
        out[key + "_names"], out[key] = names, code.astype(np.uint8)
    np.savez_compressed(Path(__file__).with_name("prodigy81.npz"), **out)


if __name__ == "__main__":
    main(sys.argv[1])
