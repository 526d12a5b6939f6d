"""Training of world models: losses, interaction-balanced replay, and the loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from colonnade.causal.checkpoints import capture, restore
from colonnade.causal.data import Transitions
from colonnade.causal.errors import CausalError, check_choice, check_range
from colonnade.causal.models import WorldModel

Array = NDArray[Any]
Loss = Literal["infonce", "contrastive", "ae", "vae"]
LOSSES = ("infonce", "contrastive", "ae", "vae")
SIGMA = 0.5  # of the energy in C-SWM
COLLAPSED = 1e-3  # standard deviation of slots over frames below which nothing was learned


@dataclass
class Curve:
    """How a training went: loss by update, and what was seen."""

    loss: list[float] = field(default_factory=list)
    update: list[int] = field(default_factory=list)
    transitions: int = 0
    seconds: float = 0.0
    slot_std: float = 0.0


def energy(a: Tensor, b: Tensor) -> Tensor:
    """C-SWM's energy of slots (batch, n, dim): squared distance over 2 sigma^2, mean over objects (its equation 5)."""
    return (0.5 / SIGMA**2) * (a - b).pow(2).sum(2).mean(1)


def unroll(model: WorldModel, frames: Tensor, actions: Tensor) -> tuple[Sequence[Tensor], list[Tensor]]:
    """Encode all frames in one call and predict from the first ones on.

    Args:
        frames: ((steps + 1) batch, size, size, 3) uint8, all before the actions, then all after the first, and so on.
        actions: (batch, steps).

    Returns:
        steps + 1 encodings and steps predictions, (batch, n, dim) each.
    """
    slots = model.encode(frames).chunk(actions.shape[1] + 1)
    predicted: list[Tensor] = []
    z, memory = slots[0], None
    for step in range(actions.shape[1]):
        z, memory = model.step(z, actions[:, step], memory)
        predicted.append(z)
    return slots, predicted


def contrastive(model: WorldModel, frames: Tensor, actions: Tensor, negative: Tensor) -> Tensor:
    """C-SWM's hinge loss.

    Args:
        frames, actions: as in `unroll`.
        negative: (batch,) rows of another frame for each, never the same row.
    """
    slots, predicted = unroll(model, frames, actions)
    positive = torch.stack([energy(guess, slots[k + 1]).mean() for k, guess in enumerate(predicted)]).mean()
    return positive + F.relu(1 - energy(slots[0], slots[0][negative])).mean()


def infonce(model: WorldModel, frames: Tensor, actions: Tensor, same: Tensor) -> Tensor:
    """Tell the true next frame from all others of the batch and from the frame before (van den Oord et al. 2018).

    C-SWM's hinge is satisfied once states of different episodes are apart. Here the frame before the action is a
    negative of its own whenever anything changed, so that "nothing moved" is never a good answer to a push. The
    energy of the prediction is added: choosing among the batch's frames alone does not punish a push that the
    weights forbid, because no frame of the batch shows it.

    Args:
        frames, actions: as in `unroll`.
        same: (steps, batch, 2 batch) true where the columns [after, before] hold the same picture as a row's next
            frame.
    """
    slots, predicted = unroll(model, frames, actions)
    diagonal = torch.arange(len(actions))
    total = slots[0].new_zeros(())
    for k, guess in enumerate(predicted):
        p, candidates = guess.flatten(1), torch.cat([slots[k + 1], slots[k]]).flatten(1)
        squared = (p**2).sum(1, keepdim=True) - 2 * p @ candidates.T + (candidates**2).sum(1)
        logits = squared.clamp(min=0) * (-0.5 / SIGMA**2 / model.config.slots)
        masked = same[k].clone()
        masked[diagonal, diagonal] = False
        total = total + F.cross_entropy(logits.masked_fill(masked, -1e9), diagonal)
        total = total + energy(guess, slots[k + 1]).mean()
    return total / len(predicted)


def likelihood(model: WorldModel, frames: Tensor, actions: Tensor, noise: torch.Generator) -> Tensor:
    """Negative log-likelihood of all frames and of the predicted ones, with the KL of the VAE, trained jointly.

    Ke et al. (section 5.2) train the same terms in three stages; jointly, the transition shapes the slots from the
    start.
    """
    mean, log_variance = model.posterior(frames)
    z, regular = mean, mean.new_zeros(())
    if log_variance is not None:
        z = mean + torch.randn(mean.shape, generator=noise) * (0.5 * log_variance).exp()
        regular = 0.5 * (mean.pow(2) + log_variance.exp() - 1 - log_variance).sum((1, 2)).mean()
    predicted = model.rollout(mean[: len(actions)], actions).transpose(0, 1).flatten(0, 1)
    later = slice(len(actions), None)
    pixels = torch.cat([frames, frames[later]]).flatten(1).float() / 255
    logits = model.decode(torch.cat([z, predicted]))
    painted = F.binary_cross_entropy_with_logits(logits, pixels, reduction="sum") / len(pixels)
    return painted + regular + energy(predicted, mean[later].detach()).mean()


def fit(
    model: WorldModel,
    data: Transitions,
    *,
    loss: Loss = "infonce",
    updates: int = 1000,
    batch: int = 512,
    lr: float = 1e-3,
    balance: float = 0.5,
    horizon: int | None = None,
    seed: int = 0,
    report: Callable[[int, float], None] | None = None,
    checkpoint: Callable[[dict[str, Any]], None] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> Curve:
    """Train a world model on transitions.

    Args:
        model: trained in place, left in evaluation mode.
        data: of a world of the model's shape.
        loss: `infonce` (the default, see there), `contrastive` (C-SWM), `ae` or `vae` (likelihood; need a decoder).
        updates: gradient steps.
        batch: transitions a step.
        lr: peak learning rate of Adam; warmed up over 5 % of the steps, then cosine to zero.
        balance: share of each batch drawn from transitions with a contact or interaction; 0 takes all as they come.
        horizon: steps predicted in a row, from the first frame alone; 1 by default, 4 for models with a memory.
        seed: decides batches.
        report: called with (update, loss) about fifty times.
        checkpoint: called about twenty times with all that is needed to go on from there.
        resume: what `checkpoint` was given in a run with the same arguments; the result is that of one run.

    Returns:
        The loss curve and what was seen; `slot_std` close to 0 means that the slots collapsed.

    Raises:
        CausalError: an argument out of range, data of another shape, or a loss that is not a number.
    """
    horizon = (4 if model.recurrent else 1) if horizon is None else horizon
    _check(model, data, loss, updates, batch, lr, balance, horizon)
    rng, noise = np.random.default_rng(np.random.SeedSequence([seed, 2])), torch.Generator().manual_seed(seed)
    sample = _sampler(data, batch, balance, horizon, rng)
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    warm = max(1, updates // 20)
    curve, began, done = Curve(), time.perf_counter(), 0
    if resume is not None:
        done = restore(resume, model, optimiser, rng, noise, curve)
    model.train()
    for update in range(done, updates):
        rate = min((update + 1) / warm, 0.5 + 0.5 * float(np.cos(np.pi * update / updates)))
        optimiser.param_groups[0]["lr"] = lr * rate
        value = _loss(model, data, sample(), horizon, loss, rng, noise)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        if update % max(1, updates // 50) == 0 or update == updates - 1:
            _note(curve, update, float(value.detach()), report)
        if checkpoint is not None and (update + 1) % max(1, updates // 20) == 0:
            checkpoint(capture(update + 1, model, optimiser, rng, noise, curve))
    model.eval()
    curve.transitions, curve.seconds = updates * batch, time.perf_counter() - began
    with torch.no_grad():
        curve.slot_std = float(model.encode(data.frames(np.arange(min(512, len(data))))[0]).std(0).mean())
    return curve


def _note(curve: Curve, update: int, value: float, report: Callable[[int, float], None] | None) -> None:
    if not np.isfinite(value):
        raise CausalError(f"the loss is not a number after {update} updates; lower lr.")
    curve.update.append(update)
    curve.loss.append(value)
    if report is not None:
        report(update, value)


def _check(
    model: WorldModel, data: Transitions, loss: str, updates: int, batch: int, lr: float, balance: float, horizon: int
) -> None:
    check_choice("loss", loss, LOSSES)
    check_range("updates", updates, 1, 1_000_000)
    check_range("batch", batch, 2, 8192)  # batch normalisation and negatives need two
    check_range("lr", lr, 1e-7, 1.0)
    check_range("balance", balance, 0, 1)
    check_range("horizon", horizon, 1, data.actions.shape[1])
    config, world = model.config, data.world
    wanted = (world.slots, world.actions_per_object, world.size)
    if (config.slots, config.per_object, config.size) != wanted:
        raise CausalError(
            f"the model has {config.slots} slots, {config.per_object} actions each and {config.size} pixels, but the "
            f"data have {wanted[0]}, {wanted[1]} and {wanted[2]}."
        )
    if len(data) < 2:
        raise CausalError(f"data must hold at least 2 transitions, but hold {len(data)}.")
    if loss in ("ae", "vae") and not config.decoder:
        raise CausalError(f"loss {loss!r} needs a model with decoder=True.")
    if (loss == "vae") != config.variational:
        raise CausalError("loss 'vae' and a model with variational=True belong together.")


def _sampler(
    data: Transitions, batch: int, balance: float, horizon: int, rng: np.random.Generator
) -> Callable[[], Array]:
    """Rows of a batch: `balance` of them evenly from pushes and from contacts that held, the rest from all."""
    long_enough = data.index[:, 1] + horizon <= data.actions.shape[1]
    every = np.flatnonzero(long_enough)
    groups = [np.flatnonzero(long_enough & kind) for kind in (data.interaction, data.contact & ~data.interaction)]
    groups = [group for group in groups if len(group)]
    share = round(batch * balance) // max(1, len(groups))

    def sample() -> Array:
        parts = [group[rng.integers(len(group), size=share)] for group in groups]
        rest = batch - share * len(groups)
        return np.concatenate([*parts, every[rng.integers(len(every), size=rest)]])

    return sample


def _loss(
    model: WorldModel, data: Transitions, rows: Array, horizon: int, loss: str, rng: np.random.Generator,
    noise: torch.Generator,
) -> Tensor:  # fmt: skip
    frames = torch.from_numpy(data.sequence(rows, horizon))
    actions = torch.from_numpy(data.actions_from(rows, horizon))
    if loss == "contrastive":
        shift = (np.arange(len(rows)) + rng.integers(1, len(rows), size=len(rows))) % len(rows)
        return contrastive(model, frames, actions, torch.from_numpy(shift))
    if loss == "infonce":
        return infonce(model, frames, actions, torch.from_numpy(_same(data, rows, horizon)))
    return likelihood(model, frames, actions, noise)


def _same(data: Transitions, rows: Array, horizon: int) -> Array:
    """(horizon, batch, 2 batch) which of [after, before] show the same picture as each row's next frame."""
    episode, step = data.index[rows].T
    looks = np.concatenate([data.fixed[episode], data.shapes[episode]], 1)
    states = [np.concatenate([looks, data.states[episode, step + k]], 1) for k in range(horizon + 1)]
    codes = np.unique(np.concatenate(states), axis=0, return_inverse=True)[1].reshape(horizon + 1, len(rows))
    return np.stack([codes[k + 1][:, None] == np.concatenate([codes[k + 1], codes[k]]) for k in range(horizon)])
