"""Reading the safetensors files of this column."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from colonnade.nas.errors import NasError


def read(path: Path | str, form: str, field: str, holds: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file whose metadata name its format `form`; pickles are never read.

    Raises:
        NasError: it is no such file; `field` and `holds` say what it should have been.
    """
    name = Path(path).name
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise NasError(f"{field}: {name!r} cannot be read as safetensors ({error}).") from None
    if metadata.get("format") != form:
        raise NasError(f"{field}: {name!r} holds no {holds} of this column (format {form}).")
    return tensors, metadata
