"""Colonnade: a science gateway in Python.

Each column is a plain library (`colonnade.structure`, `colonnade.lattice` ...); each of its services also runs
from the shell, in the browser and over REST. Importing this package loads no engine.
"""

__version__ = "0.1.0"
