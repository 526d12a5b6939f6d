"""Adapting: language adapters, LoRA, new vocabularies, continued pretraining, alignment, and what to choose when."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "adapters": ["Adapted", "Bottleneck", "Coupling"],
        "aligning": ["Mapped", "align_by_contrast", "align_by_procrustes"],
        "continued": ["continue_pretraining", "masked_loss"],
        "methods": ["ALIGNING", "LEARNING", "Outcome", "align_language", "hits", "learn_language"],
        "lora": ["add_lora", "merge_lora"],
        "pipeline": ["Diagnosis", "diagnose", "recommend"],
        "romanising": ["romanise"],
        "static": ["static_vectors"],
        "vocabulary": ["METHODS", "Renewed", "extend", "renew_embeddings", "replace_vocabulary", "sparsemax"],
    },
)
