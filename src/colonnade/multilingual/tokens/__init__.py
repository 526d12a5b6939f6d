"""Vocabularies: train them, audit them by language, share them out between languages, trim them."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "allocate": ["Allocation", "allocate", "average_log_probability"],
        "audit": ["Audit", "LanguageAudit", "audit"],
        "load": ["Tokens", "load_tokenizer"],
        "scripts": ["main_script", "script_shares"],
        "train": ["train_bpe", "train_sentencepiece", "train_unigram"],
        "trim": ["Trimmed", "trim"],
    },
)
