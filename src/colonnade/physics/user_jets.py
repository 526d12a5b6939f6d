"""Jets from a user's own file: CSV, Parquet, ROOT or HepMC, brought to (jets, constituents, 4) in GeV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.physics.errors import PhysicsError, engine
from colonnade.physics.fourvectors import check_four_vectors, harden

NAMES = ("E", "px", "py", "pz")
ENDINGS = (".csv", ".parquet", ".root", ".hepmc", ".hepmc3", ".npz")
MOST_JETS = 1_000_000


def read_jets(file: Path | str, nodes: int = 200) -> NDArray[np.float64]:
    """Constituents of the jets in a file, hardest first.

    CSV: a line per constituent with the columns jet, E, px, py, pz. Parquet: the same columns, or one row per jet with
    lists, or shards of this package. ROOT: a tree with vector branches E, px, py, pz (any case), or with p4 as this
    package exports it. npz: an array p4. HepMC (2 or 3, ASCII): the two hardest anti-kT jets (R = 0.8) of each event's
    final-state particles.

    Args:
        file: GeV, ordered as named.
        nodes: most constituents kept.

    Raises:
        PhysicsError: no such columns, wrong units or order, or no jet.
    """
    path = Path(file)
    readers = {".csv": _csv, ".parquet": _parquet, ".root": _root, ".hepmc": _hepmc, ".hepmc3": _hepmc, ".npz": _npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise PhysicsError(f"file must end in {', '.join(ENDINGS)}, but is {path.name!r}.")
    try:
        p4 = reader(path)
    except PhysicsError:
        raise
    except Exception as error:  # five formats, whose readers have errors of many kinds
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise PhysicsError(f"file {path.name!r} could not be read as {path.suffix}: {told[0].rstrip('.')}.") from None
    if not len(p4):
        raise PhysicsError(f"file {path.name!r} holds no jet.")
    check_four_vectors(p4)
    return np.asarray(harden(p4, nodes)[0], float)


def padded(jet: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float64]:
    """Flat constituents (n, 4) and the jet that each belongs to, as (jets, most, 4)."""
    known, place = np.unique(jet, return_inverse=True)
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=len(known))
    rank = np.arange(len(jet)) - np.repeat(np.cumsum(counts) - counts, counts)
    p4 = np.zeros((len(known), int(counts.max(initial=0)), 4))
    p4[place[order], rank] = columns[order]
    return p4


def _columns(names: list[str], file: Path) -> dict[str, str]:
    lower = {name.lower(): name for name in names}
    missing = [name for name in NAMES if name.lower() not in lower]
    if missing:
        raise PhysicsError(f"file {file.name!r} must have the columns E, px, py, pz, but has {', '.join(names[:12])}.")
    return {name: lower[name.lower()] for name in (*NAMES, "jet") if name.lower() in lower}


def _csv(file: Path) -> NDArray[np.float64]:
    table = np.genfromtxt(file, delimiter=",", names=True, dtype=float, encoding="utf-8", ndmin=1)
    found = _columns(list(table.dtype.names or ()), file)
    if "jet" not in found:
        raise PhysicsError(f"file {file.name!r} must have a column jet that numbers the jets.")
    return padded(table[found["jet"]], np.stack([table[found[name]] for name in NAMES], axis=1))


def _parquet(file: Path) -> NDArray[np.float64]:
    pq = engine("pyarrow.parquet")
    table = pq.read_table(file)
    if "p4" in table.column_names:
        from colonnade.physics.schema import spec
        from colonnade.physics.shards import from_arrow

        return np.asarray(from_arrow(table["p4"], spec("top").column("p4")), float)
    found = _columns(table.column_names, file)
    if "jet" in found:
        values = [table[found[name]].to_numpy() for name in NAMES]
        return padded(table[found["jet"]].to_numpy(), np.stack(values, axis=1))
    return _ragged({name: table[found[name]].to_pylist() for name in NAMES})


def _ragged(lists: dict[str, list[Any]]) -> NDArray[np.float64]:
    jet = np.repeat(np.arange(len(lists["E"])), [len(row) for row in lists["E"]])
    return padded(jet, np.stack([np.concatenate([np.asarray(r, float) for r in lists[n]]) for n in NAMES], axis=1))


def _root(file: Path) -> NDArray[np.float64]:
    uproot = engine("uproot")
    with uproot.open(file) as content:
        trees = [key for key, kind in content.classnames().items() if kind in ("TTree", "ROOT::RNTuple")]
        if not trees:
            raise PhysicsError(f"file {file.name!r} holds no tree.")
        tree = content[trees[0]]
        names = [str(key) for key in tree.keys()]  # noqa: SIM118
        if "p4" in names:
            return np.asarray(tree["p4"].array(entry_stop=MOST_JETS, library="np"), float)
        found = _columns(names, file)
        arrays = tree.arrays([found[name] for name in NAMES], entry_stop=MOST_JETS)
    return _ragged({name: arrays[found[name]].to_list() for name in NAMES})


def _npz(file: Path) -> NDArray[np.float64]:
    with np.load(file, allow_pickle=False) as content:
        for name in ("p4", "X_test_0", "X_train_0"):
            if name in content.files:
                return np.asarray(content[name], float)
    raise PhysicsError(f"file {file.name!r} must hold an array p4 of the shape (jets, constituents, 4).")


def _hepmc(file: Path) -> NDArray[np.float64]:
    """Final-state particles of ASCII HepMC 2 and 3, whose P lines differ by one column; MeV become GeV."""
    rows, event = [], -1
    third, unit = False, 1.0
    with file.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("HepMC::Asciiv3"):
                third = True
            elif line.startswith("E "):
                event += 1
            elif line.startswith("U "):
                unit = 1e-3 if "MEV" in line else 1.0
            elif line.startswith("P "):
                word = line.split()
                shift = 1 if third else 0
                if int(word[8 if not third else 9]) == 1 and abs(int(word[2 + shift])) not in (12, 14, 16):
                    px, py, pz, energy = (unit * float(w) for w in word[3 + shift : 7 + shift])
                    rows.append((event, energy, px, py, pz))
    if not rows:
        raise PhysicsError(f"file {file.name!r} holds no final-state particle of a HepMC event.")
    return _clustered(np.array(rows))


def _clustered(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    from colonnade.physics.detector import Particles
    from colonnade.physics.jets import JetSettings, cluster

    event = rows[:, 0].astype(np.int64)
    particles = Particles(rows[:, 1:], np.zeros(len(rows), np.int64), event)
    _, members = cluster(particles, int(event.max()) + 1, JetSettings(pt_min=200, pt_max=2500, eta_max=2.5))
    if not members:
        return np.zeros((0, 1, 4))
    jet = np.repeat(np.arange(len(members)), [len(m) for m in members])
    return padded(jet, particles.p4[np.concatenate(members)])
