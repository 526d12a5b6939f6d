from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from colonnade.nas import Images, images, load_images

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "src" / "colonnade" / "nas" / "services" / "examples"
_NAMED = os.environ.get("COLONNADE_DATA")  # read before the tests' own fixture hides it
TABLES = (Path(_NAMED) if _NAMED else ROOT.parent / "shared" / "data") / "nas"
FALLBACK = ROOT.parents[1] / "shared" / "data" / "nas"


@pytest.fixture(scope="session")
def tables() -> Path:
    """The folder of published tables."""
    for folder in (TABLES, FALLBACK):
        if (folder / "nats_bench.csv").is_file():
            return folder
    pytest.skip("the published tables are not on this machine (COLONNADE_DATA)")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def signs() -> Images:
    """Two hundred hand signs of ten classes."""
    return load_images(EXAMPLES / "signs.zip")


@pytest.fixture(scope="session")
def clothes() -> Images:
    return load_images(EXAMPLES / "clothes.zip")


@pytest.fixture(scope="session")
def digits() -> Images:
    from sklearn.datasets import load_digits

    found = load_digits()
    return images((found.images / 16).astype(np.float32), found.target)
