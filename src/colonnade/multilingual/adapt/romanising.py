"""Text of any script in Latin letters, for models that do not know the script (uroman, Hermjakob et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from colonnade.multilingual.errors import MultilingualError


def romanise(lines: Sequence[str], code: str | None = None) -> list[str]:
    """Each line in Latin letters; `code` (ISO 639-3) lets uroman follow the language's own rules.

    Raises:
        MultilingualError: uroman is not installed.
    """
    if find_spec("uroman") is None:
        raise MultilingualError("romanising needs uroman; pip install 'colonnade[multilingual-models]'")
    return [str(_uroman().romanize_string(line, lcode=code)) for line in lines]


@cache
def _uroman() -> Any:
    import uroman

    return uroman.Uroman()
