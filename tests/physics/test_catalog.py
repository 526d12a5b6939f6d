"""Shards, exports, the official layout, and everything that can go wrong with a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import uproot

from colonnade.physics import PhysicsError, data_card, generate, load, to_npz
from colonnade.physics.catalog import plan, write_shard
from colonnade.physics.export import to_hdf5, to_pyg, to_root


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    one = generate("airshower", 500, seed=11, folder=tmp_path / "one")
    two = generate("airshower", 500, seed=11, folder=tmp_path / "two", workers=2)
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in two.files]
    assert len(one.files) == 3


def test_a_shard_can_be_made_alone(tmp_path: Path, showers) -> None:
    task = plan("airshower", 600, 3, tmp_path)[2]
    write_shard(task)
    assert (tmp_path / "part-00002.parquet").read_bytes() == showers.files[2].read_bytes()


def test_metadata_tell_what_made_it(showers) -> None:
    assert showers.metadata["seed"] == 3
    assert showers.metadata["settings"]["lge_max"] == 20.0
    assert showers.metadata["software"]["numpy"] == np.__version__
    assert "arXiv:1708.00647" in data_card(showers)


def test_batches_cover_every_event_once(showers, rng) -> None:
    whole = showers.arrays(["xmax"])["xmax"]
    pieces = [b["xmax"] for b in showers.batches(64, ["xmax"], rng)]
    assert max(map(len, pieces)) <= 64
    assert not np.array_equal(np.concatenate(pieces), whole)
    assert np.array_equal(np.sort(np.concatenate(pieces)), np.sort(whole))
    assert np.array_equal(showers.arrays(["xmax"], 150, 450)["xmax"], whole[150:450])


def test_official_layout_round_trip(tmp_path: Path, showers) -> None:
    to_npz({"train": showers, "test": showers}, tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz") as content:
        assert content["X_train_0"].shape == (600, 9, 9, 80)
    back = load("airshower", "test", tmp_path / "own.npz")
    for name in ("signal", "time", "xmax"):
        assert np.array_equal(back.arrays([name])[name], showers.arrays([name])[name])
    again = load("airshower", "test", tmp_path / "own.npz")  # from the shards of the first time
    assert len(again) == 600


def test_changed_file_is_read_anew(small_npz: Path) -> None:
    assert len(load("spinodal", "train", small_npz)) == 60
    np.savez(small_npz, X_train_0=np.ones((7, 20, 20)), y_train=np.arange(7) % 2)
    assert len(load("spinodal", "train", small_npz)) == 7


def test_exports(tmp_path: Path, showers) -> None:
    to_hdf5(showers, tmp_path / "a.h5")
    to_root(showers, tmp_path / "a.root")
    truth = showers.arrays()
    with h5py.File(tmp_path / "a.h5") as file:
        assert np.array_equal(file["signal"][:], truth["signal"])
        assert file["xmax"].attrs["unit"] == "g/cm²"
    with uproot.open(tmp_path / "a.root") as file:
        assert np.array_equal(file["events"]["time"].array(library="np"), truth["time"])
    copy = showers.to_parquet(tmp_path / "copy")
    assert len(copy) == 600


def test_graphs_for_pytorch_geometric(showers) -> None:
    pytest.importorskip("torch_geometric")
    graph = to_pyg(showers, 3)
    assert graph.x.shape == (81, 81)
    assert graph.edge_index.shape == (2, 544)
    assert graph.y.shape == (1,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X_train_0": np.array([{}] * 60, object)}, "pickled"),
        ({"X_train_0": np.ones((60, 5, 5))}, "must hold"),
        ({"y_train": np.arange(59) % 2}, "one length"),
        ({"y_train": np.arange(60)}, "label must be 0 or 1"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path: Path, change: dict, words: str) -> None:
    arrays = {"X_train_0": np.ones((60, 20, 20)), "y_train": np.arange(60) % 2} | change
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(PhysicsError, match=words):
        load("spinodal", "train", tmp_path / "bad.npz")


def test_cyclic_decay_trees_are_refused(tmp_path: Path) -> None:
    mother = np.full((4, 100), -1, np.int16)
    mother[:, 1:5] = [0, 0, 1, 1]
    late = mother.copy()
    late[0, :3] = [2, 2, -1]  # mothers after their daughters: unusual, but a tree
    cycle = mother.copy()
    cycle[2, 1:4] = [3, 0, 1]
    arrays = {"X_train_0": np.ones((4, 100, 9)), "y_train": np.arange(4) % 2}
    np.savez(tmp_path / "late.npz", X_train_1=late, **arrays)
    assert len(load("belle", "train", tmp_path / "late.npz")) == 4
    np.savez(tmp_path / "cycle.npz", X_train_1=cycle, **arrays)
    with pytest.raises(PhysicsError, match="particle 1 of event 2 it goes in a cycle"):
        load("belle", "train", tmp_path / "cycle.npz")


def test_four_vectors_in_another_order_are_refused(tmp_path: Path) -> None:
    p4 = np.zeros((20, 200, 4))
    p4[:, :3] = [[300.0, 200.0, 150.0, 400.0], [30.0, 20.0, 15.0, 40.0], [3.0, 2.0, 1.5, 4.0]]  # px, py, pz, E
    np.savez(tmp_path / "turned.npz", X_train_0=p4, y_train=np.arange(20) % 2)
    with pytest.raises(PhysicsError, match="ordered px, py, pz, E: move the last column first"):
        load("top", "train", tmp_path / "turned.npz")


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", other=np.ones(3))
    with pytest.raises(PhysicsError, match="X_train_0, but the file holds other"):
        load("spinodal", "train", tmp_path / "bad.npz")


def test_login_page_and_cut_file(tmp_path: Path, small_npz: Path) -> None:
    (tmp_path / "page.npz").write_bytes(b"<!DOCTYPE html><html>please log in</html>")
    with pytest.raises(PhysicsError, match="web page"):
        load("spinodal", "train", tmp_path / "page.npz")
    (tmp_path / "cut.npz").write_bytes(small_npz.read_bytes()[:-400])
    with pytest.raises(PhysicsError, match="ends early"):
        load("spinodal", "train", tmp_path / "cut.npz")


@pytest.mark.parametrize(
    ("name", "n", "settings", "words"),
    [
        ("tops", 10, {}, "dataset must be one of top, spinodal"),
        ("top", 0, {}, "n must be from 1"),
        ("top", 10, {"pt_min": 700.0}, "pt_min must be below pt_max"),
        ("top", 10, {"radius": 0.0}, "radius must be from 0.2 to 1.5"),
        ("top", 10, {"pt": 1}, "pt is not a setting of top"),
        ("airshower", 10, {"lge_min": 21.0}, "lge_min must be from 17 to 20.5"),
        ("airshower", 10, {"lge_min": float("nan")}, "but is nan"),
        ("airshower", 10, {"masses": ()}, "at least one mass"),
        ("belle", 10, {"generator": "evtgen"}, "generator must be one of table, pythia"),
        ("eos", 10, {"freeze_min": 0.15}, "freeze_min must not be above"),
        ("spinodal", 10, {"temperature": 1.2}, "temperature must be from 0.6 to 0.98"),
    ],
)
def test_bad_requests_get_one_sentence(name: str, n: int, settings: dict, words: str) -> None:
    with pytest.raises(PhysicsError, match=words):
        generate(name, n, **settings)


def test_a_folder_in_use_is_left_alone(showers) -> None:
    with pytest.raises(PhysicsError, match="holds shards already"):
        generate("airshower", 10, folder=showers.folder)


def test_importing_loads_no_engine() -> None:
    engines = {"torch", "numpy", "numba", "pyarrow", "pythia8mc", "fastjet", "awkward", "decaylanguage", "plotly"}
    code = f"import colonnade.physics, colonnade.physics.services, sys; print({engines!r} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_a_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(PhysicsError, match=r"pythia8mc is not installed.*colonnade\[physics\]"):
        generate("top", 10)
