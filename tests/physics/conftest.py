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
    """Eighty jets, half of them from top quarks."""
    return generate("top", 80, seed=5, folder=tmp_path_factory.mktemp("data") / "top")


@pytest.fixture
def small_npz(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A file in the official layout of the spinodal set."""
    arrays = {}
    for split, n in (("train", 60), ("test", 30)):
        arrays[f"X_{split}_0"] = rng.poisson(3.0, (n, 20, 20)).astype(np.float32)
        arrays[f"y_{split}"] = np.arange(n) % 2
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz"


def random_jets(rng: np.random.Generator, n: int = 40, nodes: int = 30) -> np.ndarray:
    """Constituents with 0 to `nodes` real ones, hardest first."""
    pt = np.sort(rng.exponential(20, (n, nodes)), axis=1)[:, ::-1]
    eta, phi = rng.normal(0.3, 0.3, (n, nodes)), rng.normal(1, 0.3, (n, nodes))
    p4 = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)
    p4[np.arange(nodes) >= rng.integers(0, nodes + 1, n)[:, None]] = 0
    return p4
