"""Multilingual language models: evaluate, explain and adapt them, from local files.

After Doddapaneni et al., *A Primer on Pretrained Multilingual Language Models* (arXiv:2107.00676).

    >>> from colonnade import multilingual
    >>> [row.name for row in multilingual.models(objective="XLCO")]
    ['InfoXLM base', 'InfoXLM large']

Importing this package loads no engine: each name is imported when it is first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=["adapt", "align", "analyse", "data", "encoders", "evaluate", "pretrain", "tokens"],
    submod_attrs={
        "catalogue": ["benchmarks", "models"],
        "errors": ["MultilingualError"],
        "encoders.load": ["load_encoder"],
        "languages": ["language", "languages"],
    },
)
