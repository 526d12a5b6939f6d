"""Colonnade: a science gateway in Python.

Each column is a plain library (`colonnade.structure`, `colonnade.lattice` ...); each of its services also runs
from the shell, in the browser and over REST. Importing this package loads no engine.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from colonnade.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("AsyncClient", "Client"):
        import colonnade.client

        return getattr(colonnade.client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
