"""Race our HMC against a peer in one process, in turn, and print the table of ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from colonnade.lattice import HMC, ScalarAction, State, initial_state


class Case(NamedTuple):
    side: int
    chains: int
    steps: int = 10
    dt: float = 0.1


class Peer(Protocol):
    def trajectory(self) -> float:
        """Advance every chain by one trajectory and return the acceptance."""


# leapfrog's Delta H grows as sqrt(V) dt^2, so dt falls as L^(-1/2) to keep the acceptance
CASES = [
    Case(8, 16),
    Case(8, 128),
    Case(8, 1024),
    Case(16, 16, dt=0.07),
    Case(16, 128, dt=0.07),
    Case(16, 1024, dt=0.07),
    Case(32, 16, dt=0.05),
    Case(32, 128, dt=0.05),
    Case(64, 16, dt=0.035),
]
BATCH = 16  # trajectories a call, for us and for compiled peers


class Ours:
    def __init__(self, action: ScalarAction, case: Case, start: np.ndarray) -> None:
        self.rng = np.random.default_rng(1)
        self.kernel = HMC(action, steps=case.steps, dt=case.dt, repeat=BATCH)
        self.left, self.acceptance = 0, 0.0
        self.state = State.of(start, action)

    def trajectory(self) -> float:
        """One call in `BATCH` runs that many trajectories; the others return at once."""
        if self.left == 0:
            self.state, info = self.kernel(self.state, self.rng)
            self.acceptance = float(info["accepted"].mean())
            self.left = BATCH
        self.left -= 1
        return self.acceptance


def rate(peer: Peer, case: Case, repeats: int) -> tuple[float, float]:
    """Site updates (one drift and one kick of one site) per second, and the mean acceptance."""
    start = time.perf_counter()
    acceptance = [peer.trajectory() for _ in range(repeats)]
    seconds = time.perf_counter() - start
    return repeats * case.side**2 * case.chains * case.steps / seconds, statistics.fmean(acceptance)


def thermalised(action: ScalarAction, case: Case) -> np.ndarray:
    """Configurations (chains, L, L) from which both samplers start."""
    rng = np.random.default_rng(0)
    kernel = HMC(action, steps=case.steps, dt=case.dt, repeat=400)
    state, _ = kernel(initial_state(action, (case.side, case.side), case.chains, rng), rng)
    return np.ascontiguousarray(state.fields)


def race(name: str, make: Callable[[ScalarAction, Case, np.ndarray], Peer], bar: float, rounds: int = 5) -> None:
    action = ScalarAction.from_albergo(m2=-4, lam=6.008)
    print(f"HMC, m2 = -4, lambda = 6.008, float64, 1 thread, {rounds} rounds in turn; millions of site updates/s")
    print(
        f"{'L':>3} {'chains':>6} {'steps':>5} | {'colonnade':>9} {'acc':>5} | {name:>24} {'acc':>5} | ratio (bar {bar})"
    )
    for case in CASES:
        start = thermalised(action, case)
        runs = [Ours(action, case, start), make(action, case, start)]
        size = case.side**2 * case.chains * case.steps
        repeats = [BATCH * max(2, int(2e6 / size)), BATCH * max(1, int(4e5 / size))]
        for run in runs:
            for _ in range(BATCH + 1):
                run.trajectory()  # compile and warm up
        rates: list[list[tuple[float, float]]] = [[], []]
        for _ in range(rounds):
            for k in (0, 1):
                rates[k].append(rate(runs[k], case, repeats[k]))
        speed = [statistics.median(r for r, _ in rates[k]) / 1e6 for k in (0, 1)]
        acceptance = [statistics.fmean(a for _, a in rates[k]) for k in (0, 1)]
        print(
            f"{case.side:>3} {case.chains:>6} {case.steps:>5} | {speed[0]:9.1f} {acceptance[0]:5.2f} | "
            f"{speed[1]:24.1f} {acceptance[1]:5.2f} | {speed[0] / speed[1]:.1f}",
            flush=True,
        )
