"""Caches for an isolated job: folders of its own to write, with copies of what the machine's owner has left.

Nothing that one job writes there reaches another: compiled code in a shared cache would let one job run code in the
next. numba refuses to compile a cached function at all where it finds no folder to write.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

import colonnade

COMPILED = "__pycache__/*.nb[ci]"  # numba's code and index of compiled functions


def own(scratch: Path) -> dict[str, str]:
    """Make the folders below a job's temporary one; gives the variables that name them."""
    folders = {"NUMBA_CACHE_DIR": scratch / "numba", "MPLCONFIGDIR": scratch / "matplotlib"}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    with suppress(OSError):  # a cache is never needed
        _copy_compiled(folders["NUMBA_CACHE_DIR"])
        _copy_fonts(folders["MPLCONFIGDIR"])
    return {name: str(folder) for name, folder in folders.items()}


def _copy_compiled(target: Path) -> None:
    """What was compiled where Colonnade is installed, at the place where numba looks in a folder that is given."""
    for path in Path(colonnade.__file__).absolute().parent.rglob(COMPILED):
        source = path.parent.parent
        known = hashlib.sha1(str(source).encode(), usedforsecurity=False).hexdigest()
        there = target / f"{source.name}_{known}"
        there.mkdir(exist_ok=True)
        shutil.copy2(path, there / path.name)


def _copy_fonts(target: Path) -> None:
    """The list of fonts that matplotlib would else make by looking through all of the machine."""
    beside = os.environ.get("XDG_CACHE_HOME")
    there = os.environ.get("MPLCONFIGDIR") or Path(beside or Path.home() / ".cache") / "matplotlib"
    for path in Path(there).glob("fontlist-*.json"):
        shutil.copy2(path, target / path.name)
