"""Real complexes that the package carries; sources and licences are in the README beside this file."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def example_files() -> dict[str, Path]:
    """Name -> file of every complex carried."""
    return {path.stem: path for path in sorted(_FOLDER.iterdir()) if path.suffix in (".pdb", ".cif")}


def example(name: str) -> Path:
    """The file of one complex carried.

    >>> example("3BZD").name
    '3BZD.pdb'
    """
    found = example_files()
    if name not in found:
        raise ValueError(f"example: {name!r} is not one of {', '.join(found)}.")
    return found[name]
