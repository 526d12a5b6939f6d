"""Alignment: of words within a pair of sentences, of sentences between languages, of whole spaces."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "gold": ["Gold", "Quality", "aer", "pharaoh", "read_gold"],
        "maps": ["induce_dictionary", "procrustes", "refine"],
        "sentences": ["METRICS", "mine", "neighbour_means", "retrieve", "scores", "unit"],
        "words": ["METHODS", "argmax_links", "entropic_links", "itermax_links", "links", "softmax_links", "word_links"],
    },
)
