"""Shared data of fundamental physics, loaded or generated, and one graph network for all of it.

Importing this package loads no engine: each name is imported when it is first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "catalog": ["generate", "load"],
    },
)
