import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list) -> None:
    """A room in progress: its services are not offered yet, and its tests run with `make test-all` only."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("slow")
