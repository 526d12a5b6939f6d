"""HMC against the way most notebooks write it: PyTorch, eager mode, `torch.roll`.

Both samplers run in this process on one thread, in turn, with the same action, lattice, step size, number of steps,
chains and float64 precision; both draw momenta and accept or reject. The ratio is of medians over the rounds.

    python benchmarks/against_torch_eager_hmc.py
"""

from __future__ import annotations

import numpy as np
import torch
from hmc_race import Case, race

from colonnade.lattice import ScalarAction


class EagerHMC:
    """Leapfrog HMC of phi (chains, L, L) written with torch.roll and torch.randn."""

    def __init__(self, action: ScalarAction, case: Case, start: np.ndarray) -> None:
        self.action, self.case = action, case
        self.generator = torch.Generator().manual_seed(1)
        self.phi = torch.from_numpy(start)

    def energy(self, phi: torch.Tensor) -> torch.Tensor:
        a = self.action
        hop = phi * (phi.roll(-1, 1) + phi.roll(-1, 2))
        square = phi * phi
        return (a.w2 * square + a.w4 * square * square - a.w0 * hop).sum((1, 2))

    def force(self, phi: torch.Tensor) -> torch.Tensor:
        a = self.action
        around = phi.roll(1, 1) + phi.roll(-1, 1) + phi.roll(1, 2) + phi.roll(-1, 2)
        return a.w0 * around - phi * (2 * a.w2 + 4 * a.w4 * phi * phi)

    @torch.no_grad()
    def trajectory(self) -> float:
        dt, phi = self.case.dt, self.phi
        p = torch.randn(phi.shape, dtype=phi.dtype, generator=self.generator)
        start = self.energy(phi) + 0.5 * (p * p).sum((1, 2))
        phi = phi + 0.5 * dt * p
        for step in range(self.case.steps):
            p = p + dt * self.force(phi)
            phi = phi + (dt if step < self.case.steps - 1 else 0.5 * dt) * p
        delta = self.energy(phi) + 0.5 * (p * p).sum((1, 2)) - start
        uniform = torch.rand(delta.shape, dtype=phi.dtype, generator=self.generator)
        accept = uniform < torch.exp(-delta)
        self.phi = torch.where(accept[:, None, None], phi, self.phi)
        return float(accept.double().mean())


def main() -> None:
    torch.set_num_threads(1)
    race("torch eager " + torch.__version__, EagerHMC, bar=10.0)


if __name__ == "__main__":
    np.set_printoptions(precision=3)
    main()
