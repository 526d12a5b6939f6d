"""Multilingual data from local files: readers for the published formats, and checks on what people bring.

Nothing is fetched. Each reader refuses what it cannot read with one sentence, and reports what it put right.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "bundle": ["read_aligned", "read_texts"],
        "classes": ["Labelled", "read_pawsx", "read_sib", "read_xnli"],
        "leaks": ["Leak", "find_leaks"],
        "lines": ["read_lines"],
        "parallel": ["Parallel", "read_bible", "read_ntrex", "read_parallel", "read_sib_parallel", "read_tatoeba"],
        "questions": ["Question", "read_squad"],
        "tagged": ["TaggedSentence", "read_conllu", "read_tagged", "read_wikiann", "read_words", "to_bio"],
    },
)
