from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification

FAMILIES = ("bert", "roberta", "distilbert", "electra", "mpnet")
KINDS = {
    "body": AutoModel,
    "text": AutoModelForSequenceClassification,
    "tokens": AutoModelForTokenClassification,
}
LENGTHS = ([9], [1], [70, 3, 64, 65, 1, 120], [5, 6, 7, 8], [64, 64], [100, 100, 100])


def config(family: str, layers: int = 3, **more: Any) -> Any:
    """A small encoder of a family; position tables are as long as they need to be for 128 tokens."""
    if family == "distilbert":
        named = {"dim": 32, "n_layers": layers, "n_heads": 4, "hidden_dim": 64}
    else:
        named = {"hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 64}
    if family == "electra":
        named["embedding_size"] = 16
    return AutoConfig.for_model(family, vocab_size=99, max_position_embeddings=140, **named, **more)


def random_model(family: str, kind: str = "text", seed: int = 0, **more: Any) -> Any:
    """A model with random weights, large enough that attention is far from even."""
    torch.manual_seed(seed)
    model = KINDS[kind].from_config(config(family, **more)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.15 * torch.randn_like(weight))
    return model


def random_texts(lengths: list[int], pad: int = 0, seed: int = 0, left: bool = False) -> dict[str, torch.Tensor]:
    """Token ids [B, longest] and their mask; padding on the right or on the left."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((len(lengths), max(lengths)), pad)
    mask = torch.zeros_like(ids)
    for row, n in enumerate(lengths):
        place = slice(max(lengths) - n, None) if left else slice(0, n)
        ids[row, place] = torch.randint(5, 99, (n,), generator=generator)
        mask[row, place] = 1
    return {"input_ids": ids, "attention_mask": mask}


def shared(name: str) -> Path | None:
    """A folder of data in COLONNADE_DATA or beside the project, or None."""
    named = os.environ.get("COLONNADE_DATA")
    places = [Path(named)] if named else [parent / "shared" / "data" for parent in Path(__file__).parents]
    return next((place / name for place in places if (place / name).is_dir()), None)


@pytest.fixture(scope="session")
def corpora() -> Path:
    found = shared("text")
    if found is None:
        pytest.skip("the corpora are not here: no folder shared/data/text above the project")
    return found
