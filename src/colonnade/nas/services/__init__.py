"""The nas services: typed inputs and outputs around the library, no science."""

from colonnade.nas.services import benchmark, fit, generate, score, search

__all__ = ["benchmark", "fit", "generate", "score", "search"]
