"""The training loop: fused AdamW, linear warm-up and decay, checkpoints that a run goes on from to the bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import MultilingualError, enough
from colonnade.multilingual.pretrain.batches import Batches, assemble, single
from colonnade.multilingual.pretrain.corpus import Corpus, Written
from colonnade.multilingual.pretrain.model import PackedBert
from colonnade.multilingual.pretrain.plan import Plan
from colonnade.multilingual.pretrain.sampling import Mixing, mixing

State = Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """The model, the loss (nats a piece) and objective of every step, tokens seen, and how languages were mixed."""

    model: PackedBert
    losses: FloatArray
    objectives: tuple[str, ...]
    tokens: int
    mixing: Mixing
    notes: tuple[str, ...]


def train(
    plan: Plan,
    corpus: Corpus,
    *,
    model: PackedBert | None = None,
    resume: State | None = None,
    checkpoint: Callable[[dict[str, Any]], None] | None = None,
    every: int = 200,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> Trained:
    """Pretrain a model.

    Args:
        plan: of the run.
        corpus: what to learn from; TLM and the contrastive objective need parallel languages in it.
        model: to start from; None: weights drawn from the plan's seed.
        resume: what `checkpoint` was given in an earlier run of the same plan and corpus.
        checkpoint: told the whole state every `every` steps: arrays, and values that JSON can hold.
        progress: told step and loss.

    Raises:
        MultilingualError: an objective asks for parallel text where there is none, or the loss is no number.
    """
    needs = [name for name in ("tlm", "contrastive") if plan.objectives.get(name, 0) > 0]
    if needs and not corpus.parallel:
        raise MultilingualError(f"objective {needs[0]} needs aligned text of two languages; this corpus has none")
    batches = Batches(corpus, plan)
    if model is None:
        model = PackedBert(plan, corpus.vocabulary, plan.width + max(one.offset for one in corpus.languages))
    optimiser = _optimiser(model, plan)
    losses, objectives, tokens, start = np.zeros(plan.steps), [], 0, 0
    if resume is not None:
        start, tokens, objectives = int(resume["step"]), int(resume["tokens"]), list(resume["objectives"])
        losses[:start] = resume["losses"][:start]
        batches.state = resume["drawn"]
        _restore(model, optimiser, resume)
    model.train()
    for step in range(start, plan.steps):
        batch = batches.batch(step)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * schedule(step, plan.steps, plan.warmup)
        loss = model.loss(batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses[step] = loss.item()
        if not np.isfinite(losses[step]):
            raise MultilingualError(
                f"the loss is no number at step {step + 1}; lower the learning rate ({plan.rate:g})"
            )
        objectives.append(batch.objective)
        tokens += batch.tokens
        progress(step + 1, float(losses[step]))
        if checkpoint is not None and (step + 1) % every == 0 and step + 1 < plan.steps:
            rest = {"step": step + 1, "tokens": tokens, "objectives": objectives, "drawn": batches.state}
            checkpoint({**rest, "losses": losses[: step + 1].copy(), **_arrays(model, optimiser)})
    report = mixing(corpus.sizes, dict(zip(corpus.sizes, batches.q.tolist(), strict=True)), batches.draws)
    long = sum(int((np.diff(one.ends) > plan.width - 2).sum()) for one in corpus.languages)
    notes = (*report.warnings, *((f"{long} lines are cut to {plan.width - 2} pieces",) if long else ()))
    return Trained(model.eval(), losses, tuple(objectives), tokens, report, notes)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the highest rate at a step: linearly up, linearly down."""
    rise = max(1, round(warmup * steps))
    return min((step + 1) / rise, (steps - step) / max(1, steps - rise))


def held_out_loss(model: PackedBert, text: Written, plan: Plan, alphabet: Any, seed: int = 0) -> float:
    """Masked-language-model loss (nats a predicted piece) on held-out lines; exp of it is the perplexity."""
    enough("held-out lines", len(text), 1, "a loss")
    total, places = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(text), 64):
            rows = [single(text, i, plan.width) for i in range(start, min(start + 64, len(text)))]
            batch = assemble("mlm", rows, plan, alphabet, (seed, 5, start))
            total += float(model.loss(batch)) * len(batch.where)
            places += len(batch.where)
    return total / places


def _optimiser(model: PackedBert, plan: Plan) -> torch.optim.AdamW:
    matrices = [value for value in model.parameters() if value.dim() > 1]
    rest = [value for value in model.parameters() if value.dim() == 1]
    groups = [{"params": matrices, "weight_decay": plan.decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def _arrays(model: PackedBert, optimiser: torch.optim.AdamW) -> dict[str, Any]:
    found = {f"weight.{name}": value.detach().numpy().copy() for name, value in model.named_parameters()}
    for name, value in model.named_parameters():
        moments = optimiser.state.get(value)
        if moments:  # an objective without a head leaves the head's weights untouched
            found[f"first.{name}"] = moments["exp_avg"].numpy().copy()
            found[f"second.{name}"] = moments["exp_avg_sq"].numpy().copy()
            found[f"steps.{name}"] = moments["step"].numpy().copy()
    return found


def _restore(model: PackedBert, optimiser: torch.optim.AdamW, state: State) -> None:
    for name, value in model.named_parameters():
        if f"weight.{name}" not in state or state[f"weight.{name}"].shape != tuple(value.shape):
            raise MultilingualError(f"the checkpoint does not fit this plan: {name} is absent or has another shape")
        value.data.copy_(torch.from_numpy(np.array(state[f"weight.{name}"])))
        if f"first.{name}" in state:
            optimiser.state[value] = {
                "step": torch.from_numpy(np.array(state[f"steps.{name}"])),
                "exp_avg": torch.from_numpy(np.array(state[f"first.{name}"])),
                "exp_avg_sq": torch.from_numpy(np.array(state[f"second.{name}"])),
            }
