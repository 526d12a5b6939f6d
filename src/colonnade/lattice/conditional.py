"""One flow for a range of couplings: every parameter is a polynomial in lambda.

After one training it gives log Z(lambda), the susceptibility and any reweighted average along the whole line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from colonnade.lattice.action import ScalarAction
from colonnade.lattice.diagnostics import log_z, reverse_ess
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.flow import Density, FlowConfig, build
from colonnade.lattice.layers import ModeBase
from colonnade.lattice.support import Support
from colonnade.lattice.target import Target
from colonnade.lattice.train import reference_fields
from colonnade.threads import one_thread


class _Method(nn.Module):
    """Lets `functional_call` reach any method of a flow."""

    def __init__(self, flow: Density) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, method: str, *arguments: Any) -> Any:
        return getattr(self.flow, method)(*arguments)


class Point(NamedTuple):
    """What one coupling of the line gives."""

    lam: float
    log_z: float
    log_z_error: float
    chi2: float
    chi2_error: float
    ess: float


@dataclass(frozen=True)
class Line:
    """Actions `action` with quartic coupling from `low` to `high`."""

    action: ScalarAction
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise LatticeError(f"low is {self.low} and high {self.high}; 0 < low < high is needed")

    def at(self, lam: float) -> ScalarAction:
        if not self.low <= lam <= self.high:
            raise LatticeError(f"lam is {lam}; the flow was made for {self.low} to {self.high}")
        return replace(self.action, w4=lam)

    def unit(self, lam: float) -> float:
        """lambda mapped to [-1, 1]."""
        return 2 * (lam - self.low) / (self.high - self.low) - 1


class ConditionalFlow(nn.Module):
    """A flow whose parameters are polynomials of degree `degree` in lambda.

    Parameters
    ----------
    config : architecture at each coupling
    line : the range of couplings
    nodes : couplings (Chebyshev points) at which it is trained
    """

    def __init__(self, config: FlowConfig, line: Line, degree: int = 2, nodes: int = 5, seed: int = 0) -> None:
        super().__init__()
        self.line, self.degree = line, degree
        template = build(config, seed)
        self._call = [_Method(template)]  # in a list: its own parameters are placeholders, not to be trained
        self.support: Support = template.support
        self.names = [name for name, _ in template.named_parameters()]
        values = [p.detach() for _, p in template.named_parameters()]
        stacks = [torch.stack([v, *[torch.zeros_like(v)] * degree]) for v in values]
        self.coefficients = nn.ParameterList([nn.Parameter(s) for s in stacks])
        x = np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes)
        self.lams = [float(line.low + 0.5 * (v + 1) * (line.high - line.low)) for v in x]

    def parameters_at(self, lam: float) -> dict[str, Tensor]:
        x = self.line.unit(lam)
        powers = torch.tensor([x**k for k in range(self.degree + 1)])
        return {
            f"flow.{name}": torch.tensordot(powers, c, 1) for name, c in zip(self.names, self.coefficients, strict=True)
        }

    def sample(self, n: int, lam: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Fields (C, S, n) and log q at the coupling lam."""
        x, log_q = functional_call(self._call[0], self.parameters_at(lam), ("sample", n, generator))
        return x, log_q

    def log_prob(self, x: Tensor, lam: float) -> Tensor:
        result: Tensor = functional_call(self._call[0], self.parameters_at(lam), ("log_prob", x))
        return result

    @torch.no_grad()
    def calibrate(self, seed: int) -> None:
        """Fit the polynomials of the base to HMC fields at the nodes."""
        rng = np.random.default_rng(seed)
        template = self._call[0].flow
        base = next(m for m in template.modules() if isinstance(m, ModeBase))
        found: dict[str, list[Tensor]] = {}
        for lam in self.lams:
            target = Target(self.line.at(lam), self.support)
            base.calibrate(target.reduce(reference_fields(self.line.at(lam), self.support.shape, 2048, rng)))
            for name, p in base.named_parameters():
                found.setdefault(f"base.{name}", []).append(p.clone())
        design = np.vander([self.line.unit(v) for v in self.lams], self.degree + 1, increasing=True)
        for name, rows in found.items():
            stacked = torch.stack(rows).double()
            fit = np.linalg.lstsq(design, stacked.reshape(len(rows), -1).numpy(), rcond=None)[0]
            target_parameter = self.coefficients[self.names.index(name)]
            target_parameter.copy_(torch.from_numpy(fit).reshape(target_parameter.shape))

    @one_thread()
    def fit(
        self,
        steps: int = 600,
        batch: int = 256,
        learning_rate: float = 8e-3,
        seed: int = 0,
        progress: Callable[[int, float], None] | None = None,
    ) -> list[float]:
        """Train by reverse KL, one node a step; returns the losses."""
        self.calibrate(seed)
        targets = [Target(self.line.at(lam), self.support) for lam in self.lams]
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
        losses = []
        for step in range(steps):
            node = step % len(self.lams)
            x, log_q = self.sample(batch, self.lams[node], generator)
            loss = (targets[node].energy(x) + log_q).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters(), 100.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
            if progress:
                progress(step, losses[-1])
        return losses

    @one_thread()
    @torch.no_grad()
    def along(self, lams: Sequence[float], n: int = 4096, seed: int = 0) -> list[Point]:
        """log Z and chi2 = V <M^2> with errors at any couplings of the line, by reweighting fresh fields."""
        rng = np.random.default_rng(seed)
        points = []
        for lam in lams:
            target = Target(self.line.at(lam), self.support)
            x, log_q = self.sample(n, lam, torch.Generator().manual_seed(int(rng.integers(2**62))))
            log_w = (-target.energy(x) - log_q).numpy()
            fields = target.complete(x, rng)
            axes = tuple(range(fields.ndim - len(self.support.shape), fields.ndim))
            m = fields.mean(axes).reshape(n, -1)
            chi = (m**2).sum(1) * float(np.prod(self.support.shape))
            w = np.exp(log_w - log_w.max())
            w /= w.sum()
            mean = float(w @ chi)
            value, error = log_z(log_w)
            spread = float(np.sqrt(w**2 @ (chi - mean) ** 2))
            points.append(Point(lam, value, error, mean, spread, reverse_ess(log_w)))
        return points
