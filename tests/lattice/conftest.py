"""The tests of the lattice room."""

from __future__ import annotations

from pathlib import Path


def pytest_collection_modifyitems(items: list) -> None:
    """A room in progress: its services are not offered yet, and its tests run with `make test-all` only."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("slow")
