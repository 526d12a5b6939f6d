"""The pruning services: typed inputs and outputs around the library, no science."""

from colonnade.pruning.services import calibrate, classify, export, profile, train

__all__ = ["calibrate", "classify", "export", "profile", "train"]
