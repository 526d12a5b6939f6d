"""CPU-seconds to an effective sample size of 0.5, against normflow (J. Komijani; commit 638874c of its repository).

L = 8, m2 = -4, lambda = 6.008 (symmetric phase). The peer is the network of its own example for this lattice: block of
mean field and learned propagator, splines, four even-odd affine couplings with convolutions of 8 and 8 channels, odd
under phi -> -phi. Both train in this process on one thread, in turns of a few steps; the effective sample
size is that of 8192 fresh fields, and evaluating it is not counted. Our seconds include the HMC fields that calibrate
the base and the tables of the exact conditional. The learning rate and batch of either side are the best found for this
problem; the peer's are searched here, over `--rates` and `--batches`, for every seed, and the ratio is to the fastest.

normflow's repository is not on the package index (a different package has its name): check it out and put its `src`
on the path under the name `normflow`:

    ln -s CHECKOUT/src FOLDER/normflow; PYTHONPATH=FOLDER python benchmarks/against_normflow.py
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from typing import Protocol

import numpy as np
import torch

np.product = np.prod  # type: ignore[attr-defined]  # the peer predates numpy 2

from normflow import Model  # noqa: E402
from normflow.action import ScalarPhi4Action  # noqa: E402
from normflow.mask import EvenOddMask  # noqa: E402
from normflow.nn import (  # noqa: E402
    AffineCoupling_,
    ConvAct,
    DistConvertor_,
    FFTNet_,
    MeanFieldNet_,
    ModuleList_,
    PSDBlock_,
)
from normflow.prior import NormalPrior  # noqa: E402

from colonnade.lattice import FlowConfig, ScalarAction, TrainConfig, Trainer, build, hotrg, log_z, reverse_ess  # noqa: E402

SIDE, LAM, FRESH = 8, 6.008, 8192
torch.set_default_dtype(torch.float32)  # the peer switches torch to float64 when imported; float32 is faster for it


class Contestant(Protocol):
    name: str
    seconds: float
    turn: int  # steps between two evaluations

    def train(self, steps: int) -> None: ...

    def log_w(self, n: int) -> np.ndarray: ...


class Normflow:
    turn = 10

    def __init__(self, rate: float, batch: int, seed: int) -> None:
        torch.manual_seed(seed)
        shape = (SIDE, SIDE)
        convolution = {
            "in_channels": 1,
            "out_channels": 2,
            "hidden_sizes": [8, 8],
            "kernel_size": 3,
            "padding_mode": "circular",
            "conv_dim": 2,
            "acts": ("tanh", "tanh", None),
            "bias": False,
        }
        start = time.process_time()
        mean_field = MeanFieldNet_.build(knots_len=10, symmetric=True, final_scale=True, smooth=True)
        propagator = FFTNet_.build(shape, knots_len=10, ignore_zeromode=True)
        couplings = AffineCoupling_([ConvAct(**convolution) for _ in range(4)], mask=EvenOddMask(shape=shape))
        layers = [
            PSDBlock_(mfnet_=mean_field, fftnet_=propagator),
            DistConvertor_(50, symmetric=True, smooth=True),
            couplings,
            DistConvertor_(50, symmetric=True, smooth=True),
        ]
        # its action has kappa/2 and m^2/2: kappa = 2 and twice the mass squared are ours
        action = ScalarPhi4Action(kappa=2.0, m_sq=-8.0, lambd=LAM)
        self.model = Model(net_=ModuleList_(layers), prior=NormalPrior(shape=shape), action=action)
        self.rate, self.batch, self.first = rate, batch, True
        self.name = f"normflow, rate {rate:g}, batch {batch}"
        self.seconds = time.process_time() - start

    def train(self, steps: int) -> None:
        quiet = {"print_stride": 10**9}
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            if self.first:  # makes the optimiser
                self.model.fit(n_epochs=0, batch_size=self.batch, hyperparam={"lr": self.rate}, checkpoint_dict=quiet)
                self.model.fit.train_batch_size, self.first = self.batch, False
            for _ in range(steps):
                self.model.fit.step()
        self.seconds += time.process_time() - start

    def log_w(self, n: int) -> np.ndarray:
        parts = [self.model.posterior.sample__(1024) for _ in range(n // 1024)]
        return np.concatenate([(log_p - log_q).double().numpy() for _, log_q, log_p in parts])


class Ours:
    name = "colonnade"
    turn = 5

    def __init__(self, seed: int, steps: int = 80) -> None:
        start = time.process_time()
        action = ScalarAction.from_albergo(m2=-4, lam=LAM)
        config = TrainConfig(steps=steps, batch=96, learning_rate=2.5e-2, seed=seed, evaluate=10**9)
        self.trainer = Trainer(build(FlowConfig((SIDE, SIDE), couplings=2), seed), action, config)
        self.rng = np.random.default_rng(seed)
        self.seconds = time.process_time() - start

    def train(self, steps: int) -> None:
        start = time.process_time()
        self.trainer.run(until=self.trainer.step + steps)
        self.seconds += time.process_time() - start

    def log_w(self, n: int) -> np.ndarray:
        return self.trainer.proposal.propose(n, self.rng)[1]


def race(contestants: list[Contestant], goal: float, limit: float) -> dict[str, float | None]:
    """Train in turn until each has reached the goal or used up `limit` CPU-seconds."""
    reached: dict[str, float | None] = {}
    while len(reached) < len(contestants):
        for c in contestants:
            if c.name in reached:
                continue
            c.train(c.turn)
            ess = reverse_ess(c.log_w(FRESH))
            if ess >= goal or c.seconds > limit:
                reached[c.name] = c.seconds if ess >= goal else None
    return reached


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--goal", type=float, default=0.5)
    parser.add_argument("--limit", type=float, default=30.0, help="CPU-seconds each")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.02, 0.04])
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for warm in (Ours(99), Normflow(0.01, 128, 99)):  # load compiled code and libraries before the clock starts
        warm.train(2)
        warm.log_w(1024)
    exact = hotrg(ScalarAction.from_albergo(m2=-4, lam=LAM), (SIDE, SIDE)).log_z
    print(f"CPU-seconds to ESS >= {options.goal} on {FRESH} fresh fields, L = {SIDE}, lambda = {LAM}, 1 thread")
    ratios = []
    for seed in options.seeds:
        peers = [Normflow(r, b, seed) for r in options.rates for b in options.batches]
        contestants = [Ours(seed), *peers]
        reached = race(contestants, options.goal, options.limit)
        print(f"seed {seed}:")
        for c in contestants:
            report(c, reached[c.name], options.limit, exact)
        ours, theirs = reached["colonnade"], [when for p in peers if (when := reached[p.name])]
        if ours and theirs:
            ratios.append(min(theirs) / ours)
            print(f"{'ratio to the best peer':>32}: {ratios[-1]:.1f}", flush=True)
    print(f"median ratio over {len(ratios)} seeds: {statistics.median(ratios):.1f} (bar 5)")


def report(c: Contestant, when: float | None, limit: float, exact: float) -> None:
    start = time.process_time()
    weights = c.log_w(FRESH)
    speed = FRESH / (time.process_time() - start)
    value, error = log_z(weights)
    shown = f"{when:8.2f}" if when else f"> {limit:.0f}"
    result = f"log Z {value:.4f} +- {error:.4f} (exact {exact:.4f})"
    print(f"{c.name:>32}: {shown} s; {speed:8.0f} configurations/s; {result}")


if __name__ == "__main__":
    main()
