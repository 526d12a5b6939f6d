"""Broken phase, L = 8, m2 = -4, lambda = 4: our flow against sesamo 1.0.0 (Kreit et al., arXiv:2505.19619; PyPI).

The peer is its stochastic modulation with self-regularisation over a RealNVP, trained by its own loss. Which depth,
width, batch and learning rate serve it best is found first: every configuration of `CANDIDATES` trains for `--screen`
CPU-seconds, and the one of least Kullback-Leibler divergence then starts afresh with the whole `--budget`. Ours is the
recipe of the zoo, which uses a fraction of it. One process, one thread, float32, the two long trainings in turns of a
few CPU-seconds.

Judged on the same footing: 16384 fresh fields of each flow for the reverse ESS and log Z, 8192 HMC fields started in
each vacuum for the forward ESS, log Z against HOTRG. Evaluations are not counted. The peer declares numpy < 2; it runs
with numpy 2 when installed with --no-deps beside hydra-core, nflows and tqdm.
"""

from __future__ import annotations

import argparse
import math
import time
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from sesamo import Sesamo
from sesamo.action import ScalarPhi4Action
from sesamo.loss import StochmodLoss
from sesamo.models import GaussianPrior, RealNVP, Z2Modulation, Z2Regularization

from colonnade.lattice import (
    FlowConfig,
    ScalarAction,
    TrainConfig,
    Trainer,
    build,
    forward_ess,
    hotrg,
    log_z,
    reference_fields,
    reverse_ess,
)

SIDE, FRESH = 8, 16384
ACTION = ScalarAction.from_albergo(m2=-4, lam=4.0)
HOPPING = ACTION.to_hopping()  # the peer's action is the hopping form; phi_peer = scale * phi
SHIFT = SIDE**2 * math.log(HOPPING.scale)  # log Z_peer - log Z


class Choice(NamedTuple):
    couplings: int
    layers: int
    features: int
    batch: int
    rate: float


# the first is the peer's README; its classes' own defaults are 6 couplings, 4 layers, 100 features
CANDIDATES = [
    Choice(10, 2, 40, 8000, 5e-4),
    *(
        Choice(*net, batch, rate)
        for net, batch, rate in product([(6, 4, 100), (10, 2, 100)], [512, 2048], [5e-4, 2e-3])
    ),
]


class Peer:
    def __init__(self, choice: Choice, seed: int = 1) -> None:
        torch.manual_seed(seed)
        shape = [SIDE, SIDE]
        self.name, self.seconds, self.rate = f"sesamo {tuple(choice)}", 0.0, choice.rate
        self.flow = RealNVP(
            lat_shape=shape,
            num_coupling_layers=choice.couplings,
            num_hidden_layers=choice.layers,
            num_hidden_features=choice.features,
        )
        self.model = Sesamo(
            prior=GaussianPrior(var=1, lat_shape=shape, dtype=torch.float32),
            flow=self.flow,
            stochastic_modulation=Z2Modulation(),
            regularization=Z2Regularization(),
        )
        self.loss, self.batch = StochmodLoss(), choice.batch
        self.action = ScalarPhi4Action(kappa=HOPPING.kappa, lambd=HOPPING.quartic)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=choice.rate)

    def train(self, seconds: float, budget: float) -> None:
        """Go on for some CPU-seconds; the rate falls as a cosine of the share of the budget."""
        until = self.seconds + seconds
        while self.seconds < until:
            start = time.process_time()
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1, self.seconds / budget))))
            self.optimizer.zero_grad()
            x, log_q, log_modulation, penalty = self.model.sample_for_training(self.batch)
            self.loss(self.action(x), log_q, log_modulation, penalty).mean().backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 100.0)
            self.optimizer.step()
            self.seconds += time.process_time() - start

    def _log_q(self, x: torch.Tensor) -> torch.Tensor:
        """The density of the modulated flow, (p(x) + p(-x)) / 2, exact even where p leaks out of its half.

        Where its inverse overflows, p is 0.
        """
        parts = []
        for y in (x, -x):
            z, log_det = self.flow.reverse(y)
            parts.append((self.model.prior.log_prob(z) + log_det).nan_to_num(-torch.inf, -torch.inf, -torch.inf))
        return torch.logaddexp(*parts) - math.log(2)

    @torch.no_grad()
    def log_w(self, fields: np.ndarray | None = None) -> np.ndarray:
        if fields is None:
            x = torch.cat([self.model.sample(2048) for _ in range(FRESH // 2048)])
        else:
            x = torch.from_numpy(HOPPING.scale * fields).float()
        log_q = self._log_q(x).double()
        return torch.where(log_q > -torch.inf, -self.action(x).double() - log_q, -1e3).numpy() - SHIFT


class Ours:
    name = "colonnade equivariant"

    def __init__(self, seed: int = 1) -> None:
        start = time.process_time()
        config = TrainConfig("symmetric_kl", steps=500, seed=seed, evaluate=10**9)
        self.trainer = Trainer(build(FlowConfig((SIDE, SIDE)), seed), ACTION, config)
        self.seconds = time.process_time() - start

    def train(self, seconds: float, budget: float) -> None:
        until = self.seconds + seconds
        while self.seconds < until and self.trainer.step < self.trainer.config.steps:
            start = time.process_time()
            self.trainer.run(until=self.trainer.step + 5)
            self.seconds += time.process_time() - start

    def log_w(self, fields: np.ndarray | None = None) -> np.ndarray:
        proposal = self.trainer.proposal
        return proposal.propose(FRESH, np.random.default_rng(5))[1] if fields is None else proposal.weigh(fields)


def judge(flow: Peer | Ours, fields: np.ndarray, exact: float) -> float:
    """Print what the flow is worth; return the mean of log w, minus the reverse KL divergence up to log Z."""
    own, target = flow.log_w(), flow.log_w(fields)
    value, error = log_z(own)
    print(
        f"{flow.name:>34}: {flow.seconds:5.1f} CPU-s, ESS reverse {reverse_ess(own):.3f} forward "
        f"{forward_ess(target):.3f}, KL {exact - own.mean():.2f}, log Z {value:.4f} +- {error:.4f} "
        f"(minus exact {value - exact:+.4f})",
        flush=True,
    )
    return float(own.mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=float, default=300.0, help="CPU-seconds of the long training")
    parser.add_argument("--screen", type=float, default=30.0, help="CPU-seconds for each configuration of the peer")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.distributions.Distribution.set_default_validate_args(False)  # the peer's inverse may overflow
    exact = hotrg(ACTION, (SIDE, SIDE)).log_z
    fields = reference_fields(ACTION, (SIDE, SIDE), 8192, np.random.default_rng(3))
    print(f"L = {SIDE}, m2 = -4, lambda = 4, exact log Z {exact:.4f}; configurations of the peer:")
    found = []
    for choice in CANDIDATES:
        peer = Peer(choice)
        peer.train(options.screen, options.screen)
        found.append((judge(peer, fields, exact), choice))
    best = max(found)[1]
    print(f"the long trainings; the peer with {best._asdict()}:")
    contestants = [Ours(), Peer(best)]
    while contestants[1].seconds < options.budget:
        for c in contestants:
            c.train(min(5.0, max(options.budget - c.seconds, 0.0)), options.budget)
    for c in contestants:
        judge(c, fields, exact)


if __name__ == "__main__":
    main()
