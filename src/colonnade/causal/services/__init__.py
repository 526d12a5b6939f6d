"""The causal services: typed inputs and outputs around the library, no science."""

from colonnade.causal.services import benchmark, discover, plan, simulate, train

__all__ = ["benchmark", "discover", "plan", "simulate", "train"]
