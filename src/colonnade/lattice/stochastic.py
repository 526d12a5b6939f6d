"""Stochastic normalizing flows: trained layers between the Monte-Carlo updates of an annealed path.

Wu, Koehler and Noe, arXiv:2002.06707; Caselle, Cellini, Nada and Panero, arXiv:2201.08862. Each layer carries the
population from one hopping to the next; it is trained on the population that arrives (as in Matthews et al.,
arXiv:2201.13117), so no gradient runs through the updates. The work log w is exact whatever the layers do.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from colonnade.lattice._types import FloatArray
from colonnade.lattice.annealed import Annealing
from colonnade.lattice.flow import torch_generator
from colonnade.lattice.layers import Coupling, SpectralScale
from colonnade.lattice.mcmc import State
from colonnade.lattice.support import Support, support_for
from colonnade.threads import one_thread


class StochasticFlow:
    """An `Annealing` path with layers in front of every stage; a `mcmc.Proposal` like it.

    Parameters
    ----------
    path : the schedule (hoppings, HMC moves); its lattice needs even sides of at least 4
    couplings : affine couplings a stage, besides the learned propagator
    """

    def __init__(self, path: Annealing, couplings: int = 2, hidden: int = 6, seed: int = 0) -> None:
        self.path = path
        support = support_for(path.shape, decimated=False)
        generator = torch.Generator().manual_seed(seed)
        self.layers = [_stage(support, couplings, hidden, generator) for _ in range(path.stages)]

    def _energy(self, k: int, x: Tensor) -> Tensor:
        a = self.path.action
        square = (x * x).sum(0)
        field = x.reshape(x.shape[0], *self.path.shape, x.shape[2])
        hop = torch.stack([field * field.roll(-1, 1 + mu) for mu in range(len(self.path.shape))]).sum((0, 1))
        local = (square * (a.w2 + a.w4 * square) - a.h * x[0]).sum(0, dtype=torch.float64)
        return local - self.path._hopping(k) * hop.reshape(-1, x.shape[2]).sum(0, dtype=torch.float64)

    @one_thread()
    def fit(self, rng: np.random.Generator, population: int = 512, steps: int = 20, rate: float = 0.01) -> list[float]:
        """Train the layers in turn along one annealed population; returns the last loss of every stage."""
        phi, _ = self.path._start(population, rng)
        state = State(np.ascontiguousarray(phi), self.path.shape)
        losses = []
        for k, layers in enumerate(self.layers, start=1):
            x = torch.from_numpy(state.phi)
            optimizer = torch.optim.Adam(layers.parameters(), lr=rate)
            generator = torch_generator(rng)
            loss = torch.zeros(())
            for _ in range(steps):
                pick = torch.randint(population, (min(256, population),), generator=generator)
                y, log_det = _push(layers, x[:, :, pick])
                loss = (self._energy(k, y) - log_det).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.append(float(loss.detach()))
            with torch.no_grad():
                y, _ = _push(layers, x)
            state = self.path._move(k, State(np.ascontiguousarray(y.numpy()), self.path.shape), rng)
        return losses

    @one_thread()
    @torch.no_grad()
    def propose(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """n configurations and log w; see `mcmc.Proposal`."""
        phi, log_z = self.path._start(n, rng)
        state = State(np.ascontiguousarray(phi), self.path.shape)
        log_w = np.full(n, log_z)
        for k, layers in enumerate(self.layers, start=1):
            x = torch.from_numpy(state.phi)
            y, log_det = _push(layers, x)
            log_w += (self._energy(k - 1, x) - self._energy(k, y) + log_det).numpy()
            state = State(np.ascontiguousarray(y.numpy()), self.path.shape)
            if k < self.path.stages:
                state = self.path._move(k, state, rng)
        return np.ascontiguousarray(state.fields), log_w

    @one_thread()
    @torch.no_grad()
    def weigh(self, fields: FloatArray, rng: np.random.Generator) -> FloatArray:
        """log w of a path drawn backwards from given configurations."""
        state = State.of(fields, self.path.action)
        log_w = np.full(len(fields), self.path._start(1, np.random.default_rng(0))[1])
        for k in range(self.path.stages, 0, -1):
            if k < self.path.stages:
                state = self.path._move(k, state, rng)
            y = torch.from_numpy(state.phi)
            x = y
            log_det = torch.zeros(len(fields), dtype=torch.float64)
            for layer in reversed(list(self.layers[k - 1])):
                x, part = layer.inverse(x)  # type: ignore[operator]
                log_det = log_det + part
            log_w += (self._energy(k - 1, x) - self._energy(k, y) + log_det).numpy()
            state = State(np.ascontiguousarray(x.numpy()), self.path.shape)
        return log_w


def _stage(support: Support, couplings: int, hidden: int, generator: torch.Generator) -> torch.nn.ModuleList:
    parts: list[torch.nn.Module] = [SpectralScale(support)]
    parts += [Coupling(support, c % 2, hidden, 1, True, generator) for c in range(couplings)]
    stage = torch.nn.ModuleList(parts).double()
    for name, p in stage.named_parameters():
        if name.endswith((".scale", ".shift")):
            torch.nn.init.zeros_(p)  # start from the identity: plain annealing
    return stage


def _push(layers: torch.nn.ModuleList, x: Tensor) -> tuple[Tensor, Tensor]:
    total = torch.zeros(x.shape[2], dtype=torch.float64)
    for layer in layers:
        x, log_det = layer(x)
        total = total + log_det
    return x, total
