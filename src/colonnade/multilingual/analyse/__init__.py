"""Explaining: similarity of representations, language-neutral subspaces, syntax, typology, factors of transfer."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "factors": ["FactorReport", "Prediction", "explain_gap", "predict_transfer", "vocabulary_overlap"],
        "neutral": ["LIR", "LSAR", "Centring", "Erasure", "language_probe"],
        "similarity": ["anc", "cka", "cka_matrix", "svcca"],
        "syntax": ["StructuralProbe", "fit_structural_probe", "tree_distances"],
        "trees": ["Tree", "family_agreement", "language_tree"],
        "typology": ["DISTANCES", "distance", "distances", "families", "nearest"],
    },
)
