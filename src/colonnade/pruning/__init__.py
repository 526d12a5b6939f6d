"""Learned token pruning of text encoders: tokens that matter little are removed on the way, for real."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "encoder": ["PrunedEncoder"],
        "errors": ["MissingEngine", "PruningError"],
        "model": [
            "PrunedConfig",
            "PrunedForQuestionAnswering",
            "PrunedForSequenceClassification",
            "PrunedForTokenClassification",
            "PrunedModel",
            "prune",
        ],
        "rule": ["Rule"],
    },
)
