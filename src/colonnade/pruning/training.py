"""Training: dense, then soft gates with thresholds that learn, then hard gates (arXiv:2107.00910, section 3.3).

What differs from the published recipe: how much is pruned is a target, met by a constraint on FLOPs, as a fixed weight
of the L1 term has a cliff between pruning little and pruning too much (`lam` gives that mode all the same); soft gates
have hard gates as their limit (see `padded`); and the later stages may learn from the dense model's own probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from colonnade.pruning.calibration import Calibration, calibrate, fit_dial, rates_for
from colonnade.pruning.cost import Shape, soft_share
from colonnade.pruning.encoder import PrunedEncoder
from colonnade.pruning.errors import PruningError, between, one_of
from colonnade.pruning.padded import SoftRun
from colonnade.pruning.prediction import predict
from colonnade.pruning.texts import Encoded, batches

Stage = Literal["dense", "soft", "hard"]
STAGES: tuple[Stage, ...] = ("dense", "soft", "hard")
UNKNOWN = -1  # the label of a text that is learned from through the dense model only
START = 0.6  # share of the wanted saving that the soft stage starts from, by calibration
FITTED_ON = 512  # texts that the thresholds are brought to the target on
PENALTY = 20.0  # of the squared distance from the FLOPs target
ASCENT = 0.2  # step of the constraint's multiplier
RAMP = 0.6  # of the soft stage, in which the wanted share and the temperature fall to where they stay
HOTTER = 3.0  # how much warmer gates are at first: cold ones have no slope but for tokens close to θ


@dataclass(frozen=True)
class Plan:
    """How to train.

    Args:
        stages: which stages, in order.
        epochs: passes over the texts in each stage.
        lr: learning rate of the weights in each stage.
        target: wanted ratio of dense to pruned FLOPs; with None, `lam` alone decides.
        lam: weight of the L1 term, the mean gate summed over layers.
        temperature: of the soft gates, in units of the score (0.1 is 8e-4 of LTP's at 128 places); they start warmer.
        threshold_lr: learning rate of the thresholds, by an optimiser of their own.
        batch_size: texts a step.
        distil: weight of the dense model's probabilities against the labels after the dense stage, 0 to 1.
        max_soft_tokens: texts are cut to so many tokens in the soft stage (scores do not depend on length).
        weight_decay: of the weights; the thresholds have none.
        warmup: share of a stage's steps in which the learning rate rises.
        seed: of order and dropout.
    """

    stages: tuple[Stage, ...] = STAGES
    epochs: tuple[int, ...] = (2, 1, 1)
    lr: tuple[float, ...] = (5e-5, 2e-5, 2e-5)
    target: float | None = 2.0
    lam: float = 0.0
    temperature: float = 0.1
    threshold_lr: float = 2e-2
    batch_size: int = 16
    distil: float = 0.5
    max_soft_tokens: int = 256
    weight_decay: float = 0.01
    warmup: float = 0.1
    seed: int = 0

    def checked(self) -> Plan:
        """Itself.

        Raises:
            PruningError: a setting is out of range.
        """
        for stage in self.stages:
            one_of("stage", stage, STAGES)
        if not len(self.stages) == len(self.epochs) == len(self.lr):
            raise PruningError(f"epochs and lr must have {len(self.stages)} numbers, one a stage.")
        if self.target is not None and not self.target >= 1:
            raise PruningError(f"target_speedup must be at least 1, but is {self.target:g}.")
        if not self.lam >= 0:
            raise PruningError(f"lam must be at least 0, but is {self.lam:g}.")
        if not self.temperature > 0:
            raise PruningError(f"temperature must be above 0, but is {self.temperature:g}.")
        between("distil", self.distil, 0, 1)
        between("batch_size", self.batch_size, 1, 1024)
        return self


@dataclass
class Trace:
    """What happened at each step: stage, loss, share of the dense FLOPs (soft stage), thresholds."""

    stage: list[str] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    thresholds: list[list[float]] = field(default_factory=list)


Progress = Callable[[str, int, int, Trace], object]


def train(
    model: Any,
    texts: Encoded,
    labels: Sequence[int],
    plan: Plan | None = None,
    progress: Progress = lambda stage, step, steps, trace: None,
    after_stage: Callable[[str], object] = lambda stage: None,
    teacher: Tensor | None = None,
) -> Trace:
    """Train a pruned classifier through the stages of a plan.

    Args:
        model: a `PrunedForSequenceClassification`; parameters that need no gradient stay as they are.
        texts: token ids.
        labels: a class number for each text; `UNKNOWN` (-1) for one of which only the dense model's probabilities
            are learned, once they are known.
        plan: how.
        progress: called after each step.
        after_stage: called when a stage is done.
        teacher: the dense model's probabilities [texts, classes], when they are known already.

    Raises:
        PruningError: labels do not fit, the target cannot be reached, or the loss became no number.
    """
    plan = (plan or Plan()).checked()
    y = _labels(texts, labels, model.config.num_labels)
    if plan.target is not None:
        rates_for(plan.target, Shape.of(model.encoder.config), texts.lengths)  # refuses what cannot be reached
    torch.manual_seed(plan.seed)
    course = _Course(model, texts, y, plan, progress, teacher)
    for number, stage in enumerate(plan.stages):
        course.run(stage, number)
        after_stage(stage)
    model.eval()
    return course.trace


def _labels(texts: Encoded, labels: Sequence[int], classes: int) -> Tensor:
    if len(texts) != len(labels):
        raise PruningError(f"There are {len(texts)} texts but {len(labels)} labels.")
    y = torch.tensor(list(labels), dtype=torch.long)
    if len(y[y != UNKNOWN].unique()) < 2:
        raise PruningError("At least two texts of two different labels are needed to learn from.")
    for wrong in y[(y < UNKNOWN) | (y >= classes)].tolist()[:1]:
        raise PruningError(f"labels must be from 0 to {classes - 1} (or {UNKNOWN}: not known), but one is {wrong}.")
    return y


class _Course:
    """One training, stage after stage."""

    def __init__(
        self, model: Any, texts: Encoded, y: Tensor, plan: Plan, progress: Progress, teacher: Tensor | None
    ) -> None:
        self.model, self.texts, self.y, self.plan, self.progress = model, texts, y, plan, progress
        self.encoder: PrunedEncoder = model.encoder
        self.shape = Shape.of(self.encoder.config)
        self.rng = np.random.default_rng(plan.seed)
        self.trace = Trace()
        self.teacher = teacher
        self.multiplier = 0.0
        self.first_share: float | None = None

    def run(self, stage: Stage, number: int) -> None:
        plan = self.plan
        if stage != "dense" and plan.distil > 0 and self.teacher is None:
            with self.encoder.set(dial=0):
                self.teacher = predict(self.model, self.texts).softmax(-1)
        learned = self._learned()
        lengths = [self.texts.lengths[k] for k in learned]
        sample = self._sample()
        if stage == "soft" and plan.target is not None:
            self._start(sample, 1 + START * (plan.target - 1))
        steps = plan.epochs[number] * math.ceil(len(learned) / plan.batch_size)
        optimiser, schedule = self._optimiser(plan.lr[number], steps)
        own = torch.optim.Adam([self.encoder.thresholds], lr=plan.threshold_lr) if stage == "soft" else None
        self.model.train()
        done = 0
        for _ in range(plan.epochs[number]):
            for batch in batches(lengths, plan.batch_size, self.rng):
                loss, share = self._loss(stage, [learned[k] for k in batch], done / steps)
                if not bool(torch.isfinite(loss)):
                    raise PruningError(
                        f"The loss became no number in step {done + 1} of the {stage} stage; "
                        f"a lower learning rate than {plan.lr[number]:g} may help."
                    )
                optimiser.zero_grad(set_to_none=True)
                self.encoder.thresholds.grad = None
                loss.backward()
                torch.nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], 1.0)
                optimiser.step()
                schedule.step()
                if own is not None:
                    own.step()
                    with torch.no_grad():
                        self.encoder.thresholds.clamp_(min=0)
                done += 1
                self._note(stage, float(loss.detach()), share)
                self.progress(stage, done, steps, self.trace)
        if stage != "dense" and plan.target is not None and self.encoder.rule.rule == "threshold":
            self.model.eval()
            self._meet(sample)

    def _start(self, sample: Encoded, saving: float) -> None:
        """Thresholds that rise with the layer (as in arXiv:2107.00910), so that early layers, which other tokens still
        read from, keep most; where only pruning from the start saves as much, calibrated ones."""
        self.model.set_thresholds([k / self.shape.layers for k in range(self.shape.layers)])
        try:
            fit_dial(self.model, sample, saving)
        except PruningError:
            calibrate(self.model, sample, saving)

    def _meet(self, sample: Encoded) -> Calibration:
        """Bring the hard gates to the target: soft ones only approach it, and tuned weights have other scores."""
        assert self.plan.target is not None
        return fit_dial(self.model, sample, self.plan.target)

    def _learned(self) -> list[int]:
        """Numbers of the texts that a stage learns from: without the dense model's answers, those with labels."""
        everything = self.teacher is not None and self.plan.distil > 0
        return [k for k, label in enumerate(self.y.tolist()) if everything or label != UNKNOWN]

    def _sample(self) -> Encoded:
        known = np.flatnonzero(self.y.numpy() != UNKNOWN)  # texts without labels may be of other lengths
        return self.texts.take(np.random.default_rng(self.plan.seed).permutation(known)[:FITTED_ON].tolist())

    def _optimiser(self, lr: float, steps: int) -> tuple[torch.optim.Optimizer, Any]:
        named = [
            (n, p) for n, p in self.model.named_parameters() if p.requires_grad and p is not self.encoder.thresholds
        ]
        decayed = [p for n, p in named if p.dim() > 1]
        plain = [p for n, p in named if p.dim() <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.plan.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=lr)
        warm = max(1, int(self.plan.warmup * steps))
        shape = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda k: min((k + 1) / warm, max(0.0, (steps - k) / max(1, steps - warm)))
        )
        return optimiser, shape

    def _loss(self, stage: Stage, chosen: list[int], progress: float) -> tuple[Tensor, float]:
        plan = self.plan
        if stage == "soft":
            short = Encoded([row[: plan.max_soft_tokens] for row in self.texts.take(chosen).ids], 0, self.texts.pad)
            ids, mask = short.tensors(range(len(chosen)))
            warmth = HOTTER ** max(0.0, 1 - progress / RAMP)
            with self.encoder.set(temperature=warmth * plan.temperature, rule="threshold", dial=1.0, bypass=0):
                logits = self.model(input_ids=ids, attention_mask=mask).logits
            penalty, share = self._price(progress)
            return self._task(logits, chosen) + penalty, share
        ids, mask = self.texts.tensors(chosen)
        with self.encoder.set(dial=0.0 if stage == "dense" else 1.0, execution="packed"):
            logits = self.model(input_ids=ids, attention_mask=mask).logits
        return self._task(logits, chosen), math.nan

    def _task(self, logits: Tensor, chosen: list[int]) -> Tensor:
        y = self.y[chosen]
        by_label = functional.cross_entropy(logits, y, ignore_index=UNKNOWN, reduction="none")
        if self.teacher is None or self.plan.distil == 0:
            return by_label.mean()
        by_teacher = -(self.teacher[chosen] * logits.log_softmax(-1)).sum(-1)
        weight = torch.where(y == UNKNOWN, 1.0, self.plan.distil)
        return ((1 - weight) * by_label + weight * by_teacher).mean()

    def _price(self, progress: float) -> tuple[Tensor, float]:
        """What the gates cost: the L1 term, and the constraint on FLOPs by an augmented Lagrangian."""
        assert self.encoder.last is not None
        batch, run = self.encoder.last
        assert isinstance(run, SoftRun)
        mass = run.mass()
        lengths = torch.tensor(batch.lengths)
        share = soft_share(mass, lengths, self.shape)
        penalty = self.plan.lam * (mass / lengths).mean(1).sum()
        if self.plan.target is not None:
            if self.first_share is None:
                self.first_share = float(share.detach())
            ramp = min(1.0, progress / RAMP)
            excess = share - (self.first_share + ramp * (1 / self.plan.target - self.first_share))
            penalty = penalty + self.multiplier * excess + PENALTY / 2 * excess**2
            self.multiplier = max(0.0, self.multiplier + ASCENT * float(excess.detach()))
        return penalty, float(share.detach())

    def _note(self, stage: str, loss: float, share: float) -> None:
        self.trace.stage.append(stage)
        self.trace.loss.append(loss)
        self.trace.share.append(share)
        self.trace.thresholds.append(self.encoder.thresholds.tolist())
