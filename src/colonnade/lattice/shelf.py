"""The weights that ship with the package; listing them loads neither torch nor numpy."""

from __future__ import annotations

from pathlib import Path


def zoo() -> dict[str, Path]:
    """Names and files of the weights that ship with the package."""
    folder = Path(__file__).parent / "zoo"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
