"""The multilingual services: typed inputs and outputs around the library, no science."""

from colonnade.multilingual.services import (
    audit,
    catalogue,
    pretrain,
    retrieval,
    similarity,
    transfer,
    typology,
    word_align,
)

__all__ = ["audit", "catalogue", "pretrain", "retrieval", "similarity", "transfer", "typology", "word_align"]
