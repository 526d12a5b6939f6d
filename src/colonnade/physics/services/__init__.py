"""The physics services: typed inputs and outputs around the library, no science."""

from colonnade.physics.services import benchmark, decay_tree, generate, graphs, tag, train

__all__ = ["benchmark", "decay_tree", "generate", "graphs", "tag", "train"]
