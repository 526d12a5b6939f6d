from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from colonnade.physics import Dataset, generate


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20210700656)


@pytest.fixture(scope="session")
def showers(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("airshower", 600, seed=3, folder=tmp_path_factory.mktemp("data") / "showers")


@pytest.fixture(scope="session")
def top(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("top", 400, seed=5, folder=tmp_path_factory.mktemp("data") / "top")


@pytest.fixture
def small_npz(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A file in the official layout of the spinodal set."""
    arrays = {}
    for split, n in (("train", 60), ("test", 30)):
        arrays[f"X_{split}_0"] = rng.poisson(3.0, (n, 20, 20)).astype(np.float32)
        arrays[f"y_{split}"] = np.arange(n) % 2
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz"


def pytest_collection_modifyitems(items: list) -> None:
    """A room in progress: its services are not offered yet, and its tests run with `make test-all` only."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("slow")
