"""Low-rank updates of the weights by peft: little to train, little to store, nothing left at run time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from colonnade.pruning.errors import between, engine


def add_lora(model: Any, rank: int = 8, alpha: float | None = None, dropout: float = 0.0) -> int:
    """Freeze the encoder of a pruned model and give each linear map of its layers a trainable low-rank update.

    Returns:
        How many parameters are trained now, head and thresholds included.

    Raises:
        PruningError: the rank is out of range, or peft is not installed.
    """
    between("lora_rank", rank, 1, 256)
    peft = engine("peft")
    body = model.encoder.body
    body.requires_grad_(False)
    names = [name for name, part in body.named_modules() if isinstance(part, nn.Linear) and "layer." in name]
    settings = peft.LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, lora_dropout=dropout, target_modules=names)
    peft.inject_adapter_in_model(settings, body)
    pooler = getattr(body, "pooler", None)
    if pooler is not None:
        pooler.requires_grad_(True)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def take_lora(model: Any) -> dict[str, Tensor]:
    """The low-rank updates: `NAME.weight.a` [r, in] and `NAME.weight.b` [out, r], scaled so that the update is b a."""
    found: dict[str, Tensor] = {}
    for name, part in _adapted(model.encoder.body):
        found[f"{name}.weight.a"] = part.lora_A["default"].weight.detach().clone()
        found[f"{name}.weight.b"] = part.lora_B["default"].weight.detach() * part.scaling["default"]
    return found


def merge_lora(model: Any) -> None:
    """Put the updates into the weights, and the plain layers back in place."""
    body = model.encoder.body
    for name, part in _adapted(body):
        parent, _, last = name.rpartition(".")
        with torch.no_grad():
            part.base_layer.weight += part.get_delta_weight("default")
        setattr(body.get_submodule(parent), last, part.base_layer)
    body.requires_grad_(True)


def _adapted(body: Any) -> list[tuple[str, Any]]:
    return [(name, part) for name, part in body.named_modules() if hasattr(part, "lora_A")]
