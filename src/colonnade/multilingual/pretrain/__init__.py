"""Pretraining: samplers of languages, masked, translation, causal and contrastive objectives, controlled languages."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "batches": ["Batch", "mask", "pack"],
        "copies": ["SETTINGS", "Controlled", "Setting", "controlled"],
        "corpus": ["Corpus", "Specials", "Written", "encode", "relabelled"],
        "experiments": ["Row", "experiment"],
        "folder": ["save_folder", "to_transformers"],
        "judging": ["Multilinguality", "judge"],
        "model": ["PackedBert"],
        "plan": ["OBJECTIVES", "Plan"],
        "sampling": ["Mixing", "mixing", "sampling_probabilities", "unimax"],
        "training": ["Trained", "held_out_loss", "train"],
    },
)
