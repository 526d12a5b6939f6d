"""The lattice services: typed inputs and outputs around the library, no science."""

from colonnade.lattice.services import answers, flows, sampling, scans

__all__ = ["answers", "flows", "sampling", "scans"]
