"""Encoders: what turns sentences and words into vectors, layer by layer. `load_encoder` finds one by name or folder."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "base": ["Encoder", "Pieces"],
        "load": ["NAMES", "load_encoder"],
        "ngrams": ["NgramEncoder"],
        "transformer": ["TransformerEncoder", "random_twin"],
    },
)
