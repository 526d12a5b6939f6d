"""A user's own files: every format reads the same jets, every mistake gets one sentence."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from colonnade.physics import PhysicsError, fourvectors, read_jets
from colonnade.physics.user_jets import NAMES

from .conftest import random_jets


@pytest.fixture
def p4(rng) -> np.ndarray:
    made = random_jets(rng, 12, 20)
    return made[(made[..., 0] > 0).any(axis=1)].astype(np.float32).astype(float)


def flat(p4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    jet, node = np.nonzero(p4[..., 0] > 0)
    return jet, p4[jet, node]


def write(kind: str, p4: np.ndarray, folder: Path) -> Path:
    jet, rows = flat(p4)
    counts = np.bincount(jet)
    lists = {name: ak.unflatten(rows[:, i], counts) for i, name in enumerate(NAMES)}
    file = folder / f"jets.{kind.split('-', maxsplit=1)[0]}"
    if kind == "csv":
        lines = [f"{j},{','.join(map(repr, map(float, row)))}" for j, row in zip(jet, rows, strict=True)]
        file.write_text("\n".join(["jet,E,px,py,pz", *lines]) + "\n")
    elif kind == "parquet-flat":
        pq.write_table(pa.table({"jet": jet, **{name: rows[:, i] for i, name in enumerate(NAMES)}}), file)
    elif kind == "parquet-lists":
        pq.write_table(pa.table({name: values.to_list() for name, values in lists.items()}), file)
    elif kind == "npz":
        np.savez(file, p4=p4)
    elif kind == "root-p4":
        with uproot.recreate(file) as target:
            target.mktree("events", {"p4": (np.float64, p4.shape[1:])})
            target["events"].extend({"p4": p4})
    else:
        with uproot.recreate(file) as target:
            target.mktree("jets", {name.upper(): "var * float64" for name in NAMES})
            target["jets"].extend({name.upper(): values for name, values in lists.items()})
    return file


@pytest.mark.parametrize("kind", ["csv", "parquet-flat", "parquet-lists", "npz", "root", "root-p4"])
def test_every_format_reads_the_same(kind: str, p4, tmp_path: Path) -> None:
    found = read_jets(write(kind, p4, tmp_path), nodes=20)
    assert np.allclose(found, fourvectors.harden(p4, 20)[0], rtol=1e-6)


def test_carried_examples_agree() -> None:
    from colonnade.physics.services import tag

    folder = Path(tag.__file__).parent / "examples"
    csv, root = read_jets(folder / "jets.csv"), read_jets(folder / "jets.root")
    assert len(csv) == 60
    assert np.abs(csv - root).max() < 1e-4


HEPMC3 = """HepMC::Version 3.02.06
HepMC::Asciiv3-START_EVENT_LISTING
E 0 1 {n}
U {unit} MM
{particles}
HepMC::Asciiv3-END_EVENT_LISTING
"""


def hepmc3(p4: np.ndarray, unit: str) -> str:
    factor = 1000 if unit == "MEV" else 1
    lines = [
        f"P {i + 1} 0 211 {factor * px} {factor * py} {factor * pz} {factor * e} 0.0 1"
        for i, (e, px, py, pz) in enumerate(p4)
    ]
    return HEPMC3.format(n=len(p4), unit=unit, particles="\n".join([*lines, "P 900 0 12 500 0 0 500 0 1"]))


@pytest.mark.parametrize("unit", ["GEV", "MEV"])
def test_hepmc_events_are_clustered(unit: str, tmp_path: Path, rng) -> None:
    eta, phi, pt = rng.normal(0.2, 0.1, 30), rng.normal(1, 0.1, 30), rng.exponential(20, 30)
    jet = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
    (tmp_path / "e.hepmc").write_text(hepmc3(jet, unit))
    found = read_jets(tmp_path / "e.hepmc")
    assert found.shape == (1, 200, 4)  # the neutrino makes none
    assert np.allclose(found.sum(axis=(0, 1)), jet.sum(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "1", "must end in .csv"),
        ("a.csv", "jet,E,px\n0,1,1\n", "must have the columns E, px, py, pz"),
        ("a.csv", "E,px,py,pz\n10,1,1,1\n", "must have a column jet"),
        ("a.csv", "jet,E,px,py,pz\n0,10,1,1\n0,1,1,1,1\n", "could not be read as .csv"),
        ("a.csv", "jet,E,px,py,pz\n0,ten,1,1,1\n", "finite"),
        ("a.csv", "jet,E,px,py,pz\n", "holds no jet"),
        ("a.root", "no root file at all", "could not be read as .root"),
        ("a.parquet", "no parquet", "could not be read as .parquet"),
        ("a.npz", "no npz", "could not be read as .npz"),
        ("a.hepmc", "E 1\nP 1 211 x\n", "could not be read as .hepmc"),
        ("a.hepmc", "nothing", "holds no final-state particle"),
    ],
)
def test_files_that_are_none(name: str, content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(PhysicsError, match=words):
        read_jets(tmp_path / name)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", p4=np.array([{}], object))
    with pytest.raises(PhysicsError, match="could not be read"):
        read_jets(tmp_path / "a.npz")
