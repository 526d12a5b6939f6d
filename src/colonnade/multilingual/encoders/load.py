"""An encoder by name, or from a folder or archive of the user's."""

from __future__ import annotations

from pathlib import Path

from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.errors import MultilingualError

NAMES = ("e5", "use", "ngrams")


def load_encoder(name: str | Path) -> Encoder:
    """`e5`, `use`, `ngrams` (the control without knowledge), or the folder of a transformer.

    Names of a hub are refused: nothing is fetched.

    Raises:
        MultilingualError: there is no such encoder or folder, or it cannot be loaded.
    """
    if name == "e5":
        from colonnade.multilingual.encoders import e5

        return e5.load()
    if name == "use":
        from colonnade.multilingual.encoders.use import UseEncoder

        return UseEncoder()
    if name == "ngrams":
        from colonnade.multilingual.encoders.ngrams import NgramEncoder

        return NgramEncoder()
    folder = Path(name)
    if folder.is_dir():
        from colonnade.multilingual.encoders.transformer import TransformerEncoder

        return TransformerEncoder.from_folder(folder)
    raise MultilingualError(
        f"model is {str(name)!r}; it must be one of {', '.join(NAMES)}, or a folder with a model (nothing is fetched)"
    )
