"""Training a flow: the losses and schedules that arXiv:2107.00734 (section IV) compares, resumable bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.diagnostics import Verdict, flow_verdict, forward_ess, reverse_ess
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.flow import Density, Flow, FlowProposal, Mixture
from colonnade.lattice.geometry import Shape
from colonnade.lattice.layers import ModeBase
from colonnade.lattice.mcmc import HMC, initial_state
from colonnade.threads import one_thread

Loss = Literal["reverse_kl", "path_gradient", "forward_kl", "symmetric_kl", "self_training"]
LOSSES = ("reverse_kl", "path_gradient", "forward_kl", "symmetric_kl", "self_training")


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    loss : reverse_kl (the flow's own fields), path_gradient (the same without the score term, lower variance),
        forward_kl (on HMC fields started in each vacuum), symmetric_kl (the mean of reverse and forward, which
        pulls the flow over the tails that the reverse one leaves thin), self_training (own fields, reweighted)
    steps, batch, learning_rate : of Adam with a one-cycle schedule
    minutes : stop earlier after this much wall-clock time
    calibrate : set the base from the two-point function of HMC fields first
    adiabatic : number of stages from the symmetric phase (stronger quartic) to the target action; 1 is none
    distance : weight of the flow-distance penalty <|f(z) - z|^2> per site
    evaluate : steps between evaluations of both effective sample sizes
    """

    loss: Loss = "reverse_kl"
    steps: int = 600
    batch: int = 256
    learning_rate: float = 8e-3
    seed: int = 0
    minutes: float | None = None
    calibrate: bool = True
    adiabatic: int = 1
    distance: float = 0.0
    evaluate: int = 50

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise LatticeError(f"loss is {self.loss!r}; it must be one of {', '.join(LOSSES)}")
        for name, low, high in (("steps", 1, 1_000_000), ("batch", 2, 65536), ("adiabatic", 1, 64)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise LatticeError(f"{name} is {value}; it must be {low} to {high}")
        if not (math.isfinite(self.learning_rate) and 0 < self.learning_rate <= 1):
            raise LatticeError(f"learning_rate is {self.learning_rate}; it must be above 0 and at most 1")


@dataclass
class History:
    """What happened: loss at every step; step, seconds, reverse and forward ESS at every evaluation."""

    loss: list[float] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    reverse_ess: list[float] = field(default_factory=list)
    forward_ess: list[float] = field(default_factory=list)
    stopped: str = ""


def reference_fields(
    action: ScalarAction, shape: Shape, n: int, rng: np.random.Generator, chains: int = 128, thin: int = 4
) -> FloatArray:
    """About n fields by plain HMC, half of the chains started in each vacuum (the weights of the vacua are equal by
    symmetry, so chains need not tunnel)."""
    state = initial_state(action, shape, chains, rng)
    kernel, state = HMC(action, steps=8).tuned(state, rng)
    state, _ = replace(kernel, repeat=60)(state, rng)
    spaced = replace(kernel, repeat=thin)
    drawn = []
    for _ in range(-(-n // chains)):
        state, _ = spaced(state, rng)
        drawn.append(state.fields.copy())
    return np.concatenate(drawn)[:n]


class Trainer:
    """A training run that can stop after any step and go on bit for bit from `state_dict`.

    Parameters
    ----------
    flow, action, config : what to train, on which target, how
    fields : reference configurations (n, ...); by default 4096 HMC fields started in each vacuum
    """

    def __init__(
        self, flow: Density, action: ScalarAction, config: TrainConfig, fields: FloatArray | None = None
    ) -> None:
        self.flow, self.action, self.config = flow, action, config
        self.proposal = FlowProposal(flow, action)
        rng = np.random.default_rng(config.seed)
        fields = reference_fields(action, flow.support.shape, 4096, rng) if fields is None else fields
        order = np.random.default_rng(config.seed + 1).permutation(len(fields))
        reduced = self.proposal.target.reduce(fields[order])
        held = min(1024, reduced.shape[2] // 4)
        self.held_out, self.data = reduced[:, :, :held], reduced[:, :, held:]
        if config.calibrate:
            for module in flow.modules():
                if isinstance(module, ModeBase):
                    module.calibrate(self.data)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.optimizer = torch.optim.Adam(flow.parameters(), lr=config.learning_rate, fused=True)
        self.step = 0
        self.history = History()
        self._targets: dict[int, FlowProposal] = {}
        self._good = {k: v.detach().clone() for k, v in flow.state_dict().items()}

    def rate(self, step: int) -> float:
        """One cycle: linear rise over the first tenth, cosine fall to 1 % of the peak."""
        rise = max(1, self.config.steps // 10)
        if step < rise:
            return self.config.learning_rate * (step + 1) / rise
        x = (step - rise) / max(1, self.config.steps - rise)
        return self.config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(x, 1.0))))

    def _current(self) -> FlowProposal:
        """The proposal with the action of the present adiabatic stage."""
        stages = self.config.adiabatic
        if stages == 1:
            return self.proposal
        # the stages take the first half of the steps; the last one is the target itself
        stage = min(stages - 1, 2 * self.step * stages // self.config.steps)
        if stage not in self._targets:
            factor = 1 + 1.5 * (1 - stage / (stages - 1))
            staged = replace(self.action, w4=self.action.w4 * factor)
            self._targets[stage] = self.proposal if factor == 1 else FlowProposal(self.flow, staged)
        return self._targets[stage]

    def _loss(self) -> Tensor:  # noqa: PLR0911
        config, flow, proposal = self.config, self.flow, self._current()
        if config.loss == "forward_kl":
            return self._forward_kl()
        if config.loss == "symmetric_kl" and not isinstance(flow, Mixture):
            _, log_w = proposal.draw(config.batch, self.generator)
            return 0.5 * (self._forward_kl() - log_w.mean())
        if config.loss == "self_training":
            with torch.no_grad():
                x, log_w = proposal.draw(config.batch, self.generator)
                weight = torch.softmax(log_w, 0)
            return -(weight * flow.log_prob(x)).sum()
        if isinstance(flow, Mixture):
            x, log_q, weight = flow.stratified(config.batch, self.generator)
            if config.loss == "path_gradient":
                log_q = functional_call(flow, _frozen(flow), (x,))
            return (weight * (proposal.target.energy(x) + log_q)).sum()
        if config.loss == "path_gradient":
            x, _ = flow.sample(config.batch, self.generator)
            log_q = cast(Tensor, functional_call(flow, _frozen(flow), (x,)))
            return (proposal.target.energy(x) + log_q).mean()
        if config.distance and isinstance(flow, Flow):
            z, log_q = flow.base.sample(config.batch, self.generator)
            x, log_det = flow.push(z)
            penalty = config.distance * ((x - z) ** 2).sum((0, 1)).mean()
            return (proposal.target.energy(x) + log_q - log_det).mean() + penalty
        _, log_w = proposal.draw(config.batch, self.generator)
        return -log_w.mean()

    def _forward_kl(self) -> Tensor:
        pick = torch.randint(self.data.shape[2], (self.config.batch,), generator=self.generator)
        return -self.flow.log_prob(self.data[:, :, pick]).mean()

    @one_thread()
    def advance(self) -> bool:
        """One step; False if the loss or a gradient is not finite (the last good weights are put back)."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        self.optimizer.zero_grad()
        loss = self._loss()
        value = float(loss.detach())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.flow.parameters(), 100.0)
        if not (math.isfinite(value) and math.isfinite(float(norm))):
            self.flow.load_state_dict(self._good)
            self.history.stopped = f"the loss was {value} at step {self.step}; the last good weights were kept"
            return False
        self.optimizer.step()
        self.step += 1
        self.history.loss.append(value)
        return True

    @one_thread()
    @torch.no_grad()
    def evaluate(self, n: int = 2048) -> tuple[float, float]:
        """Reverse ESS on n fresh fields and forward ESS on the held-out reference fields.

        Draws from a generator of its own, so evaluating more or less often does not change the training.
        """
        generator = torch.Generator().manual_seed(self.config.seed + 7919 * (self.step + 1))
        log_w = self.proposal.draw(n, generator)[1].numpy()
        target = -self.proposal.target.energy(self.held_out) - self.flow.log_prob(self.held_out)
        if not (np.isfinite(log_w).all() and torch.isfinite(target).all()):
            return 0.0, 0.0
        return reverse_ess(log_w), forward_ess(target.numpy())

    def run(self, progress: Callable[[Trainer], None] | None = None, until: int | None = None) -> History:
        """Train up to step `until` (default: all); `progress` is called after every evaluation."""
        began = time.monotonic()
        spent = self.history.seconds[-1] if self.history.seconds else 0.0
        last = self.config.steps if until is None else min(until, self.config.steps)
        while self.step < last:
            if not self.advance():
                break
            seconds = spent + time.monotonic() - began
            out_of_time = self.config.minutes is not None and seconds > 60 * self.config.minutes
            if self.step % self.config.evaluate == 0 or self.step == self.config.steps or out_of_time:
                self._record(seconds)
                if progress:
                    progress(self)
            if out_of_time:
                self.history.stopped = f"the time of {self.config.minutes} min was used up at step {self.step}"
                break
        return self.history

    def _record(self, seconds: float) -> None:
        reverse, forward = self.evaluate()
        self._good = {k: v.detach().clone() for k, v in self.flow.state_dict().items()}
        h = self.history
        h.step.append(self.step)
        h.seconds.append(seconds)
        h.reverse_ess.append(reverse)
        h.forward_ess.append(forward)

    @one_thread()
    def verdict(self, n: int = 8192) -> Verdict:
        """Judge the trained flow on n fresh fields and the held-out reference fields of both vacua."""
        generator = torch.Generator().manual_seed(self.config.seed + 104729)
        with torch.no_grad():
            log_w = self.proposal.draw(n, generator)[1].numpy()
            target = -self.proposal.target.energy(self.held_out) - self.flow.log_prob(self.held_out)
        mode = np.sign(self.held_out[0].mean(0).numpy())
        return flow_verdict(log_w, target.numpy(), mode if self.action.components == 1 else None)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything the next step depends on, as flat tensors (fit for safetensors)."""
        state = {f"flow.{k}": v.clone() for k, v in self.flow.state_dict().items()}
        for k, entry in self.optimizer.state_dict()["state"].items():
            state |= {f"adam.{k}.{name}": torch.as_tensor(v).clone() for name, v in entry.items()}
        state["generator"] = self.generator.get_state()
        state["step"] = torch.tensor(self.step)
        state["held_out"], state["data"] = self.held_out.contiguous(), self.data.contiguous()
        for name in ("loss", "step", "seconds", "reverse_ess", "forward_ess"):
            state[f"history.{name}"] = torch.tensor(getattr(self.history, name), dtype=torch.float64)
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go back to a saved state of the same flow, action and config."""
        self.flow.load_state_dict({k[5:]: v for k, v in state.items() if k.startswith("flow.")})
        self._good = {k: v.detach().clone() for k, v in self.flow.state_dict().items()}
        entries: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            if key.startswith("adam."):
                _, index, name = key.split(".")
                entries.setdefault(int(index), {})[name] = value.clone()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})
        self.generator.set_state(state["generator"])
        self.step = int(state["step"])
        self.held_out, self.data = state["held_out"], state["data"]
        h = self.history
        h.loss, h.seconds = state["history.loss"].tolist(), state["history.seconds"].tolist()
        h.step = [int(s) for s in state["history.step"].tolist()]
        h.reverse_ess = state["history.reverse_ess"].tolist()
        h.forward_ess = state["history.forward_ess"].tolist()


def _frozen(flow: Density) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in flow.named_parameters()}


def fit(
    flow: Density,
    action: ScalarAction,
    config: TrainConfig | None = None,
    *,
    fields: FloatArray | None = None,
    progress: Callable[[Trainer], None] | None = None,
) -> Trainer:
    """Train `flow` on `action` in place and return the finished `Trainer` (its history, `verdict()`, state)."""
    trainer = Trainer(flow, action, config or TrainConfig(), fields)
    trainer.run(progress)
    return trainer
