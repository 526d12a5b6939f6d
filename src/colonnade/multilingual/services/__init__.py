"""The multilingual services: typed inputs and outputs around the library, no science."""

from colonnade.multilingual.services import (
    adapt,
    audit,
    catalogue,
    pretrain,
    retrieval,
    similarity,
    transfer,
    typology,
    word_align,
)

__all__ = ["adapt", "audit", "catalogue", "pretrain", "retrieval", "similarity", "transfer", "typology", "word_align"]
