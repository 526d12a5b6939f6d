"""LoRA by peft: low-rank updates of the attention's query and value (Hu et al. 2022, arXiv:2106.09685)."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from colonnade.multilingual.errors import MultilingualError, between


def add_lora(model: Any, rank: int = 8, alpha: int = 16, seed: int = 0) -> Any:
    """The model with LoRA on query and value; everything else is frozen.

    Raises:
        MultilingualError: peft is not installed, or the rank is not between 1 and 256.
    """
    import torch

    between("rank", rank, 1, 256)
    if find_spec("peft") is None:
        raise MultilingualError("LoRA needs peft; pip install 'colonnade[multilingual-models]'")
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["query", "value"], lora_dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def merge_lora(model: Any) -> Any:
    """The plain model with the updates added to its weights."""
    return model.merge_and_unload()
