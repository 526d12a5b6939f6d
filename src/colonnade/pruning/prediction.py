"""Answers for many texts, and who survived on the way, in one go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from colonnade.pruning.batch import Batch
from colonnade.pruning.encoder import PrunedEncoder, survivors
from colonnade.pruning.texts import Encoded, batches

BATCH = 32  # texts at once, of like length

Progress = Callable[[int], object]


def run_all(model: Any, texts: Encoded, progress: Progress = lambda done: None) -> tuple[Tensor, Tensor]:
    """Logits [texts, classes] and how many tokens leave each layer [texts, L], with the settings as they are."""
    encoder: PrunedEncoder = model.encoder
    was = encoder.training
    model.eval()
    logits = torch.zeros(len(texts), model.config.num_labels)
    left = torch.zeros(len(texts), len(encoder.thresholds), dtype=torch.long)
    done = 0
    with torch.inference_mode():
        for chosen in batches(texts.lengths, BATCH):
            ids, mask = texts.tensors(chosen)
            logits[chosen] = model(input_ids=ids, attention_mask=mask).logits.float()
            assert encoder.last is not None
            left[chosen] = survivors(*encoder.last)
            done += len(chosen)
            progress(done)
    model.train(was)
    return logits.clone(), left.clone()


def predict(model: Any, texts: Encoded, progress: Progress = lambda done: None) -> Tensor:
    """Logits of all texts [texts, classes], with the settings as they are."""
    return run_all(model, texts, progress)[0]


def count_survivors(model: Any, texts: Encoded) -> Tensor:
    """How many tokens of each text leave each layer [texts, L]; no head is run."""
    encoder: PrunedEncoder = model.encoder
    was = encoder.training
    encoder.eval()
    left = torch.zeros(len(texts), len(encoder.thresholds), dtype=torch.long)
    with torch.inference_mode():
        for chosen in batches(texts.lengths, BATCH):
            batch = Batch.of(*texts.tensors(chosen), None)
            left[chosen] = survivors(batch, encoder.run(batch))
    encoder.train(was)
    return left.clone()
