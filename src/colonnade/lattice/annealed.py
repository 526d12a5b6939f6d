"""Annealed importance sampling: from independent sites to the full action, hopping switched on step by step.

Neal, Statistics and Computing 11, 125 (2001). Sites are drawn exactly at w0 = 0; between small steps of the
hopping, HMC keeps the population near equilibrium. The summed changes of the action are log w, exactly as for a
flow, so a path is a `mcmc.Proposal` and gives log Z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from colonnade.lattice import _kernels
from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.geometry import Shape, checked_shape, neighbours
from colonnade.lattice.mcmc import HMC, State


@dataclass(frozen=True)
class Annealing:
    """A path of actions from w0 = 0 to `action`.

    Parameters
    ----------
    action : the target, with w4 > 0 (one or two components)
    shape : the lattice
    stages : steps of the hopping
    steps, dt : leapfrog steps and step size of the one HMC trajectory after each
    """

    action: ScalarAction
    shape: Shape
    stages: int = 100
    steps: int = 4
    dt: float = 0.15

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", checked_shape(self.shape))
        if self.action.w4 <= 0:
            raise LatticeError("annealing starts from independent sites and needs a quartic coupling above 0")
        if not 1 <= self.stages <= 100_000:
            raise LatticeError(f"stages is {self.stages}; it must be 1 to 100000")

    @cached_property
    def _site(self) -> tuple[FloatArray, FloatArray, float]:
        """Grid, distribution function and log normalisation of one site at w0 = 0 (its radius, if complex)."""
        from colonnade.lattice.heatbath import site_distribution

        return site_distribution(replace(self.action, w0=0.0))

    def _hopping(self, k: float) -> float:
        return self.action.w0 * k / self.stages

    def _start(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, float]:
        x, cumulative, log_z = self._site
        volume = math.prod(self.shape)
        r = np.interp(rng.random((volume, n)), cumulative, x)
        if self.action.components == 1:
            return r[None], volume * log_z
        angle = rng.uniform(0, 2 * np.pi, r.shape)
        return np.stack([r * np.cos(angle), r * np.sin(angle)]), volume * log_z

    def _bond(self, phi: FloatArray) -> FloatArray:
        """dS/dw0 = -sum of phi_x . phi_{x+mu}, for every chain."""
        out = np.empty(phi.shape[2])
        _kernels.action_of(phi, neighbours(self.shape), np.array([1.0, 0.0, 0.0, 0.0]), out)
        return out

    def _move(self, k: int, state: State, rng: np.random.Generator) -> State:
        """An HMC trajectory at stage k."""
        kernel = HMC(replace(self.action, w0=self._hopping(k)), steps=self.steps, dt=self.dt)
        return kernel(state, rng)[0]

    def propose(self, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """n configurations and their log w (its mean over exp is Z, normalised); see `mcmc.Proposal`."""
        phi, log_z = self._start(n, rng)
        state = State(np.ascontiguousarray(phi), self.shape)
        log_w = np.full(n, log_z)
        step = self.action.w0 / self.stages
        for k in range(1, self.stages + 1):
            log_w -= step * self._bond(state.phi)
            if k < self.stages:
                state = self._move(k, state, rng)
        return np.ascontiguousarray(state.fields), log_w

    def weigh(self, fields: FloatArray, rng: np.random.Generator) -> FloatArray:
        """log w of a path drawn backwards from given configurations."""
        state = State.of(fields, self.action)
        _, _, log_z = self._site
        log_w = np.full(len(fields), math.prod(self.shape) * log_z)
        step = self.action.w0 / self.stages
        for k in range(self.stages, 0, -1):
            if k < self.stages:
                state = self._move(k, state, rng)
            log_w -= step * self._bond(state.phi)
        return log_w


def thermodynamic_integration(
    action: ScalarAction,
    shape: Sequence[int],
    n: int,
    rng: np.random.Generator,
    *,
    points: int = 16,
    chains: int = 64,
) -> tuple[float, float]:
    """log Z by integrating <sum phi_x phi_{x+mu}> over the hopping with Gauss-Legendre points; value and error.

    The quadrature error is not included: across a transition compare two values of `points`.
    """
    from colonnade.lattice.ensemble import sample

    path = Annealing(action, checked_shape(shape))
    node, weight = np.polynomial.legendre.leggauss(points)
    volume = math.prod(path.shape)
    total, variance = volume * path._site[2], 0.0
    for x, w in zip(0.5 * (node + 1), 0.5 * weight, strict=True):
        weaker = replace(action, w0=action.w0 * x)
        run = sample(weaker, path.shape, HMC(weaker), n, chains=chains, seed=rng)
        link = run.estimates["link"]
        total += w * action.w0 * volume * action.d * link.value
        variance += (w * action.w0 * volume * action.d * link.error) ** 2
    return total, math.sqrt(variance)
