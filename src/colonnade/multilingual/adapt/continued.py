"""Continued pretraining of a Hugging Face masked language model on text of a new language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.encoders.transformer import batches
from colonnade.multilingual.errors import MultilingualError, between, enough
from colonnade.multilingual.pretrain.batches import mask
from colonnade.multilingual.pretrain.corpus import Specials
from colonnade.multilingual.pretrain.training import schedule


def continue_pretraining(
    model: Any,
    lines: Sequence[Sequence[int]],
    specials: Specials,
    *,
    steps: int = 200,
    tokens: int = 2048,
    rate: float = 5e-4,
    parameters: Sequence[Any] | None = None,
    longest: int = 128,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> FloatArray:
    """Masked language modelling with logits at masked pieces only; changes the model, gives the losses.

    Args:
        model: a BERT or RoBERTa with its head.
        lines: ids, special pieces not among them.
        specials: of the tokenizer.
        steps, tokens, rate: of AdamW; the rate rises and falls linearly.
        parameters: to train (those of an adapter); None: all.
        longest: pieces of a line; longer ones are cut.
        seed: of order and masks.
        progress: told step and loss.

    Raises:
        MultilingualError: the model has no head, or the loss is no number.
    """
    between("steps", steps, 1, 1_000_000)
    chosen = list(model.parameters()) if parameters is None else list(parameters)
    optimiser = torch.optim.AdamW([p for p in chosen if p.requires_grad], lr=rate, betas=(0.9, 0.98), fused=True)
    losses = np.zeros(steps)
    model.train()
    source = _stream(lines, specials, longest, tokens, seed)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * schedule(step, steps, 0.1)
        loss = _loss(model, next(source), specials, np.random.default_rng([seed, 8, step]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chosen, 1.0)
        optimiser.step()
        losses[step] = loss.item()
        if not np.isfinite(losses[step]):
            raise MultilingualError(f"the loss is no number at step {step + 1}; lower the learning rate ({rate:g})")
        progress(step + 1, float(losses[step]))
    model.eval()
    return losses


def masked_loss(model: Any, lines: Sequence[Sequence[int]], specials: Specials, longest: int = 128) -> float:
    """Masked-language-model loss (nats a masked piece) on lines; the same masks at every call."""
    rows = [_whole(line, specials, longest) for line in lines]
    enough("held-out lines", len(rows), 1, "a loss")
    total, weight = 0.0, 0
    with torch.inference_mode():
        for k, group in enumerate(batches([len(row) for row in rows], 4096)):
            part = [rows[i] for i in group]
            count = sum(map(len, part))
            total += float(_loss(model, part, specials, np.random.default_rng([0, 9, k]))) * count
            weight += count
    return total / weight


def _whole(line: Sequence[int], specials: Specials, longest: int) -> list[int]:
    return [specials.begin, *line[: longest - 2], specials.end]


def _stream(
    lines: Sequence[Sequence[int]], specials: Specials, longest: int, tokens: int, seed: int
) -> Iterator[list[list[int]]]:
    """Batches of lines of like length, epoch after epoch."""
    enough("lines", len(lines), 1, "continued pretraining")
    rows = [_whole(line, specials, longest) for line in lines if len(line)]
    epoch = 0
    while True:
        rng = np.random.default_rng([seed, 7, epoch])
        jitter = rng.random(len(rows)) * 8  # lengths are blurred, so that batches differ from epoch to epoch
        order = np.argsort([len(row) + x for row, x in zip(rows, jitter, strict=True)])
        groups: list[list[int]] = [[]]
        for index in order:
            if groups[-1] and len(rows[index]) * (len(groups[-1]) + 1) > tokens:
                groups.append([])
            groups[-1].append(int(index))
        for k in rng.permutation(len(groups)):
            yield [rows[i] for i in groups[k]]
        epoch += 1


def _loss(model: Any, rows: Sequence[Sequence[int]], specials: Specials, rng: np.random.Generator) -> Any:
    width = max(map(len, rows))
    ids = np.full((len(rows), width), specials.pad, np.int64)
    for k, row in enumerate(rows):
        ids[k, : len(row)] = row
    special = np.isin(ids, list(vars(specials).values()))
    lengths = np.array([len(row) for row in rows])[:, None]
    vocabulary = model.get_input_embeddings().num_embeddings
    alphabet = np.setdiff1d(np.arange(vocabulary), list(vars(specials).values()))
    seen, where, labels = mask(ids, ~special, np.full(ids.shape, specials.mask), alphabet, rng)
    attention = torch.from_numpy((np.arange(width) < lengths).astype(np.int64))
    base = getattr(model, "base_model", model)
    base = getattr(base, "model", base) if not hasattr(base, "embeddings") else base
    head = getattr(model, "cls", None) or getattr(model, "lm_head", None)
    if head is None:
        raise MultilingualError(
            f"{type(model).__name__} has no masked-language-model head; continued pretraining needs one"
        )
    states = base(input_ids=torch.from_numpy(seen), attention_mask=attention).last_hidden_state
    picked = states.reshape(-1, states.shape[-1])[torch.from_numpy(where)]
    return torch.nn.functional.cross_entropy(head(picked), torch.from_numpy(labels))
