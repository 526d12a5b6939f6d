"""Benchmarks: retrieval between all pairs of languages, zero-shot transfer, published metrics, honest statistics."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "answers": ["answer_transfer"],
        "gaps": ["Transfer", "TransferRow"],
        "metrics": ["accuracy", "bucc_f1", "mean_reciprocal_rank", "mlqa_scores", "span_f1", "squad_scores"],
        "probe": ["Probe", "fit_probe"],
        "all_pairs": ["Retrieval", "control_verdict", "retrieval"],
        "statistics": ["Interval", "bootstrap", "holm", "paired_test"],
        "transfer": ["classify_transfer", "tag_transfer"],
        "tuning": ["Tuning"],
        "xtreme": ["score_folder"],
    },
)
